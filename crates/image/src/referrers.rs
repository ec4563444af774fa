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

#[cfg(test)]
mod tests {
    use windlass_testkit::{Image, ImageBuilder, IndexBuilder, Layout as Written};

    use super::*;

    async fn found(layout: &Written, selector: Option<&str>) -> (Digest, Vec<Digest>) {
        let layout = Layout::open(layout.path()).await.unwrap();
        let root = layout.image(selector).await.unwrap();
        let options = GraphOptions::default();
        let image = Graph::read(&root, &*layout.store(), &options).await.unwrap();
        let referrers = layout.referrers(&image, &options).await.unwrap();
        let roots = referrers.iter().map(|graph| graph.root().raw.digest().clone());
        (root.digest, roots.collect())
    }

    fn about(subject: &Image, kind: &str) -> Image {
        let builder = ImageBuilder::new(7).empty_config().artifact_type(kind);
        builder.layers(1, 100).subject(subject.root()).build()
    }

    #[tokio::test]
    async fn a_signature_beside_an_image_is_no_second_image() {
        let image = ImageBuilder::new(1).layers(1, 100).platforms(&["linux/amd64"]).build();
        let signature = about(&image, "a/signature");
        // A signature of the signature stands first, and is found all the same.
        let seal = about(&signature, "a/seal");
        let written = Written::directory(&[(&seal, None), (&signature, None), (&image, None)]);
        let (root, referrers) = found(&written, None).await;
        assert_eq!(root, *image.digest());
        assert_eq!(referrers, [signature.digest().clone(), seal.digest().clone()]);
        // Chosen by name, a signature is what is pushed.
        let (root, referrers) = found(&written, Some(signature.digest().as_str())).await;
        assert_eq!(root, *signature.digest());
        assert_eq!(referrers, [seal.digest().clone()]);
    }

    #[tokio::test]
    async fn what_refers_to_a_part_or_stands_in_another_index_is_found() {
        let part = ImageBuilder::new(1).layers(1, 100).build();
        let image = IndexBuilder::new().child(Some("linux/amd64"), &part).build();
        let signature = about(&part, "a/signature");
        let stranger = about(&ImageBuilder::new(9).build(), "a/stranger");
        let list = IndexBuilder::new().child(None, &signature).child(None, &stranger).build();
        let written = Written::directory(&[(&image, Some("image")), (&list, Some("list"))]);
        let (_, referrers) = found(&written, Some("image")).await;
        assert_eq!(referrers, [signature.digest().clone()]);
    }

    #[tokio::test]
    async fn what_is_in_the_image_is_not_found_twice() {
        let part = ImageBuilder::new(1).layers(1, 100).build();
        let attestation = about(&part, "an/attestation");
        let image =
            IndexBuilder::new().child(Some("linux/amd64"), &part).child(None, &attestation).build();
        let written = Written::directory(&[(&image, None), (&attestation, None)]);
        let (root, referrers) = found(&written, None).await;
        assert_eq!((root, referrers), (image.digest().clone(), Vec::new()));
    }

    #[tokio::test]
    async fn two_images_stay_two() {
        let [one, two] = [1, 2].map(|seed| ImageBuilder::new(seed).layers(1, 100).build());
        let written = Written::directory(&[(&one, None), (&two, None)]);
        let layout = Layout::open(written.path()).await.unwrap();
        assert!(matches!(layout.image(None).await, Err(LayoutError::Several { .. })));
        // A signature alone is what is pushed, whatever it refers to.
        let alone = Written::directory(&[(&about(&one, "a/signature"), None)]);
        let layout = Layout::open(alone.path()).await.unwrap();
        assert_eq!(layout.image(None).await.unwrap().digest, *about(&one, "a/signature").digest());
    }
}
