//! Faults on the way of a body.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use windlass_push::FailureClass;
use windlass_testkit::{Call, Gate, ImageBuilder, Modes, TestRegistry, on, on_any};

use crate::harness::*;

#[tokio::test]
async fn f01_reset_mid_put() {
    for (image, call) in [(small(), Call::UploadPut), (large(), Call::UploadPatch)] {
        let registry = TestRegistry::plain();
        let cut = registry.fault(on(call).once().reset_after(4_000_000));
        let finished = push(&registry, &image, &["v1"]).await;
        assert_pushed(&finished, &registry, &image, &["v1"]);
        assert_eq!(cut.fired(), 1);
        assert_eq!(registry.calls(Call::UploadGet).len(), 1, "one question a break");
        assert_eq!(receipt(&finished).blobs.resumed, 1);
        assert_eq!(
            registry.bytes_uploaded(),
            size(&image),
            "nothing that had arrived was sent again"
        );
    }
}

#[tokio::test]
async fn f02_commit_then_drop() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPut).lose_reply());
    let image = small();
    let finished = push(&registry, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(registry.bytes_uploaded(), size(&image));
    // Layer and config: asked for before they were sent and after the answer was lost.
    assert_eq!(counts(&registry, [Call::UploadPut, Call::BlobHead, Call::UploadGet]), [2, 4, 0]);
}

#[tokio::test]
async fn f03_stall() {
    let registry = TestRegistry::plain();
    // More than what sockets swallow while nobody reads.
    registry.fault(on(Call::UploadPatch).once().stall_after(1_000_000));
    let image = large();
    let how = How { stall_timeout: Duration::from_millis(300), ..How::default() };
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(registry.bytes_uploaded(), size(&image));
}

#[tokio::test]
async fn f04_slow_response() {
    // A whole body that waits for its answer is not stalled.
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPut).delay(Duration::from_millis(900)));
    let image = small();
    let how = How { stall_timeout: Duration::from_millis(200), ..How::default() };
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!((receipt(&finished).retries, registry.bytes_uploaded()), (0, size(&image)));

    // Nor is it sent again where the answer never comes, and the blob is there.
    let registry = TestRegistry::plain();
    let gate = Gate::new();
    registry.fault(on(Call::UploadPut).hold(&gate));
    let how = How { answer_timeout: Duration::from_millis(500), ..How::default() };
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    gate.open();
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(registry.bytes_uploaded(), size(&image));
}

#[tokio::test]
async fn f05_early_error() {
    for (status, class) in [
        (403, FailureClass::Authentication),
        (400, FailureClass::Rejected),
        (422, FailureClass::Rejected),
    ] {
        let registry = TestRegistry::plain();
        let words = "no room for you";
        let refusal = on(Call::UploadPut)
            .matching(|head| head.headers["content-length"].to_str().unwrap().len() > 5);
        let refusal = registry.fault(refusal.refuse(status, "DENIED", words).after_bytes(100_000));
        let finished = push(&registry, &small(), &["v1"]).await;
        assert_failed(&finished, class, words);
        assert_eq!(refusal.fired(), 1, "what was refused is not tried again");
        assert_eq!(registry.calls(Call::TagPut).len(), 0);
    }
    // Too large in any size.
    let registry = TestRegistry::plain();
    let refusal = on(Call::UploadPut).refuse(413, "SIZE_INVALID", "too much").after_bytes(100_000);
    registry.fault(refusal);
    registry.fault(on(Call::UploadPatch).refuse(413, "SIZE_INVALID", "too much"));
    let finished = push(&registry, &large(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "too much");
    assert!(registry.calls(Call::UploadPatch).len() < 10);
}

#[tokio::test]
async fn f06_5xx_burst() {
    for status in [500, 502, 503, 504, 408, 429, 499, 522] {
        let registry = TestRegistry::plain();
        for call in [Call::BlobHead, Call::UploadPost, Call::UploadPut, Call::ManifestPut] {
            registry.fault(on(call).times(2).answer(status));
        }
        let image = ImageBuilder::new(3).layers(2, 500_000).build();
        let finished = push(&registry, &image, &["v1"]).await;
        assert_pushed(&finished, &registry, &image, &["v1"]);
        assert_eq!(registry.unused_rules().len(), 0);
        assert!(receipt(&finished).retries >= 8, "{status}");
        assert_eq!(registry.bytes_uploaded(), size(&image), "{status}");
    }
    // One that stays in trouble is given up in time.
    let registry = TestRegistry::plain();
    let rule = registry.fault(on(Call::ManifestPut).refuse(503, "UNAVAILABLE", "in trouble"));
    let how = How { retry_for: Duration::from_millis(500), ..How::default() };
    let finished = how.push(&registry.host(), &small(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Unreachable, "in trouble");
    assert!((2..=8).contains(&rule.fired()), "{}", rule.fired());
}

#[tokio::test]
async fn f35_digest_mismatch() {
    // Damaged once on its way: sent once more.
    let registry = TestRegistry::plain();
    let refusal = on(Call::UploadPut).once().refuse(400, "DIGEST_INVALID", "not what was said");
    registry.fault(refusal.after_body());
    let finished = push(&registry, &small(), &["v1"]).await;
    assert_pushed(&finished, &registry, &small(), &["v1"]);

    // Damaged every time, while our own file is right.
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(4).layers(1, 500_000).build();
    let layer = image.blobs().iter().max_by_key(|blob| blob.size).unwrap().digest.clone();
    let rule = on(Call::UploadPut).digest(&layer);
    let rule = registry.fault(rule.refuse(400, "DIGEST_INVALID", "not what was said"));
    let finished = push(&registry, &image, &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "got other bytes than");
    assert_eq!(rule.fired(), 3);
    assert_eq!(registry.calls(Call::ManifestPut).len(), 0);
}

#[tokio::test]
async fn f36_length_required() {
    let registry = TestRegistry::plain();
    let calls = [
        Call::UploadPost,
        Call::UploadPatch,
        Call::UploadPut,
        Call::ManifestPut,
        Call::TagPut,
        Call::UploadMount,
    ];
    let without = on_any(&calls).matching(|head| !head.headers.contains_key("content-length"));
    let rule = registry.fault(without.refuse(411, "SIZE_INVALID", "length required"));
    for image in [small(), large()] {
        let finished = push(&registry, &image, &["v1"]).await;
        assert_pushed(&finished, &registry, &image, &["v1"]);
    }
    assert_eq!(rule.fired(), 0);
    assert!(registry.calls(Call::UploadPatch).len() == 1);
}

#[tokio::test]
async fn f41_concurrent_same_blob() {
    for (status, code) in [(400, "BLOB_UPLOAD_INVALID"), (400, "UNKNOWN"), (409, "CONFLICT")] {
        let registry = TestRegistry::plain();
        let change = move |_: &_, reply: &mut windlass_testkit::Reply| {
            reply.status = status.try_into().unwrap();
            reply.body = format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#).into();
        };
        registry.fault(on(Call::UploadPut).garble(change));
        let finished = push(&registry, &small(), &["v1"]).await;
        assert_pushed(&finished, &registry, &small(), &["v1"]);
        assert_eq!(registry.bytes_uploaded(), size(&small()), "{status} {code}");
    }
}

#[tokio::test]
async fn f45_connection_close() {
    for ignores_expect in [false, true] {
        let registry =
            with_modes(Modes { closes_after_answer: true, ignores_expect, ..Modes::default() });
        let image = ImageBuilder::new(3).layers(2, 500_000).build();
        let finished = push(&registry, &image, &["v1"]).await;
        assert_pushed(&finished, &registry, &image, &["v1"]);
        assert_eq!((receipt(&finished).retries, registry.bytes_uploaded()), (0, size(&image)));
    }
    // Interim answers are no answers, and what comes behind them is heard.
    let registry = TestRegistry::plain();
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n";
    let busy = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let first = AtomicBool::new(true);
    let large = on(Call::UploadPut).matching(move |head| {
        head.headers["content-length"].to_str().unwrap().len() > 5
            && first.swap(false, Ordering::Relaxed)
    });
    let rule = registry.fault(large.raw(format!("{interim}{busy}")));
    let finished = push(&registry, &small(), &["v1"]).await;
    assert_pushed(&finished, &registry, &small(), &["v1"]);
    assert_eq!((rule.fired(), receipt(&finished).retries), (1, 1));
}
