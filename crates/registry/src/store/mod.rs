//! What the registry has, on disk.
//!
//! ```text
//! version                                        which layout this is: "windlass-registry 1"
//! lock                                           locked by the one server that uses the folder
//! tmp/                                           small files until they are renamed; emptied at open
//! uploads/<id>.json                              a session: its repository, its algorithm
//! uploads/<id>.data                              the bytes it has so far
//! blobs/<algorithm>/<2 hex>/<hex>                bytes of blobs and manifests, once for all
//! repositories/<name>/_blobs/<algorithm>/<hex>       empty: this repository has the blob
//! repositories/<name>/_manifests/<algorithm>/<hex>   its media type: this repository has the manifest
//! repositories/<name>/_tags/<tag>                    the digest that the tag names
//! repositories/<name>/_referrers/<algorithm>/<hex of subject>/<algorithm>/<hex>   a referrer's descriptor
//! ```
//!
//! No part of a repository's name begins with `_`, so names and marks never meet. Whether a
//! repository has something is said by its marks alone: bytes under `blobs/` that no repository
//! marks are seen by nobody, and are cleared away at the next open.
//!
//! Every step is safe to be cut: bytes are synced before they are renamed to where they are
//! seen, the folder is synced after it, and what names something is written after what it names:
//! bytes, then the repository's mark, then the referrer, then the tag. Readers take no lock.
//!
//! The file system must tell upper from lower case, since tags do.

mod disk;
mod layout;

use std::io;

use windlass_oci::{Digest, RawManifest, RepositoryName, Tag};

use disk::Disk;
use layout::Layout;

/// Reads what is in a registry. Every function looks at the disk and blocks for as long.
#[derive(Debug)]
pub struct Store {
    layout: Layout,
    disk: Disk,
}

impl Store {
    /// Whether `repository` has a blob; one in another repository does not count.
    pub fn blob_exists(&self, repository: &RepositoryName, digest: &Digest) -> io::Result<bool> {
        disk::exists(&self.layout.blob(repository, digest))
    }

    /// Whether `repository` has a manifest.
    pub fn manifest_exists(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> io::Result<bool> {
        disk::exists(&self.layout.manifest(repository, digest))
    }

    /// A manifest of `repository`, verbatim, with its media type.
    pub fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> io::Result<Option<RawManifest>> {
        let _ = (repository, digest);
        Ok(None)
    }

    /// The digest that a tag names.
    pub fn tag(&self, repository: &RepositoryName, tag: &Tag) -> io::Result<Option<Digest>> {
        let _ = (repository, tag);
        Ok(None)
    }

    /// The tags of `repository` in byte order; `None` where there is no such repository.
    pub fn tags(&self, repository: &RepositoryName) -> io::Result<Option<Vec<Tag>>> {
        let _ = repository;
        Ok(None)
    }

    /// All repositories in byte order.
    pub fn repositories(&self) -> io::Result<Vec<RepositoryName>> {
        Ok(Vec::new())
    }
}
