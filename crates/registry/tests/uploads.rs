//! Upload sessions: chunks, broken connections, going on, restarts.

#![expect(clippy::unwrap_used, reason = "a test's helpers may stop at the first surprise, too")]

#[cfg(test)]
mod support;

use std::time::Duration;

use support::{Server, bytes};
use windlass_oci::Digest;

/// More than goes to the disk at once.
const SIZE: usize = 1_000_000;

#[test]
fn a_blob_is_pushed_in_chunks() {
    let server = Server::start();
    let blob = bytes(SIZE, 1);
    let digest = Digest::sha256(&blob);
    let location = server.session("a");
    let patch = |range: &str, part: &[u8]| {
        server.send_with("PATCH", &location, &[("content-range", range)], part)
    };
    let reply = patch("0-299999", &blob[..300_000]);
    assert_eq!((reply.status, reply.header("range")), (202, Some("0-299999")));
    assert_eq!(reply.header("location"), Some(&*location));
    // As the rest of the web writes it.
    let reply = patch("bytes 300000-599999/*", &blob[300_000..600_000]);
    assert_eq!((reply.status, reply.header("range")), (202, Some("0-599999")));

    let status = server.send("GET", &location);
    assert_eq!((status.status, status.header("range")), (204, Some("0-599999")));
    assert_eq!(status.header("location"), Some(&*location));

    let headers = [("content-range", "600000-999999")];
    let put = format!("{location}?digest={digest}");
    assert_eq!(server.send_with("PUT", &put, &headers, &blob[600_000..]).status, 201);
    assert_eq!(server.send("GET", &format!("/v2/a/blobs/{digest}")).body, blob);
}

#[test]
fn a_blob_is_streamed_without_its_length() {
    let server = Server::start();
    let blob = bytes(SIZE, 2);
    let digest = Digest::sha256(&blob);
    let location = server.session("a");
    let mut connection = server.begin("PATCH", &location, &[], None);
    for part in blob.chunks(70_000) {
        connection.write_chunk(part);
    }
    connection.write_chunk(b"");
    let reply = connection.reply();
    assert_eq!((reply.status, reply.header("range")), (202, Some("0-999999")));
    assert_eq!(server.send("PUT", &format!("{location}?digest={digest}")).status, 201);
    assert_eq!(server.send("GET", &format!("/v2/a/blobs/{digest}")).body, blob);
}

#[test]
fn bytes_out_of_their_place_are_refused() {
    let server = Server::start();
    let blob = bytes(SIZE, 3);
    let digest = Digest::sha256(&blob);
    let location = server.session("a");
    let put = format!("{location}?digest={digest}");
    let send = |method: &str, path: &str, range: &str, part: &[u8]| {
        server.send_with(method, path, &[("content-range", range)], part)
    };
    assert_eq!(send("PATCH", &location, "0-99", &blob[..100]).status, 202);
    for (method, path) in [("PATCH", &location), ("PUT", &put)] {
        for range in ["0-99", "99-198", "101-200", "x"] {
            let reply = send(method, path, range, &blob[..100]);
            reply.refuses(416, "RANGE_INVALID");
            assert_eq!(reply.header("range"), Some("0-99"), "{method} {range}");
            assert_eq!(reply.header("location"), Some(&*location));
        }
        send(method, path, "100-300", &blob[..100]).refuses(400, "SIZE_INVALID");
    }
    // All of it has done no harm.
    assert_eq!(send("PUT", &put, "100-999999", &blob[100..]).status, 201);
}

#[test]
fn a_body_longer_than_its_range_is_cut() {
    let server = Server::start();
    let location = server.session("a");
    let mut connection = server.begin("PATCH", &location, &[("content-range", "0-99")], None);
    connection.write_chunk(&bytes(150, 4));
    connection.write_chunk(b"");
    connection.reply().refuses(400, "SIZE_INVALID");
    assert_eq!(server.send("GET", &location).header("range"), Some("0-99"));
}

#[test]
fn an_upload_can_be_cancelled() {
    let server = Server::start();
    let location = server.session("a");
    assert_eq!(server.send_with("PATCH", &location, &[], b"some").status, 202);
    assert_eq!(server.send("DELETE", &location).status, 204);
    server.send("GET", &location).refuses(404, "BLOB_UPLOAD_UNKNOWN");
    server.send_with("PATCH", &location, &[], b"more").refuses(404, "BLOB_UPLOAD_UNKNOWN");
    server.send("DELETE", &location).refuses(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(std::fs::read_dir(server.data().join("uploads")).unwrap().count(), 0);
}

#[test]
fn an_upload_belongs_to_its_repository() {
    let server = Server::start();
    let location = server.session("a").replace("/v2/a/", "/v2/b/");
    server.send("GET", &location).refuses(404, "BLOB_UPLOAD_UNKNOWN");
    server.send("GET", "/v2/a/blobs/uploads/..").refuses(404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn a_wrong_digest_ends_the_upload() {
    let server = Server::start();
    let location = server.session("a");
    let digest = Digest::sha256(b"other");
    let put = format!("{location}?digest={digest}");
    server.send_with("PUT", &location, &[], b"blob").refuses(400, "DIGEST_INVALID");
    assert_eq!(server.send("GET", &location).status, 204, "a PUT without a digest harms nothing");
    server.send_with("PUT", &put, &[], b"blob").refuses(400, "DIGEST_INVALID");
    server.send("GET", &location).refuses(404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(server.send("HEAD", &format!("/v2/a/blobs/{digest}")).status, 404);
}

/// Breaks a request in the middle of its body, and goes on from where the registry says.
#[track_caller]
fn check_break(method: &str, query: bool, chunked: bool, reset: bool) {
    let server = Server::start();
    let blob = bytes(SIZE, 5);
    let digest = Digest::sha256(&blob);
    let location = server.session("a");
    let put = format!("{location}?digest={digest}");
    let path = if query { &put } else { &location };

    let mut connection = server.begin(method, path, &[], (!chunked).then_some(SIZE));
    if chunked {
        connection.write_chunk(&blob[..600_000]);
    } else {
        connection.write(&blob[..600_000]);
    }
    server.wait_for_bytes(&location, 2);
    if reset {
        server.reset(connection);
    } else {
        drop(connection);
    }

    let status = server.send("GET", &location);
    assert_eq!(status.status, 204, "{}", status.text());
    let range = status.header("range").unwrap();
    let have: usize = range.strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1;
    assert!((2..=600_000).contains(&have), "{have}");
    let headers = [("content-range", &*format!("{have}-{}", SIZE - 1))];
    let reply = server.send_with("PUT", &put, &headers, &blob[have..]);
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(server.send("GET", &format!("/v2/a/blobs/{digest}")).body, blob);
}

#[test]
fn a_broken_patch_keeps_what_arrived() {
    for chunked in [false, true] {
        for reset in [false, true] {
            check_break("PATCH", false, chunked, reset);
        }
    }
}

#[test]
fn a_broken_put_keeps_what_arrived() {
    for chunked in [false, true] {
        for reset in [false, true] {
            check_break("PUT", true, chunked, reset);
        }
    }
}

#[test]
fn a_connection_closed_in_order_keeps_all_that_was_sent() {
    let server = Server::start();
    let location = server.session("a");
    let mut connection = server.begin("PATCH", &location, &[], Some(SIZE));
    connection.write(&bytes(600_000, 6));
    server.wait_for_bytes(&location, 1);
    drop(connection);
    assert_eq!(server.send("GET", &location).header("range"), Some("0-599999"));
}

#[test]
fn one_byte_that_nobody_acknowledged_is_none() {
    let server = Server::start();
    let location = server.session("a");
    let mut connection = server.begin("PATCH", &location, &[], Some(10));
    connection.write(b"x");
    server.wait_for_bytes(&location, 1);
    drop(connection);
    assert_eq!(server.send("GET", &location).header("range"), Some("0-0"));
    let digest = Digest::sha256(b"xyz");
    let headers = [("content-range", "0-2")];
    let put = format!("{location}?digest={digest}");
    assert_eq!(server.send_with("PUT", &put, &headers, b"xyz").status, 201);
}

#[test]
fn asking_takes_the_upload_from_a_connection_that_hangs() {
    let server = Server::start();
    let blob = bytes(SIZE, 7);
    let digest = Digest::sha256(&blob);
    let location = server.session("a");
    let mut hung = server.begin("PATCH", &location, &[], Some(SIZE));
    hung.write(&blob[..500_000]);
    server.wait_for_bytes(&location, 500_000);

    let status = server.send("GET", &location);
    assert_eq!((status.status, status.header("range")), (204, Some("0-499999")));
    // Whatever the old connection still sends is not taken.
    hung.write(&blob[..1000]);
    hung.reply().refuses(409, "BLOB_UPLOAD_INVALID");

    let headers = [("content-range", "500000-999999")];
    let put = format!("{location}?digest={digest}");
    assert_eq!(server.send_with("PUT", &put, &headers, &blob[500_000..]).status, 201);
    assert_eq!(server.send("GET", &format!("/v2/a/blobs/{digest}")).body, blob);
}

#[test]
fn bytes_that_know_their_place_take_over_from_a_connection_that_hangs() {
    let server = Server::start();
    let blob = bytes(SIZE, 8);
    let location = server.session("a");
    let mut hung = server.begin("PATCH", &location, &[], Some(SIZE));
    hung.write(&blob[..500_000]);
    server.wait_for_bytes(&location, 500_000);
    let patch = |range: &str| {
        server.send_with("PATCH", &location, &[("content-range", range)], &blob[500_000..])
    };
    let reply = patch("500000-999999");
    assert_eq!((reply.status, reply.header("range")), (202, Some("0-999999")));
}

#[test]
fn two_requests_at_once_do_not_mix() {
    let server = Server::start();
    let blob = bytes(SIZE, 9);
    let digest = Digest::sha256(&blob);
    let location = server.session("a");
    let mut first = server.begin("PATCH", &location, &[], Some(SIZE));
    first.write(&blob[..500_000]);
    server.wait_for_bytes(&location, 500_000);
    // One that does not say where its bytes go can only be wrong.
    server.send_with("PATCH", &location, &[], b"xxx").refuses(409, "BLOB_UPLOAD_INVALID");
    server.send("PUT", &format!("{location}?digest={digest}")).refuses(409, "BLOB_UPLOAD_INVALID");
    first.write(&blob[500_000..]);
    assert_eq!(first.reply().status, 202);
    assert_eq!(server.send("PUT", &format!("{location}?digest={digest}")).status, 201);
}

#[test]
fn clients_that_hang_do_not_keep_others_from_their_buffers() {
    let server = Server::start();
    // More than there are buffers or threads.
    let hung: Vec<_> = (0..100)
        .map(|_| {
            let location = server.session("a");
            let mut connection = server.begin("PATCH", &location, &[], Some(SIZE));
            connection.write(b"just the beginning");
            (location, connection)
        })
        .collect();
    for (location, _) in &hung {
        server.wait_for_bytes(location, 18);
    }
    server.push_blob("a", &bytes(SIZE, 12));
}

#[test]
fn a_body_that_stalls_is_given_up() {
    let server = Server::with(|config| config.idle_timeout = Duration::from_millis(50));
    let location = server.session("a");
    let mut connection = server.begin("PATCH", &location, &[], Some(SIZE));
    connection.write(&bytes(1000, 10));
    let reply = connection.reply();
    reply.refuses(400, "BLOB_UPLOAD_INVALID");
    assert_eq!(reply.header("range"), Some("0-999"));
    assert_eq!(server.send("GET", &location).header("range"), Some("0-999"));
}

/// Goes on with an upload on a new server over the folder that the old one left.
#[track_caller]
fn check_restart(leave: impl FnOnce(Server) -> std::sync::Arc<tempfile::TempDir>) {
    let blob = bytes(SIZE, 11);
    let digest = Digest::sha256(&blob);
    let server = Server::start();
    let location = server.session("a/b");
    let empty = server.session("a/b");
    let mut connection = server.begin("PATCH", &location, &[], Some(SIZE));
    connection.write(&blob[..500_000]);
    server.wait_for_bytes(&location, 500_000);

    let server = Server::on(leave(server), |_| {});
    assert_eq!(server.send("GET", &empty).header("range"), Some("0-0"));
    let status = server.send("GET", &location);
    assert_eq!((status.status, status.header("range")), (204, Some("0-499999")));
    let headers = [("content-range", "500000-999999")];
    let put = format!("{location}?digest={digest}");
    assert_eq!(server.send_with("PUT", &put, &headers, &blob[500_000..]).status, 201);
    assert_eq!(server.send("GET", &format!("/v2/a/b/blobs/{digest}")).body, blob);
}

#[test]
fn an_upload_outlives_its_server() {
    check_restart(Server::stop);
}

#[test]
fn an_upload_outlives_a_killed_server() {
    check_restart(|server| server.snapshot());
}

#[test]
fn a_broken_upload_is_still_checked_after_a_restart() {
    let server = Server::start();
    let location = server.session("a");
    assert_eq!(server.send_with("PATCH", &location, &[], b"bl0").status, 202);
    let server = Server::on(server.stop(), |_| {});
    let put = format!("{location}?digest={}", Digest::sha256(b"blob"));
    server.send_with("PUT", &put, &[], b"b").refuses(400, "DIGEST_INVALID");
}

#[test]
fn an_upload_that_nobody_touches_expires() {
    let server = Server::with(|config| config.upload_expiry = Duration::from_millis(100));
    let location = server.session("a");
    assert_eq!(server.send_with("PATCH", &location, &[], b"some").status, 202);
    std::thread::sleep(Duration::from_millis(150));
    server.send("GET", &location).refuses(404, "BLOB_UPLOAD_UNKNOWN");
    // The next upload takes away what is left of it.
    server.session("a");
    assert_eq!(std::fs::read_dir(server.data().join("uploads")).unwrap().count(), 1);
    // And so does the next server.
    std::thread::sleep(Duration::from_millis(150));
    let server =
        Server::on(server.stop(), |config| config.upload_expiry = Duration::from_millis(1));
    assert_eq!(std::fs::read_dir(server.data().join("uploads")).unwrap().count(), 0);
}

#[test]
fn a_failing_disk_is_told_and_shows_nothing() {
    let server = Server::start();
    let digest = Digest::sha256(b"blob");
    let location = server.session("a");
    // The blob's place is taken by a folder that is not empty, so it cannot be renamed there.
    let place = server.data().join("blobs/sha256").join(&digest.hex()[..2]).join(digest.hex());
    std::fs::create_dir_all(place.join("in the way")).unwrap();
    let put = format!("{location}?digest={digest}");
    server.send_with("PUT", &put, &[], b"blob").refuses(500, "UNKNOWN");
    assert_eq!(server.send("HEAD", &format!("/v2/a/blobs/{digest}")).status, 404);
    // What arrived is not lost: once there is room again it can be finished.
    std::fs::remove_dir_all(&place).unwrap();
    assert_eq!(server.send("PUT", &put).status, 201);
    assert_eq!(server.send("GET", &format!("/v2/a/blobs/{digest}")).body, b"blob");
}
