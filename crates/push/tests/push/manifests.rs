//! Manifests: lost replies, wrong answers, parts that are missing after all.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use windlass_push::FailureClass;
use windlass_testkit::{Call, Image, ImageBuilder, IndexBuilder, TestOptions, TestRegistry, on};

use crate::harness::*;

fn image() -> Image {
    ImageBuilder::new(1).layers(2, 1000).build()
}

#[tokio::test]
async fn a_lost_reply_to_a_manifest_is_asked_after() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::ManifestPut).once().lose_reply());
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    assert_eq!(registry.calls(Call::ManifestPut).len(), 1);
}

#[tokio::test]
async fn a_root_that_is_there_without_its_parts_is_repaired_when_the_registry_says_so() {
    let registry =
        TestRegistry::start(TestOptions { refuses_incomplete: true, ..TestOptions::default() });
    let image = image();
    registry.fault(on(Call::ManifestHead).digest(image.digest()).once().status(200));
    registry.fault(on(Call::TagPut).once().refuse(404, "MANIFEST_UNKNOWN", "manifest unknown"));
    let finished = push(&registry, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
}

#[tokio::test]
async fn a_tag_that_is_refused_for_missing_parts_again_is_tried_again_but_not_for_ever() {
    for (times, is_pushed) in [(3, true), (4, false)] {
        let registry = TestRegistry::plain();
        let missing = on(Call::TagPut).times(times);
        registry.fault(missing.refuse(404, "MANIFEST_BLOB_UNKNOWN", "blob unknown"));
        let finished = push(&registry, &image(), &["v1"]).await;
        assert_eq!(finished.failure.is_none(), is_pushed, "{times}");
    }
}

/// Answers HEAD with 404 and all else with a refusal that does not end before `MOST` bytes of it
/// are out. Counts them.
fn endless(listener: &TcpListener, written: &AtomicUsize) {
    while let Ok((stream, _)) = listener.accept() {
        let mut reader = BufReader::new(&stream);
        let mut line = String::new();
        let mut is_head = false;
        while reader.read_line(&mut line).is_ok_and(|length| length > 0) {
            is_head |= line.starts_with("HEAD ");
            if line != "\r\n" {
                line.clear();
                continue;
            }
            let status = if is_head { "404 Not Found" } else { "400 Bad Request" };
            let length = if is_head { 0 } else { MOST * 2 };
            let mut stream = &stream;
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n");
            let mut said = stream.write_all(head.as_bytes());
            while !is_head && said.is_ok() && written.load(Ordering::Relaxed) < MOST {
                said = stream.write_all(&[b'x'; 1 << 16]);
                written.fetch_add(1 << 16, Ordering::Relaxed);
            }
            if !is_head || said.is_err() {
                break;
            }
            (is_head, line) = (false, String::new());
        }
    }
}

const MOST: usize = 256 << 20;

#[tokio::test]
async fn no_more_of_an_error_body_is_read_than_is_looked_at() {
    let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let host = listener.local_addr().unwrap().to_string();
    let written = Arc::new(AtomicUsize::new(0));
    for _ in 0..16 {
        let (listener, written) = (listener.clone(), written.clone());
        std::thread::spawn(move || endless(&listener, &written));
    }
    let finished = How::default().push(&host, &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "400");
    // What sockets swallow is more than what was read.
    let written = written.load(Ordering::Relaxed);
    assert!(written < MOST / 4, "{written} bytes");
}

#[tokio::test]
async fn a_root_whose_parts_the_registry_says_are_missing_is_not_trusted() {
    let registry = TestRegistry::plain();
    let image = image();
    // The root is there and nothing else, as after a clean-up that went too far.
    let blobs = image.blobs();
    let root = blobs.iter().fold(image.clone(), |image, blob| image.without(&blob.digest));
    registry.seed("app", &root, None);
    let finished = push(&registry, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(receipt(&finished).blobs.uploaded, 3);
}

#[tokio::test]
async fn a_child_whose_parts_the_registry_says_are_missing_is_brought_again() {
    let child = ImageBuilder::new(3).layers(2, 1000).build();
    let other = ImageBuilder::new(4).layers(2, 1000).build();
    let nested = IndexBuilder::new().child(None, &child).build();
    let image = IndexBuilder::new().child(None, &nested).child(None, &other).build();
    for seeded in [&child, &nested, &image] {
        for gone in child.blobs() {
            let registry = TestRegistry::plain();
            registry.seed("app", &seeded.clone().without(&gone.digest), None);
            let finished = push(&registry, &image, &["v1"]).await;
            assert_pushed(&finished, &registry, &image, &["v1"]);
        }
    }
    // And a manifest that is gone below one that is there.
    let registry = TestRegistry::plain();
    registry.seed("app", &nested.clone().without(child.digest()), None);
    let finished = push(&registry, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
}

#[tokio::test]
async fn what_was_there_before_is_asked_for_again_by_the_next_push() {
    let registry = TestRegistry::plain();
    let how = How::default();
    let pusher = how.pusher(&registry.host());
    let repositories = [format!("{}/app", registry.host())];
    let first = in_time(pusher.push(how.job(&image(), &repositories, &["v1"]).await)).await;
    assert_pushed(&first, &registry, &image(), &["v1"]);
    // The registry loses everything, or says so.
    registry.fault(on(Call::BlobHead).answer(404));
    registry.fault(on(Call::ManifestHead).answer(404));
    let again = in_time(pusher.push(how.job(&image(), &repositories, &["v1"]).await)).await;
    assert!(again.failure.is_none(), "{:?}", again.failure);
    assert_eq!(receipt(&again).blobs.uploaded, 3);
}

#[tokio::test]
async fn a_page_for_people_is_no_answer_of_a_registry() {
    // A proxy that leads every question to its login page.
    let registry = TestRegistry::plain();
    for call in [Call::BlobHead, Call::ManifestHead, Call::ManifestPut, Call::TagPut] {
        let page = on(call).answer(200).header("content-type", "text/html; charset=utf-8");
        registry.fault(page.body("<html>Log in</html>"));
    }
    for tags in [&[][..], &["v1"]] {
        let finished = push(&registry, &image(), tags).await;
        assert_failed(&finished, FailureClass::Rejected, "200 OK to a manifest");
    }
}

#[tokio::test]
async fn an_odd_success_is_looked_into() {
    let registry = TestRegistry::plain();
    for call in [Call::ManifestPut, Call::TagPut, Call::UploadPut] {
        registry.fault(on(call).status(202));
    }
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    // Says yes to everything, and does nothing.
    for call in [Call::UploadPost, Call::UploadPut, Call::ManifestPut] {
        let registry = TestRegistry::plain();
        registry.fault(on(call).answer(if call == Call::UploadPost { 201 } else { 204 }));
        let finished = push(&registry, &image(), &["v1"]).await;
        assert!(finished.failure.is_some(), "{call:?}");
        assert_eq!(registry.calls(Call::TagPut).len(), 0);
    }
}
