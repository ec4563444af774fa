//! Several repositories, several images.

use std::sync::Arc;

use windlass_push::TagStatus::{Created, Failed, Skipped};
use windlass_push::{FailureClass, Interrupt, Outcome, Silent, TagStatus};
use windlass_testkit::{Call, Gate, Image, ImageBuilder, Layer, TestRegistry, on};

use crate::harness::*;

fn image() -> Image {
    ImageBuilder::new(1).layers(3, 100_000).build()
}

fn names(registry: &TestRegistry, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{}/{name}", registry.host())).collect()
}

#[tokio::test]
async fn a_blob_goes_to_a_host_once_and_is_mounted_further() {
    let registry = TestRegistry::plain();
    let how = How::default();
    let job = how.job(&image(), &names(&registry, &["a", "b", "c"]), &["v1"]).await;
    let finished = in_time(how.pusher(&registry.host()).push(job)).await;
    assert!(finished.failure.is_none(), "{:?}", finished.failure);
    for name in ["a", "b", "c"] {
        assert!(registry.has_image(name, &image()));
        assert_eq!(registry.tag(name, "v1").as_ref(), Some(image().digest()));
    }
    assert_eq!(registry.bytes_uploaded(), size(&image()));
    assert_eq!(registry.calls(Call::UploadMount).len(), 2 * 4);
    let mounted: u64 =
        finished.receipts[0].repositories.iter().map(|receipt| receipt.blobs.mounted).sum();
    assert_eq!(mounted, 2 * 4);
}

#[tokio::test]
async fn no_tag_is_set_anywhere_before_the_image_is_everywhere() {
    let (one, two) = (TestRegistry::plain(), TestRegistry::plain());
    two.fault(on(Call::ManifestPut).refuse(400, "MANIFEST_INVALID", "not here"));
    let how = How::default();
    let mut repositories = names(&one, &["a"]);
    repositories.extend(names(&two, &["b"]));
    let job = how.job(&image(), &repositories, &["v1"]).await;
    let finished = in_time(how.pusher(&one.host()).push(job)).await;
    assert_failed(&finished, FailureClass::Rejected, "not here");
    assert_eq!(one.calls(Call::TagPut).len() + two.calls(Call::TagPut).len(), 0);
}

#[tokio::test]
async fn tags_go_repository_by_repository_and_the_first_failure_ends_all() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::TagPut).repository("b").refuse(400, "TAG_INVALID", "no"));
    let how = How::default();
    let job = how.job(&image(), &names(&registry, &["a", "b", "c"]), &["v1", "v2"]).await;
    let finished = in_time(how.pusher(&registry.host()).push(job)).await;
    assert_failed(&finished, FailureClass::Tag, "of 127.0.0.1");
    let statuses: Vec<Vec<TagStatus>> = finished.receipts[0]
        .repositories
        .iter()
        .map(|receipt| receipt.tags.iter().map(|tag| tag.status).collect())
        .collect();
    assert_eq!(statuses, [[Created, Created], [Failed, Skipped], [Skipped, Skipped]]);
}

#[tokio::test]
async fn many_images_share_what_they_share() {
    let registry = TestRegistry::plain();
    let how = How::default();
    let pusher = how.pusher(&registry.host());
    let mut jobs = Vec::new();
    let mut images = Vec::new();
    for number in 0..8 {
        let image = ImageBuilder::new(number)
            .layer(Layer::seeded(100, 200_000))
            .layer(Layer::seeded(101, 200_000))
            .layers(1, 1000)
            .build();
        let name = format!("app{number}");
        jobs.push(how.job(&image, &names(&registry, &[&name]), &["v1"]).await);
        images.push((name, image));
    }
    let silent = Arc::new(Silent);
    let finished = in_time(pusher.push_all(&jobs, silent, std::future::pending())).await;
    assert!(finished.failure.is_none(), "{:?}", finished.failure);
    assert!(images.iter().all(|(name, image)| registry.has_image(name, image)));
    // The shared layers once, and of each image its own layer and config.
    let own: u64 = images
        .iter()
        .flat_map(|(_, image)| image.blobs())
        .filter(|blob| blob.size != 200_000)
        .map(|blob| blob.size)
        .sum();
    assert_eq!(registry.bytes_uploaded(), 400_000 + own);
}

#[tokio::test]
async fn a_stop_in_the_middle_leaves_no_session_and_no_tag() {
    let registry = TestRegistry::plain();
    let gate = Gate::new();
    registry.fault(on(Call::UploadPut).hold_before(&gate));
    let how = How::default();
    let pusher = how.pusher(&registry.host());
    let job = how.job(&image(), &names(&registry, &["app"]), &["v1"]).await;
    let waiting = gate.clone();
    let stop = async move {
        tokio::task::spawn_blocking(move || waiting.block_for(1)).await.unwrap();
        Interrupt::Terminate
    };
    let finished = in_time(pusher.push_all(&[job], Arc::new(Silent), stop)).await;
    gate.open();
    assert_failed(&finished, FailureClass::Terminated, "terminated");
    assert_eq!(tags(&finished), [Skipped]);
    assert!(!registry.calls(Call::UploadDelete).is_empty(), "open sessions are cancelled");
    assert_eq!(registry.calls(Call::TagPut).len(), 0);
    // And the next one goes through.
    registry.heal();
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
}

#[tokio::test]
async fn a_push_can_be_given_to_another_task() {
    let registry = TestRegistry::plain();
    let how = How::default();
    let pusher = Arc::new(how.pusher(&registry.host()));
    let job = how.job(&image(), &names(&registry, &["app"]), &["v1"]).await;
    let task = tokio::spawn(async move { pusher.push(job).await });
    assert_pushed(&in_time(task).await.unwrap(), &registry, &image(), &["v1"]);
}

#[tokio::test]
async fn a_push_that_fails_leaves_the_uploads_of_others_alone() {
    let registry = TestRegistry::plain();
    let gate = Gate::new();
    registry.fault(on(Call::UploadPut).repository("good").hold_before(&gate));
    registry.fault(on(Call::UploadPut).repository("bad").refuse(403, "DENIED", "no"));
    let how = How::default();
    let pusher = Arc::new(how.pusher(&registry.host()));
    let other = ImageBuilder::new(2).layers(1, 100_000).build();
    let good = how.job(&image(), &names(&registry, &["good"]), &["v1"]).await;
    let bad = how.job(&other, &names(&registry, &["bad"]), &["v1"]).await;
    let task = tokio::spawn({
        let pusher = pusher.clone();
        async move { pusher.push(good).await }
    });
    let waiting = gate.clone();
    tokio::task::spawn_blocking(move || waiting.block_for(4)).await.unwrap();
    assert!(in_time(pusher.push(bad)).await.failure.is_some());
    let cancelled = registry.calls(Call::UploadDelete);
    assert!(cancelled.iter().all(|call| call.repository.as_deref() == Some("bad")));
    gate.open();
    assert!(in_time(task).await.unwrap().failure.is_none());
}

#[tokio::test]
async fn a_job_whose_tags_are_all_set_is_pushed_whatever_becomes_of_the_next() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::TagPut).repository("b").refuse(400, "TAG_INVALID", "no"));
    let how = How::default();
    let pusher = how.pusher(&registry.host());
    let jobs = [
        how.job(&image(), &names(&registry, &["a"]), &["v1"]).await,
        how.job(&image(), &names(&registry, &["b"]), &["v1"]).await,
    ];
    let silent = Arc::new(Silent);
    let finished = in_time(pusher.push_all(&jobs, silent, std::future::pending())).await;
    assert!(finished.failure.is_some());
    let outcomes: Vec<_> = finished.receipts.iter().map(|receipt| receipt.outcome).collect();
    assert_eq!(outcomes, [Outcome::Pushed, Outcome::Failed]);
    assert!(finished.receipts[0].error.is_none());
}

#[tokio::test]
async fn a_dry_run_counts_as_the_push_would() {
    let registry = TestRegistry::plain();
    let how = How::default();
    let repositories = names(&registry, &["a", "b"]);
    let counts = |finished: &windlass_push::Finished| -> Vec<(u64, u64)> {
        let repositories = finished.receipts[0].repositories.iter();
        repositories.map(|receipt| (receipt.blobs.uploaded, receipt.blobs.mounted)).collect()
    };
    let job = how.job(&image(), &repositories, &["v1"]).await;
    let silent = Arc::new(Silent);
    let planned =
        how.pusher(&registry.host()).plan_only(&[job], silent, std::future::pending()).await;
    assert_eq!(counts(&planned), [(4, 0), (0, 4)]);
}
