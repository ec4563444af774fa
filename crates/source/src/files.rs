//! Blobs in files that lie anywhere, by a list.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use windlass_oci::{Descriptor, Digest};

use crate::{BlobSource, SourceError, Store, file};

/// Files by the digest of their content, as a request to push lists them.
///
/// A listed file that does not exist is like one that is not listed: a build may leave it in a
/// remote cache, and the registry may have the blob.
#[derive(Clone, Debug, Default)]
pub struct FilesStore(HashMap<Digest, PathBuf>);

impl FilesStore {
    /// The files in `paths`. Nothing is looked at yet.
    #[must_use]
    pub fn new(paths: HashMap<Digest, PathBuf>) -> FilesStore {
        FilesStore(paths)
    }
}

#[async_trait]
impl Store for FilesStore {
    async fn get(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<Arc<dyn BlobSource>>, SourceError> {
        let Some(path) = self.0.get(&descriptor.digest) else { return Ok(None) };
        file::find(path, &descriptor.digest)
    }
}

impl FromIterator<(Digest, PathBuf)> for FilesStore {
    fn from_iter<I: IntoIterator<Item = (Digest, PathBuf)>>(paths: I) -> FilesStore {
        FilesStore(paths.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use windlass_oci::MediaType;

    use super::*;

    #[tokio::test]
    async fn finds_what_is_listed_and_there() {
        let folder = tempfile::tempdir().unwrap();
        let file = |content: &'static str| {
            let descriptor = Descriptor::of(MediaType::OCI_LAYER, content.as_bytes());
            (descriptor, folder.path().join(content))
        };
        let (there, there_path) = file("there");
        let (gone, gone_path) = file("gone");
        let (unlisted, unlisted_path) = file("unlisted");
        std::fs::write(&there_path, "there").unwrap();
        std::fs::write(&unlisted_path, "unlisted").unwrap();
        let store: FilesStore =
            [(there.digest.clone(), there_path), (gone.digest.clone(), gone_path)]
                .into_iter()
                .collect();
        assert_eq!(store.get(&there).await.unwrap().unwrap().size(), 5);
        assert!(store.get(&gone).await.unwrap().is_none());
        assert!(store.get(&unlisted).await.unwrap().is_none());
    }
}
