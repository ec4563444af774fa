//! An image of the test kit, with all its parts.

use bytes::Bytes;
use windlass_oci::{Descriptor, Digest};

use crate::content::Content;

/// An image: a root and all that it reaches.
#[derive(Clone, Debug)]
pub struct Image {
    parts: Vec<Part>,
    root: Descriptor,
}

/// One blob or manifest of an [`Image`].
#[derive(Clone, Debug)]
pub struct Part {
    /// What refers to it, with nothing but type, digest and size.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub content: Content,
}

impl Image {
    /// The descriptor of the root, with nothing but type, digest and size.
    #[must_use]
    pub fn root(&self) -> &Descriptor {
        &self.root
    }

    /// The digest of the root.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.root.digest
    }

    /// All that is in it, each digest once, what is referred to before what refers; the root last.
    /// Foreign layers are not among them.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The descriptors of its configs and layers.
    #[must_use]
    pub fn blobs(&self) -> Vec<Descriptor> {
        self.descriptors(|descriptor| !descriptor.media_type.is_manifest())
    }

    /// The descriptors of its manifests and indexes, children first.
    #[must_use]
    pub fn manifests(&self) -> Vec<Descriptor> {
        self.descriptors(|descriptor| descriptor.media_type.is_manifest())
    }

    /// The bytes of one of its parts.
    ///
    /// # Panics
    /// If it has no such part.
    #[must_use]
    pub fn bytes(&self, digest: &Digest) -> Bytes {
        let part = self.parts.iter().find(|part| part.descriptor.digest == *digest);
        part.unwrap_or_else(|| panic!("{digest} is not in the image")).content.to_bytes()
    }

    /// The same image without the bytes of `digest`, as a layout over a sparse base has it: what
    /// refers to it still does.
    #[must_use]
    pub fn without(mut self, digest: &Digest) -> Image {
        let before = self.parts.len();
        self.parts.retain(|part| part.descriptor.digest != *digest);
        assert!(self.parts.len() < before, "{digest} is not in the image");
        self
    }

    pub(crate) fn new(parts: Vec<Part>, root: Descriptor) -> Image {
        Image { parts, root }
    }

    fn descriptors(&self, wanted: impl Fn(&Descriptor) -> bool) -> Vec<Descriptor> {
        self.parts.iter().map(|part| part.descriptor.clone()).filter(wanted).collect()
    }
}
