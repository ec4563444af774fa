//! The faulty registry: each fault as a client on a real socket feels it.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass_oci::{Algorithm, Digest};
use windlass_testkit::{
    Auth, Break, Call, Client, Gate, ImageBuilder, IndexBuilder, Layer, Modes, Mount, Rule,
    Sessions, TestCa, TestOptions, TestRegistry, TlsOptions, on, on_any, with_digest,
};

const OCTETS: [(&str, &str); 1] = [("Content-Type", "application/octet-stream")];

fn with(rule: Rule) -> (TestRegistry, Client) {
    let registry = TestRegistry::start(TestOptions { faults: vec![rule], ..Default::default() });
    let client = Client::new(registry.address());
    (registry, client)
}

fn with_modes(modes: Modes) -> (TestRegistry, Client) {
    let registry = TestRegistry::start(TestOptions { modes, ..TestOptions::default() });
    let client = Client::new(registry.address());
    (registry, client)
}

fn session(client: &mut Client) -> String {
    let started = client.send("POST", "/v2/a/blobs/uploads/", &[], b"").unwrap();
    assert_eq!(started.status, 202);
    started.location()
}

/// Sends `sent` of a PATCH's body and hangs up, or waits for the server to do so.
fn break_off(client: &mut Client, location: &str, sent: &[u8], length: u64) {
    client.begin("PATCH", location, &OCTETS, length).unwrap();
    client.write(sent).unwrap();
    client.hang_up();
}

/// What a status request says, when the registry has noticed the end of the connection before.
fn status_of(client: &mut Client, location: &str, wanted: impl Fn(u16, &str) -> bool) {
    let start = Instant::now();
    loop {
        let got = client.get(location).unwrap();
        if wanted(got.status, got.header("range")) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{got:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn until_received(registry: &TestRegistry, bytes: u64) {
    let start = Instant::now();
    while registry.bytes_uploaded() < bytes {
        assert!(start.elapsed() < Duration::from_secs(10), "the bytes do not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

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
fn the_monitor_catches_a_client_that_tags_first() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(1).layers(1, 1000).build();
    let index = IndexBuilder::new().child(Some("linux/amd64"), &image).build();
    let mut client = Client::new(registry.address());
    let mut tag = || client.put_manifest("a", "v1", &index, index.digest()).unwrap();

    assert_eq!(tag(), 201);
    let violations = registry.violations();
    assert_eq!(violations.len(), 1);
    assert_eq!(violations[0].tag, "v1");
    assert!(violations[0].missing[0].contains(image.digest().as_str()), "{violations:?}");
    assert!(registry.violations().is_empty(), "they are read once");

    let part = index.clone().without(&image.blobs()[0].digest);
    registry.seed("a", &part, None);
    assert_eq!(tag(), 201);
    let violations = registry.violations();
    assert_eq!(violations[0].missing, [format!("blob {}", image.blobs()[0].digest)]);

    registry.seed("a", &index, None);
    assert_eq!(tag(), 201);
    assert!(registry.violations().is_empty());
    assert_eq!(registry.tags_set().len(), 3);
}

#[test]
fn a_blob_in_another_repository_does_not_count() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(1).layers(1, 1000).build();
    registry.seed("other", &image, None);
    let mut client = Client::new(registry.address());
    client.put_manifest("a", "v1", &image, image.digest()).unwrap();
    assert_eq!(registry.violations()[0].missing.len(), 2);
}

#[test]
#[should_panic(expected = "tags were set on incomplete images: a:v1 was set to sha256:")]
fn a_violation_that_nobody_reads_fails_the_test() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(1).layers(1, 1000).build();
    let mut client = Client::new(registry.address());
    client.put_manifest("a", "v1", &image, image.digest()).unwrap();
}

#[test]
fn a_registry_can_refuse_what_is_incomplete() {
    let options = TestOptions { refuses_incomplete: true, ..TestOptions::default() };
    let registry = TestRegistry::start(options);
    let image = ImageBuilder::new(1).layers(1, 1000).build();
    let mut client = Client::new(registry.address());
    assert_eq!(client.put_manifest("a", "v1", &image, image.digest()).unwrap(), 400);
    client.push("a", &image, "v1");
}

#[test]
fn an_answer_comes_before_the_body() {
    let rule = on(Call::UploadPut).once().refuse(413, "SIZE_INVALID", "too large");
    let (registry, mut client) = with(rule);
    let location = session(&mut client);
    client.begin("PUT", &with_digest(&location, &Digest::sha256(b"")), &OCTETS, 1 << 40).unwrap();
    let got = client.read("PUT").unwrap();
    assert_eq!(got.status, 413);
    assert_eq!(got.text(), r#"{"errors":[{"code":"SIZE_INVALID","message":"too large"}]}"#);
    assert_eq!(registry.log()[1].fault, Some("answer"));
    assert_eq!(registry.log()[1].received, 0);
    client.hang_up();
    assert_eq!(client.put_blob("a", b"hello").unwrap(), 201);
}

#[test]
fn an_answer_comes_after_some_of_the_body_or_all_of_it() {
    let rule = on(Call::UploadPut).answer(503).header("Retry-After", "3");
    let (registry, mut client) = with(rule.clone().after_bytes(100_000));
    let location = with_digest(&session(&mut client), &Digest::sha256(b""));
    client.begin("PUT", &location, &OCTETS, 1 << 40).unwrap();
    client.write(&[7; 100_000]).unwrap();
    let got = client.read("PUT").unwrap();
    assert_eq!((got.status, got.header("retry-after")), (503, "3"));
    assert_eq!(registry.log()[1].received, 100_000);

    let (registry, mut client) = with(rule.after_body());
    assert_eq!(client.put_blob("a", &[7; 300_000]).unwrap(), 503);
    assert_eq!(registry.log()[1].received, 300_000);
    assert!(!registry.has_blob("a", &Digest::sha256(&[7; 300_000])));
}

#[test]
fn a_reset_leaves_the_session_with_exactly_the_bytes_before_it() {
    let (registry, mut client) = with(on(Call::UploadPatch).once().reset_after(123_456));
    let location = session(&mut client);
    client.send("PATCH", &location, &OCTETS, &[7; 1_000_000]).unwrap_err();
    status_of(&mut client, &location, |status, range| status == 204 && range == "0-123455");
    assert_eq!(registry.calls(Call::UploadPatch)[0].received, 123_456);
    assert_eq!(registry.calls(Call::UploadPatch)[0].status, None);
}

#[test]
fn a_reset_is_a_reset_and_a_close_is_a_close() {
    let told = |rule| {
        let (registry, mut client) = with(rule);
        let location = session(&mut client);
        let mut stream = TcpStream::connect(registry.address()).unwrap();
        let head =
            format!("PATCH {location} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nhello");
        stream.write_all(head.as_bytes()).unwrap();
        stream.read(&mut [0; 10]).map_err(|error| error.kind())
    };
    let reset = Err(std::io::ErrorKind::ConnectionReset);
    assert_eq!(told(on(Call::UploadPatch).reset_after(5)), reset);
    assert_eq!(told(on(Call::UploadPatch).reset_after(0)), reset);
    assert_eq!(told(on(Call::UploadPatch).close_after(5)), Ok(0));
    assert_eq!(told(on(Call::UploadPatch).close_after(0)), Ok(0));
}

#[test]
fn a_lost_reply_is_work_done() {
    for rule in [
        on(Call::UploadPut).once().lose_reply(),
        on(Call::UploadPut).once().close_instead_of_reply(),
    ] {
        let (registry, mut client) = with(rule);
        client.put_blob("a", b"hello").unwrap_err();
        assert!(registry.has_blob("a", &Digest::sha256(b"hello")));
        assert_eq!(registry.calls(Call::UploadPut)[0].status, None);
        assert_eq!(client.put_blob("a", b"hello").unwrap(), 201);
    }
}

#[test]
fn a_stall_lasts_until_the_client_gives_up() {
    let (registry, mut client) = with(on(Call::UploadPatch).once().stall_after(1000));
    let location = session(&mut client);
    client.begin("PATCH", &location, &OCTETS, 100_000).unwrap();
    client.write(&[7; 100_000]).unwrap();
    until_received(&registry, 1000);
    std::thread::sleep(Duration::from_millis(30));
    let patch = registry.calls(Call::UploadPatch).remove(0);
    assert_eq!((patch.received, patch.status), (1000, None));
    client.hang_up();
    status_of(&mut client, &location, |status, range| status == 204 && range == "0-999");
}

#[test]
fn an_answer_waits_at_a_gate() {
    let gate = Gate::new();
    let (registry, mut client) = with(on(Call::UploadPut).once().hold(&gate));
    let waiting = std::thread::spawn(move || client.put_blob("a", b"hello").unwrap());
    gate.block_for(1);
    assert!(registry.has_blob("a", &Digest::sha256(b"hello")), "the work is done");
    assert!(!waiting.is_finished());
    gate.open();
    assert_eq!(waiting.join().unwrap(), 201);

    let gate = Gate::new();
    let (registry, mut client) = with(on(Call::UploadPut).once().hold_before(&gate));
    let waiting = std::thread::spawn(move || client.put_blob("a", b"hello").unwrap());
    gate.block_for(1);
    assert!(!registry.has_blob("a", &Digest::sha256(b"hello")), "the work is not begun");
    gate.open();
    assert_eq!(waiting.join().unwrap(), 201);
}

#[test]
fn an_answer_is_late() {
    let (_registry, mut client) = with(on(Call::Ping).delay(Duration::from_millis(30)));
    let start = Instant::now();
    assert_eq!(client.get("/v2/").unwrap().status, 200);
    assert!(start.elapsed() >= Duration::from_millis(30));
}

#[test]
fn answers_are_garbled() {
    let start = |rule| {
        let (_registry, mut client) = with(rule);
        client.send("POST", "/v2/a/blobs/uploads/", &[], b"").unwrap()
    };
    let on = || on(Call::UploadPost);
    assert_eq!(start(on().status(201)).status, 201);
    assert_eq!(start(on().without_header("location")).header("location"), "");
    assert_eq!(start(on().with_header("range", "bytes=0--1")).header("range"), "bytes=0--1");
    assert!(start(on().relative_location()).header("location").starts_with("/v2/a/blobs/uploads/"));
    let elsewhere = start(on().location_at("https://other:1"));
    assert!(elsewhere.header("location").starts_with("https://other:1/v2/a/blobs/uploads/"));
    let html = start(on().with_body("<html>"));
    assert_eq!((html.status, html.text().as_str()), (202, "<html>"));
    assert_eq!(html.header("content-type"), "text/html");
    assert_eq!(start(on().with_body(vec![b'x'; 10 << 20])).body.len(), 10 << 20);
}

#[test]
fn a_head_keeps_the_length_of_what_it_does_not_send() {
    let (registry, mut client) = with(on(Call::BlobHead).without_header("docker-content-digest"));
    registry.seed_blob("a", b"hello");
    let path = format!("/v2/a/blobs/{}", Digest::sha256(b"hello"));
    let got = client.send("HEAD", &path, &[], b"").unwrap();
    assert_eq!((got.status, got.header("content-length")), (200, "5"));
    assert_eq!(got.header("docker-content-digest"), "");
}

#[test]
fn less_is_accepted_than_was_sent() {
    let (_registry, mut client) = with(on(Call::UploadPatch).once().accept_only(70_000));
    let location = session(&mut client);
    let mut patch = |range: &str, body: &[u8]| {
        let headers = [OCTETS[0], ("Content-Range", range)];
        let got = client.send("PATCH", &location, &headers, body).unwrap();
        (got.status, got.header("range").to_owned())
    };
    assert_eq!(patch("0-4", b"hello"), (202, "0-4".to_owned()));
    assert_eq!(patch("5-200004", &[7; 200_000]), (202, "0-70004".to_owned()));
    assert_eq!(patch("70005-70009", b"world"), (202, "0-70009".to_owned()));
    assert_eq!(client.get(&location).unwrap().header("range"), "0-70009");
}

#[test]
fn requests_are_redirected() {
    let (_registry, mut client) = with(on(Call::UploadPost).once().redirect(307, "http://other:1"));
    let got = client.send("POST", "/v2/a/blobs/uploads/?x=y", &[], b"").unwrap();
    assert_eq!(
        (got.status, got.header("location")),
        (307, "http://other:1/v2/a/blobs/uploads/?x=y")
    );
    assert_eq!(client.send("POST", "/v2/a/blobs/uploads/?x=y", &[], b"").unwrap().status, 202);
}

#[test]
fn raw_bytes_are_sent_as_they_are() {
    let (_registry, mut client) =
        with(on(Call::BlobHead).raw("HTTP/1.1 299 Odd\r\nX: y\r\n\r\nbody"));
    let got = client.send("HEAD", "/v2/a/blobs/sha256:0", &[], b"").unwrap();
    assert_eq!((got.status, got.header("x")), (299, "y"));
}

#[test]
fn a_registry_vanishes_and_comes_back_with_all_it_had() {
    let (registry, mut client) = with(on(Call::UploadPut).skip(1).once().vanish());
    assert_eq!(client.put_blob("a", b"hello").unwrap(), 201);
    client.put_blob("a", b"world").unwrap_err();
    TcpStream::connect(registry.address()).unwrap_err();
    registry.come_back();
    assert!(!registry.has_blob("a", &Digest::sha256(b"world")));
    assert_eq!(client.put_blob("a", b"world").unwrap(), 201);
    assert!(registry.has_blob("a", &Digest::sha256(b"hello")));

    let rule = registry.fault(on(Call::UploadPut).once().vanish_after_work());
    client.put_blob("a", b"more").unwrap_err();
    assert!(registry.has_blob("a", &Digest::sha256(b"more")));
    assert_eq!(rule.fired(), 1);
    registry.come_back();
}

#[test]
fn idle_connections_are_ended() {
    let registry = TestRegistry::plain();
    let mut client = Client::new(registry.address());
    for how in [Break::Reset, Break::Close] {
        client.get("/v2/").unwrap();
        registry.end_connections(how);
        client.get("/v2/").unwrap_err();
    }
    client.get("/v2/").unwrap();
    assert_eq!(registry.connections(), 3);
}

#[test]
fn rules_are_tried_in_their_order() {
    let faults = vec![on(Call::Ping).once().answer(500), on_any(&[]).times(2).answer(404)];
    let registry = TestRegistry::start(TestOptions { faults, ..TestOptions::default() });
    let mut client = Client::new(registry.address());
    let mut ping = || client.get("/v2/").unwrap().status;
    assert_eq!([ping(), ping(), ping(), ping()], [500, 404, 404, 200]);
    assert!(registry.unused_rules().is_empty());
    registry.fault(on(Call::Ping).answer(500));
    assert_eq!(registry.unused_rules().len(), 1);
    assert_eq!(ping(), 500);
    registry.heal();
    assert_eq!(ping(), 200);
}

#[test]
fn a_broken_session_turns_stale_or_is_deleted_or_kept() {
    let check = |sessions, expected: Option<&str>| {
        let (_registry, mut client) = with_modes(Modes { sessions, ..Modes::default() });
        let location = session(&mut client);
        break_off(&mut client, &location, &[7; 1000], 2000);
        match expected {
            None => {
                status_of(&mut client, &location, |status, range| {
                    status == 204 && range == "0-999"
                });
            }
            Some(code) => {
                status_of(&mut client, &location, |status, _| status == 404);
                let got = client.send("PATCH", &location, &OCTETS, b"x").unwrap();
                assert_eq!(got.status, 404);
                assert!(got.text().contains(code), "{}", got.text());
            }
        }
    };
    check(Sessions::Keep, None);
    check(Sessions::TurnStale, Some("BLOB_UPLOAD_INVALID"));
    check(Sessions::Delete, Some("BLOB_UPLOAD_UNKNOWN"));
}

#[test]
fn a_session_that_turns_stale_cannot_be_asked_while_a_body_comes() {
    let (registry, mut client) =
        with_modes(Modes { sessions: Sessions::TurnStale, ..Modes::default() });
    let location = session(&mut client);
    client.begin("PATCH", &location, &OCTETS, 2000).unwrap();
    client.write(&[7; 1000]).unwrap();
    until_received(&registry, 1000);
    let mut other = Client::new(registry.address());
    assert_eq!(other.get(&location).unwrap().status, 404);
    client.write(&[7; 1000]).unwrap();
    assert_eq!(client.read("PATCH").unwrap().status, 202);
    let got = other.get(&location).unwrap();
    assert_eq!((got.status, got.header("range")), (204, "0-1999"));
}

#[test]
fn violations_can_be_forgiven() {
    let options = TestOptions { forgives_violations: true, ..TestOptions::default() };
    let registry = TestRegistry::start(options);
    let image = ImageBuilder::new(1).layers(1, 1000).build();
    let mut client = Client::new(registry.address());
    assert_eq!(client.put_manifest("a", "v1", &image, image.digest()).unwrap(), 201);
}

#[test]
fn a_session_that_breaks_before_its_first_byte_lives_on() {
    let (registry, mut client) =
        with_modes(Modes { sessions: Sessions::TurnStale, ..Modes::default() });
    let location = session(&mut client);
    break_off(&mut client, &location, b"", 2000);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(client.get(&location).unwrap().status, 204);
    // A fault's break is a break like any other.
    registry.fault(on(Call::UploadPatch).once().reset_after(10));
    client.send("PATCH", &location, &OCTETS, &[7; 1000]).unwrap_err();
    assert_eq!(client.get(&location).unwrap().status, 404);
}

#[test]
fn mounts_work_or_do_not() {
    let digest = Digest::sha256(b"hello");
    let mount = |mount| {
        let (registry, mut client) = with_modes(Modes { mount, ..Modes::default() });
        registry.seed_blob("from", b"hello");
        let path = format!("/v2/a/blobs/uploads/?mount={digest}&from=from");
        let got = client.send("POST", &path, &[], b"").unwrap();
        (got.status, got.header("location").is_empty(), registry.has_blob("a", &digest))
    };
    assert_eq!(mount(Mount::Works), (201, false, true));
    assert_eq!(mount(Mount::StartsUpload), (202, false, false));
    assert_eq!(mount(Mount::Refuses(http::StatusCode::FORBIDDEN)), (403, true, false));
    assert_eq!(mount(Mount::Pretends), (201, false, false));
}

#[test]
fn a_registry_without_patch_and_with_a_limit() {
    let modes = Modes { refuses_patch: true, max_body: Some(100), ..Modes::default() };
    let (_registry, mut client) = with_modes(modes);
    let location = session(&mut client);
    assert_eq!(client.send("PATCH", &location, &OCTETS, b"x").unwrap().status, 405);
    assert_eq!(client.put_blob("a", &[7; 101]).unwrap(), 413);
    assert_eq!(client.put_blob("a", &[7; 100]).unwrap(), 201);
}

#[test]
fn a_limit_holds_for_bodies_of_unknown_length_too() {
    let (_registry, mut client) = with_modes(Modes { max_body: Some(10), ..Modes::default() });
    let mut patch = |body: &str| {
        let location = session(&mut client);
        let mut stream = TcpStream::connect(client.address()).unwrap();
        let head = "HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close";
        let length = body.len();
        let request = format!("PATCH {location} {head}\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        String::from_utf8_lossy(&status[9..]).into_owned()
    };
    assert_eq!(patch("0123456789"), "202");
    assert_eq!(patch("0123456789a"), "413");
}

#[test]
fn content_range_is_ignored() {
    let modes = Modes { ignores_content_range: true, ..Modes::default() };
    let (_registry, mut client) = with_modes(modes);
    let location = session(&mut client);
    let headers = [OCTETS[0], ("Content-Range", "5-9")];
    let got = client.send("PATCH", &location, &headers, b"hello").unwrap();
    assert_eq!((got.status, got.header("range")), (202, "0-4"));

    let registry = TestRegistry::plain();
    let mut client = Client::new(registry.address());
    let location = session(&mut client);
    assert_eq!(client.send("PATCH", &location, &headers, b"hello").unwrap().status, 416);
}

#[test]
fn a_100_is_given_or_not() {
    let check = |ignores_expect, expected| {
        let (_registry, mut client) = with_modes(Modes { ignores_expect, ..Modes::default() });
        let location = session(&mut client);
        let headers = [OCTETS[0], ("Expect", "100-continue")];
        let got = client.send("PATCH", &location, &headers, b"hello").unwrap();
        assert_eq!((got.status, got.interim), (202, expected));
    };
    check(false, 1);
    check(true, 0);
}

#[test]
fn a_connection_serves_one_request_only() {
    let (registry, mut client) =
        with_modes(Modes { closes_after_answer: true, ..Modes::default() });
    assert_eq!(client.put_blob("a", b"hello").unwrap(), 201);
    assert_eq!(registry.connections(), 2);
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
