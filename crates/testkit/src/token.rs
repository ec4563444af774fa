//! A token server: gives tokens that [`TestRegistry`](crate::TestRegistry) checks to the
//! millisecond, or such as a real registry takes. Distribution's [token] and [oauth2] protocols.
//!
//! [token]: https://github.com/distribution/distribution/blob/v3.0.0/docs/content/spec/auth/token.md
//! [oauth2]: https://github.com/distribution/distribution/blob/v3.0.0/docs/content/spec/auth/oauth.md

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Body;
use base64::Engine as _;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Limited};
use serde_json::{Value, json};

use crate::background::Background;
use crate::body::RequestBody;
use crate::call::unescape;
use crate::fault::{Head, Rule};
use crate::jwt::Signer;
use crate::log::Logged;
use crate::scope::Scope;
use crate::server::{Handler, Manners, Server, refuse};
use crate::tls::TlsOptions;

/// How a [`TokenServer`] is. Can be changed while it runs: [`TokenServer::change`].
#[derive(Clone, Debug)]
pub struct TokenOptions {
    /// Who is known, with the password.
    pub users: Vec<(String, String)>,
    /// What somebody without a name is granted at most.
    pub anonymous: Vec<Scope>,
    /// What a known user is granted at most; `*` stands for all. What is not granted is left out
    /// of the token, which is no error.
    pub granted: Vec<Scope>,
    /// Refresh tokens that are good, with their user.
    pub refresh_tokens: Vec<(String, String)>,
    /// The status with which every GET is refused.
    pub refuses_get: Option<u16>,
    /// The status with which every POST is refused.
    pub refuses_post: Option<u16>,
    /// How long a token is good.
    pub lifetime: Duration,
    /// What the answer says of its lifetime, in seconds; the truth where `None`.
    pub claims_to_expire_in: Option<i64>,
    /// What the answer looks like.
    pub shape: TokenShape,
    /// How much later than now the answer says that the token was issued; may be in the past.
    pub clock_skew_seconds: i64,
    /// Signs tokens for a real registry instead of making opaque ones.
    pub signer: Option<Arc<Signer>>,
}

/// What a token server's answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenShape {
    /// `token`, `access_token`, `expires_in` and `issued_at`.
    Full,
    /// `token` only, nothing of its expiry.
    TokenOnly,
    /// `access_token` and `expires_in` only.
    AccessTokenOnly,
    /// Everything, and a megabyte of something else.
    Huge,
    /// A page of HTML with the status 200.
    Html,
    /// No token at all.
    Nothing,
}

/// One request for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// `GET` or `POST`.
    pub method: String,
    /// The scopes that were asked for, in their order.
    pub scopes: Vec<String>,
    /// The service that was named.
    pub service: Option<String>,
    /// Who asked, where a name was given; whether the password was right is in the status.
    pub user: Option<String>,
    /// `grant_type` of a POST.
    pub grant: Option<String>,
    /// The status of the answer.
    pub status: u16,
}

/// A token server. Clones are the same server; it ends with the last.
#[derive(Clone)]
pub struct TokenServer {
    state: Arc<State>,
    server: Arc<Server>,
    is_tls: bool,
}

/// What a token server knows, and a registry asks.
pub(crate) struct State {
    options: Mutex<TokenOptions>,
    given: Mutex<HashMap<String, Grant>>,
    requests: Mutex<Vec<TokenRequest>>,
}

struct Grant {
    scopes: Vec<Scope>,
    until: Instant,
}

/// Why a token does not open a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    Invalid,
    Insufficient,
}

/// The service that it names in tokens, and that registries name in challenges.
pub(crate) const SERVICE: &str = "test-registry";

/// Who it says it is.
pub(crate) const ISSUER: &str = "test-issuer";

impl Default for TokenOptions {
    fn default() -> TokenOptions {
        TokenOptions {
            users: vec![("user".to_owned(), "secret".to_owned())],
            anonymous: Vec::new(),
            granted: vec![Scope::new("*", &["*"])],
            refresh_tokens: Vec::new(),
            refuses_get: None,
            refuses_post: None,
            lifetime: Duration::from_secs(300),
            claims_to_expire_in: None,
            shape: TokenShape::Full,
            clock_skew_seconds: 0,
            signer: None,
        }
    }
}

impl TokenServer {
    /// Starts one on a free port of the loopback interface.
    #[must_use]
    pub fn start(options: TokenOptions) -> TokenServer {
        TokenServer::start_with(options, None)
    }

    /// Starts one that speaks TLS.
    #[must_use]
    pub fn start_tls(options: TokenOptions, tls: &TlsOptions) -> TokenServer {
        TokenServer::start_with(options, Some(tls))
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The address of its tokens, which a challenge names.
    #[must_use]
    pub fn realm(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}/token", self.address())
    }

    /// Changes it while it runs.
    pub fn change(&self, change: impl FnOnce(&mut TokenOptions)) {
        change(&mut self.state.options.lock().unwrap());
    }

    /// Makes all opaque tokens that were given worthless.
    pub fn revoke_all(&self) {
        self.state.given.lock().unwrap().clear();
    }

    /// What was asked of it.
    #[must_use]
    pub fn requests(&self) -> Vec<TokenRequest> {
        self.state.requests.lock().unwrap().clone()
    }

    /// A token that is good for `scopes`, without asking for it.
    #[must_use]
    pub fn issue(&self, scopes: &[Scope]) -> String {
        self.state.issue("test", scopes)
    }

    /// Does something to the requests that a rule finds; [`Call::Token`](crate::Call::Token) finds
    /// all of them.
    pub fn fault(&self, rule: Rule) -> Rule {
        self.server.add(&rule);
        rule
    }

    /// All requests as they came, those too that a rule kept from it.
    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        self.server.log()
    }

    /// What a registry is given to check signed tokens by; `None` where tokens are opaque.
    #[must_use]
    pub fn root_certificate(&self) -> Option<PathBuf> {
        let options = self.state.options.lock().unwrap();
        options.signer.as_ref().map(|signer| signer.root_certificate())
    }

    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    fn start_with(options: TokenOptions, tls: Option<&TlsOptions>) -> TokenServer {
        let state = Arc::new(State {
            options: Mutex::new(options),
            given: Mutex::default(),
            requests: Mutex::default(),
        });
        let background = Arc::new(Background::new("token-server"));
        let manners = Manners { tls: tls.map(TlsOptions::acceptor), ..Manners::default() };
        let handler = Arc::new(Office(Arc::clone(&state)));
        let server = Server::start(background, manners, &[], handler);
        TokenServer { state, server: Arc::new(server), is_tls: tls.is_some() }
    }
}

/// Answers requests for tokens.
struct Office(Arc<State>);

impl Handler for Office {
    fn refusal(&self, _: &Head) -> Option<Response<Body>> {
        None
    }

    fn handle(
        &self,
        head: Head,
        request: Request<RequestBody>,
    ) -> BoxFuture<'static, Response<Body>> {
        let state = Arc::clone(&self.0);
        Box::pin(async move { state.answer(&head, request.into_body()).await })
    }
}

impl State {
    /// The answer to a request for a token.
    pub(crate) async fn answer(&self, head: &Head, body: RequestBody) -> Response<Body> {
        let body = Limited::new(body, 64 * 1024).collect().await;
        let body = body.map(Collected::to_bytes).unwrap_or_default();
        let query = head.path.split_once('?').map_or("", |(_, query)| query);
        let form = if head.method == Method::POST {
            String::from_utf8_lossy(&body).into_owned()
        } else {
            query.to_owned()
        };
        let fields: Vec<(String, String)> = form
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (unescape(name), unescape(value)))
            .collect();
        let value = |wanted: &str| {
            fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        };
        let scopes: Vec<String> = fields
            .iter()
            .filter(|(name, _)| name == "scope")
            .flat_map(|(_, value)| value.split(' ').map(str::to_owned))
            .filter(|scope| !scope.is_empty())
            .collect();
        let (user, result) = self.decide(head, &value, &scopes);
        let response = result.unwrap_or_else(|Refusal(status, words)| {
            refuse(StatusCode::from_u16(status).expect("a status"), "UNAUTHORIZED", words)
        });
        self.requests.lock().unwrap().push(TokenRequest {
            method: head.method.to_string(),
            scopes,
            service: value("service"),
            user,
            grant: value("grant_type"),
            status: response.status().as_u16(),
        });
        response
    }

    /// Whether a token opens the door to all of `needed`.
    pub(crate) fn check(&self, token: &str, needed: &[Scope]) -> Result<(), TokenError> {
        let given = self.given.lock().unwrap();
        match given.get(token) {
            Some(grant) if Instant::now() < grant.until => {
                let is_enough = needed.iter().all(|scope| scope.is_within(&grant.scopes));
                if is_enough { Ok(()) } else { Err(TokenError::Insufficient) }
            }
            _ => Err(TokenError::Invalid),
        }
    }

    fn decide(
        &self,
        head: &Head,
        value: &dyn Fn(&str) -> Option<String>,
        scopes: &[String],
    ) -> (Option<String>, Result<Response<Body>, Refusal>) {
        let options = self.options.lock().unwrap().clone();
        let is_post = head.method == Method::POST;
        let refused = if is_post { options.refuses_post } else { options.refuses_get };
        let who = if is_post { by_form(&options, value) } else { by_header(&options, head) };
        let (user, is_known) = match who {
            Who::Nobody => (None, true),
            Who::Known(user) => (Some(user), true),
            Who::Unknown(user) => (Some(user), false),
        };
        if let Some(status) = refused {
            return (user, Err(Refusal(status, "this way of asking is not known here")));
        }
        if !is_known {
            return (user, Err(Refusal(401, "user or password are wrong")));
        }
        let granted = if user.is_some() { &options.granted } else { &options.anonymous };
        let scopes: Vec<_> = scopes
            .iter()
            .filter_map(|scope| Scope::parse(scope))
            .map(|scope| scope.within(granted))
            .collect();
        let token = self.issue(user.as_deref().unwrap_or_default(), &scopes);
        (user, Ok(written(&options, &token)))
    }

    fn issue(&self, user: &str, scopes: &[Scope]) -> String {
        let (lifetime, signer) = {
            let options = self.options.lock().unwrap();
            (options.lifetime, options.signer.clone())
        };
        if let Some(signer) = signer {
            return signer.sign(user, scopes, lifetime);
        }
        let mut given = self.given.lock().unwrap();
        let token = format!("token-{}-{:016x}", given.len(), fastrand::u64(..));
        let grant = Grant { scopes: scopes.to_vec(), until: Instant::now() + lifetime };
        given.insert(token.clone(), grant);
        token
    }
}

/// A status, and why.
struct Refusal(u16, &'static str);

enum Who {
    Nobody,
    Known(String),
    Unknown(String),
}

fn by_header(options: &TokenOptions, head: &Head) -> Who {
    match credentials(head) {
        None => Who::Nobody,
        Some((user, password)) => known(options, user, &password),
    }
}

fn by_form(options: &TokenOptions, value: &dyn Fn(&str) -> Option<String>) -> Who {
    match value("grant_type").as_deref() {
        Some("refresh_token") => {
            let token = value("refresh_token").unwrap_or_default();
            let found = options.refresh_tokens.iter().find(|(known, _)| *known == token);
            found.map_or(Who::Unknown(String::new()), |(_, user)| Who::Known(user.clone()))
        }
        _ => {
            let user = value("username").unwrap_or_default();
            known(options, user, &value("password").unwrap_or_default())
        }
    }
}

fn known(options: &TokenOptions, user: String, password: &str) -> Who {
    let is_known = options.users.iter().any(|(name, secret)| *name == user && secret == password);
    if is_known { Who::Known(user) } else { Who::Unknown(user) }
}

/// User and password of `Authorization: Basic`.
pub(crate) fn credentials(head: &Head) -> Option<(String, String)> {
    let value = head.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let encoded = value.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn written(options: &TokenOptions, token: &str) -> Response<Body> {
    let expires_in =
        options.claims_to_expire_in.map_or(json!(options.lifetime.as_secs()), Value::from);
    let body = match options.shape {
        TokenShape::Full | TokenShape::Huge => {
            let skew = Duration::from_secs(options.clock_skew_seconds.unsigned_abs());
            let now = SystemTime::now();
            let issued = if options.clock_skew_seconds < 0 { now - skew } else { now + skew };
            let mut body = json!({
                "token": token,
                "access_token": token,
                "expires_in": expires_in,
                "issued_at": rfc3339(issued),
            });
            if options.shape == TokenShape::Huge {
                body["padding"] = Value::from("x".repeat(1 << 20));
            }
            body.to_string()
        }
        TokenShape::TokenOnly => json!({"token": token}).to_string(),
        TokenShape::AccessTokenOnly => {
            json!({"access_token": token, "expires_in": expires_in}).to_string()
        }
        TokenShape::Html => "<html><body>Please sign in</body></html>".to_owned(),
        TokenShape::Nothing => "{}".to_owned(),
    };
    let response = Response::builder().header(CONTENT_TYPE, "application/json");
    response.body(body.into()).expect("a response")
}

/// `2026-11-24T12:00:00Z`
fn rfc3339(time: SystemTime) -> String {
    let date = httpdate::HttpDate::from(time).to_string();
    // Mon, 24 Nov 2026 12:00:00 GMT
    let words: Vec<_> = date.split(' ').collect();
    let months =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|month| *month == words[2]).expect("a month") + 1;
    format!("{}-{month:02}-{}T{}Z", words[3], words[1], words[4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_protocol_wants_them() {
        let check = |seconds, expected| {
            assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        };
        check(0, "1970-01-01T00:00:00Z");
        check(951_782_399, "2000-02-28T23:59:59Z");
        check(951_782_400, "2000-02-29T00:00:00Z");
        check(1_796_083_200, "2026-12-01T00:00:00Z");
    }
}
