//! Blobs that break on their way.

use std::time::Duration;

use windlass_push::FailureClass;
use windlass_testkit::{
    Call, Image, ImageBuilder, Layer, Modes, Sessions, TestOptions, TestRegistry, on,
};

use crate::harness::*;

/// Its layer goes by PUT alone.
fn small() -> Image {
    ImageBuilder::new(1).layers(1, 5_000_000).build()
}

/// Its layer is large enough to go by PATCH.
fn large() -> Image {
    ImageBuilder::new(2).layer(Layer::sparse(40 << 20)).build()
}

fn with_sessions(sessions: Sessions) -> TestRegistry {
    TestRegistry::start(TestOptions {
        modes: Modes { sessions, ..Modes::default() },
        ..TestOptions::default()
    })
}

/// All bytes of the layer that arrived, in all its tries.
fn arrived(registry: &TestRegistry) -> u64 {
    registry.bytes_uploaded()
}

fn size(image: &Image) -> u64 {
    image.blobs().iter().map(|blob| blob.size).sum()
}

#[tokio::test]
async fn a_reset_in_mid_body_is_gone_on_from_where_it_broke() {
    for (image, call) in [(small(), Call::UploadPut), (large(), Call::UploadPatch)] {
        let registry = TestRegistry::plain();
        let cut = registry.fault(on(call).once().reset_after(4_000_000));
        let finished = push(&registry, &image, &["v1"]).await;
        assert_pushed(&finished, &registry, &image, &["v1"]);
        assert_eq!(cut.fired(), 1);
        assert_eq!(registry.calls(Call::UploadGet).len(), 1, "one question a break");
        assert_eq!(receipt(&finished).blobs.resumed, 1);
        assert_eq!(arrived(&registry), size(&image), "nothing that had arrived was sent again");
    }
}

#[tokio::test]
async fn a_session_that_does_not_survive_is_begun_anew() {
    for sessions in [Sessions::TurnStale, Sessions::Delete] {
        for (image, call) in [(small(), Call::UploadPut), (large(), Call::UploadPatch)] {
            let registry = with_sessions(sessions);
            registry.fault(on(call).once().reset_after(4_000_000));
            let finished = push(&registry, &image, &["v1"]).await;
            assert_pushed(&finished, &registry, &image, &["v1"]);
            assert_eq!(registry.calls(Call::UploadGet).len(), 1, "one question a break");
            assert_eq!(arrived(&registry), size(&image) + 4_000_000);
            assert_eq!(receipt(&finished).blobs.resumed, 0);
        }
    }
}

#[tokio::test]
async fn a_link_that_breaks_again_and_again_only_costs_what_was_in_flight() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPatch).times(5).reset_after(6 << 20));
    let image = large();
    let finished = push(&registry, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(arrived(&registry), size(&image));
    assert_eq!(registry.calls(Call::UploadGet).len(), 5);
}

#[tokio::test]
async fn a_lost_reply_to_a_blob_is_asked_after_and_not_sent_again() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPut).lose_reply());
    let image = small();
    let finished = push(&registry, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(arrived(&registry), size(&image));
}

#[tokio::test]
async fn a_stalled_body_is_given_up_and_gone_on_with() {
    let registry = TestRegistry::plain();
    // More than what sockets swallow while nobody reads.
    registry.fault(on(Call::UploadPatch).once().stall_after(1_000_000));
    let image = large();
    let how = How { stall_timeout: Duration::from_millis(300), ..How::default() };
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(arrived(&registry), size(&image));
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
async fn a_server_in_trouble_is_asked_again() {
    for status in [500, 502, 503, 504, 408, 429, 522] {
        let registry = TestRegistry::plain();
        for call in [Call::BlobHead, Call::UploadPost, Call::UploadPut, Call::ManifestPut] {
            registry.fault(on(call).times(2).answer(status));
        }
        let image = ImageBuilder::new(3).layers(2, 2_000_000).build();
        let finished = push(&registry, &image, &["v1"]).await;
        assert_pushed(&finished, &registry, &image, &["v1"]);
        assert_eq!(registry.unused_rules().len(), 0);
        assert!(receipt(&finished).retries >= 8, "{status}");
    }
}

#[tokio::test]
async fn an_early_refusal_is_heard_while_the_body_is_sent() {
    let registry = TestRegistry::plain();
    let words = "no room for you";
    registry.fault(on(Call::UploadPatch).refuse(403, "DENIED", words).after_bytes(100_000));
    let finished = push(&registry, &large(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Authentication, words);
    assert_eq!(registry.calls(Call::TagPut).len(), 0);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_sent_in_pieces_and_the_bound_remembered() {
    let registry = TestRegistry::start(TestOptions {
        modes: Modes { max_body: Some(1_500_000), ..Modes::default() },
        ..TestOptions::default()
    });
    let how = How::default();
    let pusher = how.pusher(&registry.host());
    let refused = || registry.log().iter().filter(|logged| logged.status == Some(413)).count();
    for seed in [4, 5] {
        let image = ImageBuilder::new(seed).layers(1, 5_000_000).build();
        let job = how.job(&image, &[format!("{}/app", registry.host())], &["v1"]).await;
        assert_pushed(&in_time(pusher.push(job)).await, &registry, &image, &["v1"]);
        // Whole, 4 MiB, 2 MiB; from then on 1 MiB.
        assert_eq!(refused(), 3);
    }
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
    assert_eq!(arrived(&registry), size(&image));
}

#[tokio::test]
async fn chunks_are_as_large_as_the_registry_wants_them() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPost).with_header("oci-chunk-min-length", "400000"));
    let image = ImageBuilder::new(5).layers(1, 1_000_000).build();
    let how = How { chunk_size: Some(300_000), ..How::default() };
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    let patches = registry.calls(Call::UploadPatch);
    let sizes: Vec<u64> = patches.iter().map(|patch| patch.received).collect();
    assert_eq!(sizes, [400_000, 400_000]);
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
async fn a_damaged_way_is_tried_once_more_and_told_from_a_damaged_file() {
    let registry = TestRegistry::plain();
    let digest = on(Call::UploadPut).times(3).refuse(400, "DIGEST_INVALID", "not what was said");
    let rule = registry.fault(digest);
    let finished = push(&registry, &small(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "got other bytes than");
    assert!(rule.fired() <= 3);
    assert_eq!(registry.calls(Call::ManifestPut).len(), 0);
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
async fn a_registry_that_takes_no_patch_gets_blobs_whole() {
    let registry = TestRegistry::start(TestOptions {
        modes: Modes { refuses_patch: true, ..Modes::default() },
        ..TestOptions::default()
    });
    let finished = push(&registry, &large(), &["v1"]).await;
    assert_pushed(&finished, &registry, &large(), &["v1"]);
    let image = ImageBuilder::new(6).layers(3, 400_000).build();
    let how = How { chunk_size: Some(100_000), ..How::default() };
    let finished = how.push(&registry.host(), &image, &["v2"]).await;
    assert_pushed(&finished, &registry, &image, &["v2"]);
}

#[tokio::test]
async fn chunks_that_are_put_in_the_wrong_order_end_in_a_whole_body() {
    let registry = TestRegistry::start(TestOptions {
        modes: Modes { ignores_content_range: true, ..Modes::default() },
        ..TestOptions::default()
    });
    // The chunk arrives, its answer does not, and the registry is not asked where it is.
    registry.fault(on(Call::UploadPatch).skip(1).once().lose_reply());
    registry.fault(on(Call::UploadGet).once().with_header("range", "0-99999"));
    let image = ImageBuilder::new(7).layers(1, 400_000).build();
    let how = How { chunk_size: Some(100_000), ..How::default() };
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
}

#[tokio::test]
async fn the_slower_of_two_that_push_one_blob_looks_whether_it_is_there() {
    for (status, code) in [(400, "BLOB_UPLOAD_INVALID"), (400, "UNKNOWN"), (409, "CONFLICT")] {
        let registry = TestRegistry::plain();
        let change = move |_: &_, reply: &mut windlass_testkit::Reply| {
            reply.status = status.try_into().unwrap();
            reply.body = format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#).into();
        };
        registry.fault(on(Call::UploadPut).garble(change));
        let finished = push(&registry, &small(), &["v1"]).await;
        assert_pushed(&finished, &registry, &small(), &["v1"]);
        assert_eq!(arrived(&registry), size(&small()), "{status} {code}");
    }
}

#[tokio::test]
async fn of_several_troubles_the_one_with_the_body_is_told() {
    let registry = with_sessions(Sessions::Delete);
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
        registry.fault(on(Call::UploadPatch).answer(416));
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
        assert!(registry.calls(Call::UploadPatch).len() < 30, "{range:?}");
    }
}
