//! Images built in memory.

use std::collections::HashSet;
use std::fmt;

use async_trait::async_trait;
use base64::Engine as _;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;
use windlass_oci::{Algorithm, MediaType};
use windlass_source::{MemorySource, MemoryStore, SourceError};

use super::*;

mod large;
mod wrong;

/// A store that an image is built into.
#[derive(Default)]
struct Image {
    store: MemoryStore,
}

impl Image {
    fn blob(&mut self, media_type: MediaType, content: &str) -> Descriptor {
        self.store.insert(MemorySource::new(content.to_owned()));
        Descriptor::of(media_type, content.as_bytes())
    }

    fn layer(&mut self, content: &str) -> Descriptor {
        self.blob(MediaType::OCI_LAYER, content)
    }

    fn config(&mut self, content: &str) -> Descriptor {
        self.blob(MediaType::OCI_CONFIG, content)
    }

    fn manifest(&mut self, config: &Descriptor, layers: &[Descriptor]) -> Descriptor {
        let content = json!({"schemaVersion": 2, "config": config, "layers": layers});
        self.blob(MediaType::OCI_MANIFEST, &content.to_string())
    }

    fn index(&mut self, entries: &[Descriptor]) -> Descriptor {
        let content = json!({"schemaVersion": 2, "manifests": entries});
        self.blob(MediaType::OCI_INDEX, &content.to_string())
    }

    /// An image with a config and layers of these contents.
    fn image(&mut self, name: &str, layers: &[&str]) -> Descriptor {
        let config = self.config(&format!("config of {name}"));
        let layers: Vec<_> = layers.iter().map(|content| self.layer(content)).collect();
        self.manifest(&config, &layers)
    }

    async fn graph(&self, root: &Descriptor) -> Result<Graph, GraphError> {
        Graph::read(root, &self.store, &GraphOptions::default()).await
    }

    #[track_caller]
    fn problems(&self, root: &Descriptor) -> Vec<String> {
        let error = block_on(self.graph(root)).unwrap_err();
        let lines: Vec<_> = error.to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), error.problems.len());
        lines
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// The store without the content of some descriptors.
fn without(image: &Image, absent: &[&Descriptor]) -> Without {
    Without(image.store.clone(), absent.iter().map(|absent| absent.digest.clone()).collect())
}

#[derive(Debug)]
struct Without(MemoryStore, HashSet<Digest>);

#[async_trait]
impl Store for Without {
    async fn get(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<Arc<dyn BlobSource>>, SourceError> {
        if self.1.contains(&descriptor.digest) {
            return Ok(None);
        }
        self.0.get(descriptor).await
    }
}

#[track_caller]
fn check_contains(lines: &[String], expected: &[impl AsRef<str> + fmt::Debug]) {
    assert_eq!(lines.len(), expected.len(), "{lines:#?}, expected {expected:#?}");
    for expected in expected {
        let expected = expected.as_ref();
        assert!(lines.iter().any(|line| line.contains(expected)), "{lines:#?} lack {expected}");
    }
}

fn digests<'a>(descriptors: impl IntoIterator<Item = &'a Descriptor>) -> Vec<Digest> {
    descriptors.into_iter().map(|descriptor| descriptor.digest.clone()).collect()
}

#[tokio::test]
async fn an_image_is_its_manifest_its_config_and_its_layers() {
    let mut image = Image::default();
    let root = image.image("a", &["low", "high", "low"]);
    let graph = image.graph(&root).await.unwrap();
    assert_eq!(graph.root().raw.digest(), &root.digest);
    assert_eq!(graph.manifests().len(), 1);
    let roles: Vec<_> = graph.blobs().iter().map(|blob| blob.role).collect();
    assert_eq!(roles, [BlobRole::Config, BlobRole::Layer, BlobRole::Layer]);
    assert_eq!(graph.root().blobs, digests(graph.blobs().iter().map(|blob| &blob.descriptor)));
    let low = graph.blob(&Digest::sha256(b"low")).unwrap();
    assert_eq!(low.source.as_ref().unwrap().read(10).await.unwrap(), "low");
    assert_eq!(low.descriptor.size, 3);
    assert!(graph.blob(&root.digest).is_none());
    assert!(graph.manifest(&root.digest).unwrap().content.is_some());
    assert!(graph.warnings().is_empty() && graph.skipped().is_empty());
}

#[tokio::test]
async fn an_index_comes_after_what_it_names_and_each_digest_once() {
    let mut image = Image::default();
    let (one, two) = (image.image("one", &["base", "1"]), image.image("two", &["base", "2"]));
    let cache = image.blob(MediaType::new("application/vnd.buildkit.cacheconfig.v0"), "cache");
    let inner = image.index(&[two.clone(), one.clone()]);
    let root = image.index(&[cache.clone(), inner.clone(), one.clone(), inner.clone()]);
    let graph = image.graph(&root).await.unwrap();
    let order = digests(graph.manifests().iter().map(|node| &node.descriptor));
    assert_eq!(order, digests([&two, &one, &inner, &root]));
    assert_eq!(graph.root().manifests, digests([&inner, &one]));
    assert_eq!(graph.root().blobs, digests([&cache]));
    let blobs: Vec<_> = graph.blobs().iter().map(|blob| &blob.descriptor.digest).collect();
    let expected = ["cache", "config of two", "base", "2", "config of one", "1"]
        .map(|content| Digest::sha256(content.as_bytes()));
    assert_eq!(blobs, expected.iter().collect::<Vec<_>>());
    assert_eq!(graph.blobs()[0].role, BlobRole::Entry);
}

#[tokio::test]
async fn what_is_absent_has_its_place_unless_it_is_the_root() {
    let mut image = Image::default();
    let (here, away) = (image.image("here", &["layer"]), image.image("away", &["other"]));
    let root = image.index(&[away.clone(), here.clone()]);
    let layer = Descriptor::of(MediaType::OCI_LAYER, b"layer");
    let options = GraphOptions::default();
    let graph = Graph::read(&root, &without(&image, &[&away, &layer]), &options).await.unwrap();
    let node = graph.manifest(&away.digest).unwrap();
    assert!(node.content.is_none());
    assert_eq!(node.descriptor, away);
    assert_eq!(graph.manifests().len(), 3);
    assert!(graph.blob(&layer.digest).unwrap().source.is_none());
    assert!(graph.blob(&Digest::sha256(b"other")).is_none());

    let error = Graph::read(&root, &without(&image, &[&root]), &options).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the image's root manifest {} is not there", root.digest)
    );
}

#[tokio::test]
async fn a_subject_is_known_and_not_followed() {
    let mut image = Image::default();
    let subject = image.image("subject", &["layer"]);
    let config = image.blob(MediaType::OCI_EMPTY, "{}");
    let content = json!({"config": config, "layers": [config], "subject": subject});
    let root = image.blob(MediaType::OCI_MANIFEST, &content.to_string());
    let graph = image.graph(&root).await.unwrap();
    assert_eq!(graph.root().view.subject(), Some(&subject));
    assert_eq!(graph.manifests().len(), 1);
    assert_eq!(digests(graph.blobs().iter().map(|blob| &blob.descriptor)), digests([&config]));
}

#[tokio::test]
async fn foreign_layers_stay_where_they_are_unless_asked_for() {
    let mut image = Image::default();
    let foreign = MediaType::new("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    let base = image.blob(foreign.clone(), "windows");
    let config = image.config("config");
    let layer = image.layer("layer");
    let root = image.manifest(&config, &[base.clone(), layer.clone(), base.clone()]);
    let graph = image.graph(&root).await.unwrap();
    assert_eq!(graph.skipped(), std::slice::from_ref(&base));
    assert_eq!(graph.root().blobs, digests([&config, &layer]));
    assert!(graph.blob(&base.digest).is_none());

    let options = GraphOptions { include_non_distributable: true };
    let graph = Graph::read(&root, &image.store, &options).await.unwrap();
    assert_eq!(graph.root().blobs, digests([&config, &base, &layer]));
    assert!(graph.skipped().is_empty());

    // What another manifest names as an ordinary layer is needed.
    let again = image.layer("windows");
    let other = image.manifest(&config, &[again]);
    let both = image.index(&[root, other]);
    let graph = image.graph(&both).await.unwrap();
    assert!(graph.skipped().is_empty());
    assert!(graph.blob(&base.digest).is_some());
}

fn with_data(descriptor: &Descriptor, content: &str) -> Descriptor {
    let data = base64::engine::general_purpose::STANDARD.encode(content);
    Descriptor { data: Some(data), ..descriptor.clone() }
}

#[tokio::test]
async fn content_that_came_in_a_descriptor_is_used_where_the_store_has_none() {
    let mut image = Image::default();
    let config = image.config("config");
    let child = image.manifest(&with_data(&config, "config"), &[]);
    let content = image.store.get(&child).await.unwrap().unwrap().read(10_000).await.unwrap();
    let content = String::from_utf8(content.to_vec()).unwrap();
    // The first mention has no content, the second one has, once on the same level and once below.
    let inner = image.index(&[with_data(&child, &content)]);
    for entries in [vec![child.clone(), with_data(&child, &content)], vec![child.clone(), inner]] {
        let root = image.index(&entries);
        let store = without(&image, &[&config, &child]);
        let graph = Graph::read(&root, &store, &GraphOptions::default()).await.unwrap();
        assert!(graph.manifest(&child.digest).unwrap().content.is_some());
        let source = graph.blob(&config.digest).unwrap().source.as_ref().unwrap();
        assert_eq!(source.read(10).await.unwrap(), "config");
    }
}

#[tokio::test]
async fn sha512_is_checked_as_sha256_is() {
    let mut image = Image::default();
    let config = image.config("config");
    let content = json!({"config": config}).to_string();
    let digest = Digest::of(Algorithm::Sha512, content.as_bytes());
    let root = Descriptor::new(MediaType::OCI_MANIFEST, digest.clone(), content.len() as u64);
    image.store.insert(MemorySource::with_digest(digest.clone(), content.clone()));
    let graph = image.graph(&root).await.unwrap();
    assert_eq!(graph.root().raw.digest(), &digest);
    image.store.insert(MemorySource::with_digest(digest, content.replace("config", "CONFIG")));
    assert!(matches!(image.graph(&root).await.unwrap_err().problems[..], [Problem::Digest { .. }]));
}

#[test]
fn a_graph_can_be_read_in_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    let image = Image::default();
    let root = Descriptor::of(MediaType::OCI_INDEX, b"");
    let options = GraphOptions::default();
    is_send(&Graph::read(&root, &image.store, &options));
}

/// A random image: every node names some of those before it.
fn any_image() -> impl Strategy<Value = (Vec<(bool, Vec<prop::sample::Index>)>, Vec<bool>)> {
    let node = (any::<bool>(), prop::collection::vec(any::<prop::sample::Index>(), 0..6));
    (prop::collection::vec(node, 1..14), prop::collection::vec(any::<bool>(), 30))
}

proptest! {
    #[test]
    fn any_graph_has_each_digest_once_and_children_before_parents(
        (nodes, present) in any_image()
    ) {
        let mut image = Image::default();
        let layers: Vec<_> = (0..10).map(|number| image.layer(&format!("layer {number}"))).collect();
        let mut made: Vec<Descriptor> = Vec::new();
        for (number, (is_index, names)) in nodes.iter().enumerate() {
            let node = if *is_index && !made.is_empty() {
                let entries: Vec<_> = names.iter().map(|name| name.get(&made).clone()).collect();
                image.index(&entries)
            } else {
                let config = image.config(&format!("config {}", number % 3));
                let layers: Vec<_> = names.iter().map(|name| name.get(&layers).clone()).collect();
                image.manifest(&config, &layers)
            };
            made.push(node);
        }
        let root = made.last().unwrap().clone();
        let absent: Vec<_> = made
            .iter()
            .chain(&layers)
            .zip(&present)
            .filter(|(descriptor, present)| !**present && descriptor.digest != root.digest)
            .map(|(descriptor, _)| descriptor)
            .collect();
        let store = without(&image, &absent);
        let graph = block_on(Graph::read(&root, &store, &GraphOptions::default())).unwrap();

        let mut manifests = HashSet::new();
        let mut named = HashSet::from([root.digest.clone()]);
        let mut blobs = HashSet::new();
        for node in graph.manifests() {
            prop_assert_eq!(node.content.is_some(), !store.1.contains(&node.descriptor.digest));
            if let Some(content) = &node.content {
                for child in &content.manifests {
                    prop_assert!(manifests.contains(child), "a parent comes before its child");
                }
                named.extend(content.manifests.iter().cloned());
                blobs.extend(content.blobs.iter().cloned());
            }
            prop_assert!(manifests.insert(node.descriptor.digest.clone()), "one comes twice");
        }
        prop_assert_eq!(&graph.manifests().last().unwrap().descriptor.digest, &root.digest);
        prop_assert_eq!(manifests, named);
        let listed: Vec<_> = digests(graph.blobs().iter().map(|blob| &blob.descriptor));
        prop_assert_eq!(listed.len(), blobs.len());
        prop_assert_eq!(listed.into_iter().collect::<HashSet<_>>(), blobs);
        for blob in graph.blobs() {
            let digest = &blob.descriptor.digest;
            prop_assert_eq!(blob.source.is_some(), !store.1.contains(digest));
            prop_assert_eq!(&graph.blob(digest).unwrap().descriptor, &blob.descriptor);
        }
    }
}
