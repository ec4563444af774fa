//! Builds images for tests: the same seed gives the same digests, on every machine.

use std::collections::BTreeMap;

use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use windlass_oci::{Algorithm, Descriptor, Digest, ImageIndex, ImageManifest, MediaType, Platform};

use crate::content::Content;
use crate::image::{Image, Part};
use crate::layer::Layer;

/// Builds an [`Image`] of one manifest, or, with [`platforms`](Self::platforms), of an index.
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    seed: u64,
    layers: Vec<Layer>,
    platforms: Vec<String>,
    shared_layers: Vec<Layer>,
    is_docker: bool,
    inline_config: bool,
    empty_config: bool,
    common: Common,
}

/// Builds an [`Image`] whose root is an index of other images or indexes.
#[derive(Clone, Debug, Default)]
pub struct IndexBuilder {
    children: Vec<(Option<Platform>, Image)>,
    is_docker: bool,
    common: Common,
}

/// What a manifest and an index have both.
#[derive(Clone, Debug, Default)]
struct Common {
    algorithm: Option<Algorithm>,
    subject: Option<Descriptor>,
    artifact_type: Option<String>,
    annotations: BTreeMap<String, String>,
}

impl ImageBuilder {
    /// An image without layers, for `linux/amd64`. All that is random in it comes from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> ImageBuilder {
        ImageBuilder {
            seed,
            layers: Vec::new(),
            platforms: Vec::new(),
            shared_layers: Vec::new(),
            is_docker: false,
            inline_config: false,
            empty_config: false,
            common: Common::default(),
        }
    }

    /// With `count` more layers of `size` random bytes each.
    #[must_use]
    pub fn layers(mut self, count: usize, size: u64) -> ImageBuilder {
        self.layers.extend((0..count).map(|_| Layer::random(size)));
        self
    }

    /// With this layer on top.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> ImageBuilder {
        self.layers.push(layer);
        self
    }

    /// As an index with a manifest for each of `platforms` (`linux/arm64`, `linux/arm/v7`). Random
    /// layers are different for each of them.
    #[must_use]
    pub fn platforms(mut self, platforms: &[&str]) -> ImageBuilder {
        self.platforms = platforms.iter().map(|&platform| platform.to_owned()).collect();
        self
    }

    /// With `count` layers of `size` random bytes each that are the same on every platform; they
    /// lie below all others.
    #[must_use]
    pub fn shared_layers(mut self, count: usize, size: u64) -> ImageBuilder {
        let first = self.shared_layers.len();
        let seeds = (first..first + count).map(|place| mix(self.seed, 0x5a5a, place as u64));
        let layers: Vec<_> = seeds.map(|seed| Layer::seeded(seed, size)).collect();
        self.shared_layers.extend(layers);
        self
    }

    /// With Docker's media types instead of OCI's.
    #[must_use]
    pub fn docker(mut self) -> ImageBuilder {
        self.is_docker = true;
        self
    }

    /// With all digests by `algorithm` instead of sha256.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> ImageBuilder {
        self.common.algorithm = Some(algorithm);
        self
    }

    /// With the config's bytes in its descriptor's `data` too.
    #[must_use]
    pub fn inline_config(mut self) -> ImageBuilder {
        self.inline_config = true;
        self
    }

    /// With the empty config `{}`, as artifacts have it.
    #[must_use]
    pub fn empty_config(mut self) -> ImageBuilder {
        self.empty_config = true;
        self
    }

    /// With a `subject`: what the image is about. It need not be there.
    #[must_use]
    pub fn subject(mut self, subject: &Descriptor) -> ImageBuilder {
        self.common.subject = Some(subject.clone());
        self
    }

    /// With an `artifactType`.
    #[must_use]
    pub fn artifact_type(mut self, artifact_type: &str) -> ImageBuilder {
        self.common.artifact_type = Some(artifact_type.to_owned());
        self
    }

    /// With an annotation on the root.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> ImageBuilder {
        self.common.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The image.
    #[must_use]
    pub fn build(&self) -> Image {
        if self.platforms.is_empty() {
            return self.image(&platform("linux/amd64"), self.seed, &self.common);
        }
        let inner = Common { algorithm: self.common.algorithm, ..Common::default() };
        let mut index = IndexBuilder {
            children: Vec::new(),
            is_docker: self.is_docker,
            common: self.common.clone(),
        };
        for (place, text) in self.platforms.iter().enumerate() {
            let platform = platform(text);
            let image = self.image(&platform, mix(self.seed, 0xa5a5, place as u64), &inner);
            index.children.push((Some(platform), image));
        }
        index.build()
    }

    fn image(&self, platform: &Platform, seed: u64, common: &Common) -> Image {
        let algorithm = common.algorithm();
        let types = MediaTypes::new(self.is_docker);
        let mut parts = Vec::new();
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        for (place, layer) in self.shared_layers.iter().chain(&self.layers).enumerate() {
            let built = layer.build(mix(seed, 1, place as u64), &types.layer, algorithm);
            diff_ids.push(built.diff_id);
            if let Some(content) = built.content {
                add(&mut parts, plain(&built.descriptor), content);
            }
            layers.push(built.descriptor);
        }

        let (config_type, config) = if self.empty_config {
            (MediaType::OCI_EMPTY, Bytes::from_static(b"{}"))
        } else {
            (types.config, config(platform, seed, &diff_ids))
        };
        let mut config_descriptor =
            Descriptor::new(config_type, Digest::of(algorithm, &config), config.len() as u64);
        add(&mut parts, config_descriptor.clone(), Content::Bytes(config.clone()));
        if self.inline_config {
            config_descriptor.data = Some(base64(&config));
        }

        let manifest = ImageManifest {
            media_type: Some(types.manifest.clone()),
            config: config_descriptor,
            layers,
            subject: common.subject.clone(),
            artifact_type: common.artifact_type.clone(),
            annotations: common.annotations.clone(),
        };
        let root = add_manifest(
            &mut parts,
            &types.manifest,
            algorithm,
            &json!({
                "schemaVersion": 2,
                "mediaType": manifest.media_type,
                "artifactType": manifest.artifact_type,
                "config": manifest.config,
                "layers": manifest.layers,
                "subject": manifest.subject,
                "annotations": manifest.annotations,
            }),
        );
        Image::new(parts, root)
    }
}

impl IndexBuilder {
    /// An index of nothing.
    #[must_use]
    pub fn new() -> IndexBuilder {
        IndexBuilder::default()
    }

    /// With this image or index in it. `platform` is written as in `linux/arm/v7`.
    #[must_use]
    pub fn child(mut self, platform_text: Option<&str>, image: &Image) -> IndexBuilder {
        self.children.push((platform_text.map(platform), image.clone()));
        self
    }

    /// With Docker's media type instead of OCI's.
    #[must_use]
    pub fn docker(mut self) -> IndexBuilder {
        self.is_docker = true;
        self
    }

    /// With its own digest by `algorithm` instead of sha256.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> IndexBuilder {
        self.common.algorithm = Some(algorithm);
        self
    }

    /// With a `subject`.
    #[must_use]
    pub fn subject(mut self, subject: &Descriptor) -> IndexBuilder {
        self.common.subject = Some(subject.clone());
        self
    }

    /// With an annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> IndexBuilder {
        self.common.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// The image.
    #[must_use]
    pub fn build(&self) -> Image {
        let media_type = MediaTypes::new(self.is_docker).index;
        let mut parts = Vec::new();
        let mut manifests = Vec::new();
        for (platform, image) in &self.children {
            for part in image.parts() {
                add(&mut parts, part.descriptor.clone(), part.content.clone());
            }
            let mut descriptor = image.root().clone();
            descriptor.platform.clone_from(platform);
            manifests.push(descriptor);
        }
        let index = ImageIndex {
            media_type: Some(media_type.clone()),
            manifests,
            subject: self.common.subject.clone(),
            artifact_type: self.common.artifact_type.clone(),
            annotations: self.common.annotations.clone(),
        };
        let root = add_manifest(
            &mut parts,
            &media_type,
            self.common.algorithm(),
            &json!({
                "schemaVersion": 2,
                "mediaType": index.media_type,
                "artifactType": index.artifact_type,
                "manifests": index.manifests,
                "subject": index.subject,
                "annotations": index.annotations,
            }),
        );
        Image::new(parts, root)
    }
}

impl Common {
    fn algorithm(&self) -> Algorithm {
        self.algorithm.unwrap_or(Algorithm::Sha256)
    }
}

struct MediaTypes {
    index: MediaType,
    manifest: MediaType,
    config: MediaType,
    layer: MediaType,
}

impl MediaTypes {
    fn new(is_docker: bool) -> MediaTypes {
        if is_docker {
            MediaTypes {
                index: MediaType::DOCKER_INDEX,
                manifest: MediaType::DOCKER_MANIFEST,
                config: MediaType::DOCKER_CONFIG,
                layer: MediaType::DOCKER_LAYER_GZIP,
            }
        } else {
            MediaTypes {
                index: MediaType::OCI_INDEX,
                manifest: MediaType::OCI_MANIFEST,
                config: MediaType::OCI_CONFIG,
                layer: MediaType::OCI_LAYER_GZIP,
            }
        }
    }
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn add(parts: &mut Vec<Part>, descriptor: Descriptor, content: Content) {
    if parts.iter().all(|part| part.descriptor.digest != descriptor.digest) {
        parts.push(Part { descriptor, content });
    }
}

fn add_manifest(
    parts: &mut Vec<Part>,
    media_type: &MediaType,
    algorithm: Algorithm,
    manifest: &Value,
) -> Descriptor {
    let bytes = Bytes::from(without_hollow(manifest).to_string());
    let digest = Digest::of(algorithm, &bytes);
    let root = Descriptor::new(media_type.clone(), digest, bytes.len() as u64);
    add(parts, root.clone(), Content::Bytes(bytes));
    root
}

/// Leaves out what is null or an empty object, as a person would.
fn without_hollow(manifest: &Value) -> Value {
    let fields = manifest.as_object().expect("a manifest is an object");
    let is_hollow = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    let kept = fields.iter().filter(|(_, value)| !is_hollow(value));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn plain(descriptor: &Descriptor) -> Descriptor {
    Descriptor::new(descriptor.media_type.clone(), descriptor.digest.clone(), descriptor.size)
}

fn config(platform: &Platform, seed: u64, diff_ids: &[Digest]) -> Bytes {
    let history: Vec<_> = (0..diff_ids.len())
        .map(|place| json!({"created": "1970-01-01T00:00:00Z", "created_by": format!("layer {place}")}))
        .collect();
    let mut config = json!({
        "created": "1970-01-01T00:00:00Z",
        "author": format!("seed {seed}"),
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history,
    });
    let platform = serde_json::to_value(platform).expect("a platform is an object");
    for (name, value) in platform.as_object().expect("a platform is an object") {
        config[name] = value.clone();
    }
    config.to_string().into()
}

fn platform(text: &str) -> Platform {
    let mut words = text.split('/').map(str::to_owned);
    let mut word = || words.next();
    let os = word().expect("an operating system");
    let architecture = word().unwrap_or_else(|| panic!("{text:?} names no architecture"));
    Platform { architecture, os, os_version: None, os_features: Vec::new(), variant: word() }
}

/// Another seed for each kind and place.
fn mix(seed: u64, kind: u64, place: u64) -> u64 {
    let mut random = fastrand::Rng::with_seed(seed);
    let first = random.u64(..) ^ kind.rotate_left(40) ^ place;
    fastrand::Rng::with_seed(first).u64(..)
}

#[cfg(test)]
mod tests;
