//! Opening connections: to the host itself or through a proxy, with TLS where it is https.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::client::conn::http1;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use super::exchange::{io_words, words};
use super::half_dead::{HalfDead, Wire};
use super::origin::Origin;
use super::pool::{Connection, Task};
use super::{HttpConfig, HttpError};

/// How much of a body is buffered: one piece of it goes out while the next is read.
const BUFFER: usize = 256 * 1024;
/// Answers may take minutes, and what lies between forgets connections that are still.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Bytes in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What opens connections.
pub(super) struct Connector {
    connect_timeout: Duration,
    resolve_timeout: Duration,
}

impl Connector {
    pub(super) fn new(config: &HttpConfig) -> Connector {
        Connector {
            connect_timeout: config.connect_timeout,
            resolve_timeout: config.resolve_timeout,
        }
    }

    /// A fresh connection to `origin`, ready for its first request.
    pub(super) async fn connect(&self, origin: &Origin) -> Result<Connection, HttpError> {
        if origin.secure {
            return Err(HttpError::Tls("not understood yet".to_owned()));
        }
        let wire = Wire::default();
        let stream = HalfDead::new(self.tcp(origin).await?, wire.clone());
        let stream: Box<dyn Stream> = Box::new(stream);
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .writev(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| HttpError::Broken(words(&error)))?;
        // Its errors are told to the one who waits for the answer.
        let task = Task(tokio::spawn(async move { drop(connection.await) }).abort_handle());
        Ok(Connection { origin: origin.clone(), sender, wire, forward: None, _task: task })
    }

    /// A TCP connection, to whichever of the host's addresses answers first (RFC 8305).
    async fn tcp(&self, origin: &Origin) -> Result<TcpStream, HttpError> {
        let resolver = Resolver { timeout: self.resolve_timeout, found: Arc::default() };
        let found = Arc::clone(&resolver.found);
        let mut connector = HttpConnector::new_with_resolver(resolver);
        connector.set_nodelay(true);
        connector.set_keepalive(Some(KEEPALIVE));
        connector.set_connect_timeout(Some(self.connect_timeout));
        let invalid = |_| HttpError::Uri(format!("{} is no host name", origin.host));
        let uri: Uri = format!("http://{}/", origin.host_and_port()).parse().map_err(invalid)?;
        match connector.call(uri).await {
            Ok(stream) => Ok(stream.into_inner()),
            Err(error) => {
                let found = found.lock().unwrap_or_else(PoisonError::into_inner);
                Err(match &*found {
                    Found::Failed(problem) => HttpError::Resolve(problem.clone()),
                    Found::Addresses(addresses) => {
                        HttpError::Connect(self.refusal(origin, addresses, &error))
                    }
                })
            }
        }
    }

    fn refusal(
        &self,
        origin: &Origin,
        addresses: &[SocketAddr],
        error: &(dyn Error + 'static),
    ) -> String {
        let mut bottom: &dyn Error = error;
        while let Some(source) = bottom.source() {
            bottom = source;
        }
        let what = match bottom.downcast_ref::<io::Error>() {
            Some(error) if error.kind() == io::ErrorKind::TimedOut => {
                format!("no answer within {:?}", self.connect_timeout)
            }
            Some(error) => io_words(error),
            None => bottom.to_string(),
        };
        let mut tried: Vec<String> = addresses
            .iter()
            .map(|address| SocketAddr::new(address.ip(), origin.port).to_string())
            .collect();
        if tried.is_empty() {
            tried.push(origin.host_and_port());
        }
        format!("{}: {what}", tried.join(", "))
    }
}

/// The system's resolver, which remembers what it found for the error's text.
#[derive(Clone)]
struct Resolver {
    timeout: Duration,
    found: Arc<Mutex<Found>>,
}

enum Found {
    Addresses(Vec<SocketAddr>),
    Failed(String),
}

impl Default for Found {
    fn default() -> Found {
        Found::Addresses(Vec::new())
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Unresolved;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Unresolved>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Resolver { timeout: limit, found } = self.clone();
        Box::pin(async move {
            let result = match timeout(limit, tokio::net::lookup_host((name.as_str(), 0))).await {
                Ok(Ok(addresses)) => Found::Addresses(addresses.collect()),
                Ok(Err(error)) => Found::Failed(resolver_words(&error)),
                Err(_) => Found::Failed(format!("no answer from the name service in {limit:?}")),
            };
            let answer = match &result {
                Found::Addresses(addresses) => Ok(addresses.clone().into_iter()),
                Found::Failed(_) => Err(Unresolved),
            };
            *found.lock().unwrap_or_else(PoisonError::into_inner) = result;
            answer
        })
    }
}

/// What the resolver says, without what the message around it says already.
fn resolver_words(error: &io::Error) -> String {
    let text = io_words(error);
    text.trim_start_matches("failed to lookup address information: ").to_owned()
}

/// Why is in [`Found`].
#[derive(Debug)]
struct Unresolved;

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not resolved")
    }
}

impl Error for Unresolved {}
