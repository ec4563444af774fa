//! Registries that want to be left alone for a while.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use windlass_push::FailureClass;
use windlass_testkit::{Call, Image, ImageBuilder, Layer, TestRegistry, on, on_any};

use crate::harness::*;

fn image() -> Image {
    ImageBuilder::new(1).layers(6, 300_000).build()
}

/// Nothing but what went out together with the refused request was asked before the end of its pause,
/// as the registry saw it.
#[track_caller]
fn assert_left_alone(registry: &TestRegistry, end: impl FnOnce(Duration) -> Duration) {
    let log = registry.log();
    let limited = log.iter().find(|logged| logged.status == Some(429)).expect("a 429");
    let end = end(limited.at);
    let early: Vec<_> = log
        .iter()
        .filter(|logged| logged.at > limited.at && logged.at < end)
        .filter(|logged| logged.call != Call::UploadPost)
        .collect();
    assert!(early.is_empty(), "asked during the pause: {early:?}");
    assert!(log.iter().any(|logged| logged.at >= end));
}

/// One of the uploads is refused for a while; the others are opened some time after that, when
/// only the pause holds back what comes next.
async fn push_into_a_pause(registry: &TestRegistry, retry_after: &str) {
    let limited = on(Call::UploadPost).skip(2).once().answer(429);
    registry.fault(limited.header("retry-after", retry_after));
    registry.fault(on(Call::UploadPost).delay(Duration::from_millis(600)));
    let finished = push(registry, &image(), &["v1"]).await;
    assert_pushed(&finished, registry, &image(), &["v1"]);
}

#[tokio::test]
async fn a_pause_that_is_longer_than_patience_is_not_waited_for() {
    let registry = TestRegistry::plain();
    let limited = on(Call::UploadPost).answer(429).header("retry-after", "3600");
    registry.fault(limited.error("TOOMANYREQUESTS", "come back in an hour"));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Unreachable, "come back in an hour");
}

#[tokio::test]
async fn standing_in_line_behind_a_body_that_moves_is_no_time_without_progress() {
    let (first, second) = (400_000, 300_000);
    let image =
        ImageBuilder::new(2).layer(Layer::seeded(1, first)).layer(Layer::seeded(2, second)).build();
    let blob = |size: u64| {
        let blobs = image.blobs();
        blobs.iter().find(|blob| blob.size == size).expect("a layer").digest.clone()
    };
    let registry = TestRegistry::plain();
    let retry_for = Duration::from_secs(1);
    // One body at a time, the largest first, and it takes longer than patience lasts.
    let slow = on(Call::UploadPut).digest(&blob(first));
    registry.fault(slow.delay(retry_for + Duration::from_millis(100)));
    // The other is in trouble before it stands in line, and twice more after that.
    registry.fault(on(Call::UploadPost).skip(1).times(2).answer(503));
    let refused = registry.fault(on(Call::UploadPut).digest(&blob(second)).times(2).answer(503));
    let how = How { retry_for, jobs: 1, ..How::default() };
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(refused.fired(), 2);
}

#[tokio::test]
async fn f07_429_seconds() {
    let registry = TestRegistry::plain();
    push_into_a_pause(&registry, "1").await;
    assert_left_alone(&registry, |limited| limited + Duration::from_millis(990));
}

#[tokio::test]
async fn f08_429_date() {
    let registry = TestRegistry::plain();
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3));
    push_into_a_pause(&registry, &date).await;
    // Dates have whole seconds: three of them are at least two from now, and the log began before that.
    assert_left_alone(&registry, |_| Duration::from_millis(1990));
}

#[tokio::test]
async fn f09_429_in_message() {
    let registry = TestRegistry::plain();
    // GHCR's words, a page for people, and a header that cannot be read.
    let words = "retry-after: 10.305464ms, allowed: 2000/minute";
    registry.fault(on(Call::ManifestPut).once().refuse(429, "TOOMANYREQUESTS", words));
    registry.fault(on(Call::TagPut).once().answer(429).body("<html>429 Too Many Requests</html>"));
    registry.fault(on(Call::UploadPost).once().answer(429).header("retry-after", "soon"));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    assert_eq!(registry.unused_rules().len(), 0);
    assert_eq!(receipt(&finished).retries, 3);

    // What cannot be read does not hide that it is a 429.
    let registry = TestRegistry::plain();
    registry.fault(on(Call::TagPut).answer(429).body("<html>").header("retry-after", "soon"));
    let how = How { retry_for: Duration::from_millis(300), ..How::default() };
    let finished = how.push(&registry.host(), &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Unreachable, "429");
}

#[tokio::test]
async fn f10_403_rate_limit() {
    let registry = TestRegistry::plain();
    let words = "You have exceeded a secondary rate limit. Please wait a few minutes";
    let limited = registry.fault(on(Call::UploadPost).times(3).refuse(403, "DENIED", words));
    // Push-only roles, GHCR, Artifactory: 403 to every HEAD.
    registry.fault(on(Call::BlobHead).answer(403));
    registry.fault(on(Call::ManifestHead).answer(403));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    assert_eq!((limited.fired(), receipt(&finished).retries), (3, 3));
    // One that says nothing of limits stands.
    let registry = TestRegistry::plain();
    let denied = registry.fault(on(Call::UploadPost).once().refuse(403, "DENIED", "not you"));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Authentication, "not you");
    assert_eq!(denied.fired(), 1);
}

#[tokio::test]
async fn every_tenth_request_is_refused_and_the_host_left_alone_for_as_long_as_it_says() {
    const PAUSE: Duration = Duration::from_secs(2);
    // Answers take longer than requests may cross with a refusal that is on its way: whoever goes on
    // as if nothing had been said asks again in the pause, when the next answers come.
    const ANSWER: Duration = Duration::from_millis(600);
    const CROSSING: Duration = Duration::from_millis(400);
    let registry = TestRegistry::plain();
    let asked = AtomicUsize::new(0);
    let tenth = on_any(&[])
        .matching(move |_| asked.fetch_add(1, Ordering::Relaxed) % 10 == 9)
        .answer(429)
        .header("retry-after", "2");
    let tenth = registry.fault(tenth);
    registry.fault(on_any(&[]).delay(ANSWER));
    let image = ImageBuilder::new(1).layers(4, 300_000).build();
    let finished = push(&registry, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert!(tenth.fired() >= 2);
    let log = registry.log();
    for limited in log.iter().filter(|logged| logged.status == Some(429)) {
        let pause = limited.at + CROSSING..limited.at + PAUSE;
        let early: Vec<_> = log.iter().filter(|logged| pause.contains(&logged.at)).collect();
        assert!(early.is_empty(), "asked in the pause after {limited:?}: {early:?}");
    }
    assert_eq!(registry.bytes_uploaded(), size(&image));
}
