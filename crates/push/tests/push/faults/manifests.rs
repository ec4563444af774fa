//! Faults at manifests and tags, and of the registry as a whole.

use std::time::Duration;

use windlass_push::TagStatus::{Created, Failed, Skipped, Unchanged};
use windlass_push::{FailureClass, Interrupt};
use windlass_testkit::{Call, Gate, Image, ImageBuilder, TestOptions, TestRegistry, on, on_any};

use crate::harness::*;

fn image() -> Image {
    ImageBuilder::new(1).layers(2, 1000).build()
}

fn soon() -> How {
    How { retry_for: Duration::from_millis(500), ..How::default() }
}

#[tokio::test]
async fn f24_wrong_or_missing_digest_header() {
    // The same algorithm, and another digest: something else was stored.
    let registry = TestRegistry::plain();
    let wrong = windlass_oci::Digest::sha256(b"something else");
    registry.fault(on(Call::ManifestPut).with_header("docker-content-digest", wrong.as_str()));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "it stored sha256:");
    assert_eq!(registry.calls(Call::TagPut).len(), 0);

    // Another algorithm, or no header at all.
    let other = windlass_oci::Digest::of(windlass_oci::Algorithm::Sha512, b"the same, who knows");
    for header in [Some(other.as_str()), None] {
        let registry = TestRegistry::plain();
        let puts = [Call::ManifestPut, Call::TagPut, Call::UploadPut];
        let heads = [Call::ManifestHead, Call::BlobHead];
        for call in puts.into_iter().chain(heads.into_iter().filter(|_| header.is_none())) {
            registry.fault(match header {
                Some(digest) => on(call).with_header("docker-content-digest", digest),
                None => on(call).without_header("docker-content-digest"),
            });
        }
        let finished = push(&registry, &image(), &["v1"]).await;
        assert_pushed(&finished, &registry, &image(), &["v1"]);
        assert_eq!(receipt(&finished).retries, 0);
        let again = push(&registry, &image(), &["v1"]).await;
        assert_pushed(&again, &registry, &image(), &["v1"]);
        assert_eq!(tags(&again), [Unchanged]);
    }
}

#[tokio::test]
async fn f37_manifest_blob_unknown_eventual() {
    // Says of a blob that it is there when it is not, and refuses the manifest for that.
    let registry =
        TestRegistry::start(TestOptions { refuses_incomplete: true, ..TestOptions::default() });
    let image = image();
    registry.fault(on(Call::BlobHead).digest(&image.blobs()[1].digest).once().status(200));
    let finished = push(&registry, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(registry.calls(Call::ManifestPut).len(), 2);
    assert_eq!(registry.bytes_uploaded(), size(&image));

    // Everything is there, and the registry needs a moment to see it.
    for (status, code) in
        [(400, "MANIFEST_BLOB_UNKNOWN"), (400, "BLOB_UNKNOWN"), (404, "MANIFEST_BLOB_UNKNOWN")]
    {
        let registry = TestRegistry::plain();
        registry.fault(on(Call::ManifestPut).times(3).refuse(status, code, "blob unknown"));
        let finished = push(&registry, &image, &["v1"]).await;
        assert_pushed(&finished, &registry, &image, &["v1"]);
        assert_eq!(registry.calls(Call::ManifestPut).len(), 4, "{status} {code}");
        assert_eq!(registry.bytes_uploaded(), size(&image), "{status} {code}");
    }

    // It never does: at once, and while time lasts.
    let registry = TestRegistry::plain();
    let words = "blob unknown to registry";
    let rule = registry.fault(on(Call::ManifestPut).refuse(400, "MANIFEST_BLOB_UNKNOWN", words));
    let finished = soon().push(&registry.host(), &image, &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, words);
    assert!((2..=6).contains(&rule.fired()), "{}", rule.fired());
    assert_eq!(registry.calls(Call::TagPut).len(), 0);
}

#[tokio::test]
async fn f38_immutable_tag() {
    // As many ways as registries have to say so.
    let refusals = [
        (400, "TAG_INVALID"),
        (403, "DENIED"),
        (405, "UNSUPPORTED"),
        (409, "CONFLICT"),
        (412, "PRECONDITION"),
        (400, "BLOB_UPLOAD_INVALID"),
    ];
    for (status, code) in refusals {
        let registry = TestRegistry::plain();
        registry.fault(on(Call::TagPut).tag("v2").refuse(status, code, "it is immutable"));
        let finished = push(&registry, &image(), &["v1", "v2", "v3"]).await;
        assert_failed(&finished, FailureClass::Tag, "it is immutable");
        assert_eq!(tags(&finished), [Created, Failed, Skipped], "{status}");
        assert_eq!(registry.tag("app", "v1").as_ref(), Some(image().digest()));
        assert_eq!(registry.tag("app", "v3"), None);
        assert_eq!(registry.calls(Call::TagPut).len(), 2);
        assert!(failure(&finished).hint().unwrap().contains("by its digest"));

        // It names the image already, and did not tell so before: registries that let nobody read.
        let registry = TestRegistry::plain();
        registry.fault(on(Call::ManifestHead).tag("v1").once().answer(403));
        registry.fault(on(Call::TagPut).refuse(status, code, "it is immutable"));
        registry.seed("app", &image(), Some("v1"));
        let finished = push(&registry, &image(), &["v1"]).await;
        assert_pushed(&finished, &registry, &image(), &["v1"]);
        assert_eq!(registry.calls(Call::TagPut).len(), 1);
    }
}

#[tokio::test]
async fn f39_manifest_refused() {
    for (status, code, words) in [
        (413, "SIZE_INVALID", "too large"),
        (400, "MANIFEST_INVALID", "too large a manifest"),
        (415, "MANIFEST_INVALID", "unknown type"),
        (405, "UNSUPPORTED", "no artifacts here"),
    ] {
        let registry = TestRegistry::plain();
        let rule = registry.fault(on(Call::ManifestPut).refuse(status, code, words));
        let finished = push(&registry, &image(), &["v1"]).await;
        assert_failed(&finished, FailureClass::Rejected, words);
        assert_eq!((rule.fired(), receipt(&finished).retries), (1, 0));
        assert_eq!(registry.calls(Call::TagPut).len(), 0);
    }
}

#[tokio::test]
async fn f42_read_only() {
    for (call, status, code, class, hint) in [
        (Call::UploadPost, 405, "UNSUPPORTED", FailureClass::Rejected, "read-only"),
        (Call::UploadPost, 404, "NAME_UNKNOWN", FailureClass::Rejected, "does not create it"),
        (Call::UploadPost, 403, "DENIED", FailureClass::Authentication, "right to push"),
        (Call::UploadPost, 401, "UNAUTHORIZED", FailureClass::Authentication, "log in"),
        (Call::UploadPut, 403, "DENIED", FailureClass::Authentication, "right to push"),
    ] {
        let registry = TestRegistry::plain();
        let words = "not here, not now";
        let rule = registry.fault(on(call).refuse(status, code, words).after_body());
        let finished = push(&registry, &image(), &["v1"]).await;
        assert_failed(&finished, class, words);
        let told = failure(&finished).hint().unwrap();
        assert!(told.contains(hint), "{call:?} {status}: {told}");
        // Each blob once at most, since they go side by side; nothing is tried again.
        assert!(rule.fired() <= 3, "{call:?} {status}: {}", rule.fired());
        assert_eq!(receipt(&finished).retries, 0, "{call:?} {status}");
        assert_eq!(counts(&registry, [Call::ManifestPut, Call::TagPut]), [0, 0]);
    }
}

#[tokio::test]
async fn f43_junk_errors() {
    let html = "<html><head><title>413 Request Entity Too Large</title></head></html>".to_owned();
    let junk = [
        html,
        "x".repeat(10 << 20),
        String::new(),
        r#"{"errors":[{"code":"DENIED","mess"#.to_owned(),
        r#"{"errors":null}"#.to_owned(),
        "\u{1b}[31mred\u{7}".to_owned(),
    ];
    for body in junk {
        let registry = TestRegistry::plain();
        registry.fault(on(Call::ManifestPut).answer(400).body(body));
        let finished = push(&registry, &image(), &["v1"]).await;
        assert_failed(&finished, FailureClass::Rejected, "400");
        let words = failure(&finished).to_string();
        assert!(words.len() < 2000 && !words.contains('\u{1b}'), "{words}");
    }
    // A HEAD with a body, which no HEAD has.
    let registry = TestRegistry::plain();
    let head = "HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\nconnection: close\r\n\r\nnot found";
    registry.fault(on(Call::BlobHead).raw(head));
    registry.fault(on(Call::ManifestHead).raw(head));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
}

#[tokio::test]
async fn f44_warning_spam() {
    let registry = TestRegistry::plain();
    registry.fault(on_any(&[]).garble(|head, reply| {
        for warning in
            ["299 - \"same\"", "299 - \"same\"", "199 - \"other\"", "nonsense", "299 - \""]
        {
            reply.headers.append("warning", warning.parse().unwrap());
        }
        for number in 0..10 {
            let own = format!("299 - \"{number} of {}\"", head.path);
            reply.headers.append("warning", own.parse().unwrap());
        }
    }));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    assert_eq!(receipt(&finished).retries, 0);
    let warnings = &receipt(&finished).warnings;
    let distinct: std::collections::HashSet<_> = warnings.iter().collect();
    assert_eq!((warnings.len(), distinct.len()), (32, 32));
    assert!(warnings.iter().all(|words| !words.contains("other") && !words.contains("nonsense")));
}

/// The server goes away at each request in turn, before it has done its work or after, and comes
/// back with what it has stored.
#[tokio::test]
async fn f48_crash_restart() {
    let image = ImageBuilder::new(1).layers(1, 100_000).build();
    let clean = TestRegistry::plain();
    assert_pushed(&push(&clean, &image, &["v1"]).await, &clean, &image, &["v1"]);
    let requests = clean.log().len();
    for place in 0..requests {
        for after_work in [false, true] {
            let registry = TestRegistry::plain();
            let how = How::default();
            let pusher = how.pusher(&registry.host());
            let silent = || std::sync::Arc::new(windlass_push::Silent);
            let job = how.job(&image, &[format!("{}/app", registry.host())], &["v1"]).await;
            let jobs = [job];
            // A host that never answered is not waited for as long.
            let planned = pusher.plan_only(&jobs, silent(), std::future::pending()).await;
            assert!(planned.failure.is_none());
            let when = on_any(&[]).skip(place).once();
            let gone =
                registry.fault(if after_work { when.vanish_after_work() } else { when.vanish() });
            let come_back = async {
                while gone.fired() == 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                registry.come_back();
            };
            let pushing = in_time(pusher.push_all(&jobs, silent(), std::future::pending()));
            let (finished, ()) = tokio::join!(pushing, in_time(come_back));
            assert_pushed(&finished, &registry, &image, &["v1"]);
            // At most what was on its way goes again.
            assert!(registry.bytes_uploaded() <= 2 * size(&image), "at {place}");
        }
    }
    // We go away at each request in turn, and another push goes on.
    for place in 0..requests {
        let registry = TestRegistry::plain();
        let gate = Gate::new();
        registry.fault(on_any(&[]).skip(place).once().hold(&gate));
        let how = How::default();
        let job = how.job(&image, &[format!("{}/app", registry.host())], &["v1"]).await;
        let reached = gate.clone();
        let stop = async move {
            reached.wait_for(1).await;
            Interrupt::Terminate
        };
        let silent = std::sync::Arc::new(windlass_push::Silent);
        let pusher = how.pusher(&registry.host());
        let stopped = in_time(pusher.push_all(&[job], silent, stop)).await;
        assert_failed(&stopped, FailureClass::Terminated, "terminated");
        gate.open();
        let finished = push(&registry, &image, &["v1"]).await;
        assert_pushed(&finished, &registry, &image, &["v1"]);
    }
}
