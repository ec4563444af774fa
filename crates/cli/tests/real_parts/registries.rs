//! Registries as processes on free loopback ports, which end with the test.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;

use windlass_testkit::{RealOptions, RealRegistry, TestCa, TlsOptions};

use crate::tools::windlass;

/// Where a registry is, and how it is to be trusted.
pub(crate) struct Address {
    /// Host and port.
    pub(crate) host: String,
    /// The authority that signed its certificate, where it speaks TLS.
    pub(crate) authority: Option<PathBuf>,
}

pub(crate) const USERNAME: &str = "hauler";
pub(crate) const PASSWORD: &str = "a long-ish passphrase";

/// Debian's `docker-registry`.
pub(crate) struct DockerRegistry {
    pub(crate) address: Address,
    _registry: RealRegistry,
    _authority: Option<Arc<TestCa>>,
}

/// The registry that `windlass serve` is.
pub(crate) struct WindlassServe {
    pub(crate) address: Address,
    process: Child,
}

impl DockerRegistry {
    pub(crate) fn open() -> DockerRegistry {
        DockerRegistry::start(&RealOptions::default(), None)
    }

    /// One behind TLS and a password.
    pub(crate) fn guarded() -> DockerRegistry {
        let authority = Arc::new(TestCa::new());
        let options = RealOptions {
            users: vec![(USERNAME.to_owned(), PASSWORD.to_owned())],
            tls: Some(TlsOptions::new(&authority)),
            ..RealOptions::default()
        };
        DockerRegistry::start(&options, Some(authority))
    }

    fn start(options: &RealOptions, authority: Option<Arc<TestCa>>) -> DockerRegistry {
        let registry = RealRegistry::start(options).unwrap();
        let address = Address {
            host: registry.host(),
            authority: authority.as_ref().map(|authority| authority.pem_file()),
        };
        DockerRegistry { address, _registry: registry, _authority: authority }
    }
}

impl WindlassServe {
    /// Starts it and waits until it says where it listens.
    pub(crate) fn start(work: &Path) -> WindlassServe {
        let mut command = windlass();
        command.arg("serve").arg("--data").arg(work.join("windlass-serve"));
        command.args(["--listen", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut pipe = BufReader::new(process.stderr.take().unwrap());
        let mut said = String::new();
        let host = loop {
            let start = said.len();
            // Where it ends without having said where it listens, the pipe ends too.
            assert!(pipe.read_line(&mut said).unwrap() > 0, "{command:?} ended: {said}");
            if let Some((_, rest)) = said[start..].split_once("http://") {
                let end = |c: char| c != '.' && c != ':' && !c.is_ascii_digit();
                break rest.split(end).next().unwrap().to_owned();
            }
        };
        // A pipe that nobody reads fills up, and the process would wait for it.
        std::thread::spawn(move || std::io::copy(&mut pipe, &mut std::io::sink()));
        WindlassServe { address: Address { host, authority: None }, process }
    }
}

impl Drop for WindlassServe {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
