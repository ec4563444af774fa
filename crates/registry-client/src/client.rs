//! One client a host: ties connections, credentials, limits and patience together.
//!
//! All pushes of a process to a host share it. What is done in one repository goes through a
//! [`RepositoryClient`], which also counts it.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::OnceCell;
use windlass_oci::{Registry, Repository};

use crate::auth::{AuthError, AuthOptions, Authenticator, CredentialProvider, Description};
use crate::error::{Error, ErrorKind};
use crate::exchange::{Call, Target};
use crate::http::Http;
use crate::limits::Limits;
use crate::origin::{Settled, Transport};
use crate::profile::{HostProfile, Profile};

/// How to deal with one host.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The scheme.
    pub transport: Transport,
    /// How long an operation is tried while nothing moves forward.
    pub retry_for: Duration,
    /// The most bodies in flight.
    pub jobs: usize,
    /// The most bytes of one body; `None` for no bound.
    pub chunk_size: Option<u64>,
    /// Is told whenever something is to be done again.
    pub retries: RetryListener,
}

/// Is told what did not work, and after what time it is done again. Calls must return at once.
#[derive(Clone, Default)]
pub struct RetryListener(pub Option<Arc<ToldOfRetry>>);

type ToldOfRetry = dyn Fn(&Error, Duration) + Send + Sync;

/// The client of one registry. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client(pub(crate) Arc<Host>);

/// A client for one repository, with its own count of what was asked. Cheap to clone.
#[derive(Clone)]
pub struct RepositoryClient {
    pub(crate) host: Arc<Host>,
    pub(crate) repository: Repository,
    pub(crate) tally: Arc<Tally>,
    sessions: Arc<Sessions>,
}

/// What was asked of a repository, counted where it is sent.
#[derive(Debug, Default)]
pub struct Tally {
    requests: AtomicU64,
    retries: AtomicU64,
    bytes: AtomicU64,
}

/// All that is known of a host.
pub(crate) struct Host {
    pub(crate) registry: Registry,
    pub(crate) http: Http,
    pub(crate) auth: Authenticator,
    pub(crate) options: ClientOptions,
    pub(crate) limits: Limits,
    pub(crate) profile: Profile,
    pub(crate) settled: Mutex<Settled>,
    /// Whether it gave an answer: from then on trouble is a matter of time.
    pub(crate) answered: AtomicBool,
    /// Filled once it is known, by a first answer over TLS or from before, how to log in: the others
    /// wait for it rather than all be refused.
    pub(crate) greeted: OnceCell<()>,
    /// Held by whoever changes a list of referrers, which is read, added to and written back.
    pub(crate) fallback_turn: tokio::sync::Mutex<()>,
    warnings: Mutex<BTreeSet<String>>,
}

/// An upload session that is open at the registry. It stays on its client's list until it has
/// [ended](Self::ended): one whose upload was dropped can still be cancelled.
pub(crate) struct OpenSession {
    sessions: Arc<Sessions>,
    id: u64,
}

/// How many different `Warning`s of a host are kept, so that none can fill the memory.
const WARNINGS: usize = 32;

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            transport: Transport::Https,
            retry_for: Duration::from_secs(300),
            jobs: 8,
            chunk_size: None,
            retries: RetryListener::default(),
        }
    }
}

impl RetryListener {
    pub(crate) fn tell(&self, error: &Error, delay: Duration) {
        if let Some(listener) = &self.0 {
            listener(error, delay);
        }
    }
}

impl Client {
    /// A client of `registry`. Nothing is asked before something is wanted.
    #[must_use]
    pub fn new(
        http: Http,
        registry: Registry,
        credentials: Arc<dyn CredentialProvider>,
        options: ClientOptions,
    ) -> Client {
        let plain_http = options.transport != Transport::Https;
        let auth_options = AuthOptions { plain_http, ..AuthOptions::default() };
        let auth = Authenticator::new(http.clone(), registry.clone(), credentials, auth_options);
        Client(Arc::new(Host {
            limits: Limits::new(options.jobs),
            profile: Profile::default(),
            settled: Mutex::new(options.transport.settled()),
            answered: AtomicBool::new(false),
            greeted: OnceCell::new(),
            fallback_turn: tokio::sync::Mutex::default(),
            warnings: Mutex::default(),
            registry,
            http,
            auth,
            options,
        }))
    }

    /// The registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// A client for one repository of this host.
    #[must_use]
    pub fn repository(&self, repository: Repository) -> RepositoryClient {
        RepositoryClient {
            host: self.0.clone(),
            repository,
            tally: Arc::default(),
            sessions: Arc::default(),
        }
    }

    /// Who we are there and how that is proven, as far as it is known; for people to read.
    pub async fn describe_login(&self, repository: &Repository) -> Result<Description, AuthError> {
        self.0.auth.describe(repository).await
    }

    /// The scheme it is spoken to in, once that is settled.
    #[must_use]
    pub fn scheme(&self) -> Option<&'static str> {
        let settled = self.0.settled();
        (settled != Settled::Not).then(|| settled.scheme())
    }

    /// How long something is tried while nothing moves forward.
    #[must_use]
    pub fn retry_for(&self) -> Duration {
        self.0.options.retry_for
    }

    /// What was learned of what the host can do and wants.
    #[must_use]
    pub fn learned(&self) -> HostProfile {
        self.0.profile.learned(self.0.auth.realm())
    }

    /// Takes over what was [learned](Self::learned) of the host before.
    pub fn recall(&self, learned: &HostProfile) {
        self.0.profile.recall(learned);
        if let Some(realm) = &learned.realm {
            self.0.auth.recall(realm);
        }
    }

    /// What the registry wants people to know (`Warning` headers, distribution-spec §"Warnings"),
    /// each once.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.0
            .warnings
            .lock()
            .map(|warnings| warnings.iter().cloned().collect())
            .unwrap_or_default()
    }
}

impl RepositoryClient {
    /// The repository.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// What was asked so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The host's client.
    #[must_use]
    pub fn client(&self) -> Client {
        Client(self.host.clone())
    }

    /// Cancels the upload sessions that were opened through this client and have not come to their
    /// end, as far as that goes within `limit`. For an end before the end: what was dropped cannot
    /// tidy up after itself.
    pub async fn cancel_sessions(&self, limit: Duration) {
        let locations = self.sessions.take();
        let all = locations.iter().map(|location| self.cancel_upload(location));
        // Registries end sessions by themselves after a while; not to hang matters more.
        let all = futures_util::future::join_all(all);
        drop(tokio::time::timeout(limit, all).await);
    }

    /// Puts an upload session on the list of those to be cancelled at an early end.
    pub(crate) fn track_session(&self, location: &str) -> OpenSession {
        let sessions = self.sessions.clone();
        let session = OpenSession { id: sessions.next.fetch_add(1, Ordering::Relaxed), sessions };
        session.moved(location);
        session
    }

    /// A call on this repository: `operation` completes "cannot …", `path` goes behind the name.
    pub(crate) fn call<'a>(&'a self, operation: String, path: &str) -> Call<'a> {
        let path = format!("/v2/{}/{path}", self.repository.name());
        Call::new(self, operation, Target::Path(path))
    }

    pub(crate) fn error(&self, operation: &str, kind: ErrorKind) -> Error {
        Error::new(&self.repository, operation, kind, self.host.has_answered())
    }
}

impl Tally {
    /// Requests that were sent, repetitions among them; those to token servers are not.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// How often something was done again because it had not worked.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Bytes of blobs and manifests handed to the network, those sent again among them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Host {
    /// Whether it gave any answer so far: from then on trouble is a matter of time.
    pub(crate) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    pub(crate) fn settled(&self) -> Settled {
        self.settled.lock().map_or(Settled::Tls, |settled| *settled)
    }

    /// Settles the scheme, unless another request was quicker.
    pub(crate) fn settle(&self, to: Settled) {
        if let Ok(mut settled) = self.settled.lock()
            && *settled == Settled::Not
        {
            *settled = to;
            self.auth.set_plain_http(to == Settled::Plain);
        }
    }

    pub(crate) fn warn(&self, warning: String) {
        if let Ok(mut warnings) = self.warnings.lock()
            && warnings.len() < WARNINGS
        {
            warnings.insert(warning);
        }
    }
}

/// The upload sessions that are open.
#[derive(Debug, Default)]
struct Sessions {
    locations: Mutex<HashMap<u64, String>>,
    next: AtomicU64,
}

impl Sessions {
    fn take(&self) -> Vec<String> {
        let locations = self.locations.lock().map(|mut locations| std::mem::take(&mut *locations));
        locations.map(|locations| locations.into_values().collect()).unwrap_or_default()
    }
}

impl OpenSession {
    /// The session has a new location.
    pub(crate) fn moved(&self, location: &str) {
        if let Ok(mut locations) = self.sessions.locations.lock() {
            locations.insert(self.id, location.to_owned());
        }
    }

    /// The session has come to its end by itself.
    pub(crate) fn ended(&self) {
        if let Ok(mut locations) = self.sessions.locations.lock() {
            locations.remove(&self.id);
        }
    }
}

impl fmt::Debug for RetryListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RetryListener").field(&self.0.is_some()).finish()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl fmt::Debug for RepositoryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RepositoryClient").field(&self.repository).finish()
    }
}
