//! Registries that want to be left alone for a while.

use std::time::{Duration, SystemTime};

use windlass_push::FailureClass;
use windlass_testkit::{Call, Image, ImageBuilder, TestRegistry, on};

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
async fn a_pause_in_seconds_is_kept_by_the_whole_host() {
    let registry = TestRegistry::plain();
    push_into_a_pause(&registry, "1").await;
    assert_left_alone(&registry, |limited| limited + Duration::from_millis(990));
}

#[tokio::test]
async fn a_pause_until_a_date_is_kept_by_the_whole_host() {
    let registry = TestRegistry::plain();
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3));
    push_into_a_pause(&registry, &date).await;
    // Dates have whole seconds: three of them are at least two from now, and the log began before that.
    assert_left_alone(&registry, |_| Duration::from_millis(1990));
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
async fn a_limit_by_another_name_is_one() {
    let registry = TestRegistry::plain();
    let words = "You have exceeded a secondary rate limit. Please wait a few minutes";
    registry.fault(on(Call::UploadPost).times(3).refuse(403, "DENIED", words));
    registry.fault(on(Call::ManifestPut).once().refuse(
        429,
        "TOOMANYREQUESTS",
        "retry-after: 10.305464ms, allowed: 2000/minute",
    ));
    registry.fault(on(Call::TagPut).once().answer(429).body("<html>429 Too Many Requests</html>"));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
}
