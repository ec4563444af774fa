//! The hook that is told of every request.

#![expect(clippy::unwrap_used, reason = "a test's helpers may stop at the first surprise, too")]

#[cfg(test)]
mod support;

use std::sync::{Arc, Mutex};

use support::{Server, bytes};
use windlass_registry::{Config, RequestSeen};

/// Method, path, status and bytes taken of each request.
type Seen = Arc<Mutex<Vec<(String, String, u16, u64)>>>;

fn listener() -> (Seen, impl FnOnce(&mut Config)) {
    let seen = Seen::default();
    let told = seen.clone();
    let listen = move |config: &mut Config| {
        config.on_request = Some(Arc::new(move |request: RequestSeen<'_>| {
            let RequestSeen { method, path, status, received, .. } = request;
            told.lock().unwrap().push((method.to_owned(), path.to_owned(), status, received));
        }));
    };
    (seen, listen)
}

#[track_caller]
fn check(seen: &Seen, expected: &[(&str, &str, u16, u64)]) {
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    let seen: Vec<_> = seen.iter().map(|(m, p, s, r)| (m.as_str(), p.as_str(), *s, *r)).collect();
    assert_eq!(seen, expected);
}

#[test]
fn every_request_is_told_once_before_its_answer_arrives() {
    let (seen, listen) = listener();
    let server = Server::with(listen);
    server.send("GET", "/v2/");
    check(&seen, &[("GET", "/v2/", 200, 0)]);
    server.send("HEAD", "/v2/a/manifests/v1");
    check(&seen, &[("HEAD", "/v2/a/manifests/v1", 404, 0)]);
    server.send("GET", "/elsewhere");
    check(&seen, &[("GET", "/elsewhere", 404, 0)]);
}

#[test]
fn the_bytes_of_a_body_are_counted_as_they_are_taken() {
    let (seen, listen) = listener();
    let server = Server::with(listen);
    let blob = bytes(300_000, 1);
    let location = server.session("a/b");
    let uploads = "/v2/a/b/blobs/uploads/";
    check(&seen, &[("POST", uploads, 202, 0)]);
    let mut patch = server.begin("PATCH", &location, &[], None);
    patch.write_chunk(&blob[..200_000]);
    patch.write_chunk(&blob[200_000..]);
    patch.write_chunk(&[]);
    assert_eq!(patch.reply().status, 202);
    check(&seen, &[("PATCH", &location, 202, 300_000)]);
    server.push_blob("a/b", &blob);
    check(&seen, &[("POST", uploads, 201, 300_000)]);
}

#[test]
fn a_body_that_nobody_asked_for_is_not_counted() {
    let (seen, listen) = listener();
    let server = Server::with(listen);
    let refused = server.send_with("PUT", "/v2/", &[], &bytes(100_000, 1));
    assert_eq!(refused.status, 405);
    check(&seen, &[("PUT", "/v2/", 405, 0)]);
}

#[test]
fn the_query_stays_out() {
    let (seen, listen) = listener();
    let server = Server::with(listen);
    server.send("GET", "/v2/a%2Fb/tags/list?token=secret");
    check(&seen, &[("GET", "/v2/a%2Fb/tags/list", 404, 0)]);
}
