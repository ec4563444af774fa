//! Registries as processes on free loopback ports, which end with the test.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::tools::{run, windlass};

/// Where a registry is, and how it is to be trusted.
pub(crate) struct Address {
    /// Host and port.
    pub(crate) host: String,
    /// The authority that signed its certificate, where it speaks TLS.
    pub(crate) authority: Option<PathBuf>,
}

/// What stands before a registry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    None,
    TlsAndPassword,
}

pub(crate) const USERNAME: &str = "hauler";
pub(crate) const PASSWORD: &str = "a long-ish passphrase";

pub(crate) fn credentials() -> String {
    format!("{USERNAME}:{PASSWORD}")
}

/// The registry that Debian packages.
pub(crate) struct DockerRegistry {
    pub(crate) address: Address,
    _process: Process,
}

/// The registry that `windlass serve` is.
pub(crate) struct WindlassServe {
    pub(crate) address: Address,
    _process: Process,
}

impl DockerRegistry {
    pub(crate) fn start(work: &Path, guard: Guard) -> DockerRegistry {
        let folder = work.join("docker-registry");
        fs::create_dir(&folder).unwrap();
        let mut config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:0\n",
            folder.join("data").display()
        );
        let mut authority = None;
        if guard == Guard::TlsAndPassword {
            let made = Certificates::make(&folder);
            let passwords = folder.join("htpasswd");
            fs::write(&passwords, run("htpasswd", |h| h.args(["-nbB", USERNAME, PASSWORD])))
                .unwrap();
            config += &format!(
                "  tls:\n    certificate: {}\n    key: {}\nauth:\n  htpasswd:\n    realm: test\n    path: {}\n",
                made.certificate.display(),
                made.key.display(),
                passwords.display()
            );
            authority = Some(made.authority);
        }
        let config_file = folder.join("config.yml");
        fs::write(&config_file, config).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config_file);
        // It says so when it listens: `… msg="listening on 127.0.0.1:41234" …`, or with `, tls`.
        let (process, host) = Process::start(command, Speaks::OnStandardError, |line| {
            let (_, rest) = line.split_once("listening on ")?;
            Some(rest.split([',', '"']).next()?.to_owned())
        });
        DockerRegistry { address: Address { host, authority }, _process: process }
    }
}

impl WindlassServe {
    pub(crate) fn start(work: &Path) -> WindlassServe {
        let mut command = windlass();
        command.arg("serve").arg(work.join("windlass-serve")).args(["--listen", "127.0.0.1:0"]);
        let (process, host) = Process::start(command, Speaks::OnStandardOutput, |line| {
            Some(line.split("http://").nth(1)?.trim_end_matches('/').to_owned())
        });
        WindlassServe { address: Address { host, authority: None }, _process: process }
    }
}

/// A process that is ended with the test, also with one that fails.
struct Process(Child);

#[derive(Clone, Copy)]
enum Speaks {
    OnStandardOutput,
    OnStandardError,
}

impl Process {
    /// Starts it and waits for the line from which `find` reads where it listens.
    fn start(
        mut command: Command,
        speaks: Speaks,
        find: impl Fn(&str) -> Option<String>,
    ) -> (Process, String) {
        command.stdin(Stdio::null());
        match speaks {
            Speaks::OnStandardOutput => command.stdout(Stdio::piped()),
            Speaks::OnStandardError => command.stdout(Stdio::null()).stderr(Stdio::piped()),
        };
        let mut process = Process(command.spawn().unwrap());
        let pipe: Box<dyn Read + Send> = match speaks {
            Speaks::OnStandardOutput => Box::new(process.0.stdout.take().unwrap()),
            Speaks::OnStandardError => Box::new(process.0.stderr.take().unwrap()),
        };
        let mut pipe = BufReader::new(pipe);
        let mut said = String::new();
        loop {
            let start = said.len();
            // It ends without having said where it listens: then the pipe ends too.
            assert!(pipe.read_line(&mut said).unwrap() > 0, "{command:?} ended: {said}");
            if let Some(host) = find(said[start..].trim_end()) {
                // A pipe that nobody reads fills up, and the process would wait for it.
                std::thread::spawn(move || std::io::copy(&mut pipe, &mut std::io::sink()));
                return (process, host);
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A certificate authority, in a folder as skopeo wants it, alone; and what it signed for
/// 127.0.0.1.
struct Certificates {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificates {
    fn make(folder: &Path) -> Certificates {
        let trusted = folder.join("trusted");
        fs::create_dir(&trusted).unwrap();
        let authority = trusted.join("ca.crt");
        let authority_key = folder.join("ca.pem");
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"];
        run("openssl", |openssl| {
            openssl.args(new).args(["-subj", "/CN=an authority for one test"]);
            openssl.arg("-out").arg(&authority).arg("-keyout").arg(&authority_key)
        });
        run("openssl", |openssl| {
            openssl.args(new).args(["-subj", "/CN=127.0.0.1"]);
            openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
            openssl.args(["-addext", "subjectAltName=IP:127.0.0.1"]);
            openssl.arg("-CA").arg(&authority).arg("-CAkey").arg(&authority_key);
            openssl.arg("-out").arg(&certificate).arg("-keyout").arg(&key)
        });
        Certificates { authority, certificate, key }
    }
}
