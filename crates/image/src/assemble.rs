//! Image manifests: layers and a config on top of a base, or of nothing. Image-spec,
//! [manifest.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md).
//!
//! The same input makes the same bytes, on every machine and at any time.

#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde::Deserialize as _;
use serde_json::{Map, Value, json};
use windlass_oci::{Descriptor, Digest, MediaType, Platform, RawManifest};

use crate::config::{Config, ConfigChanges, ConfigError, Note, list, object};
use crate::layer::Layer;

/// An image that others are built on. All fields of it are kept, known here or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    manifest: Map<String, Value>,
    media_type: MediaType,
    config: Config,
    config_type: MediaType,
}

/// What an image has beside its base.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageChanges {
    /// Layers on top of the base's, the lowest first.
    pub layers: Vec<Layer>,
    /// What the history says of each of these layers.
    pub created_by: String,
    /// What the config says.
    pub config: ConfigChanges,
    /// Annotations of the manifest, over the base's.
    pub annotations: Vec<Note>,
}

/// An image that was put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssembledImage {
    /// Its manifest.
    pub manifest: RawManifest,
    /// Its config.
    pub config: Bytes,
    /// What it runs on, as its config says.
    pub platform: Platform,
}

/// Why nothing can be built on an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaseError {
    /// Its manifest is no JSON object, or something in it is of another type.
    #[error("the base's manifest cannot be understood: {0}")]
    Manifest(String),
    /// It is an index of several images.
    #[error(
        "the base is an index, not an image: one of its images has to be chosen by its platform"
    )]
    Index,
    /// It is no image but some other artifact.
    #[error("the base is no image: its config is of the type {0}")]
    Artifact(MediaType),
    /// The config is not the one that the manifest names.
    #[error("the base's config has the digest {found}, but its manifest names {expected}")]
    OtherConfig {
        /// The digest in the manifest.
        expected: Digest,
        /// The digest that the config has.
        found: Digest,
    },
    /// The config cannot be understood.
    #[error("the base's config cannot be understood: {0}")]
    Config(#[from] ConfigError),
    /// Manifest and config contradict each other.
    #[error("the base's manifest has {manifest} layers, but its config tells of {config}")]
    Layers {
        /// How many there are in the manifest.
        manifest: usize,
        /// How many `diff_ids` there are in the config.
        config: usize,
    },
}

impl Base {
    /// Nothing, for images that run on `platform`.
    #[must_use]
    pub fn scratch(platform: &Platform) -> Base {
        Base {
            manifest: Map::new(),
            media_type: MediaType::OCI_MANIFEST,
            config: Config::scratch(platform),
            config_type: MediaType::OCI_CONFIG,
        }
    }

    /// The image with this manifest and this config.
    ///
    /// # Errors
    ///
    /// Where they are not, or do not belong together.
    pub fn parse(manifest: &[u8], config: &[u8]) -> Result<Base, BaseError> {
        let mut manifest: Map<String, Value> = serde_json::from_slice(manifest)
            .map_err(|error| BaseError::Manifest(error.to_string()))?;
        let said = match manifest.get("mediaType") {
            Some(Value::String(text)) => Some(MediaType::new(text)),
            _ => None,
        };
        let is_index = said.as_ref().is_some_and(MediaType::is_index);
        if is_index || (said.is_none() && manifest.contains_key("manifests")) {
            return Err(BaseError::Index);
        }
        let named = manifest.get("config").unwrap_or(&Value::Null);
        let named = Descriptor::deserialize(named)
            .map_err(|error| BaseError::Manifest(format!("its config: {error}")))?;
        let config_type = named.media_type;
        if config_type != MediaType::OCI_CONFIG && config_type != MediaType::DOCKER_CONFIG {
            return Err(BaseError::Artifact(config_type));
        }
        // OCI's manifests need not say what they are.
        let media_type = said.unwrap_or(match config_type == MediaType::DOCKER_CONFIG {
            true => MediaType::DOCKER_MANIFEST,
            false => MediaType::OCI_MANIFEST,
        });
        if !media_type.is_image_manifest() {
            return Err(BaseError::Manifest(format!("it is of the type {media_type}")));
        }
        if !named.digest.matches(config) {
            let found = Digest::of(named.digest.algorithm(), config);
            return Err(BaseError::OtherConfig { expected: named.digest, found });
        }
        let config = Config::parse(config)?;
        config.platform()?;
        let layers =
            list(&mut manifest, "layers", "layers").map_err(|error| manifest_error(&error))?.len();
        let diff_ids = config.layers()?;
        if layers != diff_ids {
            return Err(BaseError::Layers { manifest: layers, config: diff_ids });
        }
        Ok(Base { manifest, media_type, config, config_type })
    }

    /// The image that has `changes` on top of this one.
    pub fn assemble(&self, changes: &ImageChanges) -> Result<AssembledImage, BaseError> {
        let mut config = self.config.clone();
        config.apply(&changes.config)?;
        let diff_ids = changes.layers.iter().map(|layer| layer.diff_id.clone());
        config.add_layers(diff_ids, &changes.created_by)?;
        let platform = config.platform()?;
        let config = Bytes::from(config.to_bytes());

        let mut manifest = self.manifest.clone();
        // What the base was about, and what kind of thing it was, is not said of what is built on it.
        manifest.remove("subject");
        manifest.remove("artifactType");
        manifest.insert("schemaVersion".to_owned(), json!(2));
        manifest.insert("mediaType".to_owned(), json!(self.media_type));
        let descriptor = Descriptor::of(self.config_type.clone(), &config);
        manifest.insert("config".to_owned(), json!(descriptor));
        let layers = changes.layers.iter().map(|layer| json!(self.descriptor(layer)));
        list(&mut manifest, "layers", "layers")
            .map_err(|error| manifest_error(&error))?
            .extend(layers);
        if !changes.annotations.is_empty() {
            let annotations = object(&mut manifest, "annotations", "annotations");
            let annotations = annotations.map_err(|error| manifest_error(&error))?;
            changes.annotations.iter().for_each(|note| note.add_to(annotations));
        }
        let bytes = Value::Object(manifest).to_string().into();
        let manifest = RawManifest::new(self.media_type.clone(), bytes);
        Ok(AssembledImage { manifest, config, platform })
    }

    /// How the manifest names `layer`: what reads one family of media types need not know the other.
    fn descriptor(&self, layer: &Layer) -> Descriptor {
        let descriptor = layer.descriptor();
        if self.media_type != MediaType::DOCKER_MANIFEST {
            return descriptor;
        }
        let media_type = if descriptor.media_type == MediaType::OCI_LAYER_GZIP {
            MediaType::DOCKER_LAYER_GZIP
        } else if descriptor.media_type == MediaType::OCI_LAYER_ZSTD {
            // In no specification, but what containerd and BuildKit read and write.
            MediaType::new("application/vnd.docker.image.rootfs.diff.tar.zstd")
        } else {
            MediaType::new("application/vnd.docker.image.rootfs.diff.tar")
        };
        Descriptor { media_type, ..descriptor }
    }
}

impl AssembledImage {
    /// How an index names it: by its platform too.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor { platform: Some(self.platform.clone()), ..self.manifest.descriptor() }
    }
}

fn manifest_error(error: &ConfigError) -> BaseError {
    BaseError::Manifest(error.to_string())
}
