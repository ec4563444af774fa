//! Real registries that are found on this machine, to learn from rather than from what is said of
//! them. Today that is Debian's `docker-registry`, distribution 2.8.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::tls::TlsOptions;
use crate::token::{ISSUER, SERVICE, TokenServer};

/// How a [`RealRegistry`] is.
#[derive(Clone, Default)]
pub struct RealOptions {
    /// The program to run: another version of it, say. Debian's `docker-registry` where `None`.
    pub program: Option<PathBuf>,
    /// Who is let in by `Basic`; everybody where there is none and no token server.
    pub users: Vec<(String, String)>,
    /// Who gives tokens; it must have a [`Signer`](crate::Signer).
    pub tokens: Option<TokenServer>,
    /// The realm to name instead of the token server's own: a link in front of it, say.
    pub realm: Option<String>,
    /// Speaks TLS; its certificate is never expired and no client's is asked for.
    pub tls: Option<TlsOptions>,
    /// Names uploads by a path without a host.
    pub relative_locations: bool,
}

/// A `docker-registry` that runs until this is dropped.
#[derive(Debug)]
pub struct RealRegistry {
    process: Child,
    address: SocketAddr,
    is_tls: bool,
    program: PathBuf,
    place: TempDir,
}

/// A request in the access log of a [`RealRegistry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealLogged {
    /// `PUT`
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
}

const BINARY: &str = "docker-registry";

/// Set to `1` where a missing registry shall fail the tests that need it.
const MUST: &str = "WINDLASS_REAL_PARTS";

impl RealRegistry {
    /// Whether this machine has one.
    #[must_use]
    pub fn available() -> bool {
        let version = Command::new(BINARY).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    }

    /// Starts one on a free port of the loopback interface and waits until it answers. `None`
    /// where the machine has none: the test is to be left then, and has said so.
    ///
    /// # Panics
    /// Where the machine has none and the environment says `WINDLASS_REAL_PARTS=1`.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "a test that tests nothing must not look like success")]
    pub fn start(options: &RealOptions) -> Option<RealRegistry> {
        if options.program.is_some() || RealRegistry::available() {
            return Some(RealRegistry::start_here(options));
        }
        let must = std::env::var_os(MUST).is_some_and(|value| value == "1");
        assert!(!must, "{BINARY} is not installed, and {MUST}=1 says that it must be");
        let thread = thread::current();
        let test = thread.name().unwrap_or("a test");
        eprintln!("SKIPPED {test}: {BINARY} is not installed (set {MUST}=1 to make that an error)");
        None
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its name in a reference: `127.0.0.1:40001`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The file with its access log.
    #[must_use]
    pub fn access_log(&self) -> PathBuf {
        self.place.path().join("access.log")
    }

    /// Where its content lies.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// The requests that it has answered, in the order of their ends. It writes them down a little
    /// after it has answered: waits for `at_least` so many.
    ///
    /// # Panics
    /// If they do not come within ten seconds.
    #[must_use]
    pub fn log(&self, at_least: usize) -> Vec<RealLogged> {
        let start = Instant::now();
        loop {
            let log = parse_log(&fs::read_to_string(self.access_log()).unwrap_or_default());
            if log.len() >= at_least {
                return log;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "only {log:?}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills it (SIGKILL), as a crash does.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again after [`kill`](Self::kill), on the same port and with the same content.
    pub fn restart(&mut self) {
        self.kill();
        self.process = run(&self.program, self.place.path());
        let problem = self.wait_until_it_answers();
        assert_eq!(problem, None, "it has not come back on {}", self.address);
    }

    fn start_here(options: &RealOptions) -> RealRegistry {
        let mut problem = String::new();
        // The port is free when it is chosen; somebody may be faster.
        for _ in 0..5 {
            let place = TempDir::new().expect("a temporary directory");
            let free = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
            let address = free.local_addr().expect("it is bound");
            let config = config(options, address, place.path());
            fs::write(place.path().join("config.yml"), config.to_string()).expect("a file");
            drop(free);
            let program = options.program.clone().unwrap_or_else(|| BINARY.into());
            let process = run(&program, place.path());
            let is_tls = options.tls.is_some();
            let mut registry = RealRegistry { process, address, is_tls, program, place };
            match registry.wait_until_it_answers() {
                None => return registry,
                Some(words) => problem = words,
            }
        }
        panic!("{BINARY} does not start: {problem}");
    }

    fn wait_until_it_answers(&mut self) -> Option<String> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(20) {
            if self.process.try_wait().expect("a process of ours").is_some() {
                return Some(self.words());
            }
            let answers = if self.is_tls {
                TcpStream::connect(self.address).is_ok()
            } else {
                Client::new(self.address).get("/health-of-nothing").is_ok()
            };
            if answers {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Some(self.words())
    }

    fn words(&self) -> String {
        fs::read_to_string(self.place.path().join("errors.log")).unwrap_or_default()
    }
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        self.kill();
    }
}

fn run(program: &Path, place: &Path) -> Child {
    let file = |name: &str| {
        File::options().create(true).append(true).open(place.join(name)).expect("a file")
    };
    Command::new(program)
        .arg("serve")
        .arg(place.join("config.yml"))
        // Version 3 tells a collector on this machine of each request, if nobody says otherwise.
        .env("OTEL_TRACES_EXPORTER", "none")
        .stdin(Stdio::null())
        .stdout(file("access.log"))
        .stderr(file("errors.log"))
        .spawn()
        .expect("it has just been found")
}

/// JSON is YAML too.
fn config(options: &RealOptions, address: SocketAddr, place: &Path) -> Value {
    let mut config = json!({
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {
            "filesystem": {"rootdirectory": place.join("data")},
            "delete": {"enabled": true},
        },
        "http": {
            "addr": address.to_string(),
            "secret": "of-a-test",
            "relativeurls": options.relative_locations,
        },
    });
    if let Some(tls) = &options.tls {
        let names: Vec<_> = tls.names.iter().map(String::as_str).collect();
        let identity = tls.ca.server_identity(&names);
        config["http"]["tls"] = json!({"certificate": identity.certificate, "key": identity.key});
    }
    if let Some(tokens) = &options.tokens {
        let bundle = tokens.root_certificate().expect("a token server that signs");
        let realm = options.realm.clone().unwrap_or_else(|| tokens.realm());
        config["auth"] = json!({"token": {
            "realm": realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle,
        }});
    } else if !options.users.is_empty() {
        let path = place.join("htpasswd");
        let lines = options.users.iter().map(|(user, password)| {
            // 4 is the least that there is: the tests are in a hurry.
            format!("{user}:{}\n", bcrypt::hash(password, 4).expect("a password"))
        });
        fs::write(&path, lines.collect::<String>()).expect("a file");
        config["auth"] = json!({"htpasswd": {"realm": "test", "path": path}});
    }
    config
}

/// Apache's combined format: `host - - [when] "PUT /path HTTP/1.1" 201 0 "" "client"`. The
/// question whether the registry is up is left out.
fn parse_log(text: &str) -> Vec<RealLogged> {
    let lines = text.lines().filter_map(|line| {
        let (_, rest) = line.split_once("] \"")?;
        let (request, rest) = rest.split_once("\" ")?;
        let mut words = request.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let status = rest.split(' ').next()?.parse().ok()?;
        Some(RealLogged { method, path, status })
    });
    lines.filter(|logged| logged.path != "/health-of-nothing").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_logs_are_read() {
        let text = "127.0.0.1 - - [24/Nov/2026:23:35:06 +0000] \"GET /v2/ HTTP/1.1\" 200 2 \"\" \"x\"\n\
                    127.0.0.1 - u [24/Nov/2026:23:35:06 +0000] \"PUT /v2/a?b=c HTTP/1.1\" 201 0 \"\" \"\"\n\
                    127.0.0.1 - - [24/Nov/2026:23:35:06 +0000] \"GET /health-of-nothing HTTP/1.1\" 404 9 \"\" \"\"\n\
                    half a li";
        let logged = |method: &str, path: &str, status| RealLogged {
            method: method.to_owned(),
            path: path.to_owned(),
            status,
        };
        assert_eq!(parse_log(text), [logged("GET", "/v2/", 200), logged("PUT", "/v2/a?b=c", 201)]);
    }
}
