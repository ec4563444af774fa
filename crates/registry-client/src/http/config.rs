//! What can be set: limits, certificates, proxies. Values only; nothing is read here.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::origin::Origin;

/// How an [`Http`](super::Http) behaves. The defaults are what registries need.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Whom to trust, and as whom to appear.
    pub tls: TlsConfig,
    /// The proxies between here and there.
    pub proxies: Proxies,
    /// How long all addresses of a host together may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long a host's name may take to be resolved.
    pub resolve_timeout: Duration,
    /// How long a TLS handshake may take, and a proxy to open its way through.
    pub handshake_timeout: Duration,
    /// How long no byte of an unfinished body, sent or received, may move.
    pub stall_timeout: Duration,
    /// How long the answer to a finished body may take. Registries commit in that time, and some
    /// take minutes for a large layer.
    pub answer_timeout: Duration,
    /// How long the answer to a request without a body may take.
    pub head_timeout: Duration,
    /// A body larger than this is announced with `Expect: 100-continue`, so that a refusal costs
    /// none of its bytes (RFC 9110 §10.1.1).
    pub expect_above: u64,
    /// How long to wait for the `100 Continue` before the body is sent all the same.
    pub expect_timeout: Duration,
    /// How many unused connections are kept for a host: no fewer than requests may be in flight, so
    /// that all of those are kept that were opened ahead.
    pub idle_per_host: usize,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// The `User-Agent` of requests that bring none. One that is no header value is not sent.
    pub user_agent: String,
}

impl Default for HttpConfig {
    fn default() -> HttpConfig {
        HttpConfig {
            tls: TlsConfig::default(),
            proxies: Proxies::default(),
            connect_timeout: Duration::from_secs(3),
            resolve_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(600),
            head_timeout: Duration::from_secs(60),
            expect_above: 1024 * 1024,
            expect_timeout: Duration::from_secs(1),
            idle_per_host: 256,
            idle_timeout: Duration::from_secs(30),
            user_agent: concat!("windlass/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Whom to trust, and as whom to appear. The files are read when the first https host is met.
#[derive(Clone, Debug, Default)]
pub struct TlsConfig {
    /// PEM files with certificate authorities that are trusted besides the system's.
    pub ca_files: Vec<PathBuf>,
    /// PEM files with a certificate chain and its key, shown to every host that asks.
    pub client_cert: Option<(PathBuf, PathBuf)>,
    /// Directories as Docker's and Podman's `certs.d`: in a folder `HOST[:PORT]` lie `*.crt`, the
    /// authorities trusted for that host, and `*.cert` with its `*.key`, what is shown to it.
    pub certs_dirs: Vec<PathBuf>,
    /// Whose certificates are not checked at all.
    pub accept_invalid: AcceptInvalid,
}

/// Whose certificates are not checked at all.
#[derive(Clone, Debug, Default)]
pub enum AcceptInvalid {
    /// Everyone's are.
    #[default]
    Never,
    /// Those of these hosts, `HOST[:PORT]`.
    Hosts(BTreeSet<String>),
    /// Nobody's are.
    Always,
}

impl AcceptInvalid {
    /// Whether the certificate of `origin` is checked.
    pub(super) fn checks(&self, origin: &Origin) -> bool {
        match self {
            AcceptInvalid::Never => true,
            AcceptInvalid::Hosts(hosts) => !hosts.iter().any(|host| origin.is(host)),
            AcceptInvalid::Always => false,
        }
    }
}

/// The proxies between here and there, as the environment of a command names them. Hosts on
/// loopback are never asked through one.
#[derive(Clone, Default)]
pub struct Proxies {
    /// For http hosts.
    pub http: Option<String>,
    /// For https hosts.
    pub https: Option<String>,
    /// For hosts that neither of the two is for.
    pub all: Option<String>,
    /// Hosts, domains and networks that are reached without one, separated by commas.
    pub no: Option<String>,
}

impl fmt::Debug for Proxies {
    /// Leaves out the values: a proxy's URL may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("all", &self.all.is_some())
            .field("no", &self.no)
            .finish()
    }
}
