//! Manifests and indexes: raw bytes with a thin typed view.
//!
//! The bytes are what counts: they are pushed as they were read and never written anew, so that
//! their digest, and every unknown field in them, survives.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;

use crate::descriptor::null_is_empty;
use crate::{Descriptor, Digest, MediaType};

/// A manifest or an index as it is sent: its bytes, their digest, and its media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawManifest {
    media_type: MediaType,
    digest: Digest,
    bytes: Bytes,
}

/// What a manifest refers to.
#[expect(clippy::large_enum_variant, reason = "few live at once; a box would only be in the way")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// One image or artifact: a config and layers.
    Image(ImageManifest),
    /// Several, by platform or otherwise.
    Index(ImageIndex),
}

/// Image-spec, [manifest.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    /// The media type that the manifest says of itself.
    pub media_type: Option<MediaType>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub layers: Vec<Descriptor>,
    /// The manifest that this one is about (a signature's image).
    pub subject: Option<Descriptor>,
    /// What kind of artifact this is.
    pub artifact_type: Option<String>,
    /// Free-form notes.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Image-spec, [image-index.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    /// The media type that the index says of itself.
    pub media_type: Option<MediaType>,
    /// What it lists: manifests as a rule, but blobs are legal (build caches have them).
    #[serde(default, deserialize_with = "null_is_empty")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that this one is about.
    pub subject: Option<Descriptor>,
    /// What kind of artifact this is.
    pub artifact_type: Option<String>,
    /// Free-form notes.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Why a manifest's bytes cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// They are not the JSON of a manifest.
    #[error("not the JSON of a manifest: {0}")]
    Json(#[from] serde_json::Error),
    /// What it says of itself is not what its descriptor said.
    #[error("its mediaType is {inner}, but it is described as {outer}")]
    MediaTypeMismatch {
        /// The manifest's own `mediaType`.
        inner: MediaType,
        /// The descriptor's, or the `Content-Type` it came with.
        outer: MediaType,
    },
    /// It is neither an image manifest nor an index.
    #[error("media type {0} is no manifest that can be read here")]
    UnknownMediaType(MediaType),
}

impl RawManifest {
    /// Takes `bytes` as they are. The digest is computed by sha256.
    #[must_use]
    pub fn new(media_type: MediaType, bytes: Bytes) -> RawManifest {
        RawManifest { media_type, digest: Digest::sha256(&bytes), bytes }
    }

    /// Takes `bytes` that ought to have `digest`; `None` where they have another.
    #[must_use]
    pub fn with_digest(media_type: MediaType, digest: Digest, bytes: Bytes) -> Option<RawManifest> {
        digest.matches(&bytes).then_some(RawManifest { media_type, digest, bytes })
    }

    /// Its media type, sent as `Content-Type`.
    #[must_use]
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// The digest of its bytes.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The bytes, verbatim.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// A descriptor of it, with nothing but type, digest and size.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest.clone(), self.size())
    }

    /// Reads what it refers to.
    pub fn view(&self) -> Result<Manifest, ManifestError> {
        let manifest = if self.media_type.is_index() {
            Manifest::Index(serde_json::from_slice(&self.bytes)?)
        } else if self.media_type.is_image_manifest() {
            Manifest::Image(serde_json::from_slice(&self.bytes)?)
        } else {
            return Err(ManifestError::UnknownMediaType(self.media_type.clone()));
        };
        match manifest.media_type() {
            Some(inner) if *inner != self.media_type => Err(ManifestError::MediaTypeMismatch {
                inner: inner.clone(),
                outer: self.media_type.clone(),
            }),
            _ => Ok(manifest),
        }
    }
}

impl Manifest {
    /// The media type that it says of itself.
    #[must_use]
    pub fn media_type(&self) -> Option<&MediaType> {
        match self {
            Manifest::Image(image) => image.media_type.as_ref(),
            Manifest::Index(index) => index.media_type.as_ref(),
        }
    }

    /// The manifest that this one is about. It need not be there when this one is put.
    #[must_use]
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Manifest::Image(image) => image.subject.as_ref(),
            Manifest::Index(index) => index.subject.as_ref(),
        }
    }

    /// All that must be there before this manifest is put, in the order it is written. The
    /// subject is not among them (distribution-spec, §"Pushing Manifests with Subject").
    pub fn children(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, rest) = match self {
            Manifest::Image(image) => (Some(&image.config), &image.layers),
            Manifest::Index(index) => (None, &index.manifests),
        };
        config.into_iter().chain(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn descriptor(media_type: &MediaType, content: &[u8]) -> String {
        let descriptor = Descriptor::of(media_type.clone(), content);
        serde_json::to_string(&descriptor).unwrap()
    }

    #[track_caller]
    fn check(media_type: MediaType, text: &str, expected: Result<usize, &str>) {
        let raw = RawManifest::new(media_type, text.to_owned().into());
        match (raw.view(), expected) {
            (Ok(view), Ok(children)) => assert_eq!(view.children().count(), children),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().contains(expected), "{error}");
            }
            (got, _) => panic!("{text}: {got:?}"),
        }
    }

    #[test]
    fn reads_images_and_indexes_of_both_families() {
        let config = descriptor(&MediaType::OCI_CONFIG, b"{}");
        let layer = descriptor(&MediaType::OCI_LAYER_GZIP, b"layer");
        let image =
            format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layer},{layer}]}}"#);
        check(MediaType::OCI_MANIFEST, &image, Ok(3));
        check(MediaType::DOCKER_MANIFEST, &image, Ok(3));
        check(MediaType::OCI_MANIFEST, &format!(r#"{{"config":{config}}}"#), Ok(1));
        check(MediaType::OCI_MANIFEST, &format!(r#"{{"config":{config},"layers":null}}"#), Ok(1));
        let child = descriptor(&MediaType::OCI_MANIFEST, b"m");
        check(MediaType::OCI_INDEX, &format!(r#"{{"manifests":[{child}]}}"#), Ok(1));
        check(MediaType::DOCKER_INDEX, r#"{"manifests":[]}"#, Ok(0));
        check(MediaType::DOCKER_INDEX, r#"{"manifests":null,"annotations":null}"#, Ok(0));
    }

    #[test]
    fn refuses_what_is_no_manifest() {
        check(MediaType::OCI_MANIFEST, "{", Err("not the JSON"));
        check(MediaType::OCI_MANIFEST, r#"{"layers":[]}"#, Err("config"));
        check(MediaType::OCI_LAYER, "{}", Err("is no manifest"));
        let text = r#"{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        check(MediaType::DOCKER_INDEX, text, Err("but it is described as"));
        check(MediaType::OCI_INDEX, text, Ok(0));
    }

    #[test]
    fn a_digest_that_is_not_its_own_is_refused() {
        let bytes = Bytes::from_static(b"{}");
        let right = Digest::of(crate::Algorithm::Sha512, &bytes);
        let raw = RawManifest::with_digest(MediaType::OCI_INDEX, right.clone(), bytes.clone());
        assert_eq!(raw.unwrap().digest(), &right);
        let wrong = Digest::sha256(b"other");
        assert!(RawManifest::with_digest(MediaType::OCI_INDEX, wrong, bytes).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, index: bool) {
            let media_type = if index { MediaType::OCI_INDEX } else { MediaType::OCI_MANIFEST };
            let raw = RawManifest::new(media_type, bytes.clone().into());
            let _ = raw.view();
            prop_assert_eq!(raw.bytes(), &bytes);
        }
    }
}
