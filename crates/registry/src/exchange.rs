//! One request on its way to its answer, and the small things that all handlers need.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::body::Body;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use windlass_oci::{Digest, RepositoryName};

use crate::failure::Failure;
use crate::query::Query;
use crate::{Inner, Registry};

pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// A request, and who is to answer it.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) registry: Registry,
    pub(crate) parts: Parts,
    /// The body, until a handler takes it. Nobody may touch it before all that can be checked
    /// without it is: its first poll makes the server say `100 Continue`.
    pub(crate) body: Option<Body>,
}

impl Exchange {
    pub(crate) fn query(&self) -> Query {
        Query::parse(self.parts.uri.query().unwrap_or_default())
    }

    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.parts.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Does something on the disk. The future does not borrow the exchange: a body cannot be
    /// shared between threads.
    pub(crate) fn blocking<T, W>(
        &self,
        work: W,
    ) -> impl Future<Output = io::Result<T>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce(&Inner) -> io::Result<T> + Send + 'static,
    {
        let inner = self.registry.inner.clone();
        async move {
            let workers = inner.workers.clone();
            workers.try_run(move || work(&inner)).await
        }
    }
}

/// Reads a repository's name.
pub(crate) fn repository(text: &str) -> Result<RepositoryName, Failure> {
    let invalid =
        |words| Failure::bad_request("NAME_INVALID", words).about(&json!({ "name": text }));
    if text.len() > LONGEST_NAME {
        return Err(invalid(format!("the name has more than {LONGEST_NAME} characters")));
    }
    text.parse().map_err(|error: windlass_oci::ReferenceError| invalid(error.to_string()))
}

/// Reads a digest.
pub(crate) fn digest(text: &str) -> Result<Digest, Failure> {
    text.parse().map_err(|error: windlass_oci::DigestError| {
        Failure::bad_request("DIGEST_INVALID", error.to_string()).about(&json!({ "digest": text }))
    })
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode, headers: HeaderMap) -> Result<Response<Body>, Failure> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Ok(response)
}

/// A 200 with JSON.
pub(crate) fn json(media_type: &'static str, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A header's value.
pub(crate) fn value(text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text).map_err(|error| io::Error::other(error).into())
}

/// Leaves a body that is not wanted. Some of it is read beside the answer, so that a client that
/// only looks for an answer when all is sent does not find the connection broken instead.
pub(crate) fn leave(mut body: Body) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(tokio::time::timeout(LEAVE_WITHIN, async move {
        let mut left = LEAVE_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let count = frame.data_ref().map_or(0, bytes::Bytes::len);
            match left.checked_sub(count) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    }));
}

const LONGEST_NAME: usize = 255;
const LEAVE_BYTES: usize = 1024 * 1024;
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
