//! How much the command reads: every byte of a layer once, and little else.

use std::fs::{self, File};
use std::ops::RangeInclusive;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use windlass_testkit::{ImageBuilder, Layer, TestRegistry};

use crate::counted::{Counted, compare};

const MIB: u64 = 1 << 20;

#[test]
fn a_layer_is_read_once_however_large_it_is() {
    // Index, manifest and config, and what the system tells. Measured: 11, for either size; how much
    // the system tells depends on the machine.
    check(8 * MIB, &[("KiB beside the layer", 8..=24)]);
    check(64 * MIB, &[("KiB beside the layer", 8..=24)]);
}

#[track_caller]
fn check(size: u64, expected: &[(&str, RangeInclusive<u64>)]) {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(5).layer(Layer::sparse(size)).build();
    let layout = image.directory();
    let said = layout.beside().join("said");
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.env_clear().env("HOME", layout.beside());
    command.arg("push").arg(layout.path()).args(["-r", &format!("{}/app", registry.address())]);
    command.args(["-t", "v1"]).stdin(Stdio::null()).stdout(Stdio::null());
    let mut push = command.stderr(File::create(&said).unwrap()).spawn().unwrap();
    let read = read_until_its_end(&push);
    assert!(push.wait().unwrap().success(), "{}", fs::read_to_string(said).unwrap());
    assert!(registry.has_image("app", &image), "the image is not complete");
    let beside = read.checked_sub(size).unwrap();
    let counted = Counted::from([("KiB beside the layer".to_owned(), beside / 1024)]);
    compare(&counted, expected, &format!("a layer of {} MiB", size / MIB));
}

/// How many bytes a process has read from files when it ended. What it read can be asked for until
/// somebody waits for it.
fn read_until_its_end(process: &Child) -> u64 {
    let folder = format!("/proc/{}", process.id());
    loop {
        let stat = fs::read_to_string(format!("{folder}/stat")).unwrap();
        if stat.rsplit_once(") ").unwrap().1.starts_with('Z') {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let io = fs::read_to_string(format!("{folder}/io")).unwrap();
    io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
}
