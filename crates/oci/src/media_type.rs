//! Media types of manifests, configs and layers, OCI's and Docker's.
//!
//! Unknown ones are kept as they are: an artifact of tomorrow is pushed today.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A media type, kept byte for byte. Cheap to clone.
///
/// See image-spec, [media-types.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/media-types.md).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaType(Text);

#[derive(Clone)]
enum Text {
    Known(&'static str),
    Other(Arc<str>),
}

impl MediaType {
    /// An OCI image manifest.
    pub const OCI_MANIFEST: MediaType = known("application/vnd.oci.image.manifest.v1+json");
    /// An OCI image index.
    pub const OCI_INDEX: MediaType = known("application/vnd.oci.image.index.v1+json");
    /// An OCI image configuration.
    pub const OCI_CONFIG: MediaType = known("application/vnd.oci.image.config.v1+json");
    /// An uncompressed layer.
    pub const OCI_LAYER: MediaType = known("application/vnd.oci.image.layer.v1.tar");
    /// A layer compressed with gzip.
    pub const OCI_LAYER_GZIP: MediaType = known("application/vnd.oci.image.layer.v1.tar+gzip");
    /// A layer compressed with zstd.
    pub const OCI_LAYER_ZSTD: MediaType = known("application/vnd.oci.image.layer.v1.tar+zstd");
    /// The empty JSON object `{}`, used where an artifact needs no config or no layer.
    pub const OCI_EMPTY: MediaType = known("application/vnd.oci.empty.v1+json");
    /// A Docker image manifest, schema 2.
    pub const DOCKER_MANIFEST: MediaType =
        known("application/vnd.docker.distribution.manifest.v2+json");
    /// Docker's form of an image index.
    pub const DOCKER_INDEX: MediaType =
        known("application/vnd.docker.distribution.manifest.list.v2+json");
    /// A Docker image configuration.
    pub const DOCKER_CONFIG: MediaType = known("application/vnd.docker.container.image.v1+json");
    /// A Docker layer compressed with gzip.
    pub const DOCKER_LAYER_GZIP: MediaType =
        known("application/vnd.docker.image.rootfs.diff.tar.gzip");

    /// The media type that `text` names.
    #[must_use]
    pub fn new(text: &str) -> MediaType {
        match KNOWN.iter().find(|known| known.as_str() == text) {
            Some(known) => known.clone(),
            None => MediaType(Text::Other(text.into())),
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Known(text) => text,
            Text::Other(text) => text,
        }
    }

    /// An image index, OCI's or Docker's.
    #[must_use]
    pub fn is_index(&self) -> bool {
        *self == MediaType::OCI_INDEX || *self == MediaType::DOCKER_INDEX
    }

    /// An image manifest, OCI's or Docker's.
    #[must_use]
    pub fn is_image_manifest(&self) -> bool {
        *self == MediaType::OCI_MANIFEST || *self == MediaType::DOCKER_MANIFEST
    }

    /// What is pushed to `/manifests/`: an image manifest or an index.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        self.is_index() || self.is_image_manifest()
    }

    /// A layer that its owner does not want to be distributed, Docker's "foreign" layers. Such a
    /// layer stays at its own address unless a push is told to take it along. Image-spec,
    /// [layer.md#non-distributable-layers](https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#non-distributable-layers).
    #[must_use]
    pub fn is_non_distributable(&self) -> bool {
        let text = self.as_str();
        text.starts_with("application/vnd.oci.image.layer.nondistributable.v1.tar")
            || text.starts_with("application/vnd.docker.image.rootfs.foreign.diff.tar")
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Text) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Text) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl std::hash::Hash for Text {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            Text::Known(text) => text,
            Text::Other(text) => text,
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MediaType, D::Error> {
        Ok(MediaType::new(&String::deserialize(deserializer)?))
    }
}

const KNOWN: [MediaType; 11] = [
    MediaType::OCI_MANIFEST,
    MediaType::OCI_INDEX,
    MediaType::OCI_CONFIG,
    MediaType::OCI_LAYER,
    MediaType::OCI_LAYER_GZIP,
    MediaType::OCI_LAYER_ZSTD,
    MediaType::OCI_EMPTY,
    MediaType::DOCKER_MANIFEST,
    MediaType::DOCKER_INDEX,
    MediaType::DOCKER_CONFIG,
    MediaType::DOCKER_LAYER_GZIP,
];

const fn known(text: &'static str) -> MediaType {
    MediaType(Text::Known(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_manifests_from_blobs() {
        let check = |text: &str, manifest: bool, index: bool, foreign: bool| {
            let media_type = MediaType::new(text);
            assert_eq!(media_type.is_manifest(), manifest, "{text}");
            assert_eq!(media_type.is_index(), index, "{text}");
            assert_eq!(media_type.is_non_distributable(), foreign, "{text}");
            assert_eq!(media_type.as_str(), text);
        };
        check("application/vnd.oci.image.manifest.v1+json", true, false, false);
        check("application/vnd.oci.image.index.v1+json", true, true, false);
        check("application/vnd.docker.distribution.manifest.v2+json", true, false, false);
        check("application/vnd.docker.distribution.manifest.list.v2+json", true, true, false);
        check("application/vnd.oci.image.layer.v1.tar+zstd", false, false, false);
        check("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", false, false, true);
        check("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", false, false, true);
        check("application/vnd.example.model.v7+safetensors", false, false, false);
    }
}
