//! Faults of the way from one request to the next: where it says that an upload goes on.

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

/// A registry that wants a password and whose uploads are taken in by another server.
fn with_elsewhere() -> (TestRegistry, TestRegistry, How) {
    let auth = Auth::Basic { user: "me".to_owned(), password: "secret".to_owned() };
    let registry = TestRegistry::start(TestOptions { auth, ..TestOptions::default() });
    let elsewhere = TestRegistry::plain();
    let retry_for = Duration::from_millis(500);
    let how = How { login: Some(("me", "secret")), retry_for, ..How::default() };
    (registry, elsewhere, how)
}

#[tokio::test]
async fn f19_relative_location() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPost).relative_location());
    registry.fault(on(Call::UploadPatch).relative_location());
    let how = How { chunk_size: Some(40_000), ..How::default() };
    let finished = how.push(&registry.host(), &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    assert_eq!((receipt(&finished).retries, registry.bytes_uploaded()), (0, size(&image())));
}

#[tokio::test]
async fn f20_cross_host() {
    // By another name, with all that it was given.
    let registry = TestRegistry::plain();
    let by_name = format!("http://localhost:{}", registry.address().port());
    registry.fault(on(Call::UploadPost).location_at(&by_name));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    let puts = registry.calls(Call::UploadPut);
    assert!(puts.iter().all(|put| put.header("host").unwrap().starts_with("localhost:")));

    // To another server without credentials.
    let (registry, elsewhere, how) = with_elsewhere();
    // The session is the first server's: the other knows nothing of it and says so.
    registry.fault(on(Call::UploadPost).location_at(&elsewhere.url()));
    let finished = how.push(&registry.host(), &image(), &["v1"]).await;
    assert!(finished.failure.is_some());
    assert!(!elsewhere.calls(Call::UploadPut).is_empty());
    assert!(elsewhere.log().iter().all(|logged| logged.authorization.is_none()));
    assert!(registry.log().iter().any(|logged| logged.authorization.is_some()));
    assert_eq!(registry.calls(Call::TagPut).len(), 0);

    // From https to http not at all.
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
async fn f21_opaque_query() {
    let registry = TestRegistry::plain();
    let long = format!("?_state=a%2Bb%3D%3D&x=&y={}", "Z9-_~".repeat(800));
    for (query, joined) in [(long.as_str(), "&"), ("?", "")] {
        let (registry, added) = (TestRegistry::plain(), query.to_owned());
        registry.fault(on(Call::UploadPost).garble(move |_, reply| {
            let location = reply.headers.get("location").unwrap().to_str().unwrap().to_owned();
            reply.headers.insert("location", format!("{location}{added}").parse().unwrap());
        }));
        let finished = push(&registry, &image(), &["v1"]).await;
        assert_pushed(&finished, &registry, &image(), &["v1"]);
        let expected = format!("{query}{joined}digest=sha256:");
        let puts = registry.calls(Call::UploadPut);
        assert!(puts.iter().all(|put| put.path.contains(&expected)), "{puts:?}");
        assert_eq!(registry.bytes_uploaded(), size(&image()));
    }
    drop(registry);
}

#[tokio::test]
async fn f22_redirect() {
    // To itself, body and credentials included.
    let registry = TestRegistry::plain();
    for call in [Call::UploadPost, Call::UploadPut, Call::ManifestPut, Call::TagPut] {
        registry.fault(on(call).once().redirect(307, ""));
        registry.fault(on(call).skip(1).once().redirect(308, ""));
    }
    let finished = push(&registry, &image(), &["v1", "v2"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1", "v2"]);
    assert_eq!(receipt(&finished).retries, 0);

    // To another host without credentials.
    let (registry, elsewhere, how) = with_elsewhere();
    registry.fault(on(Call::UploadPost).redirect(307, &elsewhere.url()));
    let finished = how.push(&registry.host(), &image(), &["v1"]).await;
    assert!(elsewhere.log().iter().all(|logged| logged.authorization.is_none()));
    assert_eq!(elsewhere.calls(Call::UploadPut).len(), 3);
    // The blobs are elsewhere; this registry takes the manifest all the same, and the monitor says
    // what that is worth.
    assert!(finished.failure.is_none());
    assert!(!registry.violations().is_empty());

    // One that would turn a write into a read, and a page in the place of an answer.
    for status in [301, 302, 303] {
        let registry = TestRegistry::plain();
        let rule = registry.fault(on(Call::ManifestPut).redirect(status, ""));
        let finished = push(&registry, &image(), &["v1"]).await;
        assert_failed(&finished, FailureClass::Rejected, "would turn it into a GET");
        assert_eq!((rule.fired(), registry.calls(Call::TagPut).len()), (1, 0));
    }
    for call in [Call::UploadPut, Call::ManifestPut] {
        let registry = TestRegistry::plain();
        let page = on(call).answer(200).header("content-type", "text/html").body("<html>");
        registry.fault(page);
        let finished = push(&registry, &image(), &["v1"]).await;
        assert_failed(&finished, FailureClass::Rejected, "200 OK");
        assert_eq!(registry.calls(Call::TagPut).len(), 0);
    }
}

#[tokio::test]
async fn f23_missing_location() {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPost).without_header("location"));
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "without a Location");
    assert_eq!(registry.calls(Call::TagPut).len(), 0);
    // Where something is done, nobody needs it; where it goes on, the last one is good.
    let registry = TestRegistry::plain();
    for call in [Call::UploadPatch, Call::UploadPut, Call::ManifestPut, Call::TagPut] {
        registry.fault(on(call).without_header("location"));
    }
    let how = How { chunk_size: Some(40_000), ..How::default() };
    let finished = how.push(&registry.host(), &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    assert_eq!((receipt(&finished).retries, registry.bytes_uploaded()), (0, size(&image())));
}
