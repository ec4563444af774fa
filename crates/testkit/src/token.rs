//! A token server: gives tokens that [`TestRegistry`](crate::TestRegistry) checks to the
//! millisecond, or such as a real registry takes. Distribution's [token] and [oauth2] protocols.
//!
//! [token]: https://github.com/distribution/distribution/blob/v3.0.0/docs/content/spec/auth/token.md
//! [oauth2]: https://github.com/distribution/distribution/blob/v3.0.0/docs/content/spec/auth/oauth.md

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::background::Background;
use crate::jwt::Signer;
use crate::log::Logged;
use crate::office::Office;
use crate::rule::Rule;
use crate::scope::Scope;
use crate::server::{Manners, Server};
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
    /// How long ago a signed token began, for registries that take it for so long after its end:
    /// distribution does for a minute.
    pub backdated: Duration,
    /// Signs tokens for a real registry instead of making opaque ones.
    pub signer: Option<Arc<Signer>>,
}

/// What a token server's answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenShape {
    /// `token`, `access_token`, `expires_in` and `issued_at`; `refresh_token` where it was asked for.
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
    office: Office,
    server: Arc<Server>,
    is_tls: bool,
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
            backdated: Duration::ZERO,
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
        self.office.change(change);
    }

    /// Makes all opaque tokens that were given worthless.
    pub fn revoke_all(&self) {
        self.office.revoke_all();
    }

    /// What was asked of it.
    #[must_use]
    pub fn requests(&self) -> Vec<TokenRequest> {
        self.office.requests()
    }

    /// A token that is good for `scopes`, without asking for it.
    #[must_use]
    pub fn issue(&self, scopes: &[Scope]) -> String {
        self.office.issue("test", scopes)
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
        let options = self.office.options();
        options.signer.as_ref().map(|signer| signer.root_certificate())
    }

    pub(crate) fn office(&self) -> &Office {
        &self.office
    }

    fn start_with(options: TokenOptions, tls: Option<&TlsOptions>) -> TokenServer {
        let office = Office::new(options);
        let background = Arc::new(Background::new("token-server"));
        let manners = Manners { tls: tls.map(TlsOptions::acceptor), ..Manners::default() };
        let server = Server::start(background, manners, &[], Arc::new(office.clone()));
        TokenServer { office, server: Arc::new(server), is_tls: tls.is_some() }
    }
}
