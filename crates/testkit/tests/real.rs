//! Real registries, where the machine has them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass_testkit::{
    Client, ImageBuilder, Link, LinkAction, LinkFault, LinkOptions, LinkPoint, RealOptions,
    RealRegistry, Scope, Signer, TestCa, TlsOptions, TokenOptions, TokenServer,
};

#[test]
fn an_image_is_taken_and_every_request_is_in_the_log() {
    let Some(registry) = RealRegistry::start(&RealOptions::default()) else { return };
    let image = ImageBuilder::new(1).layers(2, 100_000).platforms(&["linux/amd64"]).build();
    Client::new(registry.address()).push("a/b", &image, "v1");
    let requests = 2 * image.blobs().len() + image.manifests().len() + 1;
    let log = registry.log(requests);
    assert_eq!(log.len(), requests);
    assert_eq!(log[0].method, "POST");
    assert_eq!(log[0].path, "/v2/a/b/blobs/uploads/");
    assert_eq!(log[0].status, 202);
    assert_eq!(log[requests - 1].path, "/v2/a/b/manifests/v1");
    assert!(log.iter().all(|logged| matches!(logged.status, 201 | 202)), "{log:?}");
}

#[test]
fn its_content_survives_a_crash() {
    let Some(mut registry) = RealRegistry::start(&RealOptions::default()) else { return };
    let mut client = Client::new(registry.address());
    assert_eq!(client.put_blob("a", b"hello").unwrap(), 201);
    registry.kill();
    client.get("/v2/").unwrap_err();
    registry.restart();
    let digest = windlass_oci::Digest::sha256(b"hello");
    let got = client.send("HEAD", &format!("/v2/a/blobs/{digest}"), &[], b"").unwrap();
    assert_eq!(got.status, 200);
    assert!(registry.data().exists());
}

#[test]
fn it_lets_in_by_password() {
    let users = vec![("me".to_owned(), "pass".to_owned())];
    let options = RealOptions { users, ..RealOptions::default() };
    let Some(registry) = RealRegistry::start(&options) else { return };
    let mut client = Client::new(registry.address());
    assert_eq!(client.get("/v2/").unwrap().status, 401);
    client.authorize("Basic bWU6cGFzcw==");
    assert_eq!(client.get("/v2/").unwrap().status, 200);
}

#[test]
fn it_takes_the_tokens_of_the_token_server() {
    let ca = Arc::new(TestCa::new());
    let signer = Some(Arc::new(Signer::new(&ca)));
    let tokens = TokenServer::start(TokenOptions { signer, ..TokenOptions::default() });
    let options = RealOptions { tokens: Some(tokens.clone()), ..RealOptions::default() };
    let Some(registry) = RealRegistry::start(&options) else { return };
    let mut client = Client::new(registry.address());
    let got = client.send("POST", "/v2/a/b/blobs/uploads/", &[], b"").unwrap();
    assert_eq!(got.status, 401);
    let challenge = got.header("www-authenticate");
    assert!(challenge.contains(&tokens.realm()), "{challenge}");

    let push = Scope::new("a/b", &["pull", "push"]);
    client.authorize(&format!("Bearer {}", tokens.issue(std::slice::from_ref(&push))));
    assert_eq!(client.put_blob("a/b", b"hello").unwrap(), 201);
    assert_eq!(client.put_blob("other", b"hello").unwrap(), 401);

    // It is lenient with a token that has run out, for a minute.
    let signer = Signer::new(&ca);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let scopes = [push];
    for (expired_for, expected) in [(50, 201), (70, 401)] {
        let token = signer.sign_at("user", &scopes, now - 1000, now - expired_for);
        client.authorize(&format!("Bearer {token}"));
        assert_eq!(client.put_blob("a/b", b"hello").unwrap(), expected, "{expired_for} s");
    }
}

#[test]
fn it_speaks_tls() {
    let ca = Arc::new(TestCa::new());
    let tls = Some(TlsOptions::new(&ca));
    let Some(registry) = RealRegistry::start(&RealOptions { tls, ..RealOptions::default() }) else {
        return;
    };
    assert_eq!(Client::tls(registry.address(), &ca).put_blob("a", b"hello").unwrap(), 201);
}

#[test]
fn a_link_before_it_counts_its_round_trips_and_loses_its_answers() {
    let Some(registry) = RealRegistry::start(&RealOptions::default()) else { return };
    let at = LinkPoint::Answer { number: 3 };
    let link = Link::start(
        registry.address(),
        LinkOptions {
            round_trip: Duration::from_millis(20),
            faults: vec![LinkFault { at, action: LinkAction::Reset }],
            ..LinkOptions::default()
        },
    );
    let mut client = Client::new(link.address());
    assert_eq!(client.put_blob("a", b"hello").unwrap(), 201);
    client.put_blob("a", b"world").unwrap_err();
    // Connect and four requests.
    let report = link.report();
    assert_eq!(report.round_trips, 5);
    let statuses: Vec<_> = report.requests.iter().map(|seen| seen.status).collect();
    assert_eq!(statuses, [Some(202), Some(201), Some(202), None]);
    assert_eq!(registry.log(4)[3].status, 201);
}

/// What [`Sessions::TurnStale`](windlass_testkit::Sessions::TurnStale) plays.
#[test]
fn its_upload_sessions_turn_stale_when_a_body_breaks() {
    let options = RealOptions { relative_locations: true, ..RealOptions::default() };
    let Some(registry) = RealRegistry::start(&options) else { return };
    let mut client = Client::new(registry.address());
    let started = client.send("POST", "/v2/a/blobs/uploads/", &[], b"").unwrap();
    assert!(started.header("location").starts_with('/'));
    let location = started.location();
    assert_eq!(client.get(&location).unwrap().status, 204);
    client.begin("PATCH", &location, &[], 2000).unwrap();
    client.write(&[7; 1000]).unwrap();
    client.hang_up();
    let start = Instant::now();
    loop {
        let got = client.get(&location).unwrap();
        if got.status == 404 && got.text().contains("BLOB_UPLOAD_INVALID") {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{got:?}");
    }
}
