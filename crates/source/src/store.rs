//! Finding the source of a descriptor.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use windlass_oci::Descriptor;

use crate::{BlobSource, SourceError};

/// Knows where blobs are: a layout directory, an archive, a list of files, a remote cache.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// The source of `descriptor`'s content, or `None` where it is not here. The source's size is
    /// the size that was found, not the one that the descriptor promises.
    async fn get(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<Arc<dyn BlobSource>>, SourceError>;
}

/// Several stores as one: the first that has a blob gives it.
#[derive(Debug, Default)]
pub struct Stores(pub Vec<Arc<dyn Store>>);

#[async_trait]
impl Store for Stores {
    async fn get(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<Arc<dyn BlobSource>>, SourceError> {
        for store in &self.0 {
            if let Some(source) = store.get(descriptor).await? {
                return Ok(Some(source));
            }
        }
        Ok(None)
    }
}
