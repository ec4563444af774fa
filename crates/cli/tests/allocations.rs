//! How much memory a push asks for, counted by the allocator: for each blob, and for each MiB of one.
//!
//! The registry is a process of its own, so that nothing is counted but the push. A push of so many
//! blobs is held against one of twice as many: what each of the two needs once falls out.
//!
//! There is one test, because a second one would be counted with it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's helpers may stop at the first surprise too, and what was measured is told"
)]

#[path = "counts/counted.rs"]
mod counted;

use std::alloc::System;
use std::io::{BufRead as _, BufReader};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use windlass_image::{Graph, GraphOptions, Layout};
use windlass_push::{Job, Pusher, PusherOptions};
use windlass_testkit::{Image, ImageBuilder, Layer};

use counted::{Counted, compare};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: u64 = 1 << 20;
/// How many blobs the smaller push has.
const BLOBS: usize = 48;
/// The bytes of each.
const SIZE: u64 = 20_000;

/// What an allocator was asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    allocations: u64,
    bytes: u64,
}

#[test]
fn what_a_push_asks_the_allocator_for() {
    let serve = Serve::start();
    let push = |repository: &str, image: &Image| serve.push(repository, image);
    let (small, large) = (blobs(1, BLOBS), blobs(2, 2 * BLOBS));
    // What is made once in a process is made here.
    push("before", &blobs(3, 1));

    // Two requests and two readings of its 20,000 bytes. Measured: 197, and 82,576. How many bytes a
    // future has is in part the compiler's affair.
    let new = [("allocations", 194..=200), ("bytes", 75_000..=86_000)];
    check("a blob that is new", push("few", &small), push("many", &large), BLOBS as u64, &new);

    // No request and one reading, for its digest. Measured: 22, and 23,913.
    let there = [("allocations", 21..=23), ("bytes", 22_500..=25_000)];
    check("a blob that is there", push("few", &small), push("many", &large), BLOBS as u64, &there);

    // Four pieces, in buffers that are used again. Measured: 5, and 0 to 19,366: one push may come to
    // use a few buffers of 256 KiB more than the other, which is never a second buffer for each piece.
    let of_layer = [("allocations", 4..=6), ("bytes", 0..=40_000)];
    let (short, long) = (layer(8 * MIB), layer(64 * MIB));
    check("a MiB of a layer", push("short", &short), push("long", &long), 56, &of_layer);
}

fn blobs(seed: u64, count: usize) -> Image {
    ImageBuilder::new(seed).layers(count, SIZE).build()
}

fn layer(size: u64) -> Image {
    ImageBuilder::new(4).layer(Layer::sparse(size)).build()
}

/// Compares what each of `count` more of something costs.
#[track_caller]
fn check(
    what: &str,
    less: Asked,
    more: Asked,
    count: u64,
    expected: &[(&str, RangeInclusive<u64>)],
) {
    let each = |less: u64, more: u64| more.saturating_sub(less) / count;
    let counted = Counted::from([
        ("allocations".to_owned(), each(less.allocations, more.allocations)),
        ("bytes".to_owned(), each(less.bytes, more.bytes)),
    ]);
    println!("{what}: {counted:?} {less:?} {more:?}");
    compare(&counted, expected, &format!("for {what}"));
}

/// `windlass serve`, as a process that ends with this.
struct Serve {
    child: Child,
    address: String,
    _data: tempfile::TempDir,
}

impl Serve {
    fn start() -> Serve {
        let data = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.env_clear().env("HOME", data.path()).stdin(Stdio::null());
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data.path());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.as_mut().unwrap());
        let first = said.lines().next().unwrap().unwrap();
        let address = first.split_once("http://").unwrap().1.split_once(';').unwrap().0.to_owned();
        Serve { child, address, _data: data }
    }

    /// Pushes from a directory to a tag, as a process of its own would.
    fn push(&self, repository: &str, image: &Image) -> Asked {
        let layout = image.directory();
        // How many threads there are at once, each of which costs a little, is the machine's affair.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(1).enable_all().build().unwrap();
        let region = Region::new(COUNTING);
        runtime.block_on(push(layout.path(), &format!("{}/{repository}", self.address)));
        let change = region.change();
        Asked {
            allocations: (change.allocations + change.reallocations) as u64,
            bytes: change.bytes_allocated as u64,
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn push(layout: &Path, repository: &str) {
    let layout = Layout::open(layout).await.unwrap();
    let root = layout.root(None).unwrap();
    let graph = Graph::read(&root, &*layout.store(), &GraphOptions::default()).await.unwrap();
    let job = Job::new(Arc::new(graph), vec![repository.parse().unwrap()]);
    let finished =
        Pusher::new(PusherOptions::default()).push(job.tags(vec!["v1".parse().unwrap()])).await;
    assert!(finished.failure.is_none(), "{:?}", finished.failure);
}
