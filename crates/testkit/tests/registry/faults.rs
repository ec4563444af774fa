//! Each fault of a rule, as a client on a real socket feels it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use windlass_oci::Digest;
use windlass_testkit::{
    Break, Call, Client, Gate, TestOptions, TestRegistry, on, on_any, with_digest,
};

use crate::harness::{OCTETS, session, status_of, until_received, with};

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
