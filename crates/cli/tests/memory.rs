//! Memory grows neither with the size of a layer nor with the number of layers, on either side of
//! a push: the command as it is run, against the server as it is run.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test's helpers may stop at the first surprise too")]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use windlass_testkit::{Image, ImageBuilder, Layer};

const MIB: u64 = 1024 * 1024;
/// The most that the pushing side may have, in KiB. Debug builds have up to 24 MiB, of which 10 are
/// the program itself.
const PUSH: u64 = 32 * 1024;
/// The most that the registry's side may have, in KiB. Debug builds have up to 18 MiB.
const SERVE: u64 = 48 * 1024;

#[test]
fn one_layer_of_a_gibibyte_stays_small() {
    check(&ImageBuilder::new(1).layer(Layer::sparse(1024 * MIB)).build());
}

#[test]
fn two_hundred_layers_of_ten_mebibytes_stay_small() {
    // Each has a byte more than the one before, so that they are not all the same blob.
    let layer = |image: ImageBuilder, index| image.layer(Layer::sparse(10 * MIB + index));
    check(&(0..200).fold(ImageBuilder::new(2), layer).build());
}

#[track_caller]
fn check(image: &Image) {
    let layout = image.directory();
    let server = Server::start(&layout.beside().join("data"));
    let said = layout.beside().join("said");
    let mut push = windlass(layout.beside());
    push.arg("push").arg(layout.path()).args(["-r", &format!("{}/app", server.address)]);
    push.args(["-t", "v1"]).stdout(Stdio::null()).stderr(File::create(&said).unwrap());
    let mut push = push.spawn().unwrap();
    // It never goes down, so what is read last is what counts. A process that has ended has none.
    let mut pushed = 0;
    let status = loop {
        pushed = peak(&push).unwrap_or(pushed);
        if let Some(status) = push.try_wait().unwrap() {
            break status;
        }
        thread::sleep(Duration::from_millis(2));
    };
    assert!(status.success(), "{}", fs::read_to_string(said).unwrap());
    let served = peak(&server.child).unwrap();
    assert!(0 < pushed && pushed < PUSH, "push had {pushed} KiB");
    assert!(served < SERVE, "serve had {served} KiB");
}

/// A registry that says where it listens. Dropped, it is killed.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(data: &Path) -> Server {
        let mut command = windlass(data);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.as_mut().unwrap());
        let first = said.lines().next().unwrap().unwrap();
        let address = first.split_once("http://").unwrap().1.split_once(';').unwrap().0.to_owned();
        Server { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command, with nothing of this machine's settings.
fn windlass(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.env_clear().env("HOME", home).stdin(Stdio::null());
    command
}

/// The most memory that a process has had so far, in KiB; `None` once it has ended.
fn peak(process: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
