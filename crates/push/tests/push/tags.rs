//! Tags that are refused, or whose turn the network goes away at.

use std::sync::Arc;
use std::time::Duration;

use windlass_push::TagStatus::{Created, Failed, Moved, Skipped, Unchanged};
use windlass_push::{FailureClass, Interrupt, Silent, TagPolicy};
use windlass_testkit::{Call, Gate, Image, ImageBuilder, TestRegistry, on};

use crate::harness::*;

fn image() -> Image {
    ImageBuilder::new(1).layers(2, 1000).build()
}

/// As many ways as registries have to say that a tag is immutable: ECR, Docker Hub and
/// Artifactory, ACR, others, Harbor, Nexus.
const REFUSALS: [(u16, &str); 6] = [
    (400, "TAG_INVALID"),
    (403, "MANIFEST_INVALID"),
    (405, "REGISTRY_DISALLOWED_OPERATION"),
    (409, "CONFLICT"),
    (412, "PRECONDITION"),
    (400, "BLOB_UPLOAD_INVALID"),
];

fn soon() -> How {
    How { retry_for: Duration::from_millis(700), ..How::default() }
}

#[tokio::test]
async fn a_refused_manifest_that_is_there_already_is_no_failure() {
    for (status, code) in REFUSALS {
        let registry = TestRegistry::plain();
        let root = image().digest().clone();
        registry.seed("app", &image(), None);
        registry.fault(on(Call::ManifestHead).digest(&root).once().answer(403));
        let refused = registry.fault(on(Call::ManifestPut).refuse(status, code, "immutable"));
        let finished = push(&registry, &image(), &["v1"]).await;
        assert_pushed(&finished, &registry, &image(), &["v1"]);
        assert_eq!(refused.fired(), 1, "{status} {code}");
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_once_while_tagging_is_asked_after() {
    for lose in [true, false] {
        let registry = TestRegistry::plain();
        let when = on(Call::TagPut).tag("v2").once();
        registry.fault(if lose { when.lose_reply() } else { when.close_instead_of_reply() });
        let finished = push(&registry, &image(), &["v1", "v2", "v3"]).await;
        assert_pushed(&finished, &registry, &image(), &["v1", "v2", "v3"]);
        // Found to be set: it is not set again.
        assert_eq!(registry.calls(Call::TagPut).len(), 3);
        assert_eq!(receipt(&finished).retries, 1);
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_every_time_ends_it_in_time() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::TagPut).tag("v2").close_after(0));
    let finished = soon().push(&registry.host(), &image(), &["v1", "v2", "v3"]).await;
    assert_failed(&finished, FailureClass::Unreachable, "the connection broke");
    assert_eq!(tags(&finished), [Created, Failed, Skipped]);
    assert_eq!(registry.tag("app", "v2"), None);
}

#[tokio::test]
async fn a_listener_that_goes_away_while_tagging_ends_it_in_time() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::TagPut).tag("v2").vanish());
    let finished = soon().push(&registry.host(), &image(), &["v1", "v2", "v3"]).await;
    assert_failed(&finished, FailureClass::Unreachable, "no connection");
    assert_eq!(tags(&finished), [Created, Failed, Skipped]);
    registry.come_back();
    registry.heal();
    let finished = push(&registry, &image(), &["v1", "v2", "v3"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1", "v2", "v3"]);
    assert_eq!(tags(&finished), [Unchanged, Created, Created]);
    assert_eq!(receipt(&finished).blobs.uploaded, 0);
}

#[tokio::test]
async fn a_listener_that_comes_back_while_tagging_is_waited_for() {
    let registry = TestRegistry::plain();
    let gone = registry.fault(on(Call::TagPut).tag("v2").once().vanish());
    let come_back = async {
        while gone.fired() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Long enough to be missed at least once.
        tokio::time::sleep(Duration::from_millis(200)).await;
        registry.come_back();
    };
    let image = image();
    let pushing = push(&registry, &image, &["v1", "v2", "v3"]);
    let (finished, ()) = tokio::join!(pushing, come_back);
    assert_pushed(&finished, &registry, &image, &["v1", "v2", "v3"]);
    assert_eq!(tags(&finished), [Created; 3]);
    assert!(receipt(&finished).retries >= 2);
}

#[tokio::test]
async fn a_tag_that_names_the_image_is_left_alone_and_another_is_moved() {
    let registry = TestRegistry::plain();
    let other = ImageBuilder::new(9).layers(1, 100).build();
    registry.seed("app", &image(), Some("same"));
    registry.seed("app", &other, Some("moved"));
    let finished = push(&registry, &image(), &["same", "moved", "new"]).await;
    assert_pushed(&finished, &registry, &image(), &["same", "moved", "new"]);
    assert_eq!(tags(&finished), [Unchanged, Moved, Created]);
    let before: Vec<_> = receipt(&finished).tags.iter().map(|tag| tag.before.clone()).collect();
    assert_eq!(before, [Some(image().digest().clone()), Some(other.digest().clone()), None]);
    assert_eq!(registry.calls(Call::TagPut).len(), 2);
}

#[tokio::test]
async fn a_tag_that_may_not_move_is_refused_before_a_byte_leaves() {
    let registry = TestRegistry::plain();
    registry.seed("app", &ImageBuilder::new(9).layers(1, 100).build(), Some("v1"));
    let before = registry.log().len();
    let how = How { tag_policy: TagPolicy::Create, ..How::default() };
    let finished = how.push(&registry.host(), &image(), &["v1", "v2"]).await;
    assert_failed(&finished, FailureClass::Tag, "may not be moved");
    assert!(registry.log()[before..].iter().all(|logged| logged.method == "HEAD"));
    assert_eq!(tags(&finished), [Failed, Skipped]);
    let refused = &receipt(&finished).tags[0];
    assert!(refused.before.is_some() && refused.error.is_some());
}

#[tokio::test]
async fn a_tag_that_is_not_where_it_is_expected_is_refused() {
    let registry = TestRegistry::plain();
    registry.seed("app", &ImageBuilder::new(9).layers(1, 100).build(), Some("v1"));
    let how = How::default();
    let mut job = how.job(&image(), &[format!("{}/app", registry.host())], &["v1"]).await;
    job.expected_tags.insert("v1".parse().unwrap(), None);
    let finished = in_time(how.pusher(&registry.host()).push(job)).await;
    assert_failed(&finished, FailureClass::Tag, "expected was nothing");
}

#[tokio::test]
async fn a_tag_that_somebody_else_sets_meanwhile_is_not_overwritten() {
    let registry = TestRegistry::plain();
    let other = ImageBuilder::new(9).layers(1, 100).build();
    registry.seed("app", &other, Some("v1"));
    // When it was asked first, it was not there.
    registry.fault(on(Call::ManifestHead).tag("v1").once().answer(404));
    let how = How { tag_policy: TagPolicy::Create, ..How::default() };
    let finished = how.push(&registry.host(), &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Tag, "may not be moved");
    assert_eq!(registry.tag("app", "v1").as_ref(), Some(other.digest()));
}

#[tokio::test]
async fn a_tag_that_the_registry_has_no_time_for_is_no_refusal() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::TagPut).answer(429));
    let finished = soon().push(&registry.host(), &image(), &["v1", "v2"]).await;
    assert_failed(&finished, FailureClass::Unreachable, "429");
    assert_eq!(tags(&finished), [Failed, Skipped]);
}

#[tokio::test]
async fn who_is_stopped_at_a_tag_has_set_those_before_it_and_none_after_it() {
    let registry = TestRegistry::plain();
    let gate = Gate::new();
    registry.fault(on(Call::TagPut).tag("v2").hold_before(&gate));
    let how = How::default();
    let job = how.job(&image(), &[format!("{}/app", registry.host())], &["v1", "v2", "v3"]).await;
    let reached = gate.clone();
    let stop = async move {
        reached.wait_for(1).await;
        Interrupt::Interrupt
    };
    let pusher = how.pusher(&registry.host());
    let finished = in_time(pusher.push_all(&[job], Arc::new(Silent), stop)).await;
    gate.open();
    assert_failed(&finished, FailureClass::Interrupted, "interrupted");
    assert_eq!(tags(&finished), [Created, Failed, Skipped]);
    let told = receipt(&finished).tags[1].error.as_deref().unwrap();
    assert!(told.contains("it may name the image or not"), "{told}");
    assert_eq!(registry.tag("app", "v1").as_ref(), Some(image().digest()));
    assert_eq!(registry.tag("app", "v3"), None);
    registry.heal();
    let finished = push(&registry, &image(), &["v1", "v2", "v3"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1", "v2", "v3"]);
    assert_eq!(tags(&finished)[0], Unchanged);
}

#[tokio::test]
async fn of_two_pushes_to_one_tag_the_last_has_it_and_neither_is_told() {
    let registry = TestRegistry::plain();
    let images = [image(), ImageBuilder::new(9).layers(2, 1000).build()];
    let gate = Gate::new();
    // Both have brought their image when the first of them sets the tag.
    registry.fault(on(Call::TagPut).hold_before(&gate));
    let both = async {
        gate.wait_for(2).await;
        gate.open();
    };
    let (first, second, ()) = tokio::join!(
        push(&registry, &images[0], &["v1"]),
        push(&registry, &images[1], &["v1"]),
        both
    );
    assert!(first.failure.is_none() && second.failure.is_none());
    let named = registry.tag("app", "v1").unwrap();
    assert!(images.iter().any(|image| *image.digest() == named));
    assert!(images.iter().all(|image| registry.has_image("app", image)));
    assert_eq!(registry.tags_set().len(), 2);
}
