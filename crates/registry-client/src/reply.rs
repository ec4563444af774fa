//! What a registry answered, with the words of a refusal already read.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode, Uri};
use windlass_oci::{Digest, ErrorBody};

use crate::auth::Origin;
use crate::error::ErrorKind;
use crate::http::{Answer, HttpError};
use crate::retry::{Verdict, is_push_back, judge_status, retry_after};

/// An answer, with the words of a refusal already read.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The URI that gave the answer.
    pub(crate) uri: Uri,
    pub(crate) body: ReplyBody,
    /// It is a 401, and the login has been renewed meanwhile: the same may work now.
    pub(crate) login_renewed: bool,
    /// It is a 401 that stands: what was tried, in words.
    pub(crate) login: Option<String>,
}

pub(crate) enum ReplyBody {
    /// Of a success at a GET: not read yet.
    Open(Box<Answer>),
    /// Of any other success.
    Done,
    /// Of a refusal.
    Refusal(ErrorBody),
}

impl Reply {
    pub(crate) async fn read(method: &Method, answer: Answer, is_home: bool) -> Reply {
        let (status, headers, uri) = (answer.status, answer.headers.clone(), answer.uri.clone());
        let body = if status.is_client_error() || status.is_server_error() {
            let words = ErrorBody::parse(&answer.prefix(ErrorBody::LIMIT).await);
            // A storage host behind a signed location may tell the signature in its words.
            ReplyBody::Refusal(if is_home { words } else { ErrorBody::default() })
        } else if *method == Method::GET {
            ReplyBody::Open(Box::new(answer))
        } else {
            // Nobody wants it, but a connection can be used again only when its answer was read.
            answer.prefix(ErrorBody::LIMIT).await;
            ReplyBody::Done
        };
        Reply { status, headers, uri, body, login_renewed: false, login: None }
    }

    pub(crate) fn with_login_renewed(self) -> Reply {
        Reply { login_renewed: true, ..self }
    }

    /// A 401 that nothing better can be done about than was done with a credential from `origin`.
    pub(crate) fn with_login(self, origin: Option<&Origin>) -> Reply {
        let login = match origin {
            Some(origin) => format!("the credential from {origin} was refused"),
            None => "no credential for it was found".to_owned(),
        };
        Reply { login: Some(login), ..self }
    }

    /// Whether another try may have another answer.
    pub(crate) fn verdict(&self) -> Verdict {
        let pause =
            self.header(RETRY_AFTER).and_then(|value| retry_after(value, SystemTime::now()));
        match &self.body {
            ReplyBody::Open(_) | ReplyBody::Done => Verdict::Fatal,
            ReplyBody::Refusal(body) => judge_status(self.status, pause, body),
        }
    }

    /// Whether the host says that it is asked too much.
    pub(crate) fn pushes_back(&self) -> bool {
        match &self.body {
            ReplyBody::Open(_) | ReplyBody::Done => false,
            ReplyBody::Refusal(body) => is_push_back(self.status, body),
        }
    }

    /// The digest of what it is about, by its own word (`Docker-Content-Digest`).
    pub(crate) fn content_digest(&self) -> Option<Digest> {
        self.header("docker-content-digest").and_then(|value| value.parse().ok())
    }

    /// Whether it is about something else than `digest`: it says so itself, or it is a page that a
    /// proxy gives to everything (a login, say).
    pub(crate) fn is_about_other_than(&self, digest: &Digest) -> bool {
        match self.content_digest() {
            Some(said) => said.algorithm() == digest.algorithm() && said != *digest,
            None => self.is_page(),
        }
    }

    /// Whether it is a page for people: no registry's answer to anything.
    pub(crate) fn is_page(&self) -> bool {
        self.header(CONTENT_TYPE).is_some_and(|value| value.starts_with("text/html"))
    }

    /// A header's value, where it is there and printable.
    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// As a refusal.
    pub(crate) fn into_error_kind(self) -> ErrorKind {
        let body = match self.body {
            ReplyBody::Open(_) | ReplyBody::Done => ErrorBody::default(),
            ReplyBody::Refusal(body) => body,
        };
        ErrorKind::Answer { status: self.status, body, login: self.login }
    }

    /// The answer of a success, its body unread.
    pub(crate) fn into_open(self) -> Result<Answer, ErrorKind> {
        match self.body {
            ReplyBody::Open(answer) => Ok(*answer),
            ReplyBody::Refusal(body) => {
                Err(ErrorKind::Answer { status: self.status, body, login: self.login })
            }
            ReplyBody::Done => Err(ErrorKind::Protocol("its answer was read already".to_owned())),
        }
    }

    /// The body of a success, at most `limit` bytes.
    pub(crate) async fn bytes(self, limit: usize) -> Result<Bytes, HttpError> {
        match self.body {
            ReplyBody::Open(answer) => answer.bytes(limit).await,
            ReplyBody::Refusal(_) | ReplyBody::Done => Ok(Bytes::new()),
        }
    }
}
