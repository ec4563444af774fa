//! Blobs that break on their way.

use std::time::Duration;

use windlass_push::FailureClass;
use windlass_testkit::{Call, ImageBuilder, Modes, Sessions, TestRegistry, on, on_any};

use crate::harness::*;

#[tokio::test]
async fn a_link_that_breaks_again_and_again_only_costs_what_was_in_flight() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPatch).times(5).reset_after(6 << 20));
    let image = large();
    let finished = push(&registry, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(registry.bytes_uploaded(), size(&image));
    assert_eq!(registry.calls(Call::UploadGet).len(), 5);
}

#[tokio::test]
async fn an_answer_that_never_comes_is_given_up_and_asked_for_again() {
    let registry = TestRegistry::plain();
    let calls =
        [Call::BlobHead, Call::UploadPost, Call::UploadPut, Call::ManifestPut, Call::TagPut];
    for call in calls {
        registry.fault(on(call).once().stall_after(0));
    }
    let image = ImageBuilder::new(3).layers(1, 1000).build();
    let how = How { answer_timeout: Duration::from_millis(400), ..How::default() };
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(registry.unused_rules().len(), 0);
    assert!(receipt(&finished).retries >= calls.len() as u64);
}

#[tokio::test]
async fn chunks_are_as_small_as_wanted() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(5).layers(1, 1_000_000).build();
    let how = How { chunk_size: Some(300_000), ..How::default() };
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert!(registry.log().iter().all(|logged| logged.received <= 300_000));
    assert_eq!(registry.calls(Call::UploadPatch).len(), 3);
    assert_eq!(registry.bytes_uploaded(), size(&image));
}

#[tokio::test]
async fn an_upload_goes_on_where_the_last_answer_says() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPatch).garble(|_, reply| {
        let location = reply.headers.get("location").unwrap().to_str().unwrap().to_owned();
        reply.headers.insert("location", format!("{location}?moved").parse().unwrap());
    }));
    let image = ImageBuilder::new(5).layers(1, 400_000).build();
    let how = How { chunk_size: Some(150_000), ..How::default() };
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    let moved = |call| registry.calls(call).iter().filter(|it| it.path.contains("?moved")).count();
    // The second chunk of two, and the end of this blob's upload.
    assert_eq!((moved(Call::UploadPatch), moved(Call::UploadPut)), (1, 1));
}

#[tokio::test]
async fn a_file_that_is_changed_while_it_is_pushed_is_named_and_ends_it_before_any_tag() {
    // The same size, where nothing but the digest tells; and another.
    let changes = [(vec![7; 5_000_000], "has the digest"), (vec![7; 5], "has changed while")];
    for (content, words) in changes {
        let registry = TestRegistry::plain();
        let how = How::default();
        let image = small();
        let job = how.job(&image, &[format!("{}/app", registry.host())], &["v1"]).await;
        let layer = image.blobs().iter().max_by_key(|blob| blob.size).unwrap().digest.clone();
        let path = how.written.lock().unwrap()[0].blob(&layer);
        std::fs::write(&path, content).unwrap();
        let finished = in_time(how.pusher(&registry.host()).push(job)).await;
        assert_failed(&finished, FailureClass::Image, words);
        assert!(failure(&finished).to_string().contains(layer.hex()));
        assert_eq!(registry.calls(Call::TagPut).len(), 0);
    }
}

#[tokio::test]
async fn of_several_troubles_the_one_with_the_body_is_told() {
    let registry = with_modes(Modes { sessions: Sessions::Delete, ..Modes::default() });
    registry.fault(on(Call::UploadPut).refuse(507, "UNKNOWN", "no space left on device"));
    registry.fault(on(Call::UploadGet).answer(404));
    let how = How { retry_for: Duration::from_millis(400), ..How::default() };
    let finished = how.push(&registry.host(), &small(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Unreachable, "no space left on device");
}

#[tokio::test]
async fn no_lie_about_a_session_is_believed_for_ever() {
    // What a status says: less than was there, more than was sent, nothing, nonsense.
    for range in ["0-9", "0-99999999", "", "bytes=1-2"] {
        let registry = TestRegistry::plain();
        registry.fault(on_any(&[Call::UploadPatch, Call::UploadPut]).answer(416));
        registry.fault(if range.is_empty() {
            on(Call::UploadGet).without_header("range")
        } else {
            on(Call::UploadGet).with_header("range", range)
        });
        let image = ImageBuilder::new(8).layers(1, 300_000).build();
        let how = How {
            chunk_size: Some(100_000),
            retry_for: Duration::from_millis(600),
            ..How::default()
        };
        let finished = how.push(&registry.host(), &image, &["v1"]).await;
        assert!(finished.failure.is_some(), "{range:?}");
        let bodies = counts(&registry, [Call::UploadPatch, Call::UploadPut]);
        assert!(bodies.iter().sum::<usize>() < 30, "{range:?}");
    }
}
