//! A small blocking HTTP client that does exactly what it is told, wrong things too. For tests of
//! servers; what is tested otherwise brings its own client.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use windlass_oci::Digest;

use crate::image::Image;
use crate::tls::TestCa;

/// A client on one connection that is kept as long as the server keeps it.
pub struct Client {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    authorization: Option<String>,
    stream: Option<BufReader<Box<dyn Stream>>>,
}

/// What a server has answered.
#[derive(Clone, Debug)]
pub struct Received {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How many answers of the kind `1xx` came before.
    pub interim: usize,
}

trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

impl Client {
    /// A client of the server at `address`, which is connected to with the first request.
    #[must_use]
    pub fn new(address: SocketAddr) -> Client {
        Client { address, tls: None, authorization: None, stream: None }
    }

    /// The same over TLS.
    #[must_use]
    pub fn tls(address: SocketAddr, ca: &TestCa) -> Client {
        Client { tls: Some(ca.client_config()), ..Client::new(address) }
    }

    /// Where its server is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends this as `Authorization` from now on.
    pub fn authorize(&mut self, authorization: &str) {
        self.authorization = Some(authorization.to_owned());
    }

    /// Sends a request without a body.
    pub fn get(&mut self, path: &str) -> io::Result<Received> {
        self.send("GET", path, &[], b"")
    }

    /// Sends a request and reads the answer to it.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Received> {
        self.begin(method, path, headers, body.len() as u64)?;
        // A server may answer and hang up before it has read everything.
        let written = self.write(body);
        let received = self.read(method);
        if received.is_err() {
            written?;
        }
        received
    }

    /// Sends the head of a request with a body of `length` bytes, and nothing of the body.
    pub fn begin(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: u64,
    ) -> io::Result<()> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        if length > 0 || method != "GET" && method != "HEAD" {
            head += &format!("Content-Length: {length}\r\n");
        }
        if let Some(authorization) = &self.authorization {
            head += &format!("Authorization: {authorization}\r\n");
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        if self.stream.is_none() {
            self.stream = Some(BufReader::new(self.connect()?));
        }
        self.write(head.as_bytes()).inspect_err(|_| self.stream = None)
    }

    /// Sends bytes, as they are.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?.get_mut();
        stream.write_all(bytes).and_then(|()| stream.flush())
    }

    /// Reads the answer to a request.
    pub fn read(&mut self, method: &str) -> io::Result<Received> {
        let mut interim = 0;
        let result = loop {
            let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
            match read_one(stream, method) {
                Ok((received, _)) if received.status < 200 => interim += 1,
                other => break other,
            }
        };
        match result {
            Ok((received, is_kept)) => {
                if !is_kept {
                    self.stream = None;
                }
                Ok(Received { interim, ..received })
            }
            Err(error) => {
                self.stream = None;
                Err(error)
            }
        }
    }

    /// Reads the next answer, one of the kind `1xx` too.
    pub fn read_interim(&mut self, method: &str) -> io::Result<Received> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        read_one(stream, method).map(|(received, _)| received)
    }

    /// Hangs up.
    pub fn hang_up(&mut self) {
        self.stream = None;
    }

    /// Uploads a blob in one piece: POST, then PUT. The status of the last answer.
    pub fn put_blob(&mut self, repository: &str, bytes: &[u8]) -> io::Result<u16> {
        let digest = Digest::sha256(bytes);
        let started = self.send("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"")?;
        if started.status != 202 {
            return Ok(started.status);
        }
        let location = with_digest(&started.location(), &digest);
        let headers = [("Content-Type", "application/octet-stream")];
        Ok(self.send("PUT", &location, &headers, bytes)?.status)
    }

    /// Puts one manifest of an image under `reference`. The status of the answer.
    pub fn put_manifest(
        &mut self,
        repository: &str,
        reference: &str,
        image: &Image,
        digest: &Digest,
    ) -> io::Result<u16> {
        let manifests = image.manifests();
        let found = manifests.iter().find(|manifest| manifest.digest == *digest);
        let media_type = &found.expect("a manifest of the image").media_type;
        let path = format!("/v2/{repository}/manifests/{reference}");
        let headers = [("Content-Type", media_type.as_str())];
        Ok(self.send("PUT", &path, &headers, &image.bytes(digest))?.status)
    }

    /// Puts an image as it should be: blobs, manifests from below, and the tag last.
    ///
    /// # Panics
    /// If any of it is not taken.
    pub fn push(&mut self, repository: &str, image: &Image, tag: &str) {
        for blob in image.blobs() {
            let status = self.put_blob(repository, &image.bytes(&blob.digest));
            assert_eq!(status.expect("an answer"), 201, "blob {}", blob.digest);
        }
        for manifest in image.manifests() {
            let digest = &manifest.digest;
            let status = self.put_manifest(repository, digest.as_str(), image, digest);
            assert_eq!(status.expect("an answer"), 201, "manifest {digest}");
        }
        let status = self.put_manifest(repository, tag, image, image.digest());
        assert_eq!(status.expect("an answer"), 201, "tag {tag}");
    }

    fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        // A test that would hang shall fail.
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_write_timeout(Some(Duration::from_secs(20)))?;
        let Some(config) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::from(self.address.ip());
        let connection =
            ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(connection, stream)))
    }
}

impl Received {
    /// A header's value, empty where it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The path and query of the `Location`.
    #[must_use]
    pub fn location(&self) -> String {
        let location = self.header("location");
        match location.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]).to_owned(),
            None => location.to_owned(),
        }
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Appends a digest to the location of an upload.
#[must_use]
pub fn with_digest(location: &str, digest: &Digest) -> String {
    let sign = if location.contains('?') { '&' } else { '?' };
    format!("{location}{sign}digest={digest}")
}

/// One answer, and whether the connection can be used again.
fn read_one(stream: &mut BufReader<Box<dyn Stream>>, method: &str) -> io::Result<(Received, bool)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let status = lines.first().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status: u16 = status.ok_or_else(|| io::Error::other("no HTTP"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in lines.iter().skip(1).filter_map(|line| line.split_once(':')) {
        let name: HeaderName = name.parse().map_err(io::Error::other)?;
        headers.append(name, HeaderValue::from_str(value.trim()).map_err(io::Error::other)?);
    }
    let mut received = Received { status, headers, body: Bytes::new(), interim: 0 };
    let mut body = Vec::new();
    let mut is_kept = !received.header("connection").eq_ignore_ascii_case("close");
    if method == "HEAD" || status < 200 || matches!(status, 204 | 304) {
    } else if received.header("transfer-encoding") == "chunked" {
        read_chunks(stream, &mut body)?;
    } else if let Ok(length) = received.header("content-length").parse::<u64>() {
        stream.take(length).read_to_end(&mut body)?;
        if (body.len() as u64) < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    } else {
        stream.read_to_end(&mut body)?;
        is_kept = false;
    }
    received.body = body.into();
    Ok((received, is_kept))
}

fn read_chunks(stream: &mut BufReader<Box<dyn Stream>>, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        stream.take(length).read_to_end(body)?;
        stream.read_line(&mut line)?;
        if length == 0 {
            return Ok(());
        }
    }
}
