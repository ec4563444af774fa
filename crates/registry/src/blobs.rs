//! Pulling and deleting blobs. Distribution-spec, §"Pulling blobs", §"Deleting Blobs".

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE,
    RANGE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use serde_json::json;
use windlass_oci::{Digest, RepositoryName};

use crate::exchange::{self, CONTENT_DIGEST, Exchange};
use crate::failure::Failure;
use crate::range::{self, Asked};
use crate::workers::Workers;

/// How many bytes are read at once.
const PIECE: usize = 128 * 1024;

/// `GET` and `HEAD …/blobs/<digest>`.
pub(crate) async fn get(
    exchange: &mut Exchange,
    repository: RepositoryName,
    digest: Digest,
) -> Result<Response<Body>, Failure> {
    let blob = digest.clone();
    let found = exchange.blocking(move |inner| inner.store.open_blob(&repository, &blob)).await?;
    let (file, size) = found.ok_or_else(|| unknown(&digest))?;

    let etag = format!("\"{digest}\"");
    let mut headers = HeaderMap::new();
    headers.insert(ETAG, exchange::value(&etag)?);
    headers.insert(CONTENT_DIGEST, exchange::value(digest.as_str())?);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if exchange.header(&IF_NONE_MATCH).is_some_and(|tags| tags.contains(&etag)) {
        return Ok(respond(StatusCode::NOT_MODIFIED, headers, Body::empty()));
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));

    // RFC 9110, §13.1.5: a range of something else is not asked for.
    let same = exchange.header(&IF_RANGE).is_none_or(|tag| tag == etag);
    let asked = range::asked(exchange.header(&RANGE).filter(|_| same), size);
    let (status, part) = match asked {
        Asked::All => (StatusCode::OK, 0..size),
        Asked::Part(part) => {
            let text = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            headers.insert(CONTENT_RANGE, exchange::value(&text)?);
            (StatusCode::PARTIAL_CONTENT, part)
        }
        Asked::Nothing => {
            let words = format!("the blob has {size} bytes");
            return Err(Failure::new(StatusCode::RANGE_NOT_SATISFIABLE, "RANGE_INVALID", words)
                .with(CONTENT_RANGE, exchange::value(&format!("bytes */{size}"))?));
        }
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    let body = if exchange.parts.method == Method::HEAD {
        Body::empty()
    } else {
        stream(file, part, exchange.registry.inner.workers.clone())
    };
    Ok(respond(status, headers, body))
}

/// `DELETE …/blobs/<digest>`.
pub(crate) async fn delete(
    exchange: &mut Exchange,
    repository: RepositoryName,
    digest: Digest,
) -> Result<Response<Body>, Failure> {
    let blob = digest.clone();
    if exchange.blocking(move |inner| inner.store.remove_blob(&repository, &blob)).await? {
        exchange::empty(StatusCode::ACCEPTED, HeaderMap::new())
    } else {
        Err(unknown(&digest))
    }
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A part of a file, read piece by piece as the connection takes it.
fn stream(file: File, part: Range<u64>, workers: Workers) -> Body {
    if part.is_empty() {
        return Body::empty();
    }
    let pieces = stream::try_unfold((file, part, workers), |(mut file, mut part, workers)| async {
        if part.is_empty() {
            return Ok::<_, io::Error>(None);
        }
        let at = part.start;
        let count = usize::try_from(part.end - at).unwrap_or(PIECE).min(PIECE);
        let (file, piece) = workers
            .try_run(move || {
                let mut piece = vec![0; count];
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(&mut piece)?;
                Ok((file, Bytes::from(piece)))
            })
            .await?;
        part.start += count as u64;
        Ok(Some((piece, (file, part, workers))))
    });
    Body::from_stream(pieces)
}

fn unknown(digest: &Digest) -> Failure {
    Failure::not_found("BLOB_UNKNOWN", "the repository does not have this blob")
        .about(&json!({ "digest": digest.as_str() }))
}
