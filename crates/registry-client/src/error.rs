//! What went wrong between us and a registry, in words for people and in classes for decisions.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use windlass_oci::{Digest, ErrorBody, Registry, Repository};
use windlass_source::SourceError;

use crate::auth::{AuthError, AuthFailure};
use crate::http::HttpError;
use crate::retry::{GaveUp, Verdict, judge_status};

/// An operation on a registry that did not work: what was being done, what came back, how long it
/// was tried.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    operation: String,
    repository: Repository,
    kind: ErrorKind,
    tried: Option<Tried>,
    /// The host gave an answer before: this is about the operation, not about the host.
    host_has_answered: bool,
}

/// What came back.
#[derive(Debug)]
pub enum ErrorKind {
    /// No answer. Retried, but for a name that never resolved, a certificate, and our own file.
    Http(HttpError),
    /// An answer that says no. 408, 429 and 5xx are retried, others stand.
    Answer {
        /// Its status.
        status: StatusCode,
        /// Its words.
        body: ErrorBody,
        /// Of a 401 that stands: what was tried, in words.
        login: Option<String>,
    },
    /// No credential, or one that was refused. Retried where the token server was in trouble.
    Auth(AuthError),
    /// An answer that cannot be right. Not retried.
    Protocol(String),
    /// The registry says that the bytes have another digest than they should.
    Digest {
        /// The digest that was promised.
        expected: Digest,
        /// The digest that our file has now: where it differs, the file is wrong, else the way.
        found: Digest,
        /// Our file.
        origin: String,
    },
}

/// What kind of trouble an [`Error`] is, for those who must act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The image's own bytes cannot be read, or are not what they should be.
    Source,
    /// Not known to the registry, or not allowed.
    Authentication,
    /// The registry does not take what it was given.
    Rejected,
    /// No answer in time, or only such as say "later".
    Unreachable,
}

/// How long something was tried before it was given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried {
    pub(crate) times: u32,
    pub(crate) limit: Duration,
    pub(crate) why: GaveUp,
}

impl Error {
    pub(crate) fn new(
        repository: &Repository,
        operation: impl Into<String>,
        kind: ErrorKind,
        host_has_answered: bool,
    ) -> Error {
        let (operation, repository) = (operation.into(), repository.clone());
        Error(Box::new(Inner { operation, repository, kind, tried: None, host_has_answered }))
    }

    pub(crate) fn tried(mut self, tried: Tried) -> Error {
        self.0.tried = Some(tried);
        self
    }

    /// What came back.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// The status of the answer, where there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match &self.0.kind {
            ErrorKind::Answer { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the registry gave this code with its refusal.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        matches!(&self.0.kind, ErrorKind::Answer { body, .. } if body.has(code))
    }

    /// The registry's words, where there were any.
    #[must_use]
    pub fn body(&self) -> Option<&ErrorBody> {
        match &self.0.kind {
            ErrorKind::Answer { body, .. } => Some(body),
            _ => None,
        }
    }

    /// What kind of trouble this is.
    #[must_use]
    pub fn class(&self) -> Class {
        match &self.0.kind {
            ErrorKind::Http(HttpError::Source(_)) => Class::Source,
            ErrorKind::Digest { expected, found, .. } if expected != found => Class::Source,
            ErrorKind::Http(
                HttpError::Redirect(_) | HttpError::Uri(_) | HttpError::TooLarge(_),
            ) => Class::Rejected,
            ErrorKind::Http(_) => Class::Unreachable,
            ErrorKind::Auth(error) if error.failure() == AuthFailure::TokenServer => {
                Class::Unreachable
            }
            ErrorKind::Auth(_) => Class::Authentication,
            ErrorKind::Answer { status, body, .. } if wants_tls(*status, body) => {
                Class::Unreachable
            }
            ErrorKind::Answer { status, body, .. } => match judge_status(*status, None, body) {
                Verdict::Retry { .. } => Class::Unreachable,
                Verdict::Fatal if matches!(status.as_u16(), 401 | 403) => Class::Authentication,
                Verdict::Fatal => Class::Rejected,
            },
            ErrorKind::Protocol(_) | ErrorKind::Digest { .. } => Class::Rejected,
        }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let repository = &self.0.repository;
        let registry = repository.registry();
        match &self.0.kind {
            ErrorKind::Http(HttpError::Source(SourceError::Changed { .. })) => {
                Some("something writes to the image while it is pushed; push again when it is done".to_owned())
            }
            ErrorKind::Http(HttpError::Connect(_) | HttpError::Resolve(_))
                if self.0.host_has_answered =>
            {
                Some("run again to go on where this stopped; --retry-for waits longer".to_owned())
            }
            ErrorKind::Http(HttpError::Resolve(_)) => {
                Some(format!("is {} spelled right?", registry.endpoint()))
            }
            ErrorKind::Http(HttpError::Connect(_)) if registry.is_loopback() => {
                Some(format!("does a registry listen there? `windlass serve --listen {registry}` starts one"))
            }
            ErrorKind::Http(HttpError::Connect(_)) => Some(
                "is the host up, and is a proxy needed (HTTPS_PROXY)? a registry without TLS needs --plain-http"
                    .to_owned(),
            ),
            ErrorKind::Http(HttpError::Tls(_) | HttpError::NotTls(_)) => Some(format!(
                "a private certificate authority is given by --cacert FILE; a registry without TLS by --plain-http {registry}"
            )),
            ErrorKind::Http(HttpError::Source(_) | HttpError::Redirect(_) | HttpError::TooLarge(_)) => None,
            ErrorKind::Http(_) => Some("run again to go on where this stopped; --retry-for waits longer".to_owned()),
            ErrorKind::Auth(error) => hint_for_login(error, repository),
            ErrorKind::Answer { login: Some(_), .. } => Some(log_in(registry)),
            ErrorKind::Answer { status, body, .. } => hint_for_answer(*status, body),
            ErrorKind::Protocol(_) => None,
            ErrorKind::Digest { expected, found, origin } if expected != found => {
                Some(format!("{origin} has been changed or damaged since the image was built; build it again"))
            }
            ErrorKind::Digest { .. } => {
                Some("the bytes were damaged on their way: a proxy or the registry's storage is at fault".to_owned())
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        let registry = inner.repository.registry();
        match &inner.kind {
            // What is wrong with the host is no matter of what happened to be asked first.
            ErrorKind::Http(error) if !inner.host_has_answered && is_about_the_host(error) => {
                write!(f, "cannot reach {}: ", registry.endpoint())?;
            }
            ErrorKind::Answer { login: Some(_), .. } | ErrorKind::Auth(_) => {
                write!(f, "cannot log in to {registry}: ")?;
            }
            _ => write!(f, "cannot {}: ", inner.operation)?,
        }
        match &inner.kind {
            ErrorKind::Http(HttpError::Source(error)) => error.fmt(f)?,
            ErrorKind::Http(error) if !inner.host_has_answered && is_about_the_host(error) => {
                error.fmt(f)?;
            }
            ErrorKind::Http(error) => write!(f, "{}: {error}", registry.endpoint())?,
            ErrorKind::Auth(error) => error.fmt(f)?,
            ErrorKind::Protocol(problem) => {
                write!(f, "{registry} gave an answer that cannot be right: {problem}")?;
            }
            ErrorKind::Answer { status, body, login } => {
                if let Some(login) = login {
                    write!(f, "{login}; ")?;
                }
                write!(f, "{registry} answered {status}")?;
                if !body.is_empty() {
                    write!(f, ": {body}")?;
                }
            }
            ErrorKind::Digest { expected, found, origin } if expected != found => {
                write!(f, "{origin} has the digest {found}, not {expected}")?;
            }
            ErrorKind::Digest { expected, origin, .. } => {
                write!(f, "{registry} got other bytes than {origin} has, which are {expected}")?;
            }
        }
        match inner.tried {
            Some(Tried { times, limit, why: GaveUp::TimeIsUp }) if times > 1 => {
                write!(f, " (tried {times} times, given up after {limit:?} without progress)")
            }
            Some(Tried { limit, why: GaveUp::PauseTooLong(pause), .. }) => {
                write!(f, " (it asks for a pause of {pause:?}, and {limit:?} is waited at most)")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// Whether a failure says something of the host rather than of what it was asked.
fn is_about_the_host(error: &HttpError) -> bool {
    match error {
        HttpError::Resolve(_)
        | HttpError::Connect(_)
        | HttpError::Tls(_)
        | HttpError::NotTls(_)
        | HttpError::NotHttp(_)
        | HttpError::Broken(_)
        | HttpError::Unsent(_)
        | HttpError::AnswerTimeout(_) => true,
        HttpError::Stalled(_)
        | HttpError::Uri(_)
        | HttpError::Redirect(_)
        | HttpError::TooLarge(_)
        | HttpError::Source(_) => false,
    }
}

/// A TLS port's word to plain HTTP, as Go's and nginx's servers give it.
fn wants_tls(status: StatusCode, body: &ErrorBody) -> bool {
    let words = body.to_string();
    status == StatusCode::BAD_REQUEST
        && (words.contains("HTTP request to an HTTPS server")
            || words.contains("plain HTTP request was sent to HTTPS port"))
}

fn hint_for_login(error: &AuthError, repository: &Repository) -> Option<String> {
    Some(match error.failure() {
        AuthFailure::NoCredentials => log_in(repository.registry()),
        AuthFailure::CredentialsRefused => format!(
            "log in again, or as someone who may push there; `windlass auth check {repository}` shows which credential is used"
        ),
        AuthFailure::TokenServer => "run again to go on where this stopped".to_owned(),
        AuthFailure::CredentialSource | AuthFailure::Unusable => return None,
    })
}

fn log_in(registry: &Registry) -> String {
    format!(
        "log in (`docker login {registry}`, or podman's), or set WINDLASS_USERNAME and WINDLASS_PASSWORD"
    )
}

fn hint_for_answer(status: StatusCode, body: &ErrorBody) -> Option<String> {
    let later = matches!(judge_status(status, None, body), Verdict::Retry { .. });
    Some(match status.as_u16() {
        429 | 403 if later => {
            "the registry limits requests; --retry-for waits longer, --jobs 1 asks less".to_owned()
        }
        _ if later => {
            "the registry is in trouble; run again to go on where this stopped".to_owned()
        }
        400 if wants_tls(status, body) => "it speaks TLS there; leave out --plain-http".to_owned(),
        401 | 403 => "does this account have the right to push there?".to_owned(),
        404 if body.has("NAME_UNKNOWN") => {
            "the repository does not exist, and this registry does not create it by a push: create it there first"
                .to_owned()
        }
        405 => "is the registry, or this repository, read-only?".to_owned(),
        413 => "the registry, or a proxy before it, takes nothing of that size".to_owned(),
        _ => return None,
    })
}
