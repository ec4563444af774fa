//! Blobs in an uncompressed tar archive of an OCI layout, read where they lie.
//!
//! The archive is indexed once, by its headers, and never unpacked. All sources share one open
//! file and read at positions of their own: they do not disturb each other, and an archive that is
//! replaced meanwhile (a new file under the old name) does not disturb them.

mod index;
mod section;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::spawn_blocking;
use windlass_oci::{Descriptor, Digest};

pub use index::ArchiveIndex;
use index::Span;
use section::Section;

use crate::blob::check_limit;
use crate::directory::blob_path;
use crate::{BlobReader, BlobSource, Extent, SourceError, Store, read_ahead};

/// The blobs below `blobs/` in a tar archive.
#[derive(Clone, Debug)]
pub struct ArchiveStore {
    file: Arc<File>,
    name: Arc<str>,
    index: Arc<ArchiveIndex>,
}

/// A blob that is a member of an archive.
#[derive(Clone, Debug)]
pub struct MemberSource {
    member: Member,
    digest: Digest,
}

/// Where a member's bytes are.
#[derive(Clone, Debug)]
struct Member {
    file: Arc<File>,
    origin: String,
    span: Span,
}

impl ArchiveStore {
    /// Opens the archive at `path` and reads its headers.
    ///
    /// # Errors
    ///
    /// Where it cannot be opened, is no tar archive, is cut short, is compressed, or has sparse
    /// members.
    pub async fn open(path: &Path) -> Result<ArchiveStore, SourceError> {
        let path = path.to_owned();
        let name = path.display().to_string();
        let opening = spawn_blocking({
            let name = name.clone();
            move || {
                let failed = |error| SourceError::io(&name, error);
                let file = File::open(&path).map_err(failed)?;
                let metadata = file.metadata().map_err(failed)?;
                if !metadata.is_file() {
                    return Err(failed(io::Error::other("it is no file")));
                }
                let index = ArchiveIndex::read(&file, metadata.len())
                    .map_err(|problem| SourceError::Archive { origin: name.clone(), problem })?;
                Ok(ArchiveStore { file: Arc::new(file), name: name.into(), index: Arc::new(index) })
            }
        });
        match opening.await {
            Ok(opened) => opened,
            Err(error) => Err(SourceError::io(&name, io::Error::other(error))),
        }
    }

    /// The content of the small file `name`, or `None` where there is none; an error where it has
    /// more than `limit` bytes.
    pub async fn read(&self, name: &str, limit: u64) -> Result<Option<Bytes>, SourceError> {
        let Some(member) = self.member(name) else { return Ok(None) };
        check_limit(&member.origin, member.span.size, limit)?;
        member.open(0).await?.read_to_end().await.map(Some)
    }

    /// The names of its files and links, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.index.names()
    }

    fn member(&self, name: &str) -> Option<Member> {
        let span = self.index.find(name)?;
        let origin = format!("{} in {}", name, self.name);
        Some(Member { file: Arc::clone(&self.file), origin, span })
    }
}

#[async_trait]
impl Store for ArchiveStore {
    async fn get(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<Arc<dyn BlobSource>>, SourceError> {
        Ok(self.member(&blob_path(&descriptor.digest)).map(|member| {
            let digest = descriptor.digest.clone();
            Arc::new(MemberSource { member, digest }) as Arc<dyn BlobSource>
        }))
    }
}

#[async_trait]
impl BlobSource for MemberSource {
    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn size(&self) -> u64 {
        self.member.span.size
    }

    async fn open(&self, offset: u64) -> Result<Box<dyn BlobReader>, SourceError> {
        self.member.open(offset).await
    }

    fn origin(&self) -> String {
        self.member.origin.clone()
    }
}

impl Member {
    async fn open(&self, offset: u64) -> Result<Box<dyn BlobReader>, SourceError> {
        let extent = Extent { origin: self.origin.clone(), offset, size: self.span.size };
        let (file, span) = (Arc::clone(&self.file), self.span);
        read_ahead(extent, move || {
            Ok(Section::new(file, span.offset + offset, span.offset + span.size))
        })
        .await
    }
}
