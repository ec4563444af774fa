//! A server that is played by hand, and a blob whose reading can be watched.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use windlass_oci::Digest;
use windlass_source::{BlobReader, BlobSource, SourceError};

use crate::http::{Body, Http, HttpConfig, Request};

pub(super) const MIB: u64 = 1024 * 1024;

/// A server on loopback that gives each connection to `play`, with its number.
pub(super) async fn serve<F, P>(play: P) -> SocketAddr
where
    P: Fn(Peer<TcpStream>, usize) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            // As servers do it: else a small answer is held back, and lost with the connection.
            stream.set_nodelay(true).unwrap();
            tokio::spawn(play(Peer::new(stream), number));
        }
    });
    address
}

/// Starts a server in a thread of its own: one that truly acts while the client does.
pub(super) fn elsewhere<F>(server: F) -> SocketAddr
where
    F: Future<Output = SocketAddr> + Send + 'static,
{
    let (say, hear) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            say.send(server.await).unwrap();
            std::future::pending::<()>().await;
        });
    });
    hear.recv().unwrap()
}

/// The other end of a connection.
pub(super) struct Peer<S> {
    pub(super) stream: S,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(super) fn new(stream: S) -> Peer<S> {
        Peer { stream, read: Vec::new() }
    }

    /// The head of the next request, to the empty line; `None` at the connection's end.
    pub(super) async fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            match self.stream.read_buf(&mut self.read).await {
                Ok(1..) => {}
                _ => return None,
            }
        }
    }

    /// `count` bytes of a body; fewer where the connection ends.
    pub(super) async fn body(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count
            && matches!(self.stream.read_buf(&mut self.read).await, Ok(1..))
        {}
        self.read.drain(..count.min(self.read.len())).collect()
    }

    pub(super) async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Answers every request, whose bodies are read by their length, in the same way.
    pub(super) async fn answer_all(mut self, text: impl AsRef<str>) {
        while let Some(head) = self.head().await {
            let length = header(&head, "content-length").map_or(0, |value| value.parse().unwrap());
            self.body(length).await;
            self.say(text.as_ref()).await;
        }
    }
}

/// The value of a header in a request's head.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// An answer with a body of known length.
pub(super) fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

pub(super) fn http() -> Http {
    Http::new(HttpConfig::default())
}

/// Limits that a test can wait for.
pub(super) fn impatient() -> HttpConfig {
    HttpConfig {
        stall_timeout: Duration::from_millis(80),
        answer_timeout: Duration::from_millis(80),
        head_timeout: Duration::from_millis(80),
        expect_timeout: Duration::from_millis(50),
        expect_above: u64::MAX,
        ..HttpConfig::default()
    }
}

pub(super) fn get(url: &str) -> Request {
    request(Method::GET, url, Body::Empty)
}

pub(super) fn request(method: Method, url: &str, body: Body) -> Request {
    Request { method, uri: url.parse().unwrap(), headers: HeaderMap::new(), body }
}

pub(super) fn put(url: &str, blob: &Arc<Blob>) -> Request {
    request(Method::PUT, url, blob.whole())
}

/// A blob of zeroes, which counts what is read of it.
#[derive(Debug)]
pub(super) struct Blob {
    digest: Digest,
    size: u64,
    fails_at: u64,
    pub(super) opened: AtomicUsize,
    pub(super) read: Arc<AtomicU64>,
}

impl Blob {
    pub(super) fn new(size: u64) -> Arc<Blob> {
        Blob::failing(size, u64::MAX)
    }

    /// One whose bytes from an offset on cannot be read.
    pub(super) fn failing(size: u64, fails_at: u64) -> Arc<Blob> {
        let digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
        let (opened, read) = (AtomicUsize::default(), Arc::default());
        Arc::new(Blob { digest, size, fails_at, opened, read })
    }

    pub(super) fn whole(self: &Arc<Self>) -> Body {
        self.part(0, self.size, None)
    }

    pub(super) fn part(
        self: &Arc<Self>,
        offset: u64,
        length: u64,
        progress: Option<crate::http::Progress>,
    ) -> Body {
        let source: Arc<dyn BlobSource> = self.clone();
        Body::Source { source, offset, length, progress }
    }

    pub(super) fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl BlobSource for Blob {
    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn size(&self) -> u64 {
        self.size
    }

    async fn open(&self, offset: u64) -> Result<Box<dyn BlobReader>, SourceError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let (size, fails_at, read) = (self.size, self.fails_at, Arc::clone(&self.read));
        Ok(Box::new(Zeroes { offset, size, fails_at, read }))
    }

    fn origin(&self) -> String {
        "layer.tar".to_owned()
    }
}

struct Zeroes {
    offset: u64,
    size: u64,
    fails_at: u64,
    read: Arc<AtomicU64>,
}

static PIECE: [u8; 256 * 1024] = [0; 256 * 1024];

impl BlobReader for Zeroes {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        if self.offset >= self.fails_at {
            let (origin, error) = ("layer.tar".to_owned(), std::io::Error::other("disk on fire"));
            return Poll::Ready(Some(Err(SourceError::Io { origin, error })));
        }
        let left = usize::try_from(self.size - self.offset).unwrap().min(PIECE.len());
        if left == 0 {
            return Poll::Ready(None);
        }
        self.offset += left as u64;
        self.read.fetch_add(left as u64, Ordering::SeqCst);
        Poll::Ready(Some(Ok(Bytes::from_static(&PIECE[..left]))))
    }
}

/// What was heard, in the order it was.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<(Mutex<Vec<String>>, Notify)>);

impl Heard {
    pub(super) fn push(&self, text: impl Into<String>) {
        self.0.0.lock().unwrap().push(text.into());
        self.0.1.notify_one();
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits until so many things were heard.
    pub(super) async fn wait_for(&self, count: usize) {
        while self.all().len() < count {
            self.0.1.notified().await;
        }
    }
}
