//! Which request means what. Distribution-spec, §"Endpoints".

use axum::body::Body;
use http::header::ALLOW;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::exchange::{self, Exchange};
use crate::failure::Failure;
use crate::{blobs, lists, manifests, query, referrers, uploads};

/// Answers a request.
pub(crate) async fn route(exchange: &mut Exchange) -> Result<Response<Body>, Failure> {
    let path = query::decode(exchange.parts.uri.path()).into_owned();
    let target = target(&path).ok_or_else(|| {
        Failure::not_found("NAME_UNKNOWN", "there is nothing at this address; the API is at /v2/")
    })?;
    let method = exchange.parts.method.clone();
    let allowed = target.methods();
    if !allowed.split(", ").any(|allowed| allowed == method.as_str()) {
        let words = format!("{method} is not done here, only {allowed}");
        return Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", words)
            .with(ALLOW, HeaderValue::from_static(allowed)));
    }
    match target {
        Target::Base => exchange::empty(StatusCode::OK, HeaderMap::new()),
        Target::Catalog => lists::catalog(exchange).await,
        Target::Tags { name } => lists::tags(exchange, exchange::repository(name)?).await,
        Target::Referrers { name, digest } => {
            let (name, digest) = (exchange::repository(name)?, exchange::digest(digest)?);
            referrers::list(exchange, name, digest).await
        }
        Target::Blob { name, digest } => {
            let (name, digest) = (exchange::repository(name)?, exchange::digest(digest)?);
            match method {
                Method::DELETE => blobs::delete(exchange, name, digest).await,
                _ => blobs::get(exchange, name, digest).await,
            }
        }
        Target::Manifest { name, reference } => {
            let name = exchange::repository(name)?;
            match method {
                Method::PUT => manifests::put(exchange, name, reference).await,
                Method::DELETE => manifests::delete(exchange, name, reference).await,
                _ => manifests::get(exchange, name, reference).await,
            }
        }
        Target::Uploads { name } => uploads::begin(exchange, exchange::repository(name)?).await,
        Target::Upload { name, id } => {
            let name = exchange::repository(name)?;
            match method {
                Method::PATCH => uploads::append(exchange, &name, id).await,
                Method::PUT => uploads::finish(exchange, &name, id).await,
                Method::DELETE => uploads::cancel(exchange, &name, id).await,
                _ => uploads::status(exchange, &name, id).await,
            }
        }
    }
}

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    Base,
    Catalog,
    Tags { name: &'a str },
    Referrers { name: &'a str, digest: &'a str },
    Blob { name: &'a str, digest: &'a str },
    Manifest { name: &'a str, reference: &'a str },
    Uploads { name: &'a str },
    Upload { name: &'a str, id: &'a str },
}

impl Target<'_> {
    fn methods(&self) -> &'static str {
        match self {
            Target::Base | Target::Catalog | Target::Tags { .. } | Target::Referrers { .. } => {
                "GET, HEAD"
            }
            Target::Blob { .. } => "GET, HEAD, DELETE",
            Target::Manifest { .. } => "GET, HEAD, PUT, DELETE",
            Target::Uploads { .. } => "POST",
            Target::Upload { .. } => "GET, PATCH, PUT, DELETE",
        }
    }
}

/// Reads a path from its end: a repository's name may itself hold `blobs` or `tags`.
fn target(path: &str) -> Option<Target<'_>> {
    let rest = match path.strip_prefix("/v2")? {
        "" | "/" => return Some(Target::Base),
        rest => rest.strip_prefix('/')?,
    };
    if rest == "_catalog" {
        return Some(Target::Catalog);
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads/") {
        return Some(Target::Uploads { name });
    }
    let (head, last) = rest.rsplit_once('/')?;
    let (name, kind) = head.rsplit_once('/')?;
    match (kind, last) {
        ("tags", "list") => Some(Target::Tags { name }),
        ("blobs", "uploads") => Some(Target::Uploads { name }),
        ("blobs", digest) => Some(Target::Blob { name, digest }),
        ("manifests", reference) => Some(Target::Manifest { name, reference }),
        ("referrers", digest) => Some(Target::Referrers { name, digest }),
        ("uploads", id) => name.strip_suffix("/blobs").map(|name| Target::Upload { name, id }),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "a table reads better without ampersands")]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<Target<'_>>) {
        assert_eq!(target(path), expected, "{path}");
    }

    #[test]
    fn every_endpoint_has_its_path() {
        check("/v2/", Some(Target::Base));
        check("/v2", Some(Target::Base));
        check("/v2/_catalog", Some(Target::Catalog));
        check("/v2/a/b/tags/list", Some(Target::Tags { name: "a/b" }));
        check("/v2/a/blobs/sha256:1", Some(Target::Blob { name: "a", digest: "sha256:1" }));
        check("/v2/a/manifests/v1", Some(Target::Manifest { name: "a", reference: "v1" }));
        let referrers = Target::Referrers { name: "a", digest: "sha256:1" };
        check("/v2/a/referrers/sha256:1", Some(referrers));
        check("/v2/a/b/blobs/uploads/", Some(Target::Uploads { name: "a/b" }));
        check("/v2/a/b/blobs/uploads", Some(Target::Uploads { name: "a/b" }));
        check("/v2/a/b/blobs/uploads/1-2", Some(Target::Upload { name: "a/b", id: "1-2" }));
    }

    #[test]
    fn a_name_may_look_like_an_endpoint() {
        let manifest = Target::Manifest { name: "a/blobs/uploads", reference: "v1" };
        check("/v2/a/blobs/uploads/manifests/v1", Some(manifest));
        check("/v2/tags/list/tags/list", Some(Target::Tags { name: "tags/list" }));
        let blob = Target::Blob { name: "blobs/manifests", digest: "sha256:1" };
        check("/v2/blobs/manifests/blobs/sha256:1", Some(blob));
        check("/v2/_catalog/tags/list", Some(Target::Tags { name: "_catalog" }));
    }

    #[test]
    fn nothing_else_is_an_endpoint() {
        for path in ["/", "/v1/", "/v22/", "/v2/a", "/v2/a/", "/v2/blobs/x", "/v2/a/tags/all"] {
            check(path, None);
        }
        check("/v2/a/uploads/1", None);
    }
}
