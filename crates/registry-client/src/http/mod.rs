//! HTTP as registries need it: one request, one answer, whatever the socket does meanwhile.
//!
//! Knows nothing of registries, credentials or retries: it says precisely what happened, and
//! [`client`](crate) decides what that means. HTTP/1.1 only: a blob is one long body, and one
//! connection to each of several is faster than many streams on one.

mod answer;
mod body;
mod certs_d;
mod config;
mod connect;
mod error;
mod exchange;
mod flow;
mod half_dead;
mod head;
pub mod location;
mod message;
mod origin;
mod pool;
mod proxy;
mod redirect;
mod stats;
#[cfg(test)]
mod tests;
mod tls;
mod words;

use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use http::header::LOCATION;
use http::{HeaderValue, Uri};

pub use answer::Answer;
pub use config::{AcceptInvalid, HttpConfig, Proxies, TlsConfig};
pub use error::HttpError;
pub use message::{Body, Progress, Request};
pub use stats::Stats;

use connect::Connector;
use origin::Origin;
use pool::Pool;
use stats::{Origins, Tallies};

/// The HTTP of a process: connections are kept for the next request and shared by all clones.
#[derive(Clone)]
pub struct Http(Arc<Inner>);

struct Inner {
    config: HttpConfig,
    user_agent: Option<HeaderValue>,
    connector: Connector,
    pool: Arc<Pool>,
    tallies: Tallies,
    /// Those that do not answer `Expect: 100-continue` as they should.
    without_expect: Origins,
}

impl Http {
    /// Does no I/O: neither a certificate nor a name is looked up before it is needed.
    #[must_use]
    pub fn new(config: HttpConfig) -> Http {
        Http(Arc::new(Inner {
            user_agent: HeaderValue::from_str(&config.user_agent).ok(),
            connector: Connector::new(&config),
            pool: Arc::new(Pool::new(config.idle_per_host, config.idle_timeout)),
            tallies: Tallies::default(),
            without_expect: Origins::default(),
            config,
        }))
    }

    /// Sends `request` and gives its answer, whatever its status, following redirects.
    ///
    /// An answer that comes while the body is still being sent ends the sending. Nothing is sent
    /// twice but what certainly was not acted upon. Dropping the future closes the connection.
    ///
    /// # Errors
    ///
    /// See [`HttpError`]: there is no answer, or none that may be followed.
    pub async fn send(&self, request: Request) -> Result<Answer, HttpError> {
        let home = Origin::of(&request.uri)?;
        let mut uri = request.uri.clone();
        for _ in 0..=redirect::MAX_HOPS {
            let headers = redirect::headers_for(&request.headers, &home, &Origin::of(&uri)?);
            let answer = self.0.exchange(&request, &uri, &headers).await?;
            let location = answer.headers.get(LOCATION);
            match redirect::follow(&request.method, &uri, answer.status, location)? {
                None => return Ok(answer),
                Some(target) => {
                    if matches!(request.body, Body::Secret(_)) && Origin::of(&target)? != home {
                        return Err(HttpError::Redirect(format!(
                            "{} redirects a login to another host, where it is not sent",
                            origin::bare(&uri)
                        )));
                    }
                    // Boxed, since it would make the future of every request larger.
                    answer.discard().boxed().await;
                    uri = target;
                }
            }
        }
        Err(HttpError::Redirect(format!("more than {} redirects", redirect::MAX_HOPS)))
    }

    /// Opens a connection to the host of `uri` for a request that is to follow, unless one waits for
    /// it already. What goes wrong the request will meet itself.
    pub async fn prepare(&self, uri: &Uri) {
        let Inner { pool, connector, tallies, .. } = &*self.0;
        if let Ok(origin) = Origin::of(uri)
            && !pool.has(&origin)
            && let Ok(connection) = connector.connect(&origin).await
        {
            tallies.connected(&origin);
            pool.put(connection).await;
        }
    }

    /// Whether the certificate of the host that `authority`, `HOST[:PORT]`, names over https is
    /// checked.
    #[must_use]
    pub fn checks_certificate(&self, authority: &str) -> bool {
        let uri = format!("https://{authority}/").parse().ok();
        let origin = uri.and_then(|uri| Origin::of(&uri).ok());
        origin.is_some_and(|origin| self.0.config.tls.accept_invalid.checks(&origin))
    }

    /// What was exchanged so far with the host that `authority`, `HOST[:PORT]`, names.
    #[must_use]
    pub fn stats(&self, authority: &str) -> Stats {
        self.0.tallies.of(authority)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("config", &self.0.config).finish_non_exhaustive()
    }
}
