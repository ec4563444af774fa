//! Pushing, pulling and deleting manifests and tags. Distribution-spec, §"Pushing Manifests",
//! §"Pulling manifests", §"Deleting tags", §"Deleting Manifests".

use std::collections::BTreeSet;
use std::io;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{
    CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH, LOCATION,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::json;
use windlass_oci::{Digest, MediaType, RawManifest, Reference, RepositoryName, Tag};

use crate::exchange::{self, CONTENT_DIGEST, Exchange};
use crate::failure::Failure;
use crate::store::{Precondition, Put, PutRefusal};

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

/// The most tags that one request may set; the specification wants ten at least.
const MOST_TAGS: usize = 100;

/// `GET` and `HEAD …/manifests/<reference>`.
pub(crate) async fn get(
    exchange: &mut Exchange,
    repository: RepositoryName,
    reference: &str,
) -> Result<Response<Body>, Failure> {
    let wanted = look_up(reference)?;
    let found = exchange
        .blocking(move |inner| {
            let digest = match wanted {
                Some(Reference::Tag(tag)) => inner.store.tag(&repository, &tag)?,
                Some(Reference::Digest(digest)) => Some(digest),
                None => None,
            };
            let manifest = match digest {
                Some(digest) => inner.store.manifest(&repository, &digest)?,
                None => None,
            };
            match manifest {
                Some(manifest) => Ok(Ok(manifest)),
                None => Ok(Err(inner.store.repository_exists(&repository)?)),
            }
        })
        .await?;
    let manifest =
        found.map_err(|known| if known { unknown(reference) } else { name_unknown() })?;

    let etag = format!("\"{}\"", manifest.digest());
    let matches = exchange.header(&IF_NONE_MATCH).is_some_and(|tags| tags.contains(&etag));
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(ETAG, exchange::value(&etag)?);
    headers.insert(CONTENT_DIGEST, exchange::value(manifest.digest().as_str())?);
    if matches {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    headers.insert(CONTENT_TYPE, exchange::value(manifest.media_type().as_str())?);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(manifest.size()));
    if exchange.parts.method != Method::HEAD {
        *response.body_mut() = Body::from(manifest.bytes().clone());
    }
    Ok(response)
}

/// `PUT …/manifests/<reference>`.
pub(crate) async fn put(
    exchange: &mut Exchange,
    repository: RepositoryName,
    reference: &str,
) -> Result<Response<Body>, Failure> {
    let reference = parse(reference)?;
    let tags = tags(exchange, &reference)?;
    let media_type = exchange.header(&CONTENT_TYPE).map(content_type);
    if let Some(media_type) = media_type.as_ref().filter(|media_type| !media_type.is_manifest()) {
        return Err(invalid(format!("media type {media_type} is no manifest or index known here")));
    }
    let bytes = body(exchange).await?;

    let media_type = match media_type {
        Some(media_type) => media_type,
        None => own_media_type(&bytes)
            .ok_or_else(|| invalid("neither Content-Type nor mediaType says what it is"))?,
    };
    let manifest = match &reference {
        Reference::Tag(_) => RawManifest::new(media_type, bytes),
        Reference::Digest(digest) => {
            let found = Digest::of(digest.algorithm(), &bytes);
            RawManifest::with_digest(media_type, digest.clone(), bytes).ok_or_else(|| {
                let words = format!("the bytes that came have the digest {found}");
                Failure::bad_request("DIGEST_INVALID", words)
                    .about(&json!({ "digest": digest.as_str(), "received": found.as_str() }))
            })?
        }
    };
    let view = manifest.view().map_err(|error| invalid(error.to_string()))?;

    let subject = view.subject().map(|subject| subject.digest.clone());
    let mut headers = HeaderMap::new();
    let digest = manifest.digest();
    headers.insert(LOCATION, exchange::value(&format!("/v2/{repository}/manifests/{digest}"))?);
    headers.insert(CONTENT_DIGEST, exchange::value(digest.as_str())?);
    if let Some(subject) = subject {
        headers.insert(OCI_SUBJECT, exchange::value(subject.as_str())?);
    }
    if let Reference::Digest(_) = reference {
        for tag in &tags {
            headers.append(OCI_TAG, exchange::value(tag.as_str())?);
        }
    }
    let precondition = Precondition {
        name: Some(reference),
        matches: exchange.header(&IF_MATCH).map(str::to_owned),
        matches_not: exchange.header(&IF_NONE_MATCH).map(str::to_owned),
    };
    let done = exchange
        .blocking(move |inner| {
            let put = Put {
                repository: &repository,
                manifest: &manifest,
                view: &view,
                tags: &tags,
                accept_incomplete: inner.config.accept_incomplete,
                precondition: &precondition,
            };
            match inner.store.put_manifest(&put, inner.config.on_tag.as_ref()) {
                Err(PutRefusal::Io(error)) => Err(error),
                done => Ok(done),
            }
        })
        .await?;
    match done {
        Ok(()) => exchange::empty(StatusCode::CREATED, headers),
        Err(PutRefusal::Io(error)) => Err(error.into()),
        Err(PutRefusal::Changed) => {
            let words = "what has this name is not what the condition says".to_owned();
            Err(Failure::new(StatusCode::PRECONDITION_FAILED, "PRECONDITION", words))
        }
        Err(PutRefusal::Missing(missing)) => Err(Failure::several(
            "MANIFEST_BLOB_UNKNOWN",
            missing
                .iter()
                .map(|missing| {
                    let words = "the manifest names what the repository does not have";
                    let (digest, media_type) = (missing.digest.as_str(), &missing.media_type);
                    (words.to_owned(), json!({ "digest": digest, "mediaType": media_type }))
                })
                .collect(),
        )),
    }
}

/// `DELETE …/manifests/<reference>`: a digest takes the manifest and all its tags, a tag only
/// itself.
pub(crate) async fn delete(
    exchange: &mut Exchange,
    repository: RepositoryName,
    reference: &str,
) -> Result<Response<Body>, Failure> {
    let wanted = look_up(reference)?.ok_or_else(|| unknown(reference))?;
    let removed = exchange
        .blocking(move |inner| match &wanted {
            Reference::Tag(tag) => inner.store.remove_tag(&repository, tag),
            Reference::Digest(digest) => inner.store.remove_manifest(&repository, digest),
        })
        .await?;
    if removed {
        exchange::empty(StatusCode::ACCEPTED, HeaderMap::new())
    } else {
        Err(unknown(reference))
    }
}

/// A repository that is not known.
pub(crate) fn name_unknown() -> Failure {
    Failure::not_found("NAME_UNKNOWN", "there is no such repository")
}

/// Reads the body whole: it must not be longer than a manifest may be.
async fn body(exchange: &mut Exchange) -> Result<Bytes, Failure> {
    let inner = exchange.registry.inner.clone();
    let limit = inner.config.manifest_limit;
    let too_long = || {
        let words = format!("a manifest may have {limit} bytes");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", words)
    };
    let length = exchange.header(&CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_long());
    }
    let _room = inner.room_for(length.unwrap_or(limit)).await?;
    let Some(body) = &mut exchange.body else {
        return Ok(Bytes::new());
    };
    let mut bytes = BytesMut::with_capacity(length.unwrap_or(0));
    loop {
        match tokio::time::timeout(inner.config.idle_timeout, body.frame()).await {
            Err(_) => return Err(invalid("the rest of the body did not come")),
            Ok(Some(Err(error))) => return Err(invalid(format!("the body broke off: {error}"))),
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                if bytes.len() + data.len() > limit {
                    return Err(too_long());
                }
                bytes.extend_from_slice(&data);
            }
            Ok(None) => break,
        }
    }
    match length {
        Some(length) if length != bytes.len() => Err(invalid("the body ended early")),
        _ => Ok(bytes.freeze()),
    }
}

/// The tags that a request sets: the one it is addressed to, or those of its query.
/// Distribution-spec, §"Pushing Manifests", `?tag=`.
fn tags(exchange: &Exchange, reference: &Reference) -> Result<Vec<Tag>, Failure> {
    if let Reference::Tag(tag) = reference {
        return Ok(vec![tag.clone()]);
    }
    let query = exchange.query();
    let mut seen = BTreeSet::new();
    let mut tags = Vec::new();
    for text in query.all("tag") {
        let tag: Tag = text.parse().map_err(|error| tag_invalid(&error))?;
        if seen.insert(tag.clone()) {
            tags.push(tag);
        }
    }
    if tags.len() > MOST_TAGS {
        let words = format!("a request may set {MOST_TAGS} tags");
        return Err(Failure::new(StatusCode::URI_TOO_LONG, "UNSUPPORTED", words));
    }
    Ok(tags)
}

/// What a request asks for. What can be no tag is a tag that does not exist.
fn look_up(text: &str) -> Result<Option<Reference>, Failure> {
    if text.contains(':') {
        return exchange::digest(text).map(|digest| Some(Reference::Digest(digest)));
    }
    Ok(text.parse().ok())
}

/// What a manifest is put as.
fn parse(text: &str) -> Result<Reference, Failure> {
    if text.contains(':') {
        return exchange::digest(text).map(Reference::Digest);
    }
    text.parse::<Tag>().map(Reference::Tag).map_err(|error| tag_invalid(&error))
}

/// A `Content-Type` without its parameters.
fn content_type(header: &str) -> MediaType {
    MediaType::new(header.split(';').next().unwrap_or(header).trim())
}

fn own_media_type(bytes: &[u8]) -> Option<MediaType> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Own {
        media_type: MediaType,
    }
    serde_json::from_slice::<Own>(bytes).ok().map(|own| own.media_type)
}

fn unknown(reference: &str) -> Failure {
    Failure::not_found("MANIFEST_UNKNOWN", "the repository does not have this manifest")
        .about(&json!({ "reference": reference }))
}

fn invalid(words: impl Into<String>) -> Failure {
    Failure::bad_request("MANIFEST_INVALID", words)
}

fn tag_invalid(error: &windlass_oci::ReferenceError) -> Failure {
    Failure::bad_request("TAG_INVALID", error.to_string())
}

/// What waits here while it is read; see [`Inner::room_for`](crate::Inner::room_for).
pub(crate) fn kibibytes(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes.div_ceil(1024)).map_err(io::Error::other)
}
