//! One layer of a test image: random or sparse, or a real archive, or one that lies elsewhere.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use windlass_oci::{Algorithm, Descriptor, Digest, MediaType};

use crate::builder::base64;
use crate::content::Content;

/// A layer to be built; see [`ImageBuilder::layer`](crate::ImageBuilder::layer).
#[derive(Clone, Debug)]
pub struct Layer {
    kind: Kind,
    media_type: Option<MediaType>,
    inline: bool,
    urls: Vec<String>,
}

#[derive(Clone, Debug)]
enum Kind {
    Content(Content),
    /// Random, from the seed of the image and the place in it.
    Unseeded(u64),
    Archive(Vec<(String, Bytes)>),
}

/// A layer with all that a manifest and a config say of it.
pub(crate) struct Built {
    pub(crate) descriptor: Descriptor,
    /// The digest of what is inside of it, uncompressed.
    pub(crate) diff_id: Digest,
    /// Its bytes; `None` where they stay elsewhere.
    pub(crate) content: Option<Content>,
}

impl Layer {
    /// Random bytes that depend on the image's seed and the layer's place in it.
    #[must_use]
    pub fn random(size: u64) -> Layer {
        Layer::new(Kind::Unseeded(size))
    }

    /// Random bytes that depend on nothing but `seed` and `size`: two images with the same such
    /// layer share it.
    #[must_use]
    pub fn seeded(seed: u64, size: u64) -> Layer {
        Layer::new(Kind::Content(Content::Random { seed, size }))
    }

    /// Zeros, which take no place on disk in a layout directory.
    #[must_use]
    pub fn sparse(size: u64) -> Layer {
        Layer::new(Kind::Content(Content::Sparse { size }))
    }

    /// These bytes, whatever they are.
    #[must_use]
    pub fn bytes(bytes: impl Into<Bytes>) -> Layer {
        Layer::new(Kind::Content(Content::Bytes(bytes.into())))
    }

    /// A real layer: a tar archive of these files, packed by gzip.
    #[must_use]
    pub fn archive(files: &[(&str, &[u8])]) -> Layer {
        let files =
            files.iter().map(|(path, bytes)| ((*path).to_owned(), Bytes::copy_from_slice(bytes)));
        Layer::new(Kind::Archive(files.collect()))
    }

    /// A non-distributable layer: its descriptor is in the manifest, its bytes are at `url` and
    /// not in the layout.
    #[must_use]
    pub fn foreign(size: u64, url: &str) -> Layer {
        let mut layer = Layer::random(size).media_type(MediaType::new(
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        ));
        layer.urls = vec![url.to_owned()];
        layer
    }

    /// With a media type of its own instead of the image's.
    #[must_use]
    pub fn media_type(mut self, media_type: MediaType) -> Layer {
        self.media_type = Some(media_type);
        self
    }

    /// With its bytes in its descriptor's `data` too. They are in the layout all the same.
    #[must_use]
    pub fn inline(mut self) -> Layer {
        self.inline = true;
        self
    }

    fn new(kind: Kind) -> Layer {
        Layer { kind, media_type: None, inline: false, urls: Vec::new() }
    }

    pub(crate) fn build(&self, seed: u64, default: &MediaType, algorithm: Algorithm) -> Built {
        let (content, diff_id) = match &self.kind {
            Kind::Content(content) => (content.clone(), None),
            Kind::Unseeded(size) => (Content::Random { seed, size: *size }, None),
            Kind::Archive(files) => {
                let archive = archive_of(files);
                let diff_id = Digest::sha256(&archive);
                (Content::Bytes(gzip(&archive)), Some(diff_id))
            }
        };
        let media_type = self.media_type.clone().unwrap_or_else(|| default.clone());
        let digest = content.digest(algorithm);
        let mut descriptor = Descriptor::new(media_type, digest.clone(), content.size());
        descriptor.urls.clone_from(&self.urls);
        if self.inline {
            descriptor.data = Some(base64(&content.to_bytes()));
        }
        let is_here = !descriptor.media_type.is_non_distributable();
        Built {
            diff_id: diff_id.unwrap_or(digest),
            content: is_here.then_some(content),
            descriptor,
        }
    }
}

fn archive_of(files: &[(String, Bytes)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, path, &**bytes).expect("a path that tar can hold");
    }
    archive.into_inner().expect("a vector takes everything")
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything").into()
}
