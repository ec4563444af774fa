//! What a registry is beside its faults: content, logins, TLS, and that it can be left.

use std::sync::Arc;

use windlass_oci::Algorithm;
use windlass_testkit::{
    Auth, Call, Client, ImageBuilder, IndexBuilder, Layer, TestCa, TestOptions, TestRegistry,
    TlsOptions, on,
};

use crate::harness::{OCTETS, session, status_of};

#[test]
fn without_faults_an_image_is_taken_and_given_back() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(1)
        .platforms(&["linux/amd64", "linux/arm64"])
        .layers(2, 50_000)
        .shared_layers(1, 50_000)
        .build();
    Client::new(registry.address()).push("a/b", &image, "v1");
    assert!(registry.has_image("a/b", &image));
    assert_eq!(registry.tag("a/b", "v1").as_ref(), Some(image.digest()));
    assert_eq!(registry.tags_set().len(), 1);
    assert!(registry.violations().is_empty());
    let log = registry.log();
    assert_eq!(log.len(), 2 * image.blobs().len() + image.manifests().len() + 1);
    assert!(log.iter().all(|logged| matches!(logged.status, Some(201 | 202))));
    let bytes: u64 = image.blobs().iter().map(|blob| blob.size).sum();
    assert_eq!(registry.bytes_uploaded(), bytes);
    assert_eq!(registry.connections(), 1);
}

#[test]
fn an_image_of_every_kind_can_be_seeded() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(1).docker().layer(Layer::foreign(50, "https://x/y")).build();
    let index = IndexBuilder::new().child(None, &image).build();
    registry.seed("a", &index, Some("v1"));
    let subject = ImageBuilder::new(2).subject(index.root()).artifact_type("a/b").build();
    registry.seed("a", &subject, None);
    assert!(registry.has_image("a", &index) && registry.has_image("a", &subject));
    assert_eq!(registry.log().len(), 0);
    assert!(registry.violations().is_empty());
}

#[test]
fn basic_auth_lets_in_who_knows() {
    let auth = Auth::Basic { user: "user".to_owned(), password: "secret".to_owned() };
    let registry = TestRegistry::start(TestOptions { auth, ..TestOptions::default() });
    let mut client = Client::new(registry.address());
    let got = client.get("/v2/").unwrap();
    assert_eq!((got.status, got.header("www-authenticate")), (401, "Basic realm=\"test\""));
    client.authorize("Basic dXNlcjp3cm9uZw==");
    assert_eq!(client.get("/v2/").unwrap().status, 401);
    client.authorize("Basic dXNlcjpzZWNyZXQ=");
    assert_eq!(client.get("/v2/").unwrap().status, 200);
    let log = registry.log();
    let seen: Vec<_> = log.iter().map(|logged| logged.authorization.as_deref()).collect();
    assert_eq!(seen, [None, Some("basic"), Some("basic")]);
    assert!(log.iter().all(|logged| logged.header("authorization").is_none()));
}

#[test]
fn tls_is_spoken_and_broken() {
    let ca = Arc::new(TestCa::new());
    let tls = Some(TlsOptions::new(&ca));
    let faults = vec![on(Call::UploadPatch).once().reset_after(50_000)];
    let registry = TestRegistry::start(TestOptions { tls, faults, ..TestOptions::default() });
    assert!(registry.url().starts_with("https://"));
    let mut client = Client::tls(registry.address(), &ca);
    assert_eq!(client.put_blob("a", &[7; 100_000]).unwrap(), 201);
    let location = session(&mut client);
    client.send("PATCH", &location, &OCTETS, &[7; 100_000]).unwrap_err();
    status_of(&mut client, &location, |status, range| status == 204 && range == "0-49999");

    // Who does not know the authority does not get far, nor who speaks no TLS.
    Client::tls(registry.address(), &TestCa::new()).get("/v2/").unwrap_err();
    Client::new(registry.address()).get("/v2/").unwrap_err();
}

#[test]
fn certificates_can_be_bad() {
    let ca = Arc::new(TestCa::new());
    let start = |tls| TestRegistry::start(TestOptions { tls: Some(tls), ..TestOptions::default() });
    let expired = start(TlsOptions { is_expired: true, ..TlsOptions::new(&ca) });
    let error = Client::tls(expired.address(), &ca).get("/v2/").unwrap_err();
    assert!(error.to_string().contains("xpired"), "{error}");
    let other = start(TlsOptions { names: vec!["other.test".to_owned()], ..TlsOptions::new(&ca) });
    Client::tls(other.address(), &ca).get("/v2/").unwrap_err();
    let mutual = start(TlsOptions { wants_client_certificate: true, ..TlsOptions::new(&ca) });
    Client::tls(mutual.address(), &ca).get("/v2/").unwrap_err();
    assert!(ca.client_identity("me").key.exists() && ca.pem_file().exists());
}

#[test]
fn content_outlives_the_registry() {
    let place = tempfile::tempdir().unwrap();
    let image = ImageBuilder::new(1).layers(1, 100).algorithm(Algorithm::Sha256).build();
    let start = || {
        let data = Some(place.path().join("data"));
        TestRegistry::start(TestOptions { data, ..TestOptions::default() })
    };
    start().seed("a", &image, Some("v1"));
    let again = start();
    assert!(again.has_image("a", &image));
    assert_eq!(again.tag("a", "v1").as_ref(), Some(image.digest()));
}

#[tokio::test]
async fn it_can_be_used_in_a_runtime_of_one_thread() {
    let registry = TestRegistry::plain();
    registry.seed("a", &ImageBuilder::new(1).build(), Some("v1"));
    registry.vanish();
    registry.come_back();
    let stream = tokio::net::TcpStream::connect(registry.address()).await;
    assert!(stream.is_ok());
}
