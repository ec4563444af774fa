//! `kill -9` at points spread over a push to `windlass serve` by the bytes that have arrived: the
//! next run finishes, sends nothing again that was finished, and of what was on its way at most
//! 1 MiB for each connection.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "whatever goes wrong shall end the test and say where"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use windlass_oci::{Descriptor, Digest};
use windlass_testkit::{
    Client, Image, ImageBuilder, Layout, Link, LinkAction, LinkFault, LinkOptions, LinkPoint,
    Received, Seen,
};

/// How many points.
const POINTS: u64 = 200;
/// How many pushes are under way.
const AT_ONCE: usize = 4;
/// What may go again of a body that was on its way.
const AGAIN: u64 = 1 << 20;
/// No head of a request is larger.
const HEAD: u64 = 1 << 10;
/// The queues of a socket in which there is nothing.
const EMPTY: &str = "00000000:00000000";
const TAGS: [&str; 2] = ["v1", "latest"];

/// What a push that was not killed moves through the link.
struct Course {
    image: Image,
    layout: Layout,
    bytes: u64,
}

/// What came of a point.
#[derive(Default)]
struct Sums {
    killed_in_mid_push: AtomicU64,
    /// Bytes of bodies that were on their way and did not go again.
    saved: AtomicU64,
}

/// A registry of its own, and a folder for what pushes to it keep. Dropped, it is killed.
struct Server {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

#[test]
fn a_push_that_is_killed_anywhere_is_finished_by_the_next() {
    let course = Course::measure();
    let (next, sums) = (AtomicU64::new(0), Sums::default());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let point = next.fetch_add(1, Ordering::Relaxed);
                    if point >= POINTS {
                        return;
                    }
                    // In the middle of its share.
                    course.kill_after(course.bytes * (2 * point + 1) / (2 * POINTS), &sums);
                }
            });
        }
    });
    let in_mid_push = sums.killed_in_mid_push.into_inner();
    assert!(in_mid_push * 10 >= POINTS * 9, "only {in_mid_push} were killed before their end");
    // What is on its way is megabytes most of the time: were it little, nothing would be shown.
    let saved = sums.saved.into_inner() / POINTS;
    assert!(saved > AGAIN, "resuming saved only {saved} bytes a push");
}

impl Course {
    fn measure() -> Course {
        let sizes = [6 << 20, 3 << 20, 1 << 20, 100_000];
        let image = sizes.iter().fold(ImageBuilder::new(70), |image, size| image.layers(1, *size));
        let image = image.build();
        let layout = image.directory();
        let server = Server::start();
        let link = Link::start(server.address, LinkOptions::default());
        let mut course = Course { image, layout, bytes: 0 };
        let push = course.push(&link, &server).wait_with_output().unwrap();
        assert!(push.status.success(), "{}", String::from_utf8_lossy(&push.stderr));
        course.bytes = link.report().bytes_up;
        course
    }

    /// Kills a push when so many bytes have arrived, and runs it again.
    fn kill_after(&self, bytes: u64, sums: &Sums) {
        let server = Server::start();
        // What the registry has by then is what counts, so the link holds the rest back.
        let stop = LinkFault { at: LinkPoint::Bytes(bytes), action: LinkAction::Stall };
        let options = LinkOptions { faults: vec![stop], ..LinkOptions::default() };
        let link = Link::start(server.address, options);
        let mut killed = self.push(&link, &server);
        while link.report().bytes_up < bytes && killed.try_wait().unwrap().is_none() {
            sleep(Duration::from_micros(300));
        }
        link.stall(true);
        server.read_all();
        killed.kill().unwrap();
        let was_killed = !killed.wait().unwrap().success();
        link.reset_all();
        link.stall(false);
        sums.killed_in_mid_push.fetch_add(u64::from(was_killed), Ordering::Relaxed);

        for tag in TAGS {
            assert!(
                server.tag(tag).is_none() || server.has_all(&self.image),
                "after {bytes} bytes: {tag}"
            );
        }
        let (blobs, first) = (self.image.blobs(), uploads(&link, 0));
        let finished: Vec<&Descriptor> =
            blobs.iter().filter(|blob| server.has("blobs", &blob.digest)).collect();
        let before = link.report().requests.len();
        let push = self.push(&link, &server).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&push.stderr);
        assert!(push.status.success(), "killed after {bytes} bytes, then: {said}");
        for tag in TAGS {
            assert_eq!(server.tag(tag).as_deref(), Some(self.image.digest().as_str()));
        }
        assert!(server.has_all(&self.image), "killed after {bytes} bytes, and not finished");

        let requests = link.report().requests;
        for run in [&requests[..before], &requests[before..]] {
            let late = out_of_order(run);
            assert!(late.is_none(), "killed after {bytes} bytes, a tag went before {late:#?}");
        }
        let second = uploads(&link, before);
        for blob in finished {
            let goes_again = second.iter().any(|it| it.path.contains(blob.digest.hex()));
            assert!(!goes_again, "killed after {bytes} bytes, {} went again", blob.digest);
        }
        let sum = |requests: &[&Seen]| requests.iter().map(|it| it.bytes).sum::<u64>();
        let requests: Vec<&Seen> = first.iter().chain(&second).collect();
        let size: u64 = blobs.iter().map(|blob| blob.size).sum();
        let again = sum(&requests).saturating_sub(size + HEAD * requests.len() as u64);
        let on_their_way: Vec<&Seen> =
            first.iter().filter(|it| it.status.is_none() && it.bytes > 0).collect();
        let most = AGAIN * on_their_way.len() as u64;
        assert!(
            again <= most,
            "killed after {bytes} bytes, {again} bytes went again, and no more than {most} need \
             have: {first:#?}, then {second:#?}"
        );
        sums.saved.fetch_add(sum(&on_their_way).saturating_sub(again), Ordering::Relaxed);
    }

    fn push(&self, link: &Link, server: &Server) -> Child {
        let mut command = windlass(server.folder.path());
        command.arg("push").arg(self.layout.path()).args(["-t", TAGS[0], "-t", TAGS[1], "-q"]);
        command.arg("-r").arg(format!("{}/app", link.address()));
        command.arg("--state-dir").arg(server.folder.path().join("state"));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Server {
    fn start() -> Server {
        // In memory, where there is such a place.
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap();
        let mut command = windlass(folder.path());
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"));
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.as_mut().unwrap());
        let first = said.lines().next().unwrap().unwrap();
        let address = first.split_once("http://").unwrap().1.split_once(';').unwrap().0;
        Server { address: address.parse().unwrap(), child, folder }
    }

    /// The digest that a tag names.
    fn tag(&self, tag: &str) -> Option<String> {
        let answer = self.head(&format!("manifests/{tag}"));
        (answer.status == 200).then(|| answer.header("docker-content-digest").to_owned())
    }

    fn has(&self, kind: &str, digest: &Digest) -> bool {
        self.head(&format!("{kind}/{digest}")).status == 200
    }

    fn has_all(&self, image: &Image) -> bool {
        let has = |kind, parts: Vec<Descriptor>| parts.iter().all(|it| self.has(kind, &it.digest));
        has("blobs", image.blobs()) && has("manifests", image.manifests())
    }

    fn head(&self, what: &str) -> Received {
        let path = format!("/v2/app/{what}");
        Client::new(self.address).send("HEAD", &path, &[], b"").unwrap()
    }

    /// Waits until nothing is on its way into it, where that can be told. A reset throws such bytes
    /// away, and how many there are says how busy the machine is, not how the next push does.
    fn read_all(&self) {
        let port = format!(":{:04X}", self.address.port());
        let is_read = || {
            let sockets = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
            let its_own = sockets.lines().filter(|line| line.contains(&port));
            // Of either end: what is to be sent, and what is to be read.
            its_own.filter_map(|line| line.split_whitespace().nth(4)).all(|it| it == EMPTY)
        };
        let begun = Instant::now();
        while !is_read() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it reads no more");
            sleep(Duration::from_micros(300));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A part of the image that a run sent after the first tag, or that had no answer by then. Looked at
/// on the way, for this registry refuses a tag that comes too early, and the push makes up for it.
fn out_of_order(run: &[Seen]) -> Option<&Seen> {
    let is_tag =
        |it: &&Seen| TAGS.iter().any(|tag| it.path.ends_with(&format!("/manifests/{tag}")));
    let first = run.iter().position(|it| it.method == "PUT" && is_tag(&it))?;
    let is_unanswered = |it: &&Seen| it.status.is_none();
    let sends = |it: &&Seen| matches!(&*it.method, "POST" | "PUT" | "PATCH");
    let before = run[..first].iter().filter(sends).find(is_unanswered);
    before.or_else(|| run[first..].iter().filter(sends).find(|it| !is_tag(it)))
}

/// The requests that moved blobs, from the one of this number on.
fn uploads(link: &Link, from: usize) -> Vec<Seen> {
    let requests = link.report().requests.into_iter().skip(from);
    requests
        .filter(|it| it.path.contains("/blobs/uploads/") && matches!(&*it.method, "PUT" | "PATCH"))
        .collect()
}

/// The command, with nothing of this machine's settings.
fn windlass(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.env_clear().env("HOME", home).stdin(Stdio::null());
    command
}
