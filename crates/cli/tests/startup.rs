//! What is not needed is not done: saying the version starts no runtime, and nothing but TLS reads
//! certificates.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test's helpers may stop at the first surprise too")]

use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use tempfile::TempDir;
use windlass_testkit::{ImageBuilder, TestCa, TestOptions, TestRegistry, TlsOptions};

/// Enough to load a program, which opens one file after the other; a runtime needs several at once.
const NO_RUNTIME: u32 = 4;
const ENOUGH: u32 = 256;

#[test]
fn the_version_needs_neither_runtime_nor_certificates() {
    let home = Home::new();
    let version = succeeds(&mut home.command(NO_RUNTIME, &["--version"]));
    assert_eq!(version, concat!("windlass ", env!("CARGO_PKG_VERSION"), "\n"));
    succeeds(&mut home.command(NO_RUNTIME, &["push", "--help"]));
    succeeds(&mut home.command(NO_RUNTIME, &["completions", "bash"]));
    assert!(!home.certificates_were_opened());

    // A command that does start a runtime shows that the limit is one.
    let inspect = Home::new().command(NO_RUNTIME, &["inspect", "/none/such"]).output().unwrap();
    let said = String::from_utf8(inspect.stderr).unwrap();
    assert!(said.contains("cannot start"), "{said}");
}

#[test]
fn only_a_push_over_tls_reads_certificates() {
    let image = ImageBuilder::new(1).layers(2, 1000).build();
    let layout = image.directory();
    let push = |home: &Home, registry: &TestRegistry| {
        let repository = format!("{}/app", registry.host());
        let path = layout.path().to_str().unwrap();
        home.command(ENOUGH, &["push", path, "-r", &repository, "-t", "v1"])
    };
    let (home, registry) = (Home::new(), TestRegistry::plain());
    succeeds(&mut push(&home, &registry));
    assert!(!home.certificates_were_opened());

    let tls = TlsOptions::new(&Arc::new(TestCa::new()));
    let registry = TestRegistry::start(TestOptions { tls: Some(tls), ..TestOptions::default() });
    let home = Home::new();
    // Nobody there vouches for it.
    assert!(!push(&home, &registry).output().unwrap().status.success());
    assert!(home.certificates_were_opened());
}

#[track_caller]
fn succeeds(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// A home whose certificates nobody can open unseen: a pipe, whose other end waits for that.
struct Home {
    place: TempDir,
    certificates: PathBuf,
    was_opened: Arc<AtomicBool>,
    waiting: JoinHandle<()>,
}

impl Home {
    fn new() -> Home {
        let place = TempDir::new().unwrap();
        let certificates = place.path().join("certificates.pem");
        assert!(Command::new("mkfifo").arg(&certificates).status().unwrap().success());
        let was_opened = Arc::<AtomicBool>::default();
        let (path, opened) = (certificates.clone(), was_opened.clone());
        let waiting = thread::spawn(move || {
            // Done when somebody opens it to read.
            let end = OpenOptions::new().write(true).open(&path).unwrap();
            opened.store(true, Ordering::SeqCst);
            // Who opened it finds nothing in it, and who comes back no pipe to wait at.
            fs::remove_file(path).unwrap();
            drop(end);
        });
        Home { place, certificates, was_opened, waiting }
    }

    /// A command that is at home here, and has room for so many open files.
    fn command(&self, files: u32, arguments: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!(r#"ulimit -n {files}; exec "$0" "$@""#)]);
        command.arg(env!("CARGO_BIN_EXE_windlass")).args(arguments);
        command.env_clear().env("HOME", self.place.path());
        command.env("SSL_CERT_FILE", &self.certificates);
        command
    }

    fn certificates_were_opened(self) -> bool {
        let were_opened = self.was_opened.load(Ordering::SeqCst);
        if !were_opened {
            // Lets the other end go.
            drop(OpenOptions::new().read(true).open(&self.certificates));
        }
        self.waiting.join().unwrap();
        were_opened
    }
}
