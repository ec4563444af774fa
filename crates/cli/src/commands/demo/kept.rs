//! Watches from where blobs are read: a push that goes on in mid-blob reads it from where the
//! registry left off, so that is what the registry had kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use windlass_oci::{Descriptor, Digest};
use windlass_source::{BlobReader, BlobSource, SourceError, Store};

/// A store that watches the blobs of another.
#[derive(Debug)]
pub(super) struct Watched {
    store: Arc<dyn Store>,
    kept: Kept,
}

/// How many bytes of each blob were passed over when it was read once more.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Arc<Mutex<HashMap<Digest, u64>>>);

#[derive(Debug)]
struct WatchedBlob {
    blob: Arc<dyn BlobSource>,
    kept: Kept,
}

impl Watched {
    pub(super) fn new(store: Arc<dyn Store>) -> Watched {
        Watched { store, kept: Kept::default() }
    }

    /// What has been seen, now and later.
    pub(super) fn kept(&self) -> Kept {
        self.kept.clone()
    }
}

impl Kept {
    /// The bytes of all blobs together.
    pub(super) fn bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    fn opened(&self, digest: &Digest, offset: u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let farthest = kept.entry(digest.clone()).or_default();
        *farthest = offset.max(*farthest);
    }
}

#[async_trait]
impl Store for Watched {
    async fn get(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<Arc<dyn BlobSource>>, SourceError> {
        let Some(blob) = self.store.get(descriptor).await? else { return Ok(None) };
        Ok(Some(Arc::new(WatchedBlob { blob, kept: self.kept.clone() })))
    }
}

#[async_trait]
impl BlobSource for WatchedBlob {
    fn digest(&self) -> &Digest {
        self.blob.digest()
    }

    fn size(&self) -> u64 {
        self.blob.size()
    }

    async fn open(&self, offset: u64) -> Result<Box<dyn BlobReader>, SourceError> {
        self.kept.opened(self.blob.digest(), offset);
        self.blob.open(offset).await
    }

    fn origin(&self) -> String {
        self.blob.origin()
    }
}

#[cfg(test)]
mod tests {
    use windlass_oci::MediaType;
    use windlass_source::{MemorySource, MemoryStore};

    use super::*;

    #[tokio::test]
    async fn the_farthest_start_of_each_blob_counts() {
        let contents = ["0123456789", "abcdef"];
        let store: MemoryStore = contents.into_iter().map(MemorySource::new).collect();
        let watched = Watched::new(Arc::new(store));
        let kept = watched.kept();
        for (content, offsets) in contents.into_iter().zip([&[0, 4, 7, 0][..], &[0, 2]]) {
            let descriptor = Descriptor::of(MediaType::OCI_LAYER, content.as_bytes());
            let blob = watched.get(&descriptor).await.unwrap().unwrap();
            for offset in offsets {
                blob.open(*offset).await.unwrap();
            }
        }
        assert_eq!(kept.bytes(), 9);
    }
}
