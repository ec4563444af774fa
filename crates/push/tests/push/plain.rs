//! When nothing goes wrong.

use windlass_oci::Algorithm;
use windlass_testkit::{Call, ImageBuilder, IndexBuilder, Layer, TestOptions, TestRegistry};

use crate::harness::*;

#[tokio::test]
async fn everything_is_there_and_every_tag_names_it() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(1).layers(3, 100_000).build();
    let finished = push(&registry, &image, &["v1", "latest"]).await;
    assert_pushed(&finished, &registry, &image, &["v1", "latest"]);
    let receipt = receipt(&finished);
    assert_eq!((receipt.blobs.total, receipt.blobs.uploaded), (4, 4));
    assert_eq!((receipt.manifests.total, receipt.manifests.uploaded), (1, 1));
    assert_eq!(receipt.retries, 0);
    assert_eq!(receipt.requests, registry.log().len() as u64);
}

#[tokio::test]
async fn the_root_goes_by_its_digest_before_the_tags_go_one_by_one() {
    let registry = TestRegistry::plain();
    let image =
        ImageBuilder::new(2).platforms(&["linux/amd64", "linux/arm64"]).layers(2, 10_000).build();
    let finished = push(&registry, &image, &["b", "a", "c"]).await;
    assert_pushed(&finished, &registry, &image, &["a", "b", "c"]);
    let puts: Vec<String> = registry
        .log()
        .into_iter()
        .filter(|logged| matches!(logged.call, Call::ManifestPut | Call::TagPut))
        .filter_map(|logged| logged.reference)
        .collect();
    // Two children in any order, then the root, then the tags in the order given.
    assert_eq!(puts[2], image.digest().as_str());
    assert_eq!(puts[3..], ["b", "a", "c"]);
}

#[tokio::test]
async fn no_manifest_is_put_before_all_that_it_names_is_there() {
    let registry =
        TestRegistry::start(TestOptions { refuses_incomplete: true, ..TestOptions::default() });
    let image =
        ImageBuilder::new(2).platforms(&["linux/amd64", "linux/arm64"]).layers(2, 10_000).build();
    let finished = push(&registry, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(registry.calls(Call::ManifestPut).len(), 3, "none was refused");
}

#[tokio::test]
async fn an_unchanged_image_is_not_sent_again() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(3).layers(3, 1000).build();
    let first = push(&registry, &image, &["v1"]).await;
    assert_pushed(&first, &registry, &image, &["v1"]);
    let before = registry.log().len();
    let again = push(&registry, &image, &["v1"]).await;
    assert_pushed(&again, &registry, &image, &["v1"]);
    assert!(registry.log()[before..].iter().all(|logged| logged.method == "HEAD"));
    assert_eq!(receipt(&again).bytes.sent, 0);
}

#[tokio::test]
async fn images_of_every_kind_arrive() {
    let docker = ImageBuilder::new(4).docker().layers(1, 500).build();
    let inline = ImageBuilder::new(5).inline_config().layers(1, 500).build();
    let foreign = ImageBuilder::new(6).layer(Layer::foreign(500, "https://example.com/x")).build();
    let artifact = ImageBuilder::new(7).empty_config().artifact_type("application/x").build();
    let empty_layer = ImageBuilder::new(8).layer(Layer::bytes("")).build();
    let nested = IndexBuilder::new()
        .child(Some("linux/amd64"), &ImageBuilder::new(9).layers(1, 500).build())
        .child(None, &IndexBuilder::new().child(None, &ImageBuilder::new(10).build()).build())
        .build();
    let sha512 = ImageBuilder::new(11).algorithm(Algorithm::Sha512).layers(2, 500).build();
    for image in [docker, inline, foreign, artifact, empty_layer, nested, sha512] {
        let registry = TestRegistry::plain();
        let finished = push(&registry, &image, &["v1"]).await;
        if let Some(failure) = &finished.failure {
            panic!("{}: {failure}", image.root().media_type);
        }
        assert!(registry.has_image("app", &image), "{:?}", image.root());
    }
}

#[tokio::test]
async fn a_blob_that_is_not_here_may_be_there() {
    let whole = ImageBuilder::new(12).layers(3, 1000).build();
    let sparse = whole.clone().without(&whole.blobs()[1].digest);
    let registry = TestRegistry::plain();
    let finished = push(&registry, &sparse, &["v1"]).await;
    assert_failed(&finished, windlass_push::FailureClass::Image, "neither in the image nor in");
    assert!(registry.log().iter().all(|logged| logged.method == "HEAD"), "nothing was sent");
    registry.seed_blob("app", &whole.bytes(&whole.blobs()[1].digest));
    let finished = push(&registry, &sparse, &["v1"]).await;
    assert_pushed(&finished, &registry, &whole, &["v1"]);
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_says_what_would_be() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(13).layers(3, 1000).build();
    let how = How::default();
    let pusher = how.pusher(&registry.host());
    let job = how.job(&image, &[format!("{}/app", registry.host())], &["v1"]).await;
    let silent = std::sync::Arc::new(windlass_push::Silent);
    let finished = in_time(pusher.plan_only(&[job], silent, std::future::pending())).await;
    assert!(finished.failure.is_none());
    assert!(registry.log().iter().all(|logged| logged.method == "HEAD"));
    let receipt = receipt(&finished);
    assert_eq!((receipt.blobs.uploaded, receipt.bytes.sent), (4, 0));
    assert_eq!(tags(&finished), [windlass_push::TagStatus::Created]);
    assert_eq!(finished.receipts[0].outcome, windlass_push::Outcome::Planned);
}
