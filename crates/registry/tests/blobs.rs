//! Pushing whole blobs, mounting, pulling and deleting them.

#[cfg(test)]
mod support;

use std::thread;

use support::{Server, bytes, name};
use windlass_oci::{Algorithm, Digest};

#[test]
fn the_api_is_there() {
    let server = Server::start();
    for path in ["/v2/", "/v2"] {
        let reply = server.send("GET", path);
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("docker-distribution-api-version"), Some("registry/2.0"));
    }
}

#[test]
fn a_blob_is_pushed_with_post_and_put() {
    let server = Server::start();
    let blob = bytes(1_000_000, 1);
    let digest = Digest::sha256(&blob);
    let begun = server.send("POST", "/v2/a/b/blobs/uploads/");
    let location = begun.header("location").unwrap();
    let id = begun.header("docker-upload-uuid").unwrap();
    assert_eq!(location, format!("/v2/a/b/blobs/uploads/{id}"));
    assert_eq!(begun.header("range"), Some("0-0"));

    let put = server.send_with("PUT", &format!("{location}?digest={digest}"), &[], &blob);
    assert_eq!(put.status, 201, "{}", put.text());
    assert_eq!(put.header("location"), Some(&*format!("/v2/a/b/blobs/{digest}")));
    assert_eq!(put.header("docker-content-digest"), Some(digest.as_str()));

    let got = server.send("GET", put.header("location").unwrap());
    assert_eq!((got.status, got.body == blob), (200, true));
    assert_eq!(got.header("content-type"), Some("application/octet-stream"));
    assert_eq!(got.header("docker-content-digest"), Some(digest.as_str()));
    assert_eq!(got.header("etag"), Some(&*format!("\"{digest}\"")));
    let head = server.send("HEAD", put.header("location").unwrap());
    assert_eq!((head.status, head.header("content-length")), (200, Some("1000000")));
    assert_eq!(head.header("docker-content-digest"), Some(digest.as_str()));
    server.send("GET", location).refuses(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(
        server.registry().store().blob_size(&name("a/b"), &digest).unwrap(),
        Some(1_000_000)
    );
}

#[test]
fn a_blob_is_pushed_in_one_request() {
    let server = Server::start();
    let digest = server.push_blob("a", &bytes(300_000, 2));
    assert_eq!(server.send("HEAD", &format!("/v2/a/blobs/{digest}")).status, 200);
}

#[test]
fn a_single_request_that_fails_leaves_nothing() {
    let server = Server::start();
    let path = format!("/v2/a/blobs/uploads/?digest={}", Digest::sha256(b"other"));
    server.send_with("POST", &path, &[], b"blob").refuses(400, "DIGEST_INVALID");
    let connection = {
        let mut connection = server.begin("POST", &path, &[], Some(1000));
        connection.write(b"some");
        connection
    };
    drop(connection);
    let uploads = server.data().join("uploads");
    support::wait_until(|| std::fs::read_dir(&uploads).unwrap().count() == 0);
}

#[test]
fn a_blob_of_no_bytes_is_a_blob() {
    let server = Server::start();
    let digest = Digest::sha256(b"");
    let location = server.session("a");
    assert_eq!(server.send("PUT", &format!("{location}?digest={digest}")).status, 201);
    let got = server.send("GET", &format!("/v2/a/blobs/{digest}"));
    assert_eq!((got.status, got.header("content-length")), (200, Some("0")));
}

#[test]
fn a_blob_may_have_a_sha512_digest() {
    let server = Server::start();
    let blob = bytes(300_000, 3);
    let digest = Digest::of(Algorithm::Sha512, &blob);
    for begin in ["/v2/a/blobs/uploads/", "/v2/b/blobs/uploads/?digest-algorithm=sha512"] {
        let begun = server.send("POST", begin);
        let location = begun.header("location").unwrap();
        // The algorithm is known only at the end in the first case, and all is read again.
        assert_eq!(server.send_with("PATCH", location, &[], &blob[..1000]).status, 202);
        let put =
            server.send_with("PUT", &format!("{location}?digest={digest}"), &[], &blob[1000..]);
        assert_eq!(put.status, 201, "{}", put.text());
        assert_eq!(put.header("docker-content-digest"), Some(digest.as_str()));
    }
    assert_eq!(server.send("GET", &format!("/v2/a/blobs/{digest}")).body, blob);
    server.send("POST", "/v2/a/blobs/uploads/?digest-algorithm=md5").refuses(400, "DIGEST_INVALID");
}

#[test]
fn a_blob_is_seen_only_where_it_was_put() {
    let server = Server::start();
    let digest = server.push_blob("a", b"blob");
    server.send("GET", &format!("/v2/b/blobs/{digest}")).refuses(404, "BLOB_UNKNOWN");
    assert_eq!(server.send("HEAD", &format!("/v2/b/blobs/{digest}")).status, 404);
    server.push_blob("b", b"blob");
    assert_eq!(server.send("GET", &format!("/v2/b/blobs/{digest}")).body, b"blob");
    let store = server.registry().store();
    assert!(store.blob_exists(&name("a"), &digest).unwrap());
    assert!(!store.blob_exists(&name("c"), &digest).unwrap());
}

#[test]
fn a_blob_is_mounted_from_where_it_is() {
    let server = Server::start();
    let digest = server.push_blob("a", b"blob");
    let path = format!("/v2/b/c/blobs/uploads/?mount={digest}&from=a");
    let mounted = server.send("POST", &path);
    assert_eq!(mounted.status, 201);
    assert_eq!(mounted.header("location"), Some(&*format!("/v2/b/c/blobs/{digest}")));
    assert_eq!(server.send("GET", &format!("/v2/b/c/blobs/{digest}")).body, b"blob");
}

#[test]
fn a_mount_that_cannot_be_is_an_upload() {
    let server = Server::start();
    let digest = server.push_blob("a", b"blob");
    for query in [format!("mount={digest}&from=nowhere"), format!("mount={digest}")] {
        let reply = server.send("POST", &format!("/v2/b/blobs/uploads/?{query}"));
        assert_eq!(reply.status, 202);
        let location = reply.header("location").unwrap();
        assert_eq!(server.send("GET", location).status, 204);
        assert_eq!(server.send("HEAD", &format!("/v2/b/blobs/{digest}")).status, 404);
    }
}

#[test]
fn a_part_of_a_blob_can_be_had() {
    let server = Server::start();
    let blob = bytes(500_000, 4);
    let digest = server.push_blob("a", &blob);
    let path = format!("/v2/a/blobs/{digest}");
    let get = |range: &str| server.send_with("GET", &path, &[("range", range)], b"");

    let reply = get("bytes=100-299");
    assert_eq!((reply.status, &*reply.body), (206, &blob[100..300]));
    assert_eq!(reply.header("content-range"), Some("bytes 100-299/500000"));
    assert_eq!(reply.header("content-length"), Some("200"));
    assert_eq!(get("bytes=200000-").body, &blob[200_000..]);
    assert_eq!(get("bytes=-7").body, &blob[499_993..]);
    assert_eq!((get("bytes=0-1,5-6").status, get("bytes=0-1,5-6").body), (200, blob.clone()));

    let reply = get("bytes=500000-");
    reply.refuses(416, "RANGE_INVALID");
    assert_eq!(reply.header("content-range"), Some("bytes */500000"));

    let etag = format!("\"{digest}\"");
    let with = |name, value| [("range", "bytes=0-1"), (name, value)];
    assert_eq!(server.send_with("GET", &path, &with("if-range", &etag), b"").status, 206);
    assert_eq!(server.send_with("GET", &path, &with("if-range", "\"x\""), b"").status, 200);
    assert_eq!(server.send_with("GET", &path, &[("if-none-match", &etag)], b"").status, 304);
}

#[test]
fn a_deleted_blob_is_gone_from_its_repository_alone() {
    let server = Server::start();
    let digest = server.push_blob("a", b"blob");
    server.push_blob("b", b"blob");
    assert_eq!(server.send("DELETE", &format!("/v2/a/blobs/{digest}")).status, 202);
    assert_eq!(server.send("HEAD", &format!("/v2/a/blobs/{digest}")).status, 404);
    server.send("DELETE", &format!("/v2/a/blobs/{digest}")).refuses(404, "BLOB_UNKNOWN");
    assert_eq!(server.send("GET", &format!("/v2/b/blobs/{digest}")).body, b"blob");
}

#[test]
fn one_blob_may_be_pushed_by_many_at_once() {
    let server = Server::start();
    let blob = bytes(400_000, 5);
    let digest = Digest::sha256(&blob);
    thread::scope(|scope| {
        for index in 0..16 {
            let (server, blob) = (&server, &blob);
            scope.spawn(move || server.push_blob(["a", "b"][index % 2], blob));
        }
    });
    for repository in ["a", "b"] {
        assert_eq!(server.send("GET", &format!("/v2/{repository}/blobs/{digest}")).body, blob);
    }
}

#[test]
fn what_is_malformed_is_told() {
    let server = Server::start();
    let digest = Digest::sha256(b"");
    server.send("GET", "/v2/a/blobs/sha256:12").refuses(400, "DIGEST_INVALID");
    server.send("GET", "/v2/a/blobs/md5:12").refuses(400, "DIGEST_INVALID");
    server.send("GET", &format!("/v2/A/blobs/{digest}")).refuses(400, "NAME_INVALID");
    server.send("GET", &format!("/v2/a/../b/blobs/{digest}")).refuses(400, "NAME_INVALID");
    server.send("GET", &format!("/v2/%2e%2e/blobs/{digest}")).refuses(400, "NAME_INVALID");
    let long = "a".repeat(256);
    server.send("POST", &format!("/v2/{long}/blobs/uploads/")).refuses(400, "NAME_INVALID");
    server.send("POST", "/v2/a/blobs/uploads/?digest=x").refuses(400, "DIGEST_INVALID");
    server.send("GET", "/v1/").refuses(404, "NAME_UNKNOWN");
}

#[test]
fn other_methods_are_not_allowed() {
    let server = Server::start();
    let digest = Digest::sha256(b"");
    for (method, path, allowed) in [
        ("POST", "/v2/".to_owned(), "GET, HEAD"),
        ("DELETE", "/v2/a/tags/list".to_owned(), "GET, HEAD"),
        ("PUT", format!("/v2/a/blobs/{digest}"), "GET, HEAD, DELETE"),
        ("GET", "/v2/a/blobs/uploads/".to_owned(), "POST"),
        ("POST", "/v2/a/manifests/v1".to_owned(), "GET, HEAD, PUT, DELETE"),
        ("POST", "/v2/a/blobs/uploads/x".to_owned(), "GET, PATCH, PUT, DELETE"),
    ] {
        let reply = server.send(method, &path);
        reply.refuses(405, "UNSUPPORTED");
        assert_eq!(reply.header("allow"), Some(allowed), "{path}");
    }
}

#[test]
fn an_answer_before_the_body_is_read_is_heard() {
    let server = Server::start();
    let path = "/v2/a/blobs/uploads/00000000-0000-4000-8000-000000000000?digest=";
    let path = format!("{path}{}", Digest::sha256(b""));
    // One that sends all before it listens.
    server.send_with("PUT", &path, &[], &bytes(900_000, 6)).refuses(404, "BLOB_UPLOAD_UNKNOWN");
    // One that listens before it sends.
    let connection = server.begin("PUT", &path, &[("expect", "100-continue")], Some(900_000));
    let reply = connection.reply();
    reply.refuses(404, "BLOB_UPLOAD_UNKNOWN");
    assert!(!reply.continued);
}

#[test]
fn a_client_that_asks_may_send() {
    let server = Server::start();
    let blob = bytes(300_000, 7);
    let path = format!("{}?digest={}", server.session("a"), Digest::sha256(&blob));
    let headers = [("expect", "100-continue")];
    let mut connection = server.begin("PUT", &path, &headers, Some(blob.len()));
    connection.write(&blob);
    let reply = connection.reply();
    assert_eq!((reply.status, reply.continued), (201, true));
}
