//! Taking one image out of a layout, to build on it.

mod choose;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use windlass_oci::{Descriptor, Digest, ImageManifest, Manifest, MediaType, Platform};
use windlass_source::{BlobSource, SourceError};

use crate::config::{Config, ConfigError};
use crate::graph::{Graph, GraphError, GraphOptions, ManifestContent};
use crate::layout::Layout;

pub use choose::{PlatformError, WantedPlatform};

/// The most bytes of a config that are read.
const MAX_CONFIG: u64 = 16 << 20;

/// An image of a layout: its bytes, untouched.
#[derive(Clone, Debug)]
pub struct ImportedImage {
    /// Its manifest.
    pub manifest: Bytes,
    /// Its config.
    pub config: Bytes,
    /// How an index names it: by its platform too, as its config says.
    pub descriptor: Descriptor,
}

/// Why no image was taken.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The layout has something that is not what its descriptor says.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The config cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There are several images, and nothing says which is meant.
    #[error("there are several images, and no platform says which is meant:{}", listed(.0))]
    Several(Vec<Option<Platform>>),
    /// No image is for the platform.
    #[error("no image is for {wanted}; there are images for:{}", listed(.there))]
    NoSuchPlatform {
        /// What was asked for.
        wanted: WantedPlatform,
        /// What there is.
        there: Vec<Option<Platform>>,
    },
    /// There are nothing but other artifacts.
    #[error("there is no image in it")]
    NoImage,
    /// An image is named, and a part of it that is needed is not there.
    #[error("the {part} of the image {image} is not there")]
    Absent {
        /// "manifest" or "config".
        part: &'static str,
        /// The manifest's digest.
        image: Digest,
    },
    /// The config cannot be understood.
    #[error("the config of the image {image} cannot be understood: {error}")]
    Config {
        /// The manifest's digest.
        image: Digest,
        /// What is wrong with it.
        error: ConfigError,
    },
}

/// Takes the only image there is in `layout`, or, where there are several (in an index, or beside
/// each other), the first one that runs on `platform`.
///
/// # Errors
///
/// Where there is no such image, it is not wholly there but for its layers, or something in the
/// layout is not what it is said to be.
pub async fn import(
    layout: &Layout,
    platform: Option<&WantedPlatform>,
) -> Result<ImportedImage, ImportError> {
    let mut found = Found::default();
    for root in layout.roots() {
        let options = GraphOptions { include_non_distributable: true };
        let graph = Graph::read(&root.descriptor, &*layout.store(), &options).await?;
        found.add_all(&root.descriptor, &graph);
    }
    let mut images = found.images;
    let chosen = match (images.as_slice(), platform) {
        ([], _) => return Err(ImportError::NoImage),
        // There is no choice: whoever names this image means it.
        ([_], _) if !found.has_index => 0,
        ([_], None) => 0,
        (several, wanted) => {
            let mut platforms = Vec::new();
            for image in several {
                platforms.push(image.platform().await?);
            }
            let Some(wanted) = wanted else { return Err(ImportError::Several(platforms)) };
            choose::choose(&platforms, wanted).ok_or_else(|| ImportError::NoSuchPlatform {
                wanted: wanted.clone(),
                there: platforms,
            })?
        }
    };
    images.swap_remove(chosen).take().await
}

/// The images of a layout, each digest once, in the order in which they are named.
#[derive(Default)]
struct Found {
    images: Vec<Candidate>,
    has_index: bool,
    seen: HashSet<Digest>,
}

/// An image that may be the one.
struct Candidate {
    descriptor: Descriptor,
    /// `None` where it is not there.
    content: Option<Arc<ManifestContent>>,
    config: Option<Arc<dyn BlobSource>>,
}

impl Found {
    fn add_all(&mut self, descriptor: &Descriptor, graph: &Graph) {
        if !self.seen.insert(descriptor.digest.clone()) {
            return;
        }
        let node = graph.manifest(&descriptor.digest);
        let content = node.and_then(|node| node.content.clone());
        match content.as_ref().map(|content| &content.view) {
            Some(Manifest::Index(index)) => {
                self.has_index = true;
                index.manifests.iter().for_each(|child| self.add_all(child, graph));
            }
            Some(Manifest::Image(image)) if is_image(descriptor, image) => {
                let config = graph.blob(&image.config.digest).and_then(|blob| blob.source.clone());
                self.images.push(Candidate { descriptor: descriptor.clone(), content, config });
            }
            // A signature, or something else that is kept beside images.
            Some(Manifest::Image(_)) => {}
            None if descriptor.media_type.is_image_manifest() && is_for_something(descriptor) => {
                let descriptor = descriptor.clone();
                self.images.push(Candidate { descriptor, content: None, config: None });
            }
            None => {}
        }
    }
}

fn is_image(descriptor: &Descriptor, manifest: &ImageManifest) -> bool {
    let media_type = &manifest.config.media_type;
    let is_config = *media_type == MediaType::OCI_CONFIG || *media_type == MediaType::DOCKER_CONFIG;
    is_config && is_for_something(descriptor)
}

/// BuildKit keeps attestations beside images, in the form of images for `unknown/unknown`.
fn is_for_something(descriptor: &Descriptor) -> bool {
    descriptor.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
}

impl Candidate {
    /// What it runs on, by its descriptor or else by its config; `None` where neither says it.
    async fn platform(&self) -> Result<Option<Platform>, ImportError> {
        match (&self.descriptor.platform, &self.config) {
            (Some(platform), _) => Ok(Some(platform.clone())),
            (None, Some(config)) => {
                let config = config.read(MAX_CONFIG).await?;
                Ok(Config::parse(&config).and_then(|config| config.platform()).ok())
            }
            (None, None) => Ok(None),
        }
    }

    async fn take(self) -> Result<ImportedImage, ImportError> {
        let image = self.descriptor.digest;
        let absent = |part| ImportError::Absent { part, image: image.clone() };
        let content = self.content.ok_or_else(|| absent("manifest"))?;
        let config = self.config.ok_or_else(|| absent("config"))?;
        let config = config.read(MAX_CONFIG).await?;
        let platform = Config::parse(&config).and_then(|config| config.platform());
        let platform = platform.map_err(|error| ImportError::Config { image, error })?;
        let descriptor = Descriptor { platform: Some(platform), ..content.raw.descriptor() };
        Ok(ImportedImage { manifest: content.raw.bytes().clone(), config, descriptor })
    }
}

fn listed(platforms: &[Option<Platform>]) -> String {
    platforms.iter().fold(String::new(), |mut text, platform| {
        // Nothing can go wrong in memory.
        let _ = match platform {
            Some(platform) => write!(text, "\n  {platform}"),
            None => write!(text, "\n  (it does not say)"),
        };
        text
    })
}
