//! What a registry answered, with the words of a refusal already read.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode, Uri};
use windlass_oci::ErrorBody;

use crate::error::ErrorKind;
use crate::http::{Answer, HttpError};
use crate::retry::{Verdict, judge_status, retry_after};

/// An answer, with the words of a refusal already read.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The URI that gave the answer.
    pub(crate) uri: Uri,
    pub(crate) body: ReplyBody,
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
    pub(crate) async fn read(method: &Method, answer: Answer) -> Reply {
        let (status, headers, uri) = (answer.status, answer.headers.clone(), answer.uri.clone());
        let body = if status.is_client_error() || status.is_server_error() {
            ReplyBody::Refusal(ErrorBody::parse(&answer.prefix(ErrorBody::LIMIT).await))
        } else if *method == Method::GET {
            ReplyBody::Open(Box::new(answer))
        } else {
            // Nobody wants it, but a connection can be used again only when its answer was read.
            answer.prefix(ErrorBody::LIMIT).await;
            ReplyBody::Done
        };
        Reply { status, headers, uri, body }
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
        ErrorKind::Answer { status: self.status, body }
    }

    /// The answer of a success, its body unread.
    pub(crate) fn into_open(self) -> Result<Answer, ErrorKind> {
        match self.body {
            ReplyBody::Open(answer) => Ok(*answer),
            ReplyBody::Refusal(body) => Err(ErrorKind::Answer { status: self.status, body }),
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
