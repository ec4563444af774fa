//! Images that are large, deep, or of many parts.

use super::*;

#[test]
fn nesting_ends_somewhere() {
    let mut image = Image::default();
    let mut root = image.image("a", &[]);
    for _ in 0..15 {
        root = image.index(&[root]);
    }
    assert_eq!(block_on(image.graph(&root)).unwrap().manifests().len(), 16);
    root = image.index(&[root]);
    check_contains(&image.problems(&root), &["more than 16 levels below the root"]);
}

#[test]
fn a_very_long_way_down_does_not_overflow_the_stack() {
    let mut manifests = HashMap::new();
    let mut descriptor = Descriptor::of(MediaType::OCI_MANIFEST, b"nothing");
    for _ in 0..30_000 {
        let bytes = json!({ "manifests": [descriptor] }).to_string();
        let raw = RawManifest::new(MediaType::OCI_INDEX, bytes.into());
        descriptor = raw.descriptor();
        let view = raw.view().unwrap();
        let content = ManifestContent { raw, view, manifests: Vec::new(), blobs: Vec::new() };
        manifests.insert(descriptor.digest.clone(), Arc::new(content));
    }
    let order = order::walk(&descriptor, &manifests, &GraphOptions::default());
    assert_eq!(order.manifests.len(), 30_001);
}

#[tokio::test]
async fn large_manifests_are_warned_of_and_giant_ones_not_read() {
    /// Is there with the size that was asked for, and cannot be read.
    #[derive(Debug)]
    struct Giant(Descriptor);
    #[async_trait]
    impl BlobSource for Giant {
        fn digest(&self) -> &Digest {
            &self.0.digest
        }
        fn size(&self) -> u64 {
            self.0.size
        }
        async fn open(&self, _: u64) -> Result<Box<dyn windlass_source::BlobReader>, SourceError> {
            panic!("it was read");
        }
        fn origin(&self) -> String {
            "giant".to_owned()
        }
    }
    #[async_trait]
    impl Store for Giant {
        async fn get(
            &self,
            descriptor: &Descriptor,
        ) -> Result<Option<Arc<dyn BlobSource>>, SourceError> {
            Ok(Some(Arc::new(Giant(descriptor.clone()))))
        }
    }
    let mut image = Image::default();
    let config = image.config("config");
    let content = json!({"config": config, "annotations": {"a": "x".repeat(4 << 20)}});
    let root = image.blob(MediaType::OCI_MANIFEST, &content.to_string());
    let graph = image.graph(&root).await.unwrap();
    let [warning] = graph.warnings() else { panic!("{:?}", graph.warnings()) };
    assert!(warning.to_string().contains("no more than 4 MiB"), "{warning}");

    let giant = Descriptor { size: (64 << 20) + 1, ..root };
    let error = Graph::read(&giant, &Giant(giant.clone()), &GraphOptions::default()).await;
    assert!(error.unwrap_err().to_string().contains("has 67108865 bytes; more than"));
}

#[tokio::test]
async fn large_blobs_are_not_read_but_configs_are() {
    let mut image = Image::default();
    let big = "x".repeat((1 << 20) + 1);
    let wrong = "y".repeat((1 << 20) + 1);
    let (config, layer) = (image.config("config"), image.layer(&big));
    let root = image.manifest(&config, std::slice::from_ref(&layer));
    image.store.insert(MemorySource::with_digest(layer.digest.clone(), wrong));
    assert!(image.graph(&root).await.is_ok());
    let config = Descriptor { media_type: MediaType::OCI_CONFIG, ..layer };
    let root = image.manifest(&config, &[]);
    let error = image.graph(&root).await.unwrap_err();
    assert!(matches!(error.problems[..], [Problem::Digest { .. }]), "{error}");
}

#[tokio::test]
async fn ten_thousand_manifests_and_blobs_are_no_trouble() {
    let mut image = Image::default();
    let entries: Vec<_> = (0..10_000)
        .map(|number| image.image(&(number / 10).to_string(), &[&format!("layer {number}")]))
        .collect();
    let root = image.index(&entries);
    let graph = image.graph(&root).await.unwrap();
    assert_eq!(graph.manifests().len(), 10_001);
    assert_eq!(graph.blobs().len(), 11_000);
}
