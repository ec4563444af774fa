//! A blob that is a file.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use windlass_oci::Digest;

use crate::blob::check_limit;
use crate::{BlobReader, BlobSource, Extent, SourceError, read_ahead};

/// A blob that is a file, or a symbolic link to one.
#[derive(Clone, Debug)]
pub struct FileSource {
    path: PathBuf,
    digest: Digest,
    size: u64,
}

impl FileSource {
    /// The file at `path`, which is said to have `digest`. Its size is looked up; it is not opened.
    ///
    /// The look-up happens in the calling thread: a local `stat` takes a microsecond or two, much
    /// less than the way to another thread and back, and images have thousands of blobs.
    ///
    /// # Errors
    ///
    /// Where there is nothing at `path`, or something that is no file.
    pub fn find(path: impl Into<PathBuf>, digest: Digest) -> Result<FileSource, SourceError> {
        let path = path.into();
        let size = size(&path)?;
        Ok(FileSource { path, digest, size })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[async_trait]
impl BlobSource for FileSource {
    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn size(&self) -> u64 {
        self.size
    }

    async fn open(&self, offset: u64) -> Result<Box<dyn BlobReader>, SourceError> {
        open(self.path.clone(), offset, self.size).await
    }

    fn origin(&self) -> String {
        self.path.display().to_string()
    }
}

/// The file at `path` as a source, or `None` where there is none.
pub(crate) fn find(
    path: impl Into<PathBuf>,
    digest: &Digest,
) -> Result<Option<Arc<dyn BlobSource>>, SourceError> {
    match FileSource::find(path, digest.clone()) {
        Ok(source) => Ok(Some(Arc::new(source))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The content of a small file, or `None` where there is none; an error where it has more than
/// `limit` bytes.
pub(crate) async fn read(path: PathBuf, limit: u64) -> Result<Option<Bytes>, SourceError> {
    let size = match size(&path) {
        Ok(size) => size,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    check_limit(&path.display().to_string(), size, limit)?;
    open(path, 0, size).await?.read_to_end().await.map(Some)
}

fn size(path: &Path) -> Result<u64, SourceError> {
    fs::metadata(path)
        .and_then(|metadata| file_size(&metadata))
        .map_err(|error| SourceError::io(&path.display().to_string(), error))
}

fn file_size(metadata: &fs::Metadata) -> io::Result<u64> {
    if metadata.is_dir() {
        Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory, not a file"))
    } else if metadata.is_file() {
        Ok(metadata.len())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a device or a pipe, not a file"))
    }
}

async fn open(path: PathBuf, offset: u64, size: u64) -> Result<Box<dyn BlobReader>, SourceError> {
    let origin = path.display().to_string();
    read_ahead(Extent { origin: origin.clone(), offset, size }, move || {
        let failed = |error| SourceError::io(&origin, error);
        let mut file = File::open(&path).map_err(failed)?;
        let found = file.metadata().and_then(|metadata| file_size(&metadata)).map_err(failed)?;
        if found != size {
            return Err(SourceError::Changed { origin, expected: size, found });
        }
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        Ok(file)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn digest() -> Digest {
        Digest::sha256(b"")
    }

    #[test]
    fn a_directory_and_a_path_to_nothing_are_errors_that_name_it() {
        let folder = tempfile::tempdir().unwrap();
        let error = FileSource::find(folder.path(), digest()).unwrap_err();
        assert!(error.to_string().contains("it is a directory"), "{error}");
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
        let error = FileSource::find(folder.path().join("nothing"), digest()).unwrap_err();
        assert!(error.is_not_found());
        assert!(error.to_string().contains("nothing"), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_changes_its_size_is_told_when_it_is_opened() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"abc").unwrap();
        let source = FileSource::find(file.path(), digest()).unwrap();
        assert_eq!(source.size(), 3);
        for size in [2, 4] {
            file.as_file().set_len(size).unwrap();
            let error = source.open(0).await.err().unwrap();
            assert!(
                matches!(error, SourceError::Changed { expected: 3, found, .. } if found == size),
                "{error}"
            );
        }
        drop(file);
        assert!(source.open(0).await.err().unwrap().is_not_found());
    }

    #[tokio::test]
    async fn a_file_that_is_cut_while_it_is_read_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(64 << 20).unwrap();
        let source = FileSource::find(file.path(), digest()).unwrap();
        let mut reader = source.open(0).await.unwrap();
        assert!(reader.next().await.unwrap().is_ok());
        file.as_file().set_len(32 << 20).unwrap();
        let error = loop {
            if let Err(error) = reader.next().await.unwrap() {
                break error;
            }
        };
        assert!(
            matches!(error, SourceError::Changed { expected, found, .. }
                if expected == 64 << 20 && found == 32 << 20),
            "{error}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn pipes_are_refused_and_links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::fs::write(folder.path().join("file"), b"12345").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        assert_eq!(FileSource::find(&link, digest()).unwrap().size(), 5);
        std::fs::remove_file(folder.path().join("file")).unwrap();
        assert!(FileSource::find(&link, digest()).unwrap_err().is_not_found());
        let error = FileSource::find("/dev/null", digest()).unwrap_err();
        assert!(error.to_string().contains("not a file"), "{error}");
    }
}
