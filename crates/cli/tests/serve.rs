//! `windlass serve`, from outside: what it says, what it refuses, and how it ends.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "whatever goes wrong shall end the test"
)]

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

/// A server that has said where it listens. Dropped, it is killed.
struct Server {
    child: Child,
    address: SocketAddr,
    greeting: Vec<String>,
    #[cfg_attr(not(unix), expect(dead_code, reason = "it is read to its end after a signal"))]
    said: Lines<BufReader<ChildStderr>>,
}

impl Server {
    fn start(command: &mut Command) -> Server {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let greeting: Vec<_> = said.by_ref().take(3).map(Result::unwrap).collect();
        let first = greeting.first().expect("it said nothing");
        let (_, address) = first.split_once("http://").expect(first);
        let (address, _) = address.split_once(';').expect(first);
        let address = address.parse().expect(first);
        Server { child, address, greeting, said }
    }

    fn get(&self, path: &str) -> String {
        self.send("GET", path, "")
    }

    fn send(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Sends a signal; gives the exit code and what it said since the greeting.
    #[cfg(unix)]
    fn stop_by(mut self, signal: &str) -> (Option<i32>, Vec<String>) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let said = self.said.by_ref().map(Result::unwrap).collect();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `windlass serve` with nothing of this machine's environment.
fn serve(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.env_clear().arg("serve").args(arguments);
    command
}

fn serve_in(data: &Path) -> Command {
    serve(&["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()])
}

#[track_caller]
fn check_refusal(command: &mut Command, code: i32, words: &[&str]) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert!(stdout.is_empty());
    for words in words {
        assert!(stderr.contains(words), "{words:?} is not in {stderr}");
    }
}

#[test]
fn it_says_where_it_is_and_answers_there() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("made/on/the/way");
    let server = Server::start(&mut serve_in(&data));
    assert_ne!(server.address.port(), 0);
    assert!(server.greeting[1].ends_with(data.to_str().unwrap()), "{:?}", server.greeting);
    let example = format!("windlass push ./image --repository {}/app", server.address);
    assert!(server.greeting[2].contains(&example), "{:?}", server.greeting);
    let answer = server.get("/v2/");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(server.get("/v2/app/tags/list").starts_with("HTTP/1.1 404"));
}

#[test]
#[cfg(unix)]
fn to_be_stopped_is_no_failure() {
    for signal in ["-INT", "-TERM"] {
        for verbosity in [&["--verbose"][..], &[]] {
            let folder = tempfile::tempdir().unwrap();
            let server = Server::start(serve_in(folder.path()).args(verbosity));
            // A connection that is open and idle does not hold it up.
            let _idle = TcpStream::connect(server.address).unwrap();
            server.get("/v2/");
            let (code, said) = server.stop_by(signal);
            assert_eq!(code, Some(0), "{signal} {said:?}");
            assert!(said.iter().any(|line| line.starts_with("stopping")), "{said:?}");
        }
    }
}

#[test]
#[cfg(unix)]
fn with_verbose_every_request_has_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(serve_in(folder.path()).arg("-v"));
    assert!(server.get("/v2/").starts_with("HTTP/1.1 200"));
    assert!(server.get("/v2/app/manifests/v1").starts_with("HTTP/1.1 404"));
    let (_, said) = server.stop_by("-TERM");
    let requests: Vec<_> = said.iter().filter(|line| line.starts_with("GET ")).collect();
    assert_eq!(requests.len(), 2, "{said:?}");
    assert!(requests[0].starts_with("GET /v2/ 200 "), "{said:?}");
    assert!(requests[1].starts_with("GET /v2/app/manifests/v1 404 "), "{said:?}");
    assert!(requests.iter().all(|line| line.ends_with(" ms")), "{said:?}");

    let server = Server::start(&mut serve_in(folder.path()));
    server.get("/v2/");
    let (_, said) = server.stop_by("-TERM");
    assert!(!said.iter().any(|line| line.starts_with("GET ")), "{said:?}");
}

#[test]
#[cfg(unix)]
fn a_requests_line_tells_its_bytes_and_neither_query_nor_control_characters() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(serve_in(folder.path()).arg("-v"));
    let body = "x".repeat(1536);
    let digest = windlass_oci::Digest::sha256(body.as_bytes());
    let upload = format!("/v2/app/blobs/uploads/?digest={digest}");
    assert!(server.send("POST", &upload, &body).starts_with("HTTP/1.1 201"));
    server.get("/\u{9b}2J");
    let (_, said) = server.stop_by("-TERM");
    let posted = said.iter().find(|line| line.starts_with("POST ")).expect("a line");
    assert!(posted.starts_with("POST /v2/app/blobs/uploads/ 201 "), "{posted}");
    assert!(posted.ends_with(" ms 1.5 KiB"), "{posted}");
    assert!(said.iter().any(|line| line.starts_with(r"GET /\u{9b}2J 404 ")), "{said:?}");
}

#[test]
fn others_than_this_machine_are_kept_out() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:5000"] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut command = serve(&["--listen", address, "--data", data.to_str().unwrap()]);
        check_refusal(&mut command, 2, &[address, "no authentication", "127.0.0.1"]);
        assert!(!data.exists());
    }
    check_refusal(&mut serve(&["--listen", "5000"]), 2, &["127.0.0.1:5000"]);
}

#[test]
fn a_port_in_use_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let data = folder.path().to_str().unwrap();
    let mut command = serve(&["--listen", &address, "--data", data]);
    let listen_elsewhere = "--listen 127.0.0.1:0";
    check_refusal(&mut command, 1, &[&format!("cannot listen on {address}"), listen_elsewhere]);
}

#[test]
fn a_folder_has_one_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&mut serve_in(folder.path()));
    let path = folder.path().to_str().unwrap();
    check_refusal(&mut serve_in(folder.path()), 1, &[path, "in use by another server", "--data"]);
    drop(server);
    Server::start(&mut serve_in(folder.path()));
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("diary"), "dear").unwrap();
    check_refusal(&mut serve_in(folder.path()), 1, &["not empty"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
#[cfg(all(unix, not(target_os = "macos")))]
fn without_a_folder_it_takes_the_one_of_the_system() {
    let home = tempfile::tempdir().unwrap();
    let listen = ["--listen", "127.0.0.1:0"];
    let data = home.path().join("xdg/windlass/registry");
    let server = Server::start(serve(&listen).env("XDG_DATA_HOME", home.path().join("xdg")));
    assert!(server.greeting[1].ends_with(data.to_str().unwrap()), "{:?}", server.greeting);
    assert!(data.exists());

    let data = home.path().join(".local/share/windlass/registry");
    let server = Server::start(serve(&listen).env("HOME", home.path()));
    assert!(server.greeting[1].ends_with(data.to_str().unwrap()), "{:?}", server.greeting);

    check_refusal(&mut serve(&listen), 2, &["no home folder", "--data FOLDER"]);
}

#[test]
fn the_help_names_the_folder() {
    let output = serve(&["--help"]).output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("~/.local/share/windlass/registry"), "{help}");
    assert!(help.contains("$XDG_DATA_HOME/windlass/registry"), "{help}");
}
