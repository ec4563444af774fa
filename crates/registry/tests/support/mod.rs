//! A registry on a socket of its own, and a client that does just what it is told.

#![expect(dead_code, reason = "every test file uses its own part of this")]

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use windlass_oci::{Descriptor, Digest, MediaType, RepositoryName};
use windlass_registry::{Config, Registry};

/// No test waits for so long unless something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) registry: Option<Registry>,
    runtime: Runtime,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<std::io::Result<()>>>,
    folder: Arc<TempDir>,
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::with(|_| {})
    }

    pub(crate) fn with(adjust: impl FnOnce(&mut Config)) -> Server {
        Server::on(Arc::new(TempDir::new().unwrap()), adjust)
    }

    /// On a folder that another server had.
    pub(crate) fn on(folder: Arc<TempDir>, adjust: impl FnOnce(&mut Config)) -> Server {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let mut config = Config::new(folder.path().join("registry"));
        config.sync = false;
        config.shutdown_grace = Duration::from_millis(300);
        adjust(&mut config);
        let registry = runtime.block_on(Registry::open(config)).unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = runtime.spawn(registry.clone().serve(listener, async {
            drop(stopped.await);
        }));
        Server {
            address,
            registry: Some(registry),
            runtime,
            stop: Some(stop),
            serving: Some(serving),
            folder,
        }
    }

    /// Stops it in order; what it leaves behind.
    pub(crate) fn stop(mut self) -> Arc<TempDir> {
        drop(self.stop.take());
        let serving = self.serving.take().unwrap();
        self.runtime.block_on(serving).unwrap().unwrap();
        drop(self.registry.take());
        self.folder.clone()
    }

    /// What would be on the disk if the process were killed now.
    pub(crate) fn snapshot(&self) -> Arc<TempDir> {
        let copy = TempDir::new().unwrap();
        copy_folder(self.folder.path(), copy.path());
        Arc::new(copy)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("registry")
    }

    pub(crate) fn registry(&self) -> &Registry {
        self.registry.as_ref().unwrap()
    }

    pub(crate) fn send(&self, method: &str, path: &str) -> Reply {
        self.send_with(method, path, &[], b"")
    }

    pub(crate) fn send_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let mut connection = self.begin(method, path, headers, Some(body.len()));
        connection.write(body);
        connection.reply()
    }

    /// Sends the head of a request; without a length the body comes in chunks.
    pub(crate) fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: Option<usize>,
    ) -> Connection {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
        match length {
            Some(length) => write!(head, "content-length: {length}\r\n").unwrap(),
            None => head.push_str("transfer-encoding: chunked\r\n"),
        }
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head.push_str("\r\n");
        let mut connection = Connection { stream, head: method == "HEAD" };
        connection.write(head.as_bytes());
        connection
    }

    /// Closes a connection as a crashed client does: with a reset.
    pub(crate) fn reset(&self, connection: Connection) {
        let _runtime = self.runtime.enter();
        connection.stream.set_nonblocking(true).unwrap();
        let stream = tokio::net::TcpStream::from_std(connection.stream).unwrap();
        stream.set_zero_linger().unwrap();
    }

    /// Begins an upload; where it is.
    pub(crate) fn session(&self, repository: &str) -> String {
        let reply = self.send("POST", &format!("/v2/{repository}/blobs/uploads/"));
        assert_eq!(reply.status, 202);
        reply.header("location").unwrap().to_owned()
    }

    pub(crate) fn push_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let reply = self.send_with("POST", &path, &[], bytes);
        assert_eq!(reply.status, 201, "{}", reply.text());
        digest
    }

    /// Waits until the session has so many bytes on the disk.
    #[track_caller]
    pub(crate) fn wait_for_bytes(&self, location: &str, count: u64) {
        let id = location.rsplit('/').next().unwrap();
        let path = self.data().join("uploads").join(format!("{id}.data"));
        wait_until(|| std::fs::metadata(&path).is_ok_and(|file| file.len() >= count));
    }
}

pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    head: bool,
}

impl Connection {
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // The other side may have answered and closed already.
        let _ = self.stream.write_all(bytes);
    }

    pub(crate) fn write_chunk(&mut self, bytes: &[u8]) {
        self.write(format!("{:x}\r\n", bytes.len()).as_bytes());
        self.write(bytes);
        self.write(b"\r\n");
    }

    /// The final answer.
    #[track_caller]
    pub(crate) fn reply(mut self) -> Reply {
        let mut bytes = Vec::new();
        let mut continued = false;
        loop {
            let end = self.read_until(&mut bytes, |bytes| {
                bytes.windows(4).position(|window| window == b"\r\n\r\n")
            });
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            bytes.drain(..end + 4);
            let mut lines = head.split("\r\n");
            let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
            if status == 100 {
                continued = true;
                continue;
            }
            let headers: Vec<(String, String)> = lines
                .map(|line| line.split_once(": ").unwrap())
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let mut reply = Reply { status, headers, body: Vec::new(), continued };
            let length = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
            if !self.head {
                self.read_until(&mut bytes, |bytes| (bytes.len() >= length).then_some(length));
                assert_eq!(bytes.len(), length);
            }
            assert!(!self.head || bytes.is_empty(), "an answer to HEAD has no body");
            reply.body = bytes;
            return reply;
        }
    }

    #[track_caller]
    fn read_until(&mut self, bytes: &mut Vec<u8>, found: impl Fn(&[u8]) -> Option<usize>) -> usize {
        let mut piece = vec![0; 64 * 1024];
        loop {
            if let Some(found) = found(bytes) {
                return found;
            }
            match self.stream.read(&mut piece) {
                Ok(count) if count > 0 => bytes.extend_from_slice(&piece[..count]),
                other => panic!("{other:?} after {:?}", String::from_utf8_lossy(bytes)),
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether a `100 Continue` came before it.
    pub(crate) continued: bool,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(header, _)| header == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status and error code must be these.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.json()["errors"][0]["code"], code, "{}", self.text());
    }
}

/// So many bytes that are not all the same.
pub(crate) fn bytes(count: usize, seed: u8) -> Vec<u8> {
    let mut state = u32::from(seed) + 1;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

pub(crate) fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

/// An image manifest of these parts.
pub(crate) fn image(config: &[u8], layers: &[&[u8]]) -> Vec<u8> {
    let layer = |bytes: &&[u8]| Descriptor::of(MediaType::OCI_LAYER, bytes);
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": Descriptor::of(MediaType::OCI_CONFIG, config),
        "layers": layers.iter().map(layer).collect::<Vec<_>>(),
    });
    serde_json::to_vec(&manifest).unwrap()
}

#[track_caller]
pub(crate) fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
