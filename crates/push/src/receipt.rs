//! The record of a push: what was done, step by step, in a form that other programs read.
//!
//! Text on the terminal, JSON and exit code are three views of it. Fields may be added; what a
//! field means never changes under the same [`VERSION`].

use serde::Serialize;
use windlass_oci::{Digest, MediaType, RawManifest, Repository, Tag};

use crate::failure::{Failure, FailureClass};

/// The version of the form.
pub const VERSION: u32 = 1;

/// What became of one image.
#[derive(Clone, Debug, Serialize)]
pub struct Receipt {
    /// [`VERSION`].
    pub version: u32,
    /// What the image is called by whoever wanted it pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The root manifest.
    pub image: ImageReceipt,
    /// Each repository it was pushed to, in the order given.
    pub repositories: Vec<RepositoryReceipt>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorReceipt>,
}

/// How a push ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All of it is there, all tags are set.
    Pushed,
    /// Not all of it.
    Failed,
    /// It was a dry run: what is told would have been done.
    Planned,
}

/// The image that was pushed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageReceipt {
    /// The digest of its root manifest.
    pub digest: Digest,
    /// The media type of its root manifest.
    pub media_type: MediaType,
    /// The size of its root manifest in bytes.
    pub size: u64,
}

/// What was done in one repository.
#[derive(Clone, Debug, Serialize)]
pub struct RepositoryReceipt {
    /// The repository.
    pub repository: String,
    /// The digest of the image's root manifest.
    pub digest: Digest,
    /// Its blobs.
    pub blobs: BlobsReceipt,
    /// Its bytes.
    pub bytes: BytesReceipt,
    /// Its manifests and indexes.
    pub manifests: ManifestsReceipt,
    /// What refers to the image and went there with it. Its blobs and manifests are not among
    /// those counted above; the bytes sent for it are.
    pub referrers: Vec<ReferrerReceipt>,
    /// The tags asked for, in order.
    pub tags: Vec<TagReceipt>,
    /// Whether all of it was there, and every tag named it, when it was asked for again; not there
    /// where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// Requests sent, repetitions among them; those to token servers are not counted.
    pub requests: u64,
    /// How often something was done again because it had not worked.
    pub retries: u64,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// What the registry and the image want people to know.
    pub warnings: Vec<String>,
}

/// Blobs, counted by what was done with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BlobsReceipt {
    /// All that the image has.
    pub total: u64,
    /// Were there, or are known to be because a manifest that names them is.
    pub present: u64,
    /// Were mounted from another repository.
    pub mounted: u64,
    /// Were sent.
    pub uploaded: u64,
    /// Of those sent: how many went on in mid-blob after a break.
    pub resumed: u64,
}

/// Bytes of blobs and manifests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BytesReceipt {
    /// All that the image has.
    pub total: u64,
    /// Handed to the network, those sent again among them.
    pub sent: u64,
}

/// Manifests, counted by what was done with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ManifestsReceipt {
    /// All that the image has, the root among them.
    pub total: u64,
    /// Were there, or below one that was.
    pub present: u64,
    /// Were put.
    pub uploaded: u64,
}

/// What became of one manifest that refers to the image.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferrerReceipt {
    /// Its digest.
    pub digest: Digest,
    /// What kind of artifact it is; its config's media type where it does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What it refers to.
    pub subject: Option<Digest>,
    /// What was done.
    pub status: ReferrerStatus,
    /// By what it is found; null where it was not seen to.
    pub listed_by: Option<ListedBy>,
}

/// What became of a manifest that refers to the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReferrerStatus {
    /// It was put.
    Uploaded,
    /// It was there.
    Present,
    /// Its turn never came.
    Skipped,
}

/// What a referrer is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListedBy {
    /// The registry's referrers API.
    Api,
    /// The fall-back tag of its subject (distribution-spec, §"Referrers Tag Schema").
    Tag,
}

/// What became of one tag.
#[derive(Clone, Debug, Serialize)]
pub struct TagReceipt {
    /// The tag.
    pub tag: String,
    /// What was done.
    pub status: TagStatus,
    /// What it named before; null where it did not exist, or where that is not known.
    pub before: Option<Digest>,
    /// Why it failed, or could not be put back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What became of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TagStatus {
    /// It did not exist and names the image now.
    Created,
    /// It named something else and names the image now.
    Moved,
    /// It named the image already.
    Unchanged,
    /// The registry refused it, or it could not be set.
    Failed,
    /// Its turn never came.
    Skipped,
    /// It was created or moved, and was put back to where it was when a later one failed.
    Restored,
}

/// Why a push failed.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorReceipt {
    /// What kind of trouble it was; decides the exit code.
    pub class: FailureClass,
    /// What was being done, to what, and what came back.
    pub message: String,
    /// What the reader can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Receipt {
    pub(crate) fn new(name: Option<String>, root: &RawManifest) -> Receipt {
        Receipt {
            version: VERSION,
            name,
            outcome: Outcome::Failed,
            image: ImageReceipt {
                digest: root.digest().clone(),
                media_type: root.media_type().clone(),
                size: root.size(),
            },
            repositories: Vec::new(),
            error: None,
        }
    }
}

impl RepositoryReceipt {
    pub(crate) fn new(repository: &Repository, digest: &Digest, tags: &[Tag]) -> RepositoryReceipt {
        let skipped = |tag: &Tag| TagReceipt {
            tag: tag.to_string(),
            status: TagStatus::Skipped,
            before: None,
            error: None,
        };
        RepositoryReceipt {
            repository: repository.to_string(),
            digest: digest.clone(),
            blobs: BlobsReceipt::default(),
            bytes: BytesReceipt::default(),
            manifests: ManifestsReceipt::default(),
            referrers: Vec::new(),
            tags: tags.iter().map(skipped).collect(),
            verified: None,
            requests: 0,
            retries: 0,
            seconds: 0.0,
            warnings: Vec::new(),
        }
    }
}

impl From<&Failure> for ErrorReceipt {
    fn from(failure: &Failure) -> ErrorReceipt {
        ErrorReceipt { class: failure.class(), message: failure.to_string(), hint: failure.hint() }
    }
}
