//! The registries that are pushed to: each push gets one of its own, new and empty.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;
use windlass_testkit::{Client, ImageBuilder, RealOptions, RealRegistry, TestCa, TlsOptions};

/// Which registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Debian's package, distribution 2.8.
    DockerRegistry,
    /// Windlass's own.
    Serve,
    /// Distribution 3, a program called `registry`.
    #[value(name = "distribution-3")]
    #[serde(rename = "distribution-3")]
    Distribution3,
    /// zot, a program called `zot`.
    Zot,
}

impl Kind {
    /// What it is called.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Kind::DockerRegistry => "docker-registry",
            Kind::Serve => "windlass serve",
            Kind::Distribution3 => "distribution",
            Kind::Zot => "zot",
        }
    }

    /// The name of its program, and what makes that say its version.
    pub(crate) fn program(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Kind::DockerRegistry => ("docker-registry", &["--version"]),
            Kind::Serve => ("windlass", &["--version"]),
            Kind::Distribution3 => ("registry", &["--version"]),
            Kind::Zot => ("zot", &["--version"]),
        }
    }
}

/// A registry that runs until this is dropped, when its content is removed.
pub(crate) struct Server {
    address: SocketAddr,
    /// Who vouches for it; plain HTTP where there is none.
    authority: Option<Arc<TestCa>>,
    running: Running,
}

enum Running {
    Distribution(RealRegistry),
    Other { _process: Process },
}

/// A process with a folder of its own.
struct Process {
    child: Child,
    /// Kept open, so that it can go on speaking.
    _said: Option<ChildStderr>,
    _place: TempDir,
}

/// How long a registry may take until it answers.
const PATIENCE: Duration = Duration::from_secs(20);

impl Server {
    /// Starts a registry that speaks plain HTTP, or TLS.
    pub(crate) fn start(kind: Kind, program: &Path, is_tls: bool) -> Result<Server> {
        let authority = is_tls.then(|| Arc::new(TestCa::new()));
        let (address, running) = match kind {
            Kind::DockerRegistry | Kind::Distribution3 => {
                let options = RealOptions {
                    program: Some(program.to_owned()),
                    tls: authority.as_ref().map(TlsOptions::new),
                    ..RealOptions::default()
                };
                let registry = RealRegistry::start(&options);
                let registry = registry.context("the registry is not installed")?;
                (registry.address(), Running::Distribution(registry))
            }
            Kind::Serve | Kind::Zot if is_tls => bail!("{kind} is not measured over TLS"),
            Kind::Serve => serve(program)?,
            Kind::Zot => zot(program)?,
        };
        let server = Server { address, authority, running };
        // What a registry does once in its life shall not be in anybody's time.
        server.client().push("warm/up", &ImageBuilder::new(1).layers(1, 1000).build(), "v1");
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file with the certificate of who vouches for it.
    pub(crate) fn authority(&self) -> Option<PathBuf> {
        self.authority.as_ref().map(|authority| authority.pem_file())
    }

    /// A client without any link between.
    pub(crate) fn client(&self) -> Client {
        match &self.authority {
            None => Client::new(self.address),
            Some(authority) => Client::tls(self.address, authority),
        }
    }

    /// How many requests its log tells of, and how many of them were not to read only; `None` where
    /// it keeps no log.
    pub(crate) fn logged(&self) -> Option<(u64, u64)> {
        let Running::Distribution(registry) = &self.running else { return None };
        let log = registry.log(0);
        let reads = log.iter().filter(|logged| matches!(logged.method.as_str(), "GET" | "HEAD"));
        let reads = reads.count() as u64;
        Some((log.len() as u64, log.len() as u64 - reads))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(program: &Path) -> Result<(SocketAddr, Running)> {
    let place = TempDir::new()?;
    let mut child = Command::new(program)
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(place.path().join("data"))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = child.stderr.take();
    let first = said.as_mut().and_then(|said| BufReader::new(said).lines().next());
    let process = Process { child, _said: said, _place: place };
    let first = first.context("windlass serve said nothing")??;
    let address = first.split_once("http://").and_then(|(_, rest)| rest.split_once(';'));
    let (address, _) = address.with_context(|| format!("windlass serve said: {first}"))?;
    Ok((address.parse()?, Running::Other { _process: process }))
}

fn zot(program: &Path) -> Result<(SocketAddr, Running)> {
    let place = TempDir::new()?;
    let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
    let config = json!({
        "distSpecVersion": "1.1.0",
        "storage": {"rootDirectory": place.path().join("data")},
        "http": {"address": address.ip().to_string(), "port": address.port().to_string()},
        "log": {"level": "error", "output": place.path().join("log")},
    });
    let file = place.path().join("config.json");
    fs::write(&file, config.to_string())?;
    let child = Command::new(program)
        .arg("serve")
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut process = Process { child, _said: None, _place: place };
    let start = Instant::now();
    while Client::new(address).get("/v2/").is_err() {
        if start.elapsed() > PATIENCE || process.child.try_wait()?.is_some() {
            bail!("zot does not answer on {address}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok((address, Running::Other { _process: process }))
}
