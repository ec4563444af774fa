//! Everything that an image is made of, each digest once.
//!
//! A graph is found by reading manifests from a store, down from a root descriptor. What the store
//! lacks has its place in the graph all the same: perhaps the registry has it. What the store has
//! is checked, and all that is wrong with it is told at once.

mod order;
mod part;
mod problem;
mod read;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use windlass_oci::{Descriptor, Digest, Manifest, RawManifest};
use windlass_source::{BlobSource, Store};

pub use problem::{GraphError, Mention, Problem, Warning};

/// What a root descriptor reaches.
///
/// The order of manifests and blobs depends on the manifests' content alone.
#[derive(Clone, Debug)]
pub struct Graph {
    root: Arc<ManifestContent>,
    manifests: Vec<ManifestNode>,
    blobs: Vec<BlobNode>,
    manifest_places: HashMap<Digest, usize>,
    blob_places: HashMap<Digest, usize>,
    skipped: Vec<Descriptor>,
    warnings: Vec<Warning>,
}

/// What is to be taken along.
#[derive(Clone, Debug, Default)]
pub struct GraphOptions {
    /// Take layers along that their owner does not want to be distributed. See
    /// [`MediaType::is_non_distributable`](windlass_oci::MediaType::is_non_distributable).
    pub include_non_distributable: bool,
}

/// A manifest or an index, here or not.
#[derive(Clone, Debug)]
pub struct ManifestNode {
    /// How it is first referred to, with its platform where that is said.
    pub descriptor: Descriptor,
    /// What it is, or `None` where the store does not have it. What an absent manifest names is
    /// not known and not in the graph.
    pub content: Option<Arc<ManifestContent>>,
}

/// A manifest or an index that was read, with the digest, size and media type it was said to have.
#[derive(Clone, Debug)]
pub struct ManifestContent {
    /// Its bytes, as they are pushed.
    pub raw: RawManifest,
    /// What the bytes say. Its `subject` is not part of the graph.
    pub view: Manifest,
    /// The manifests that must be there before it: an index's entries. In their order, each once;
    /// see [`Graph::manifest`].
    pub manifests: Vec<Digest>,
    /// The blobs that must be there before it. In their order, each once, without what is
    /// [skipped](Graph::skipped); see [`Graph::blob`].
    pub blobs: Vec<Digest>,
}

/// A blob, here or not.
#[derive(Clone, Debug)]
pub struct BlobNode {
    /// How it is first referred to.
    pub descriptor: Descriptor,
    /// What it is there.
    pub role: BlobRole,
    /// Its bytes, or `None` where neither the store nor a descriptor's `data` has them. They are
    /// as many as the descriptor says.
    pub source: Option<Arc<dyn BlobSource>>,
}

/// What a blob is to the manifest that first names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlobRole {
    /// An image manifest's config.
    Config,
    /// One of an image manifest's layers.
    Layer,
    /// An entry of an index that is no manifest, as build caches have them.
    Entry,
}

impl Graph {
    /// Reads what `root` reaches from `store`.
    ///
    /// Every manifest that is there is checked: its digest, size, media type and JSON. So are the
    /// sizes of all blobs, and the digests of configs and of all blobs up to 1 MiB. Larger ones are
    /// not read.
    ///
    /// # Errors
    ///
    /// All problems that were found. That something is absent is no problem, unless it is the root.
    pub async fn read(
        root: &Descriptor,
        store: &dyn Store,
        options: &GraphOptions,
    ) -> Result<Graph, GraphError> {
        read::read(root, store, options).await
    }

    /// The root, which is also the last of [`manifests`](Self::manifests).
    #[must_use]
    pub fn root(&self) -> &Arc<ManifestContent> {
        &self.root
    }

    /// All manifests and indexes, each once, after all that it names, the root last.
    #[must_use]
    pub fn manifests(&self) -> &[ManifestNode] {
        &self.manifests
    }

    /// All blobs, each once, in the order in which they are first named, depth first.
    #[must_use]
    pub fn blobs(&self) -> &[BlobNode] {
        &self.blobs
    }

    /// The manifest or index with `digest`.
    #[must_use]
    pub fn manifest(&self, digest: &Digest) -> Option<&ManifestNode> {
        self.manifest_places.get(digest).and_then(|place| self.manifests.get(*place))
    }

    /// The blob with `digest`.
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> Option<&BlobNode> {
        self.blob_places.get(digest).and_then(|place| self.blobs.get(*place))
    }

    /// The non-distributable layers that were left out, each once.
    #[must_use]
    pub fn skipped(&self) -> &[Descriptor] {
        &self.skipped
    }

    /// What may fail elsewhere although nothing is wrong with it.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }
}
