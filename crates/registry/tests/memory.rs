//! Memory does not grow with what is pushed. In a process of its own, so that it can be measured.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test's helpers may stop at the first surprise, too")]

#[cfg(test)]
mod support;

use std::sync::Barrier;
use std::thread;

use support::{Server, bytes};
use windlass_oci::{Digest, Hasher};

const UPLOADS: usize = 200;
const PIECES: usize = 12;
/// In KiB. The server alone must stay below 48 MiB; the rest is for the clients' threads.
const LIMIT: usize = 64 * 1024;

/// The most memory that this process, the clients with it, has ever had, in KiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn two_hundred_uploads_at_once_stay_small() {
    let server = Server::start();
    let piece = bytes(256 * 1024, 1);
    let digest: Digest = {
        let mut hasher = Hasher::new(windlass_oci::Algorithm::Sha256);
        (0..PIECES).for_each(|_| hasher.update(&piece));
        hasher.finish()
    };
    let begun = Barrier::new(UPLOADS);
    let upload = &|index: usize| {
        let path = format!("/v2/r{index}/blobs/uploads/?digest={digest}");
        let mut connection = server.begin("POST", &path, &[], Some(PIECES * piece.len()));
        connection.write(&piece);
        // Nobody ends before all have begun.
        begun.wait();
        for _ in 1..PIECES {
            connection.write(&piece);
        }
        let reply = connection.reply();
        assert_eq!(reply.status, 201, "{}", reply.text());
    };
    thread::scope(|scope| {
        for index in 0..UPLOADS {
            let client = thread::Builder::new().stack_size(128 * 1024);
            client.spawn_scoped(scope, move || upload(index)).unwrap();
        }
    });
    assert!(peak() < LIMIT, "{} KiB", peak());
}
