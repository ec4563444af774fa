//! What it costs: time that actions take, and disk that a push adds.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use windlass_testkit::TestRegistry;

use crate::harness::{Workspace, run, workspace};

const MEBIBYTE: u64 = 1 << 20;

/// Writes the layers of `//tests/sizes`: ten, plain and compressed, over a base.
fn write_layers(workspace: &Workspace, base: u64, layer: u64) {
    let folder = workspace.folder().join("tests/sizes");
    let mut state = 1;
    write_archive(&folder.join("base.tar"), base, &mut state);
    for number in 0..10 {
        let file = folder.join(format!("layer-{number}.tar"));
        write_archive(&file, layer, &mut state);
        run(Command::new("gzip").args(["-1", "-k", "-f"]).arg(file)).ends_with(0);
    }
}

/// One file that does not compress well, as programs do not.
fn write_archive(file: &Path, size: u64, state: &mut u64) {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_path("file").unwrap();
    header.set_cksum();
    let mut output = std::io::BufWriter::new(File::create(file).unwrap());
    output.write_all(header.as_bytes()).unwrap();
    for number in 0..size / 8 {
        // Half of it is random (xorshift), half is not.
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        let word = if number % 2 == 0 { *state } else { number };
        output.write_all(&word.to_le_bytes()).unwrap();
    }
    output.write_all(&[0; 1024]).unwrap();
    output.flush().unwrap();
}

/// Bytes on disk below a folder, each file once, links not followed.
fn disk(folder: &Path) -> u64 {
    let mut seen = std::collections::HashSet::new();
    let mut left = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let metadata = fs::symlink_metadata(entry.path()).unwrap();
            if metadata.is_dir() {
                left.push(entry.path());
            } else if seen.insert(metadata.ino()) {
                bytes += metadata.blocks() * 512;
            }
        }
    }
    bytes
}

#[test]
fn a_push_adds_nothing_to_the_disk_that_is_as_large_as_a_layer() {
    let Some(workspace) = workspace() else { return };
    write_layers(&workspace, 24 * MEBIBYTE, 2 * MEBIBYTE);
    let scratch = workspace.scratch();
    let cache = format!("--disk_cache={}", scratch.path().join("cache").display());
    for root in ["clean", "cached"] {
        let registry = TestRegistry::plain();
        let repository = format!("{}/app", registry.host());
        let mut bazel = workspace.bazel_in(root, ["run", "--symlink_prefix=/", &cache]);
        bazel.args(["//tests/sizes:push_tar.gz", "--", "-r", &repository]);
        let ran = run(&mut bazel).ends_with(0);
        let made = ran.stderr.lines().find(|line| line.contains(" processes: ")).unwrap();
        let cached = [made.contains("disk cache hit"), made.contains("sandbox")];
        assert_eq!(cached, [root == "cached", root == "clean"], "{made}");
        assert!(registry.bytes_uploaded() > 30 * MEBIBYTE, "{}", ran.stderr);

        let bin = workspace.bin_in(root);
        let execution_root = bin.ancestors().nth(3).unwrap();
        let layers = disk(&bin.join("tests/sizes/built"));
        let added = disk(execution_root) - layers;
        println!("{root}: {added} bytes of disk beside {layers} of layers");
        assert!(layers > 30 * MEBIBYTE && added <= MEBIBYTE, "{added}");
        workspace.forget(root);
    }
}

/// An image of ten layers of 100 MB over one of 1 GiB: what the actions take beside what reading takes.
#[test]
#[ignore = "writes 5 GB; run it with --release, on a machine that does nothing else"]
fn a_layer_takes_little_more_than_its_digests() {
    let Some(workspace) = workspace() else { return };
    write_layers(&workspace, 1 << 30, 100_000_000);
    for (ending, layers, digests) in [
        ("tar", 11, "sha256sum base.tar layer-*.tar"),
        // The base has been read for the other image. Of the compressed bytes the digest is taken too.
        ("tar.gz", 10, "for layer in layer-*.tar.gz; do gzip -dc $layer | sha256sum; done"),
    ] {
        let sources = (0..10).map(|number| format!("//tests/sizes:built/layer-{number}.{ending}"));
        let sources: Vec<_> = sources.chain(["//tests/sizes:built/base.tar".to_owned()]).collect();
        workspace.build(&sources).ends_with(0);
        let profile = workspace.folder().join("profile.json");
        let flag = format!("--profile={}", profile.display());
        let push = format!("//tests/sizes:push_{ending}");
        workspace.build(["--jobs=1", &flag, &push]).ends_with(0);
        let actions = time_of_actions(&profile, layers);

        let start = Instant::now();
        let mut reading = Command::new("sh");
        reading.args(["-c", digests]).current_dir(workspace.folder().join("tests/sizes"));
        run(&mut reading).ends_with(0);
        let reading = start.elapsed();
        println!("{ending}: actions {actions:?}, reading {reading:?}");
        assert!(actions <= reading.mul_f64(1.3), "{ending}: {actions:?} > 1.3 × {reading:?}");
    }
}

/// The time of all actions of ours in a profile, of which so many read a layer.
fn time_of_actions(profile: &Path, layers: usize) -> Duration {
    let profile: Value = serde_json::from_slice(&fs::read(profile).unwrap()).unwrap();
    let mut read = 0;
    let mut time = Duration::ZERO;
    for event in profile["traceEvents"].as_array().unwrap() {
        let mnemonic = event["args"]["mnemonic"].as_str().unwrap_or_default();
        if event["cat"] == "action processing" && mnemonic.starts_with("Oci") {
            read += usize::from(mnemonic == "OciLayer");
            time += Duration::from_micros(event["dur"].as_u64().unwrap());
        }
    }
    assert_eq!(read, layers);
    time
}
