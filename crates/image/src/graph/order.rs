//! In which order an image's parts stand in its graph. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use windlass_oci::{Descriptor, Digest};

use super::part::{Part, parts};
use super::{BlobRole, GraphOptions, ManifestContent, ManifestNode};

/// The manifests that were read, by digest. What is not among them is absent.
pub(super) type Manifests = HashMap<Digest, Arc<ManifestContent>>;

/// What a walk from the root meets, each digest once.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Children before parents.
    pub(super) manifests: Vec<ManifestNode>,
    /// In the order of their first mention.
    pub(super) blobs: Vec<(BlobRole, Descriptor)>,
    /// Layers that are left out and not needed elsewhere as anything else.
    pub(super) skipped: Vec<Descriptor>,
}

/// Walks depth first, in the order in which manifests name their parts.
///
/// The way down is kept in a list, not on the stack: no image is too deep for it. What has been
/// met is not entered again, so it ends even if manifests could reach themselves.
pub(super) fn walk(root: &Descriptor, manifests: &Manifests, options: &GraphOptions) -> Order {
    let enter = |descriptor: &Descriptor| {
        let content = manifests.get(&descriptor.digest);
        let parts: Vec<_> = match content {
            Some(content) => parts(&content.view, options).collect(),
            None => Vec::new(),
        };
        let node = ManifestNode { descriptor: descriptor.clone(), content: content.cloned() };
        (node, parts.into_iter())
    };
    let mut order = Order::default();
    let mut seen_manifests = HashSet::from([&root.digest]);
    let mut seen_blobs = HashSet::new();
    let mut skipped = Vec::new();
    let mut way = vec![enter(root)];
    while let Some((_, parts)) = way.last_mut() {
        match parts.next() {
            Some((Part::Manifest, child)) => {
                if seen_manifests.insert(&child.digest) {
                    way.push(enter(child));
                }
            }
            Some((Part::Blob(role), child)) => {
                if seen_blobs.insert(&child.digest) {
                    order.blobs.push((role, child.clone()));
                }
            }
            Some((Part::Skipped, child)) => skipped.push(child),
            None => order.manifests.extend(way.pop().map(|(node, _)| node)),
        }
    }
    skipped.retain(|descriptor| seen_blobs.insert(&descriptor.digest));
    order.skipped = skipped.into_iter().cloned().collect();
    order
}
