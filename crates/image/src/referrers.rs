//! What in a layout refers to something else: signatures, attestations, bills of materials. They
//! stand in `index.json` beside the image, or in an index that lists them.

use std::collections::HashSet;
use std::sync::Arc;

use windlass_oci::{Descriptor, Digest, Manifest, RawManifest};
use windlass_source::Store;

use crate::layout::{Layout, LayoutError};
use crate::{Graph, GraphError, GraphOptions};

/// Manifests above this size are not looked into for a subject.
const MAX_MANIFEST: u64 = 4 << 20;

impl Layout {
    /// The root that is to be pushed: the one that `selector` means, as with
    /// [`root`](Self::root). Without a selector the only one, where those do not count that refer
    /// to something in the layout: a signature beside an image is not a second image.
    ///
    /// # Errors
    ///
    /// Where none or several are meant; the error lists all there are.
    pub async fn image(&self, selector: Option<&str>) -> Result<Descriptor, LayoutError> {
        let several = match self.root(selector) {
            Err(several @ LayoutError::Several { .. }) => several,
            other => return other,
        };
        let store = self.store();
        let mut images: Vec<&Descriptor> = Vec::new();
        for root in self.roots() {
            let descriptor = &root.descriptor;
            if images.iter().any(|image| image.digest == descriptor.digest) {
                continue;
            }
            let refers = match look(&*store, descriptor).await.as_ref().and_then(Manifest::subject)
            {
                Some(subject) => matches!(store.get(subject).await, Ok(Some(_))),
                None => false,
            };
            if !refers {
                images.push(descriptor);
            }
        }
        match images.as_slice() {
            [image] => Ok((*image).clone()),
            _ => Err(several),
        }
    }

    /// What in this layout refers to `image`, to a part of it, or to another of these: each whole,
    /// after what it refers to. What is in `image` already is not among them.
    ///
    /// Looked at are the layout's roots, and what those of them list that are indexes. What of that
    /// cannot be read refers to nothing.
    ///
    /// # Errors
    ///
    /// What is wrong with one that does refer to the image.
    pub async fn referrers(
        &self,
        image: &Graph,
        options: &GraphOptions,
    ) -> Result<Vec<Graph>, GraphError> {
        let store = self.store();
        let mut there: HashSet<Digest> = digests(image).collect();
        let mut left = self.candidates(&*store).await;
        left.retain(|(descriptor, _)| !there.contains(&descriptor.digest));
        let mut referrers = Vec::new();
        loop {
            let refers = |(_, subject): &(Descriptor, Digest)| there.contains(subject);
            let (found, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(refers);
            if found.is_empty() {
                return Ok(referrers);
            }
            left = rest;
            for (descriptor, _) in found {
                let graph = Graph::read(&descriptor, &*store, options).await?;
                there.extend(digests(&graph));
                referrers.push(graph);
            }
        }
    }

    /// All manifests with a subject that are looked at, each once, and what they refer to.
    async fn candidates(&self, store: &dyn Store) -> Vec<(Descriptor, Digest)> {
        let mut seen = HashSet::new();
        let mut candidates = Vec::new();
        for root in self.roots() {
            let descriptor = &root.descriptor;
            if !seen.insert(descriptor.digest.clone()) {
                continue;
            }
            let Some(view) = look(store, descriptor).await else { continue };
            if let Some(subject) = view.subject() {
                candidates.push((descriptor.clone(), subject.digest.clone()));
            }
            let Manifest::Index(index) = view else { continue };
            for child in index.manifests {
                if !seen.insert(child.digest.clone()) {
                    continue;
                }
                let view = look(store, &child).await;
                if let Some(subject) = view.as_ref().and_then(Manifest::subject) {
                    candidates.push((child, subject.digest.clone()));
                }
            }
        }
        candidates
    }
}

fn digests(graph: &Graph) -> impl Iterator<Item = Digest> {
    graph.manifests().iter().map(|node| node.descriptor.digest.clone())
}

/// What a manifest says; `None` where it is not here, or cannot be understood.
async fn look(store: &dyn Store, descriptor: &Descriptor) -> Option<Manifest> {
    if !descriptor.media_type.is_manifest() {
        return None;
    }
    let source: Arc<_> = store.get(descriptor).await.ok()??;
    let bytes = source.read(MAX_MANIFEST).await.ok()?;
    let (media_type, digest) = (descriptor.media_type.clone(), descriptor.digest.clone());
    RawManifest::with_digest(media_type, digest, bytes)?.view().ok()
}
