//! What is pushed, the link that it is pushed over, and what has come of it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;
use windlass_oci::Digest;
use windlass_testkit::{
    Image, ImageBuilder, Layer, Layout, Link, LinkAction, LinkFault, LinkOptions, LinkPoint,
};

/// An image, and the state that its pushes leave for the next.
pub(crate) struct Course {
    image: Image,
    pub(crate) layout: Layout,
    state: TempDir,
}

/// How a command ended, and what it said.
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) said: String,
}

/// `windlass serve`, as a process that ends with this.
pub(crate) struct Serve {
    process: Child,
    address: SocketAddr,
    _data: TempDir,
}

/// A link that breaks each time when so many bytes have been handed to the registry.
pub(crate) fn breaking(registry: SocketAddr, every: u64, how: LinkAction) -> Link {
    let cut = LinkFault { at: LinkPoint::Every(every), action: how };
    Link::start(registry, LinkOptions { faults: vec![cut], ..LinkOptions::default() })
}

impl Course {
    pub(crate) fn new(layers: &[u64]) -> Course {
        let mut image = ImageBuilder::new(80);
        for (seed, &size) in (0..).zip(layers) {
            image = image.layer(Layer::seeded(800 + seed, size));
        }
        let image = image.build();
        Course { layout: image.directory(), image, state: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn push(&self, link: &Link) -> Ran {
        self.push_with(link, &[])
    }

    pub(crate) fn command(&self, link: &Link, more: &[&str]) -> Command {
        let mut command = windlass();
        command.arg("push").arg(self.layout.path()).args(["-t", "v1"]);
        command.args(["-r", &format!("{}/app", link.address())]);
        command.arg("--state-dir").arg(self.state.path()).args(more);
        command
    }

    pub(crate) fn push_with(&self, link: &Link, more: &[&str]) -> Ran {
        let output = self.command(link, more).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ran { status: output.status, said }
    }

    pub(crate) fn layers(&self) -> Vec<Digest> {
        let blobs = self.image.blobs().into_iter();
        blobs.filter(|blob| blob.size > 10_000).map(|blob| blob.digest).collect()
    }

    pub(crate) fn digest(&self) -> &Digest {
        self.image.digest()
    }

    /// The bytes of all blobs.
    pub(crate) fn size(&self) -> u64 {
        self.image.blobs().iter().map(|blob| blob.size).sum()
    }

    #[track_caller]
    pub(crate) fn is_all_there(&self, registry: SocketAddr) {
        let mut verify = windlass();
        verify.arg("verify").arg(format!("{registry}/app:v1")).arg(self.layout.path());
        let output = verify.arg("--deep").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// At most so many hundredths of the image's size have been handed to the registry.
    #[track_caller]
    pub(crate) fn sent_at_most(&self, link: &Link, percent: u64) {
        let (sent, size) = (link.report().bytes_up, self.size());
        println!("{sent} bytes for {size}: {:.4}", sent as f64 / size as f64);
        assert!(sent <= size * percent / 100, "{sent} bytes were sent for {size}");
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn ends_with(&self, code: i32) {
        assert_eq!(self.status.code(), Some(code), "{}", self.said);
    }
}

impl Serve {
    /// Starts it and waits until it says where it listens.
    pub(crate) fn start() -> Serve {
        let data = tempfile::tempdir().unwrap();
        let mut command = windlass();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut pipe = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(pipe.read_line(&mut line).unwrap() > 0, "it ended before it listened");
            if let Some((_, rest)) = line.split_once("http://") {
                let end = |c: char| c != '.' && c != ':' && !c.is_ascii_digit();
                break rest.split(end).next().unwrap().parse().unwrap();
            }
        };
        // A pipe that nobody reads fills up, and the process would wait for it.
        std::thread::spawn(move || std::io::copy(&mut pipe, &mut std::io::sink()));
        Serve { process, address, _data: data }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The command under test, with nothing of this machine's settings.
fn windlass() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.env_clear().env("HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("nobody"));
    command
}
