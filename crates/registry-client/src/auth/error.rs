//! Why there is no authorization.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, StatusCode};
use windlass_oci::{ErrorBody, Registry, Repository};

use super::{Origin, Scopes};
use crate::http::HttpError;

/// Why there is no authorization for a request. Clones are cheap: one answer goes to all who
/// waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuthError {
    /// There may be credentials, and they cannot be got at.
    #[error("cannot look up credentials for {repository}: {error}")]
    Credentials {
        /// What they were for.
        repository: Repository,
        /// Why not.
        error: Box<CredentialError>,
    },
    /// The token server gives no token.
    #[error("{0}")]
    Refused(Arc<Refusal>),
    /// There is no answer from the token server.
    #[error("cannot reach {host}, which gives tokens for {registry}: {error}")]
    Unreachable {
        /// The token server.
        host: String,
        /// The registry that named it.
        registry: Registry,
        /// What happened.
        error: Arc<HttpError>,
    },
    /// The token server has no time for us now.
    #[error("{host}, which gives tokens for {registry}, answers {status}{}", behind(words))]
    Busy {
        /// The token server.
        host: String,
        /// The registry that named it.
        registry: Registry,
        /// 408, 425, 429 or 5xx.
        status: StatusCode,
        /// Its `Retry-After`, as it was sent.
        retry_after: Option<HeaderValue>,
        /// Its own words.
        words: Box<ErrorBody>,
    },
    /// The token server says yes, and sends no token.
    #[error("{host}, which gives tokens for {registry}, answers with no token: {problem}")]
    NoToken {
        /// The token server.
        host: String,
        /// The registry that named it.
        registry: Registry,
        /// What is wrong with the answer.
        problem: &'static str,
    },
    /// The registry names a token server that is not to be trusted with a credential.
    #[error("{registry} wants a token from {realm:?}, which is not asked: {problem}")]
    Realm {
        /// The registry.
        registry: Registry,
        /// The token server's URL, shortened.
        realm: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The registry wants a kind of login that we do not know.
    #[error("{registry} wants a login by {}; only Basic and Bearer are known", schemes.join(", "))]
    Scheme {
        /// The registry.
        registry: Registry,
        /// What it wants.
        schemes: Vec<String>,
    },
}

/// A token server's no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{host} gives no token for {scopes} at {registry} {}: {status}{}",
    with(origin.as_ref()),
    behind(words)
)]
pub struct Refusal {
    /// The token server.
    pub host: String,
    /// The registry that named it.
    pub registry: Registry,
    /// The repository that the request was about.
    pub repository: Repository,
    /// What was asked for.
    pub scopes: Scopes,
    /// Where the credential comes from that was sent; `None` where none was found.
    pub origin: Option<Origin>,
    /// 4xx.
    pub status: StatusCode,
    /// Its own words.
    pub words: ErrorBody,
}

/// What kind of failure it is: what a person can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// No credentials were found, and without them there is no token: log in.
    NoCredentials,
    /// The credentials that were found are refused: log in again, or as someone else.
    CredentialsRefused,
    /// A file or a helper with credentials fails: mend it.
    CredentialSource,
    /// The token server cannot be reached or is busy: try again.
    TokenServer,
    /// The registry's challenge, or its token server's answer, is of no use.
    Unusable,
}

impl AuthError {
    /// What kind of failure it is.
    #[must_use]
    pub fn failure(&self) -> AuthFailure {
        match self {
            AuthError::Credentials { .. } => AuthFailure::CredentialSource,
            AuthError::Refused(refusal) if refusal.origin.is_none() => AuthFailure::NoCredentials,
            AuthError::Refused(_) => AuthFailure::CredentialsRefused,
            AuthError::Unreachable { .. } | AuthError::Busy { .. } => AuthFailure::TokenServer,
            AuthError::NoToken { .. } | AuthError::Realm { .. } | AuthError::Scheme { .. } => {
                AuthFailure::Unusable
            }
        }
    }
}

/// Why a credential cannot be got at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// A file is there, or was named, and cannot be read.
    #[error("cannot read {}: {problem}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        problem: String,
    },
    /// A configuration is malformed. What stands there is not shown: it may be a secret.
    #[error("{origin} is malformed: {problem}")]
    Malformed {
        /// The file, or the variable.
        origin: String,
        /// What is wrong, and where.
        problem: String,
    },
    /// A credential helper fails.
    #[error("{helper}, asked for {server}, {problem}")]
    Helper {
        /// The program's name.
        helper: String,
        /// The server whose credential it was asked for.
        server: String,
        /// What went wrong, in its own words where it had any.
        problem: HelperProblem,
    },
    /// For providers of other kinds.
    #[error("{origin}: {problem}")]
    Other {
        /// The provider.
        origin: Origin,
        /// What went wrong.
        problem: String,
    },
}

/// How a credential helper fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HelperProblem {
    /// There is no such program.
    #[error("is not installed, or not in PATH")]
    NotFound,
    /// Its name is none that a program may have.
    #[error("has a name that no helper can have")]
    BadName,
    /// It could not be started, or spoken with.
    #[error("could not be run: {0}")]
    Io(String),
    /// It ended with an error.
    #[error("failed ({status}){}", words.as_ref().map(|words| format!(": {words}")).unwrap_or_default())]
    Failed {
        /// How it ended.
        status: String,
        /// The first line of what it said.
        words: Option<String>,
    },
    /// It did not end.
    #[error("did not answer within {0:?}")]
    Hangs(Duration),
    /// It gave something that is no credential.
    #[error("gave an answer that is no credential: {0}")]
    Malformed(String),
}

fn with(origin: Option<&Origin>) -> String {
    match origin {
        Some(origin) => format!("with the credentials from {origin}"),
        None => "without credentials, for none were found".to_owned(),
    }
}

fn behind(words: &ErrorBody) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}
