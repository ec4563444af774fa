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
use tokio::time::timeout;
use tower_service::Service;

use super::half_dead::{HalfDead, Wire};
use super::origin::Origin;
use super::pool::{Connection, Forward, Task};
use super::proxy::{Chooser, Proxy, tunnel};
use super::tls::Tls;
use super::{HttpConfig, HttpError, words};

/// How much of a body is buffered: one piece of it goes out while the next is read.
const BUFFER: usize = 256 * 1024;
/// Answers may take minutes: what lies between must not forget the connection, and a host that is
/// gone must be noticed.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Bytes in both directions.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What opens connections.
pub(super) struct Connector {
    connect_timeout: Duration,
    resolve_timeout: Duration,
    handshake_timeout: Duration,
    pub(super) tls: Tls,
    proxies: Chooser,
}

impl Connector {
    pub(super) fn new(config: &HttpConfig) -> Connector {
        Connector {
            connect_timeout: config.connect_timeout,
            resolve_timeout: config.resolve_timeout,
            handshake_timeout: config.handshake_timeout,
            tls: Tls::new(config.tls.clone(), config.handshake_timeout),
            proxies: Chooser::new(&config.proxies),
        }
    }

    /// A fresh connection to `origin`, ready for its first request.
    pub(super) async fn connect(&self, origin: &Origin) -> Result<Connection, HttpError> {
        let wire = Wire::default();
        let proxy = self.proxies.choose(origin)?;
        let mut stream = match &proxy {
            None => self.tcp(origin, &wire).await?,
            Some(proxy) => {
                let about_proxy = |error| of_proxy(error, proxy);
                let stream = self.to_proxy(proxy, &wire).await.map_err(about_proxy)?;
                if origin.secure { self.through(stream, proxy, origin).await? } else { stream }
            }
        };
        if origin.secure {
            stream = self.tls.wrap(origin, stream).await?;
        }
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(BUFFER)
            .writev(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| HttpError::Connect(words::of_hyper(&error)))?;
        // Its errors are told to the one who waits for the answer.
        let task = Task(tokio::spawn(async move { drop(connection.await) }).abort_handle());
        let forward = proxy.filter(|_| !origin.secure).map(|proxy| Forward { login: proxy.login });
        Ok(Connection { origin: origin.clone(), sender, wire, forward, _task: task })
    }

    async fn to_proxy(&self, proxy: &Proxy, wire: &Wire) -> Result<Box<dyn Stream>, HttpError> {
        let stream = self.tcp(&proxy.origin, wire).await?;
        if proxy.origin.secure { self.tls.wrap(&proxy.origin, stream).await } else { Ok(stream) }
    }

    async fn through(
        &self,
        stream: Box<dyn Stream>,
        proxy: &Proxy,
        origin: &Origin,
    ) -> Result<Box<dyn Stream>, HttpError> {
        let tunnel = timeout(self.handshake_timeout, tunnel(stream, proxy, origin)).await;
        tunnel.unwrap_or_else(|_| {
            let name = proxy.origin.host_and_port();
            let limit = self.handshake_timeout;
            Err(HttpError::Connect(format!("the proxy {name} opens no way within {limit:?}")))
        })
    }

    /// A TCP connection, to whichever of the host's addresses answers first (RFC 8305).
    async fn tcp(&self, origin: &Origin, wire: &Wire) -> Result<Box<dyn Stream>, HttpError> {
        let resolver = Resolver { timeout: self.resolve_timeout, found: Arc::default() };
        let found = Arc::clone(&resolver.found);
        let mut connector = HttpConnector::new_with_resolver(resolver);
        connector.set_nodelay(true);
        connector.set_keepalive(Some(KEEPALIVE));
        connector.set_keepalive_interval(Some(KEEPALIVE / 2));
        connector.set_keepalive_retries(Some(4));
        connector.set_connect_timeout(Some(self.connect_timeout));
        let invalid = |_| HttpError::Uri(format!("{} is no host name", origin.host));
        let uri: Uri = format!("http://{}/", origin.host_and_port()).parse().map_err(invalid)?;
        match connector.call(uri).await {
            Ok(stream) => Ok(Box::new(HalfDead::new(stream.into_inner(), wire.clone()))),
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
            Some(error) => words::of_io(error),
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

/// An error on the way to a proxy, as one on the way to the host behind it.
fn of_proxy(error: HttpError, proxy: &Proxy) -> HttpError {
    let name = proxy.origin.host_and_port();
    match error {
        HttpError::Tls(what) => HttpError::Tls(format!("to the proxy {name}: {what}")),
        HttpError::NotTls(what) => HttpError::NotTls(format!("to the proxy {name}: {what}")),
        HttpError::Connect(what) => HttpError::Connect(format!("the proxy {what}")),
        HttpError::Resolve(what) => HttpError::Connect(format!("the proxy {name}: {what}")),
        other => other,
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
    let text = words::of_io(error);
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
