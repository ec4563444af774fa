//! Pushing blobs: the requests of an upload session. Distribution-spec, §"Pushing blobs".
//!
//! A body that breaks keeps what arrived: the session can be asked how far it got, and goes on
//! from there, also after a restart of the server. Only a wrong digest ends a session.
//!
//! One request writes to a session at a time. Another that wants to write meanwhile gets 409, or
//! 416 where it says which bytes it has. Asking for the status or cancelling takes the session
//! over: a client that asks has lost its connection, though this side may not know yet, so the
//! old request is ended and the answer is what arrived.

mod buffers;
mod pump;
mod receive;
mod session;
mod sessions;
mod sink;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName, LOCATION, RANGE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::json;
use windlass_oci::{Algorithm, Digest, RepositoryName};

pub(crate) use buffers::Buffers;
use receive::{Job, Purpose};
use session::{Claim, Session};
pub(crate) use sessions::Sessions;

use crate::exchange::{self, Exchange};
use crate::failure::Failure;
use crate::range;

/// How long a request that came before a status request, on another connection, may take until it
/// is seen here. One that takes longer still harms nothing: where it and the next disagree about
/// the place of their bytes, one of them gets 416.
const ON_ITS_WAY: Duration = Duration::from_millis(30);

const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// `POST …/blobs/uploads/`: mounts a blob, takes one whole, or begins a session.
pub(crate) async fn begin(
    exchange: &mut Exchange,
    repository: RepositoryName,
) -> Result<Response<Body>, Failure> {
    let query = exchange.query();
    if let (Some(digest), Some(from)) = (query.get("mount"), query.get("from")) {
        let digest = exchange::digest(digest)?;
        let from = exchange::repository(from)?;
        let (to, blob) = (repository.clone(), digest.clone());
        if exchange.blocking(move |inner| inner.store.mount_blob(&to, &from, &blob)).await? {
            return created(&repository, &digest);
        }
        // Not there: a session instead, as the specification has it.
    }
    let whole = query.get("digest").map(exchange::digest).transpose()?;
    let algorithm = match (&whole, query.get("digest-algorithm")) {
        (Some(digest), _) => digest.algorithm(),
        (None, None) => Algorithm::Sha256,
        (None, Some(name)) => algorithm(name).ok_or_else(|| {
            let words = format!("no uploads by {name:?} here; known are sha256 and sha512");
            Failure::bad_request("DIGEST_INVALID", words)
        })?,
    };
    let length = content_length(&exchange.parts.headers)?;
    let session =
        exchange.blocking(move |inner| inner.sessions.begin(repository, algorithm)).await?;
    let Some(digest) = whole else {
        return answer(&session, StatusCode::ACCEPTED, 0);
    };
    let claim = session.try_claim().ok_or_else(|| busy(&session))?;
    let purpose = Purpose::Whole(digest);
    Job { session, claim, purpose, expected: length }.run(exchange).await
}

/// `GET …/blobs/uploads/<id>`: how far it got.
pub(crate) async fn status(
    exchange: &mut Exchange,
    repository: &RepositoryName,
    id: &str,
) -> Result<Response<Body>, Failure> {
    let session = find(exchange, repository, id)?;
    if session.try_claim().is_some() {
        // Nobody writes, or not yet: the body that just broke may still be in the socket.
        tokio::time::sleep(ON_ITS_WAY).await;
    }
    let claim = session.take_over().await.ok_or_else(|| stuck(&session))?;
    let size = claim.as_ref().ok_or_else(|| unknown(id))?.size;
    answer(&session, StatusCode::NO_CONTENT, size)
}

/// `PATCH …/blobs/uploads/<id>`: the next bytes, with or without saying which they are.
pub(crate) async fn append(
    exchange: &mut Exchange,
    repository: &RepositoryName,
    id: &str,
) -> Result<Response<Body>, Failure> {
    write(exchange, repository, id, Purpose::Append).await
}

/// `PUT …/blobs/uploads/<id>?digest=`: the last bytes, or none, and the digest of all.
pub(crate) async fn finish(
    exchange: &mut Exchange,
    repository: &RepositoryName,
    id: &str,
) -> Result<Response<Body>, Failure> {
    let query = exchange.query();
    let digest = query.get("digest").ok_or_else(|| {
        Failure::bad_request("DIGEST_INVALID", "an upload is closed with ?digest=<digest>")
    })?;
    let digest = exchange::digest(digest)?;
    write(exchange, repository, id, Purpose::Finish(digest)).await
}

/// `DELETE …/blobs/uploads/<id>`: throws away what has arrived.
pub(crate) async fn cancel(
    exchange: &mut Exchange,
    repository: &RepositoryName,
    id: &str,
) -> Result<Response<Body>, Failure> {
    let session = find(exchange, repository, id)?;
    let mut claim = session.take_over().await.ok_or_else(|| stuck(&session))?;
    claim.take().ok_or_else(|| unknown(id))?;
    exchange.blocking(move |inner| inner.sessions.end(&session)).await?;
    exchange::empty(StatusCode::NO_CONTENT, HeaderMap::new())
}

/// The algorithm of a name.
fn algorithm(name: &str) -> Option<Algorithm> {
    [Algorithm::Sha256, Algorithm::Sha512].into_iter().find(|algorithm| algorithm.name() == name)
}

async fn write(
    exchange: &mut Exchange,
    repository: &RepositoryName,
    id: &str,
    purpose: Purpose,
) -> Result<Response<Body>, Failure> {
    let session = find(exchange, repository, id)?;
    let length = content_length(&exchange.parts.headers)?;
    let header = exchange.header(&CONTENT_RANGE).map(str::to_owned);
    let place = place(header.as_deref(), length).map_err(|error| match error {
        Misplaced::Unreadable(header) => {
            let words = format!("Content-Range {header:?} is none; it looks like 0-1023");
            out_of_place(&session, session.size.load(Ordering::Relaxed), words)
        }
        Misplaced::Length { said, body } => {
            let words = format!("Content-Range speaks of {said} bytes, Content-Length of {body}");
            Failure::bad_request("SIZE_INVALID", words)
        }
    })?;
    let Some(claim) = session.claim(place.is_some()).await else {
        return Err(match place {
            None => busy(&session),
            Some(_) => {
                let words = "another request writes to this upload";
                out_of_place(&session, session.size.load(Ordering::Relaxed), words)
            }
        });
    };
    check_place(&session, &claim, place.as_ref())?;
    let expected = length.or_else(|| place.map(|place| place.end - place.start));
    Job { session, claim, purpose, expected }.run(exchange).await
}

fn check_place(
    session: &Session,
    claim: &Claim,
    place: Option<&Range<u64>>,
) -> Result<(), Failure> {
    let size = claim.as_ref().ok_or_else(|| unknown(&session.id.to_string()))?.size;
    match place {
        Some(place) if place.start != size => {
            let words = format!("the bytes begin at {}, the upload has {size}", place.start);
            Err(out_of_place(session, size, words))
        }
        _ => Ok(()),
    }
}

/// Why a `Content-Range` cannot be followed.
#[derive(Debug, PartialEq, Eq)]
enum Misplaced {
    Unreadable(String),
    Length { said: u64, body: u64 },
}

/// Where the bytes of a body go; `None` where it does not say, or has none.
fn place(header: Option<&str>, length: Option<u64>) -> Result<Option<Range<u64>>, Misplaced> {
    // Clients write all kinds of ranges for a body without bytes.
    let Some(header) = header.filter(|_| length != Some(0)) else {
        return Ok(None);
    };
    let place = range::chunk(header).ok_or_else(|| Misplaced::Unreadable(header.to_owned()))?;
    let said = place.end - place.start;
    match length {
        Some(body) if body != said => Err(Misplaced::Length { said, body }),
        _ => Ok(Some(place)),
    }
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let Some(value) = headers.get(CONTENT_LENGTH) else {
        return Ok(None);
    };
    match value.to_str().ok().and_then(|text| text.parse().ok()) {
        Some(length) => Ok(Some(length)),
        None => Err(Failure::bad_request("SIZE_INVALID", "Content-Length is no number")),
    }
}

fn find(
    exchange: &Exchange,
    repository: &RepositoryName,
    id: &str,
) -> Result<Arc<Session>, Failure> {
    exchange.registry.inner.sessions.get(repository, id).ok_or_else(|| unknown(id))
}

/// An answer that says where the session is and what it has.
fn answer(session: &Session, status: StatusCode, size: u64) -> Result<Response<Body>, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, exchange::value(&session.location())?);
    headers.insert(RANGE, exchange::value(&range::received(size))?);
    headers.insert(UPLOAD_UUID, exchange::value(&session.id.to_string())?);
    exchange::empty(status, headers)
}

fn created(repository: &RepositoryName, digest: &Digest) -> Result<Response<Body>, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, exchange::value(&format!("/v2/{repository}/blobs/{digest}"))?);
    headers.insert(exchange::CONTENT_DIGEST, exchange::value(digest.as_str())?);
    exchange::empty(StatusCode::CREATED, headers)
}

fn unknown(id: &str) -> Failure {
    Failure::not_found("BLOB_UPLOAD_UNKNOWN", "there is no such upload session, or not any more")
        .about(&json!({ "upload": id }))
}

fn busy(session: &Session) -> Failure {
    let words = "another request writes to this upload; ask for its status to take it over";
    at(session, session.size.load(Ordering::Relaxed), StatusCode::CONFLICT, words)
}

fn stuck(session: &Session) -> Failure {
    let words = "another request is at its end with this upload and takes long; ask again";
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", words)
        .about(&json!({ "upload": session.id.to_string() }))
        .with(RETRY_AFTER, HeaderValue::from_static("1"))
}

/// 416, with what would be right.
fn out_of_place(session: &Session, size: u64, words: impl Into<String>) -> Failure {
    at(session, size, StatusCode::RANGE_NOT_SATISFIABLE, words)
}

/// A refusal of bytes that leaves the session as it is: with where it is, and what it has.
fn at(session: &Session, size: u64, status: StatusCode, words: impl Into<String>) -> Failure {
    let code = match status {
        StatusCode::RANGE_NOT_SATISFIABLE => "RANGE_INVALID",
        _ => "BLOB_UPLOAD_INVALID",
    };
    let failure = Failure::new(status, code, words).about(&json!({ "received": size }));
    let values = [(LOCATION, session.location()), (RANGE, range::received(size))];
    values.into_iter().fold(failure, |failure, (name, value)| match exchange::value(&value) {
        Ok(value) => failure.with(name, value),
        Err(_) => failure,
    })
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "a table reads better without ampersands")]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        header: Option<&str>,
        length: Option<u64>,
        expected: Result<Option<Range<u64>>, Misplaced>,
    ) {
        assert_eq!(place(header, length), expected, "{header:?} with {length:?}");
    }

    #[test]
    fn bytes_go_where_their_range_says() {
        check(None, None, Ok(None));
        check(None, Some(5), Ok(None));
        check(Some("5-9"), Some(5), Ok(Some(5..10)));
        check(Some("5-9"), None, Ok(Some(5..10)));
        check(Some("0--1"), Some(0), Ok(None));
        check(Some("5-9"), Some(4), Err(Misplaced::Length { said: 5, body: 4 }));
        check(Some("x"), Some(4), Err(Misplaced::Unreadable("x".to_owned())));
    }
}
