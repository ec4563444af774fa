//! Hosts that are not there, uploads that go on elsewhere, redirects.

use std::time::Duration;

use windlass_push::FailureClass;
use windlass_testkit::{Auth, Call, Image, ImageBuilder, TestOptions, TestRegistry, on};

use crate::harness::*;

fn image() -> Image {
    ImageBuilder::new(1).layers(2, 100_000).build()
}

#[tokio::test]
async fn a_host_name_with_a_typo_fails_at_once() {
    let finished = How::default().push("registry.invalid", &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Unreachable, "cannot be resolved");
    assert!(failure(&finished).hint().unwrap().contains("registry.invalid spelled right"));
    assert_eq!(receipt(&finished).retries, 0);
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_given_up_soon() {
    // Bound and let go: nobody else gets it soon.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let how = How { retry_for: Duration::from_millis(300), ..How::default() };
    let finished = how.push(&format!("127.0.0.1:{port}"), &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Unreachable, "no connection");
    assert!(failure(&finished).hint().unwrap().contains("windlass serve"));
    assert!(receipt(&finished).retries > 0, "it may just be starting");
}

/// A registry that wants a password and whose uploads are taken in by another server.
fn with_elsewhere() -> (TestRegistry, TestRegistry, How) {
    let auth = Auth::Basic { user: "me".to_owned(), password: "secret".to_owned() };
    let registry = TestRegistry::start(TestOptions { auth, ..TestOptions::default() });
    let elsewhere = TestRegistry::start(TestOptions {
        data: None,
        forgives_violations: true,
        ..TestOptions::default()
    });
    let retry_for = Duration::from_millis(500);
    let how = How { login: Some(("me", "secret")), retry_for, ..How::default() };
    (registry, elsewhere, how)
}

#[tokio::test]
async fn the_words_of_another_host_are_not_told() {
    let (registry, elsewhere, how) = with_elsewhere();
    registry.fault(on(Call::UploadPost).location_at(&elsewhere.url()));
    // As storage hosts do: the words hold what the location was signed with.
    let words = "SignatureDoesNotMatch: hunter2";
    elsewhere.fault(on(Call::UploadPut).refuse(403, "DENIED", words));
    let finished = how.push(&registry.host(), &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Authentication, "403");
    let told = format!("{} {:?}", failure(&finished), finished);
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn a_host_that_will_not_tell_is_pushed_to_all_the_same() {
    // Push-only roles, GHCR, Artifactory: 403 to every HEAD.
    let registry = TestRegistry::plain();
    registry.fault(on(Call::BlobHead).answer(403));
    registry.fault(on(Call::ManifestHead).answer(403));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
}
