//! Who decides what a request to one registry carries: a credential, a token, or nothing.

mod recall;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use windlass_oci::{Registry, Repository, RepositoryName};

use super::authorization::{Basis, Held, Token};
use super::challenge::{self, Asked, Challenge};
use super::credential::bearer_header;
use super::known::{Known, Way};
use super::realm;
use super::single_flight::Flights;
use super::token::TokenServer;
use super::token_client::{Numbered, TokenClient};
use super::{AuthError, Authorization, CredentialError, CredentialProvider, Origin, Scopes};
use crate::http::{Body, Http, Request};

/// The login at one registry, shared by all requests to it.
///
/// The first 401 says what the registry wants, and from then on a request has its authorization
/// before it is sent. Nothing is asked in advance, but for a token where one was had the last time.
/// Nothing is tried twice in here either: what a token server refuses or cannot answer goes to the
/// caller, who decides about retries.
pub struct Authenticator {
    http: Http,
    registry: Registry,
    provider: Arc<dyn CredentialProvider>,
    options: AuthOptions,
    plain_http: AtomicBool,
    token_client: TokenClient,
    known: Mutex<Known>,
    credentials: Flights<RepositoryName, Option<Arc<Held>>, CredentialError>,
    tokens: Flights<TokenKey, Token, AuthError>,
    numbers: AtomicU64,
    now: Arc<dyn Fn() -> Instant + Send + Sync>,
}

/// What an [`Authenticator`] may do.
#[derive(Clone, Debug)]
pub struct AuthOptions {
    /// The registry is asked in plain HTTP, so its token server may be as well. One on loopback
    /// may be in any case. What turns out later is [set](Authenticator::set_plain_http).
    pub plain_http: bool,
    /// How long a token must last beyond what its request needs.
    pub min_lifetime: Duration,
}

impl Default for AuthOptions {
    fn default() -> AuthOptions {
        AuthOptions { plain_http: false, min_lifetime: Duration::from_secs(10) }
    }
}

/// Who we are at a registry, and how it wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// What the registry asks for, where it has asked.
    pub login: Option<Login>,
    /// The credential that is used; `None` where there is none.
    pub credential: Option<Identity>,
}

/// How a registry wants to know who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// By the credential itself.
    Basic,
    /// By a token of this token server's.
    Bearer {
        /// Its host.
        host: String,
        /// The registry's name there.
        service: Option<String>,
    },
}

/// What may be shown of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What kind it is: `password`, `identity token`, `registry token`.
    pub kind: &'static str,
    /// The name, where there is one.
    pub username: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TokenKey {
    server: TokenServer,
    scopes: Scopes,
}

/// How many refusals in a row are answered with another authorization, where the registry wants
/// something else each time.
const MOST_REFUSALS: u8 = 3;

impl Authenticator {
    /// For `registry`, with the credentials that `provider` has.
    #[must_use]
    pub fn new(
        http: Http,
        registry: Registry,
        provider: Arc<dyn CredentialProvider>,
        options: AuthOptions,
    ) -> Authenticator {
        Authenticator {
            token_client: TokenClient::new(http.clone(), registry.clone()),
            http,
            registry,
            provider,
            plain_http: AtomicBool::new(options.plain_http),
            options,
            known: Mutex::default(),
            credentials: Flights::default(),
            tokens: Flights::default(),
            numbers: AtomicU64::new(1),
            now: Arc::new(Instant::now),
        }
    }

    /// Takes another clock than the system's.
    #[cfg(test)]
    pub(super) fn with_clock(
        self,
        now: impl Fn() -> Instant + Send + Sync + 'static,
    ) -> Authenticator {
        Authenticator { now: Arc::new(now), ..self }
    }

    /// Says that it has turned out whether the registry speaks plain HTTP, whatever the options
    /// supposed.
    pub fn set_plain_http(&self, plain_http: bool) {
        self.plain_http.store(plain_http, Ordering::Relaxed);
    }

    fn plain_http(&self) -> bool {
        self.plain_http.load(Ordering::Relaxed)
    }

    /// Whether it is known what the registry wants at `repository`: nothing is sent along before.
    pub fn knows(&self, repository: &Repository) -> bool {
        self.known().way(repository.name()).is_some()
    }

    /// What to send along with a request about `repository` that needs `scopes`, from what is
    /// known: `None` before any challenge was seen, or where there is no credential to show.
    ///
    /// A token that ends within `needed_for`, the time that the request may take, is renewed
    /// before it is used. Who comes while that is done waits for the same token.
    ///
    /// # Errors
    ///
    /// See [`AuthError`]; none where nothing is known yet.
    pub async fn authorization(
        &self,
        repository: &Repository,
        scopes: &Scopes,
        needed_for: Duration,
    ) -> Result<Option<Authorization>, AuthError> {
        let way = self.known().way(repository.name()).cloned();
        match way {
            Some(way) => self.authorize(&way, repository, scopes, 0, needed_for).await,
            None => Ok(None),
        }
    }

    /// A 401 with the headers `challenge` came to a request that carried `sent`. Gives another
    /// authorization to try, or `None` where there is nothing better: then the 401 stands.
    ///
    /// # Errors
    ///
    /// See [`AuthError`].
    pub async fn refused(
        &self,
        challenge: &HeaderMap,
        sent: Option<&Authorization>,
        repository: &Repository,
        scopes: &Scopes,
    ) -> Result<Option<Authorization>, AuthError> {
        let begun = (self.now)();
        let Some(way) = self.learn(challenge, repository, scopes).await? else {
            return Ok(None);
        };
        let wanted = self.known().wanted_for(scopes);
        let refusals = sent.map_or(0, |sent| sent.refusals_at(begun));
        // A token server that may not give all that was asked gives less, and says yes. So a
        // second no to a token that is fresh is no.
        if refusals >= MOST_REFUSALS
            || refusals > 0 && sent.is_some_and(|sent| sent.scopes == wanted)
        {
            return Ok(None);
        }
        let mut older_than = 0;
        match sent.map(|sent| &sent.basis) {
            // It may have run out: whoever makes such makes another.
            Some(Basis::Credential(held)) if way == Way::Basic || held.is_registry_token() => {
                self.credential(repository, Some(held)).await?;
            }
            Some(Basis::Token(token)) => older_than = token.number,
            _ => {}
        }
        let Some(next) =
            self.authorize(&way, repository, scopes, older_than, Duration::ZERO).await?
        else {
            return Ok(None);
        };
        if sent.is_some_and(|sent| sent.header == next.header) {
            return Ok(None);
        }
        let counts = sent.is_some() || next.is_fresh_since(begun);
        let refusals = if counts { refusals + 1 } else { 0 };
        Ok(Some(Authorization { refusals, ..next }))
    }

    /// Who we are at `repository`, and how the registry wants to know.
    ///
    /// # Errors
    ///
    /// [`AuthError::Credentials`].
    pub async fn describe(&self, repository: &Repository) -> Result<Description, AuthError> {
        let login = self.known().way(repository.name()).map(|way| match way {
            Way::Basic => Login::Basic,
            Way::Bearer(server) => {
                Login::Bearer { host: server.host().to_owned(), service: server.service.clone() }
            }
        });
        let held = self.credential(repository, None).await?;
        let credential = held.map(|held| Identity {
            kind: held.found.credential.kind(),
            username: held.found.credential.username().map(str::to_owned),
            origin: held.found.origin.clone(),
        });
        Ok(Description { login, credential })
    }

    /// What the registry wants by `headers`, and what more than `scopes` it wants it for.
    async fn learn(
        &self,
        headers: &HeaderMap,
        repository: &Repository,
        scopes: &Scopes,
    ) -> Result<Option<Way>, AuthError> {
        let mut asked = challenge::choose(headers);
        if asked == Asked::Nothing {
            let way = self.known().way(repository.name()).cloned();
            if way.is_some() {
                return Ok(way);
            }
            asked = self.ping().await;
        }
        let (way, theirs) = match asked {
            Asked::Nothing => return Ok(None),
            Asked::Unknown(schemes) => {
                return Err(AuthError::Scheme { registry: self.registry.clone(), schemes });
            }
            Asked::For(Challenge::Basic) => (Way::Basic, Scopes::default()),
            Asked::For(Challenge::Bearer(bearer)) => {
                let realm = realm::check(&bearer.realm, &self.registry, self.plain_http());
                let realm = realm.map_err(|problem| AuthError::Realm {
                    registry: self.registry.clone(),
                    realm: bearer.realm.chars().take(200).collect(),
                    problem,
                })?;
                (Way::Bearer(TokenServer { realm, service: bearer.service }), bearer.scopes)
            }
        };
        self.known().learn(repository.name(), &way, scopes, &theirs);
        Ok(Some(way))
    }

    /// Asks the registry's front door, for the sake of those whose other doors say 401 and not
    /// what they want: <https://github.com/google/go-containerregistry/issues/424>.
    async fn ping(&self) -> Asked {
        let scheme = if self.plain_http() { "http" } else { "https" };
        let Ok(uri) = format!("{scheme}://{}/v2/", self.registry.endpoint()).parse() else {
            return Asked::Nothing;
        };
        let headers = HeaderMap::new();
        let request = Request { method: Method::GET, uri, headers, body: Body::Empty };
        match self.http.send(request).await {
            Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => {
                challenge::choose(&answer.headers)
            }
            // The 401 that brought us here stands, and says enough.
            _ => Asked::Nothing,
        }
    }

    async fn authorize(
        &self,
        way: &Way,
        repository: &Repository,
        scopes: &Scopes,
        older_than: u64,
        needed_for: Duration,
    ) -> Result<Option<Authorization>, AuthError> {
        let wanted = self.known().wanted_for(scopes);
        let held = self.credential(repository, None).await?;
        let held = held.filter(|held| *way == Way::Basic || held.is_registry_token());
        let (header, basis) = match (held, way) {
            (Some(held), _) => match held.header() {
                Some(header) => (header, Basis::Credential(held)),
                None => return Ok(None),
            },
            (None, Way::Basic) => return Ok(None),
            (None, Way::Bearer(server)) => {
                let fetch = self.fetch(server, repository, &wanted);
                let token = self.token(server, &wanted, older_than, needed_for, fetch).await?;
                (token.header.clone(), Basis::Token(token))
            }
        };
        Ok(Some(self.carrying(header, basis, scopes)))
    }

    /// What a request carries that needs `scopes`.
    fn carrying(&self, header: HeaderValue, basis: Basis, scopes: &Scopes) -> Authorization {
        // Asking may have shown that some are not to be had.
        let wanted = self.known().wanted_for(scopes);
        let lacks_scopes = !wanted.cover(scopes);
        Authorization { header, basis, scopes: wanted, lacks_scopes, refusals: 0 }
    }

    /// A token of a number above `older_than`, whoever fetches it.
    async fn token(
        &self,
        server: &TokenServer,
        wanted: &Scopes,
        older_than: u64,
        needed_for: Duration,
        fetch: impl Future<Output = Result<Token, AuthError>>,
    ) -> Result<Token, AuthError> {
        let needed = needed_for.saturating_add(self.options.min_lifetime);
        let is_good =
            |token: &Token| token.number > older_than && token.lasts((self.now)(), needed);
        let flight = self.tokens.of(TokenKey { server: server.clone(), scopes: wanted.clone() });
        // One for more serves as well, unless it was just refused.
        if older_than == 0 && !flight.peek().is_some_and(|token| is_good(&token)) {
            let wider = self.tokens.find(|key, flight| {
                let serves = key.server == *server && key.scopes.serve(wanted);
                flight.peek().filter(|token| serves && is_good(token))
            });
            if let Some(token) = wider {
                return Ok(token);
            }
        }
        flight.get(is_good, fetch).await
    }

    /// Fetches a token: with the credential there is, once more without the scopes that may be
    /// what is refused, and once more with the next credential where the provider has another.
    async fn fetch(
        &self,
        server: &TokenServer,
        repository: &Repository,
        wanted: &Scopes,
    ) -> Result<Token, AuthError> {
        let held = self.credential(repository, None).await?;
        let refused = match self.fetch_with(server, repository, wanted, held.as_deref()).await {
            Err(AuthError::Refused(refusal)) => refusal,
            other => return other,
        };
        let may_be_the_credential = matches!(refused.status.as_u16(), 400 | 401 | 403);
        if let Some(old) = held.filter(|_| may_be_the_credential)
            && let Some(next) = self.credential(repository, Some(&old)).await?
            && next.number != old.number
        {
            return self.fetch_with(server, repository, wanted, Some(&next)).await;
        }
        Err(AuthError::Refused(refused))
    }

    /// Docker Hub refuses the whole request for one scope that is not to be had
    /// (<https://github.com/google/go-containerregistry/issues/1681>), so a mount's source must
    /// not cost the push.
    async fn fetch_with(
        &self,
        server: &TokenServer,
        repository: &Repository,
        wanted: &Scopes,
        held: Option<&Held>,
    ) -> Result<Token, AuthError> {
        let first = wanted.first_only();
        match self.ask(server, repository, wanted, held).await {
            Err(AuthError::Refused(_)) if first != *wanted => {
                let token = self.ask(server, repository, &first, held).await?;
                self.known().give_up_extras(wanted);
                Ok(token)
            }
            result => result,
        }
    }

    async fn ask(
        &self,
        server: &TokenServer,
        repository: &Repository,
        scopes: &Scopes,
        held: Option<&Held>,
    ) -> Result<Token, AuthError> {
        let asked = (self.now)();
        let credential: Numbered<'_> = held.map(|held| (held.number, &held.found));
        let granted = self.token_client.ask(server, repository, scopes, credential).await?;
        let header = bearer_header(&granted.token).ok_or_else(|| AuthError::NoToken {
            host: server.host().to_owned(),
            registry: self.registry.clone(),
            problem: "its token cannot stand in a header",
        })?;
        self.known().granted(server);
        Ok(Token {
            number: self.next_number(),
            header,
            asked,
            lifetime: granted.lifetime,
            origin: held.map(|held| held.found.origin.clone()),
        })
    }

    /// The credential for `repository`; another than `refused`, where there is another.
    async fn credential(
        &self,
        repository: &Repository,
        refused: Option<&Arc<Held>>,
    ) -> Result<Option<Arc<Held>>, AuthError> {
        let now = (self.now)();
        let lasts =
            |expires: Instant| expires.saturating_duration_since(now) > self.options.min_lifetime;
        let is_good = |held: &Option<Arc<Held>>| match held {
            None => true,
            Some(held) => {
                refused.is_none_or(|refused| refused.number != held.number)
                    && held.found.expires.is_none_or(lasts)
            }
        };
        let look_up = async {
            let refused_found = refused.map(|held| &held.found);
            let found = self.provider.credential(repository, refused_found).await?;
            Ok(found.map(|found| match refused {
                Some(held) if held.found.credential == found.credential => held.clone(),
                _ => Arc::new(Held { number: self.next_number(), found }),
            }))
        };
        let flight = self.credentials.of(repository.name().clone());
        let credential = flight.get(is_good, look_up).await;
        credential.map_err(|error| AuthError::Credentials {
            repository: repository.clone(),
            error: Box::new(error),
        })
    }

    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("registry", &self.registry)
            .field("provider", &self.provider)
            .field("options", &self.options)
            .field("known", &self.known())
            .field("credentials", &self.credentials)
            .field("tokens", &self.tokens)
            .field("token_client", &self.token_client)
            .finish_non_exhaustive()
    }
}
