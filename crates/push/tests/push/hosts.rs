//! Hosts that are not there, uploads that go on elsewhere, redirects.

use std::sync::Arc;
use std::time::Duration;

use windlass_push::FailureClass;
use windlass_testkit::{
    Auth, Call, Image, ImageBuilder, TestCa, TestOptions, TestRegistry, TlsOptions, on,
};

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
async fn an_upload_at_another_host_goes_without_credentials() {
    let (registry, elsewhere, how) = with_elsewhere();
    // The session is the first server's: the other knows nothing of it and says so.
    registry.fault(on(Call::UploadPost).location_at(&elsewhere.url()));
    let finished = how.push(&registry.host(), &image(), &["v1"]).await;
    assert!(finished.failure.is_some());
    let puts = elsewhere.calls(Call::UploadPut);
    assert!(!puts.is_empty());
    assert!(elsewhere.log().iter().all(|logged| logged.authorization.is_none()));
    assert!(registry.log().iter().any(|logged| logged.authorization.is_some()));
    assert_eq!(registry.calls(Call::TagPut).len(), 0);
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
async fn an_upload_does_not_go_on_without_tls() {
    let ca = Arc::new(TestCa::new());
    let tls = Some(TlsOptions::new(&ca));
    let registry = TestRegistry::start(TestOptions { tls, ..TestOptions::default() });
    let plain = TestRegistry::plain();
    registry.fault(on(Call::UploadPost).location_at(&plain.url()));
    let how = How { ca_file: Some(ca.pem_file()), ..How::default() };
    let finished = how.push(&registry.host(), &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "without TLS");
    assert_eq!(plain.log().len(), 0);
}

#[tokio::test]
async fn a_redirect_to_another_host_goes_without_credentials() {
    let (registry, elsewhere, how) = with_elsewhere();
    registry.fault(on(Call::UploadPost).redirect(307, &elsewhere.url()));
    let finished = how.push(&registry.host(), &image(), &["v1"]).await;
    assert!(elsewhere.log().iter().all(|logged| logged.authorization.is_none()));
    assert_eq!(elsewhere.calls(Call::UploadPut).len(), 3);
    // The blobs are elsewhere, so the manifest must not be taken as complete by us; the registry
    // takes it, and the monitor says what that is worth.
    assert!(finished.failure.is_none());
    assert!(!registry.violations().is_empty());
}

#[tokio::test]
async fn a_redirect_to_itself_takes_the_body_along() {
    let registry = TestRegistry::plain();
    for call in [Call::UploadPost, Call::UploadPut, Call::ManifestPut, Call::TagPut] {
        registry.fault(on(call).once().redirect(307, ""));
        registry.fault(on(call).skip(1).once().redirect(308, ""));
    }
    let finished = push(&registry, &image(), &["v1", "v2"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1", "v2"]);
}

#[tokio::test]
async fn a_redirect_that_would_turn_a_write_into_a_read_is_an_error() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::ManifestPut).redirect(302, ""));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "would turn it into a GET");
    assert_eq!(registry.calls(Call::TagPut).len(), 0);
}

#[tokio::test]
async fn locations_are_used_as_they_are() {
    let relative = TestRegistry::plain();
    relative.fault(on(Call::UploadPost).relative_location());
    let finished = push(&relative, &image(), &["v1"]).await;
    assert_pushed(&finished, &relative, &image(), &["v1"]);

    let absolute = TestRegistry::plain();
    absolute.fault(on(Call::UploadPost).location_at(&absolute.url()));
    let finished = push(&absolute, &image(), &["v1"]).await;
    assert_pushed(&finished, &absolute, &image(), &["v1"]);

    // Opaque queries keep their bytes, long ones too.
    let opaque = TestRegistry::plain();
    let state = format!("?_state=a%2Bb%3D%3D&x=&y={}", "Z9-_~".repeat(800));
    let query = state.clone();
    opaque.fault(on(Call::UploadPost).garble(move |_, reply| {
        let location = reply.headers.get("location").unwrap().to_str().unwrap().to_owned();
        reply.headers.insert("location", format!("{location}{query}").parse().unwrap());
    }));
    let finished = push(&opaque, &image(), &["v1"]).await;
    assert_pushed(&finished, &opaque, &image(), &["v1"]);
    let puts = opaque.calls(Call::UploadPut);
    assert!(puts.iter().all(|put| put.path.contains(&format!("{state}&digest=sha256:"))));
}

#[tokio::test]
async fn an_upload_without_a_location_is_an_error_that_says_so() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPost).without_header("location"));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "without a Location");
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
