//! What watches over every tag that is set.

use windlass_testkit::{Client, ImageBuilder, IndexBuilder, TestOptions, TestRegistry};

#[test]
fn the_monitor_catches_a_client_that_tags_first() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(1).layers(1, 1000).build();
    let index = IndexBuilder::new().child(Some("linux/amd64"), &image).build();
    let mut client = Client::new(registry.address());
    let mut tag = || client.put_manifest("a", "v1", &index, index.digest()).unwrap();

    assert_eq!(tag(), 201);
    let violations = registry.violations();
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].tag, "v1");
    assert!(violations[0].missing[0].contains(image.digest().as_str()), "{violations:?}");
    assert!(registry.violations().is_empty(), "they are read once");

    let part = index.clone().without(&image.blobs()[0].digest);
    registry.seed("a", &part, None);
    assert_eq!(tag(), 201);
    let violations = registry.violations();
    assert_eq!(violations[0].missing, [format!("blob {}", image.blobs()[0].digest)]);

    registry.seed("a", &index, None);
    assert_eq!(tag(), 201);
    assert!(registry.violations().is_empty());
    assert_eq!(registry.tags_set().len(), 3);
}

#[test]
fn a_blob_in_another_repository_does_not_count() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(1).layers(1, 1000).build();
    registry.seed("other", &image, None);
    let mut client = Client::new(registry.address());
    client.put_manifest("a", "v1", &image, image.digest()).unwrap();
    assert_eq!(registry.violations()[0].missing.len(), 2);
}

#[test]
#[should_panic(expected = "tags were set on incomplete images: a:v1 was set to sha256:")]
fn a_violation_that_nobody_reads_fails_the_test() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(1).layers(1, 1000).build();
    let mut client = Client::new(registry.address());
    client.put_manifest("a", "v1", &image, image.digest()).unwrap();
}

#[test]
fn a_registry_can_refuse_what_is_incomplete() {
    let options = TestOptions { refuses_incomplete: true, ..TestOptions::default() };
    let registry = TestRegistry::start(options);
    let image = ImageBuilder::new(1).layers(1, 1000).build();
    let mut client = Client::new(registry.address());
    assert_eq!(client.put_manifest("a", "v1", &image, image.digest()).unwrap(), 400);
    client.push("a", &image, "v1");
}

#[test]
fn violations_can_be_forgiven() {
    let options = TestOptions { forgives_violations: true, ..TestOptions::default() };
    let registry = TestRegistry::start(options);
    let image = ImageBuilder::new(1).layers(1, 1000).build();
    let mut client = Client::new(registry.address());
    assert_eq!(client.put_manifest("a", "v1", &image, image.digest()).unwrap(), 201);
}
