//! Faults of upload sessions.

use std::time::Duration;

use windlass_push::FailureClass;
use windlass_testkit::{
    Call, Image, ImageBuilder, Modes, Mount, Sessions, TestOptions, TestRegistry, on,
};

use crate::harness::*;

/// Its layer goes in four chunks.
fn image() -> Image {
    ImageBuilder::new(5).layers(1, 400_000).build()
}

fn in_chunks() -> How {
    How { chunk_size: Some(100_000), ..How::default() }
}

/// Pushed with no byte sent again and in these requests: PATCH, status, POST.
async fn check_exact(registry: &TestRegistry, expected: [usize; 3], about: &str) {
    let finished = in_chunks().push(&registry.host(), &image(), &["v1"]).await;
    assert_pushed(&finished, registry, &image(), &["v1"]);
    assert_eq!(registry.bytes_uploaded(), size(&image()), "{about}");
    let calls = [Call::UploadPatch, Call::UploadGet, Call::UploadPost];
    assert_eq!(counts(registry, calls), expected, "{about}");
}

#[tokio::test]
async fn f15_mount_202() {
    let registry = with_modes(Modes { mount: Mount::StartsUpload, ..Modes::default() });
    let how = How::default();
    let names = ["a", "b"].map(|name| format!("{}/{name}", registry.host()));
    let job = how.job(&image(), &names, &["v1"]).await;
    let finished = in_time(how.pusher(&registry.host()).push(job)).await;
    assert!(finished.failure.is_none(), "{:?}", finished.failure);
    assert!(registry.has_image("a", &image()) && registry.has_image("b", &image()));
    // What was begun instead of a mount is gone on with.
    assert_eq!(counts(&registry, [Call::UploadMount, Call::UploadPost]), [2, 2]);
    assert_eq!(registry.bytes_uploaded(), 2 * size(&image()));
    let blobs = finished.receipts[0].repositories.iter().map(|it| it.blobs);
    assert!(blobs.clone().all(|blobs| (blobs.mounted, blobs.uploaded) == (0, 2)));
}

#[tokio::test]
async fn f16_mount_201_but_missing() {
    let registry = TestRegistry::start(TestOptions {
        modes: Modes { mount: Mount::Pretends, ..Modes::default() },
        refuses_incomplete: true,
        ..TestOptions::default()
    });
    let how = How::default();
    let names = ["a", "b"].map(|name| format!("{}/{name}", registry.host()));
    let job = how.job(&image(), &names, &["v1"]).await;
    let finished = in_time(how.pusher(&registry.host()).push(job)).await;
    assert!(finished.failure.is_none(), "{:?}", finished.failure);
    assert!(registry.has_image("b", &image()));
}

#[tokio::test]
async fn f25_patch_201() {
    for status in [200, 201, 204] {
        let registry = TestRegistry::plain();
        let odd = registry.fault(on(Call::UploadPatch).status(status));
        check_exact(&registry, [3, 0, 2], "an odd success").await;
        assert_eq!(odd.fired(), 3);
    }
}

#[tokio::test]
async fn f26_stale_range() {
    // ECR: the end of the first chunk, for ever.
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPatch).with_header("range", "0-99999"));
    check_exact(&registry, [3, 0, 2], "a stale range").await;
}

#[tokio::test]
async fn f27_short_accept() {
    let registry = TestRegistry::plain();
    let short = registry.fault(on(Call::UploadPatch).skip(1).once().accept_only(30_000));
    let finished = in_chunks().push(&registry.host(), &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    assert_eq!((short.fired(), receipt(&finished).retries), (1, 0));
    // The session is asked, and what was not taken goes with the next one.
    assert_eq!(counts(&registry, [Call::UploadGet]), [1]);
    let patches = registry.calls(Call::UploadPatch);
    let ranges: Vec<_> = patches.iter().map(|it| it.header("content-range").unwrap()).collect();
    assert_eq!(ranges, ["0-99999", "100000-199999", "130000-229999", "230000-329999"]);
}

#[tokio::test]
async fn f28_range_dialects() {
    let cut = || {
        let registry = TestRegistry::plain();
        registry.fault(on(Call::UploadPatch).skip(1).once().reset_after(60_000));
        registry
    };
    for range in ["0-159999", "bytes=0-159999", "bytes 0-159999", " 0-159999 "] {
        let registry = cut();
        registry.fault(on(Call::UploadGet).with_header("range", range));
        check_exact(&registry, [4, 1, 2], range).await;
    }
    // Nothing has come yet, as it is written: `0-0` is what the specification has for it too.
    for range in ["0--1", "0-0", "bytes=0-0"] {
        let registry = TestRegistry::plain();
        registry.fault(on(Call::UploadPatch).once().answer(500).after_body());
        registry.fault(on(Call::UploadGet).with_header("range", range));
        let finished = in_chunks().push(&registry.host(), &image(), &["v1"]).await;
        assert_pushed(&finished, &registry, &image(), &["v1"]);
        assert_eq!(registry.bytes_uploaded(), size(&image()) + 100_000, "{range}");
        assert_eq!(counts(&registry, [Call::UploadGet, Call::UploadPost]), [1, 2], "{range}");
    }
    // On doubt it begins anew: no range, nonsense, more than was sent, less than was taken.
    for range in ["", "0-x", "1-159999", "0-99999999", "0-5"] {
        let registry = cut();
        registry.fault(if range.is_empty() {
            on(Call::UploadGet).without_header("range")
        } else {
            on(Call::UploadGet).with_header("range", range)
        });
        let finished = in_chunks().push(&registry.host(), &image(), &["v1"]).await;
        assert_pushed(&finished, &registry, &image(), &["v1"]);
        assert_eq!(registry.bytes_uploaded(), size(&image()) + 160_000, "{range}");
        assert_eq!(counts(&registry, [Call::UploadGet, Call::UploadPost]), [1, 3], "{range}");
    }
    // One byte too many, as Quay says it: the registry finds the gap, and it begins anew.
    let registry = cut();
    registry.fault(on(Call::UploadGet).with_header("range", "0-160000"));
    let finished = in_chunks().push(&registry.host(), &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
}

#[tokio::test]
async fn f29_416() {
    for headers in [true, false] {
        let registry = TestRegistry::plain();
        let refusal = on(Call::UploadPatch).skip(1).once();
        let refusal = refusal.refuse(416, "BLOB_UPLOAD_INVALID", "elsewhere");
        registry.fault(if headers { refusal.header("range", "0-99999") } else { refusal });
        check_exact(&registry, [4, 1, 2], "asked, and gone on").await;
    }
    for status in [404, 400] {
        let registry = TestRegistry::plain();
        registry.fault(on(Call::UploadPatch).skip(1).once().answer(416));
        registry.fault(on(Call::UploadGet).answer(status));
        let finished = in_chunks().push(&registry.host(), &image(), &["v1"]).await;
        assert_pushed(&finished, &registry, &image(), &["v1"]);
        assert_eq!(registry.bytes_uploaded(), size(&image()) + 100_000, "{status}");
        assert_eq!(counts(&registry, [Call::UploadGet, Call::UploadPost]), [1, 3], "{status}");
    }
    // One that never agrees with a PATCH gets the blob without.
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPatch).refuse(416, "BLOB_UPLOAD_INVALID", "elsewhere"));
    let finished = in_chunks().push(&registry.host(), &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    assert_eq!(counts(&registry, [Call::UploadPatch, Call::UploadGet]), [3, 2]);

    // One that never agrees at all is given up.
    registry.fault(on(Call::UploadPut).refuse(416, "BLOB_UPLOAD_INVALID", "elsewhere"));
    let other = ImageBuilder::new(2).layers(1, 400_000).build();
    let how = How { retry_for: Duration::from_millis(600), ..in_chunks() };
    let finished = how.push(&registry.host(), &other, &["v2"]).await;
    assert_failed(&finished, FailureClass::Rejected, "elsewhere");
    assert!(registry.calls(Call::UploadPatch).len() <= 3 + 3);

    // And where there is no session yet, it is a refusal.
    for (status, code) in [(416, "RANGE_INVALID"), (400, "BLOB_UPLOAD_INVALID")] {
        let registry = TestRegistry::plain();
        let refused = registry.fault(on(Call::UploadPost).refuse(status, code, "not so"));
        let finished = push(&registry, &image(), &["v1"]).await;
        assert_failed(&finished, FailureClass::Rejected, "not so");
        assert!(refused.fired() <= image().blobs().len(), "{status} {code}: {}", refused.fired());
        assert_eq!(receipt(&finished).retries, 0);
    }
}

#[tokio::test]
async fn f30_session_lost() {
    for sessions in [Sessions::TurnStale, Sessions::Delete] {
        for (image, call) in [(small(), Call::UploadPut), (large(), Call::UploadPatch)] {
            let registry = with_modes(Modes { sessions, ..Modes::default() });
            registry.fault(on(call).once().reset_after(4_000_000));
            let finished = push(&registry, &image, &["v1"]).await;
            assert_pushed(&finished, &registry, &image, &["v1"]);
            assert_eq!(registry.calls(Call::UploadGet).len(), 1, "one question a break");
            assert_eq!(registry.bytes_uploaded(), size(&image) + 4_000_000);
            assert_eq!(receipt(&finished).blobs.resumed, 0);
        }
    }
    // By other words, and without a break: at a chunk, and at the end.
    for (status, code) in [
        (404, "BLOB_UPLOAD_UNKNOWN"),
        (404, "BLOB_UPLOAD_INVALID"),
        (400, "BLOB_UPLOAD_INVALID"),
        (400, "BLOB_UPLOAD_UNKNOWN"),
    ] {
        for call in [Call::UploadPatch, Call::UploadPut] {
            let registry = TestRegistry::plain();
            registry.fault(on(call).once().refuse(status, code, "gone"));
            let finished = in_chunks().push(&registry.host(), &image(), &["v1"]).await;
            assert_pushed(&finished, &registry, &image(), &["v1"]);
            assert_eq!(registry.calls(Call::UploadPost).len(), 3, "{call:?} {status} {code}");
            assert_eq!(receipt(&finished).retries, 1);
        }
    }
    // Again and again, and in the end for good: as long as time lasts, not as often as a count.
    let registry = TestRegistry::plain();
    let gone = on(Call::UploadPatch).times(7).refuse(404, "BLOB_UPLOAD_UNKNOWN", "gone");
    registry.fault(gone);
    let finished = in_chunks().push(&registry.host(), &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPatch).refuse(404, "BLOB_UPLOAD_UNKNOWN", "gone"));
    let how = How { retry_for: Duration::from_millis(600), ..in_chunks() };
    let finished = how.push(&registry.host(), &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "gone");
    assert!(registry.calls(Call::UploadPatch).len() < 10);
}

#[tokio::test]
async fn f31_max_chunk() {
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
    // GHCR's words for it.
    let registry = TestRegistry::plain();
    let large = on(Call::UploadPatch)
        .matching(|head| head.headers["content-length"].to_str().unwrap().len() > 7);
    let rule = registry.fault(large.refuse(416, "UNKNOWN", "Range chunk too large"));
    let image = small();
    let how = How { chunk_size: Some(12_000_000), ..How::default() };
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    let finished = how.push(&registry.host(), &self::large(), &["v1"]).await;
    assert_pushed(&finished, &registry, &self::large(), &["v1"]);
    assert_eq!(rule.fired(), 1);
}

#[tokio::test]
async fn f31_min_chunk() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPost).with_header("oci-chunk-min-length", "400000"));
    let image = ImageBuilder::new(5).layers(1, 1_000_000).build();
    let how = How { chunk_size: Some(300_000), ..How::default() };
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    let patches = registry.calls(Call::UploadPatch);
    let sizes: Vec<u64> = patches.iter().map(|patch| patch.received).collect();
    assert_eq!(sizes, [400_000, 400_000]);
    // One that no memory and no blob has: whole.
    let registry = TestRegistry::plain();
    let absurd = "4611686018427387904";
    registry.fault(on(Call::UploadPost).with_header("oci-chunk-min-length", absurd));
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(registry.calls(Call::UploadPatch).len(), 0);
}

#[tokio::test]
async fn f32_chunked_unsupported() {
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
    // The first one is taken, no other: the rest goes whole, and so do those after it.
    for status in [400, 405, 415, 500, 501] {
        let registry = TestRegistry::plain();
        let refused = registry.fault(on(Call::UploadPatch).skip(1).answer(status));
        let image = ImageBuilder::new(6).layers(2, 400_000).build();
        let how = How { jobs: 1, retry_for: Duration::from_secs(8), ..in_chunks() };
        let finished = how.push(&registry.host(), &image, &["v1"]).await;
        assert_pushed(&finished, &registry, &image, &["v1"]);
        assert!(refused.fired() <= 8, "{status}: {}", refused.fired());
    }
}

#[tokio::test]
async fn f33_content_range_ignored() {
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
    // After that it goes whole, so that no second chunk can be misplaced.
    let bodies = registry.calls(Call::UploadPut).into_iter();
    assert!(bodies.map(|it| it.received).any(|received| received == 400_000));
}

#[tokio::test]
async fn f34_single_post_202() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPost).once().lose_reply());
    registry.fault(on(Call::UploadPost).skip(1).once().reset_after(0));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    // No body is ever sent with the POST, so that none can be refused, or sent twice.
    let posts = registry.calls(Call::UploadPost);
    assert_eq!(posts.len(), 4);
    assert!(posts.iter().all(|post| post.received == 0 && !post.path.contains("digest=")));
    assert_eq!(registry.bytes_uploaded(), size(&image()));
}

#[tokio::test]
async fn f46_cancel_rejected() {
    for status in [202, 401, 404, 405, 503] {
        let registry = TestRegistry::plain();
        registry.fault(on(Call::UploadPut).refuse(403, "DENIED", "not you"));
        let cancel = registry.fault(on(Call::UploadDelete).answer(status));
        let finished = push(&registry, &image(), &["v1"]).await;
        assert_failed(&finished, FailureClass::Authentication, "not you");
        assert!((1..=2).contains(&cancel.fired()), "{status}: {}", cancel.fired());
    }
    // Nor does one that never answers hold up the end.
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPut).refuse(403, "DENIED", "not you"));
    registry.fault(on(Call::UploadDelete).stall_after(0));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Authentication, "not you");
}
