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
//! No part of a repository's name begins with `_`, so names and marks never meet. A repository has
//! what it marks, if the bytes are there too: where somebody took those from the disk, it is as if
//! they had never come, and whoever pushes them again mends it. Bytes under `blobs/` that no
//! repository marks are seen by nobody, and are cleared away at the next open.
//!
//! Every step is safe to be cut: bytes are synced before they are renamed to where they are
//! seen, the folder is synced after it, and what names something is written after what it names:
//! bytes, then the repository's mark, then the referrer, then the tag. Readers take no lock.
//!
//! The file system must tell upper from lower case, since tags do.

mod catalog;
mod disk;
mod layout;
mod manifests;
mod opening;
mod referrers;

use std::fs::File;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use windlass_oci::{Digest, RepositoryName};

pub(crate) use disk::{Disk, names, present, read};
use layout::Layout;
pub(crate) use manifests::{Precondition, Put, PutRefusal};

/// Reads what is in a registry. Every function looks at the disk and blocks for as long.
#[derive(Debug)]
pub struct Store {
    layout: Layout,
    disk: Disk,
    /// Writers of manifests, tags and marks take turns, repository by repository.
    turns: [Mutex<()>; TURNS],
    /// Locked for as long as the store lives.
    _lock: File,
}

/// Repositories that share a lock by chance only wait for each other.
const TURNS: usize = 64;

impl Store {
    /// Whether `repository` has a blob; one in another repository does not count.
    pub fn blob_exists(&self, repository: &RepositoryName, digest: &Digest) -> io::Result<bool> {
        Ok(disk::exists(&self.layout.blob(repository, digest))?
            && disk::exists(&self.layout.content(digest))?)
    }

    /// How many bytes a blob of `repository` has; `None` where it does not have it.
    pub fn blob_size(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> io::Result<Option<u64>> {
        Ok(self.open_blob(repository, digest)?.map(|(_, size)| size))
    }

    /// A blob's bytes and their number.
    pub(crate) fn open_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> io::Result<Option<(File, u64)>> {
        if !disk::exists(&self.layout.blob(repository, digest))? {
            return Ok(None);
        }
        let Some(file) = present(File::open(self.layout.content(digest)))? else {
            return Ok(None);
        };
        let size = file.metadata()?.len();
        Ok(Some((file, size)))
    }

    /// Takes a finished file, synced and of that digest, as a blob of `repository`.
    pub(crate) fn take_blob(
        &self,
        file: &Path,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> io::Result<()> {
        self.disk.publish(file, &self.layout.content(digest))?;
        self.disk.mark(&self.layout.blob(repository, digest))
    }

    /// Lets `repository` have a blob of `from` too; whether `from` has it.
    pub(crate) fn mount_blob(
        &self,
        repository: &RepositoryName,
        from: &RepositoryName,
        digest: &Digest,
    ) -> io::Result<bool> {
        if !self.blob_exists(from, digest)? {
            return Ok(false);
        }
        self.disk.mark(&self.layout.blob(repository, digest))?;
        Ok(true)
    }

    /// Takes a blob from `repository`; whether it had it.
    pub(crate) fn remove_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> io::Result<bool> {
        let _turn = self.turn(repository);
        self.disk.remove(&self.layout.blob(repository, digest))
    }

    /// The folder of the upload sessions.
    pub(crate) fn uploads_folder(&self) -> std::path::PathBuf {
        self.layout.uploads()
    }

    /// How files are written here.
    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    fn turn(&self, repository: &RepositoryName) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(repository);
        let index = usize::try_from(hash % TURNS as u64).unwrap_or(0);
        // Whoever panicked left the disk in order: every single step on it is whole.
        self.turns[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
