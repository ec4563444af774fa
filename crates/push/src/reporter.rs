//! What a push tells while it runs. The library speaks of bytes; bars and words are the command's.

use windlass_oci::{Digest, Repository, Tag};

use crate::receipt::TagStatus;

/// Is told what happens, from several places at once. Calls must return at once.
pub trait Reporter: Send + Sync {
    /// Something has happened.
    fn report(&self, event: Event<'_>);
}

/// Something that has happened in a repository.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The registry was asked what it has.
    Planned {
        /// Where.
        repository: &'a Repository,
        /// What is to be done.
        summary: PlanSummary,
    },
    /// A blob's upload or mount begins.
    BlobStarted {
        /// Where to.
        repository: &'a Repository,
        /// The blob.
        digest: &'a Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// So many bytes of a blob have been handed over. Less than before where some were lost.
    BlobProgress {
        /// Where to.
        repository: &'a Repository,
        /// The blob.
        digest: &'a Digest,
        /// Bytes.
        position: u64,
    },
    /// A blob is there.
    BlobFinished {
        /// Where.
        repository: &'a Repository,
        /// The blob.
        digest: &'a Digest,
        /// Its size in bytes.
        size: u64,
        /// Whether it was mounted, rather than sent.
        mounted: bool,
    },
    /// A manifest was put by its digest.
    ManifestPut {
        /// Where.
        repository: &'a Repository,
        /// The manifest.
        digest: &'a Digest,
    },
    /// A tag's turn has come and gone.
    Tag {
        /// Where.
        repository: &'a Repository,
        /// The tag.
        tag: &'a Tag,
        /// What became of it.
        status: TagStatus,
        /// What it named before, where that is known.
        before: Option<&'a Digest>,
    },
    /// The registry said that something is missing after all: what is missing is looked up again
    /// and sent.
    Repairing {
        /// Where.
        repository: &'a Repository,
    },
}

/// A plan in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanSummary {
    /// Whether the root manifest is there, and with it the image.
    pub image_is_there: bool,
    /// Blobs to send.
    pub uploads: u64,
    /// Their bytes.
    pub upload_bytes: u64,
    /// Blobs to mount from a sibling repository.
    pub mounts: u64,
    /// Blobs that are there.
    pub present: u64,
    /// Manifests to put.
    pub manifests: u64,
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn report(&self, _: Event<'_>) {}
}
