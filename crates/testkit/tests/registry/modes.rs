//! Registries that are odd as a whole.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use windlass_oci::Digest;
use windlass_testkit::{Call, Client, Modes, Mount, Sessions, TestRegistry, on};

use crate::harness::{OCTETS, break_off, session, status_of, until_received, with_modes};

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
