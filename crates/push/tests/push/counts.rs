//! How many requests and round trips a push takes: counted where they arrive.

use std::time::Duration;

use windlass_testkit::{
    ImageBuilder, IndexBuilder, Link, LinkOptions, RealOptions, RealRegistry, TestRegistry,
};

use crate::harness::*;

/// Long enough that nothing waits for anything else by chance.
const ROUND_TRIP: Duration = Duration::from_millis(60);

fn lagging(registry: &TestRegistry) -> Link {
    let options = LinkOptions { round_trip: ROUND_TRIP, ..LinkOptions::default() };
    Link::start(registry.address(), options)
}

#[tokio::test]
async fn a_fresh_push_of_five_layers_and_three_tags() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(1).layers(5, 200_000).build();
    let link = lagging(&registry);
    let host = link.address().to_string();
    let finished = How::default().push(&host, &image, &["v1", "v2", "latest"]).await;
    assert_pushed(&finished, &registry, &image, &["v1", "v2", "latest"]);
    let report = link.report();
    // 10 HEAD, 6 POST, 6 PUT, the root, 3 tags.
    assert_eq!(report.requests.len(), 26);
    // Connect, HEADs, POST, PUT, root, 3 tags.
    assert_eq!(report.round_trips, 8);
    assert!(report.connections <= 10, "{} connections", report.connections);
}

#[tokio::test]
async fn an_unchanged_push_of_five_layers_and_three_tags() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(1).layers(5, 200_000).build();
    let tags = ["v1", "v2", "latest"];
    for tag in tags {
        registry.seed("app", &image, Some(tag));
    }
    let link = lagging(&registry);
    let finished = How::default().push(&link.address().to_string(), &image, &tags).await;
    assert_pushed(&finished, &registry, &image, &tags);
    let report = link.report();
    assert!(report.requests.len() <= 10, "{} requests", report.requests.len());
    assert!(report.requests.iter().all(|seen| seen.method == "HEAD"));
    assert_eq!(report.round_trips, 2);
}

#[tokio::test]
async fn what_comes_after_the_burst_is_not_asked_when_the_root_is_there() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(2).layers(60, 100).build();
    registry.seed("app", &image, Some("v1"));
    let link = lagging(&registry);
    let finished = How::default().push(&link.address().to_string(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    let report = link.report();
    assert!(report.requests.len() <= 16, "{} requests", report.requests.len());
    assert_eq!(report.round_trips, 2);
}

#[tokio::test]
async fn of_an_index_nothing_is_sent_twice() {
    let registry = TestRegistry::plain();
    let platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/s390x"];
    let image =
        ImageBuilder::new(3).platforms(&platforms).shared_layers(2, 5000).layers(2, 3000).build();
    let finished = push(&registry, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    let mut written: Vec<String> = registry
        .log()
        .iter()
        .filter(|logged| logged.method == "PUT")
        .map(|logged| logged.path.split('?').next_back().unwrap_or_default().to_owned())
        .collect();
    let count = written.len();
    written.sort();
    written.dedup();
    assert_eq!(written.len(), count, "something was put twice");
    let blobs = image.blobs().len();
    // The blobs, five manifests, one tag.
    assert_eq!(count, blobs + 5 + 1);
    let bytes: u64 = image.blobs().iter().map(|blob| blob.size).sum();
    assert_eq!(registry.bytes_uploaded(), bytes);
}

#[tokio::test]
async fn of_an_index_only_what_has_changed_is_put() {
    let registry = TestRegistry::plain();
    let child = |seed| ImageBuilder::new(seed).layers(2, 3000).build();
    let (a, b, c, d) = (child(1), child(2), child(3), child(4));
    let index = |d| {
        IndexBuilder::new()
            .child(Some("linux/amd64"), &a)
            .child(Some("linux/arm64"), &b)
            .child(Some("linux/arm/v7"), &c)
            .child(Some("linux/s390x"), d)
            .build()
    };
    registry.seed("app", &index(&d), Some("v1"));
    let changed = child(5);
    let image = index(&changed);
    let before = registry.log().len();
    let finished = push(&registry, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    let log = registry.log();
    let manifests: Vec<&str> = log[before..]
        .iter()
        .filter(|logged| logged.method == "PUT" && logged.path.contains("/manifests/"))
        .filter_map(|logged| logged.reference.as_deref())
        .collect();
    assert_eq!(manifests, [changed.digest().as_str(), image.digest().as_str(), "v1"]);
    assert_eq!(receipt(&finished).blobs.uploaded, 3);
}

#[tokio::test]
async fn a_real_registry_counts_the_same() {
    let Some(registry) = RealRegistry::start(&RealOptions::default()) else {
        return;
    };
    let image = ImageBuilder::new(1).layers(5, 200_000).build();
    let tags = ["v1", "v2", "latest"];
    let finished = How::default().push(&registry.host(), &image, &tags).await;
    assert!(finished.failure.is_none(), "{:?}", finished.failure);
    let log = registry.log(26);
    assert_eq!(log.len(), 26, "{log:#?}");
    let count = |method: &str| log.iter().filter(|logged| logged.method == method).count();
    assert_eq!((count("HEAD"), count("POST"), count("PUT")), (10, 6, 10));

    let finished = How::default().push(&registry.host(), &image, &tags).await;
    assert!(finished.failure.is_none(), "{:?}", finished.failure);
    let again = &registry.log(27)[26..];
    assert!(again.len() <= 10, "{again:#?}");
    assert!(again.iter().all(|logged| logged.method == "HEAD"));
}
