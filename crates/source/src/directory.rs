//! Blobs in a directory, as OCI layouts lay them: `blobs/<algorithm>/<hex>`. Image-spec,
//! [image-layout.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use windlass_oci::{Descriptor, Digest};

use crate::{BlobSource, SourceError, Store, file};

/// The blobs below `blobs/` in a directory.
#[derive(Clone, Debug)]
pub struct DirectoryStore {
    root: PathBuf,
}

impl DirectoryStore {
    /// The directory `root`. Nothing is looked at yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> DirectoryStore {
        DirectoryStore { root: root.into() }
    }

    /// The directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The content of the small file `name`, or `None` where there is none; an error where it has
    /// more than `limit` bytes.
    pub async fn read(&self, name: &str, limit: u64) -> Result<Option<Bytes>, SourceError> {
        file::read(self.root.join(name), limit).await
    }
}

#[async_trait]
impl Store for DirectoryStore {
    async fn get(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<Arc<dyn BlobSource>>, SourceError> {
        let path = self.root.join(blob_path(&descriptor.digest));
        file::find(path, &descriptor.digest)
    }
}

/// Where a layout keeps the blob of `digest`.
pub(crate) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use windlass_oci::{Algorithm, MediaType};

    use super::*;

    #[tokio::test]
    async fn finds_blobs_of_either_algorithm_and_tells_absence_from_trouble() {
        let folder = tempfile::tempdir().unwrap();
        let store = DirectoryStore::new(folder.path());
        let content = b"content";
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = Digest::of(algorithm, content);
            let descriptor = Descriptor::new(MediaType::OCI_LAYER, digest.clone(), 7);
            assert!(store.get(&descriptor).await.unwrap().is_none());
            let path = folder.path().join("blobs").join(algorithm.name()).join(digest.hex());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            let source = store.get(&descriptor).await.unwrap().unwrap();
            assert_eq!((source.size(), source.digest()), (7, &digest));
            assert_eq!(source.origin(), path.display().to_string());
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            assert!(store.get(&descriptor).await.unwrap_err().to_string().contains("directory"));
        }
    }

    #[tokio::test]
    async fn small_files_are_read_up_to_their_limit() {
        let folder = tempfile::tempdir().unwrap();
        let store = DirectoryStore::new(folder.path());
        fs::write(folder.path().join("index.json"), "12345").unwrap();
        assert_eq!(store.read("index.json", 5).await.unwrap().unwrap(), "12345");
        assert!(store.read("oci-layout", 5).await.unwrap().is_none());
        let error = store.read("index.json", 4).await.unwrap_err();
        assert!(error.to_string().contains("5 bytes, more than the 4"), "{error}");
    }
}
