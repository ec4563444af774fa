//! What a request to a registry asks for. Distribution-spec, §"Endpoints".

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method};

/// The kinds of request that a test may want to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// `GET /v2/`
    Ping,
    /// `HEAD …/blobs/<digest>`
    BlobHead,
    /// `GET …/blobs/<digest>`
    BlobGet,
    /// `DELETE …/blobs/<digest>`
    BlobDelete,
    /// `POST …/blobs/uploads/` without a digest or with one, but not to mount
    UploadPost,
    /// `POST …/blobs/uploads/?mount=`
    UploadMount,
    /// `PATCH …/blobs/uploads/<session>`
    UploadPatch,
    /// `PUT …/blobs/uploads/<session>`
    UploadPut,
    /// `GET …/blobs/uploads/<session>`: how far it is
    UploadGet,
    /// `DELETE …/blobs/uploads/<session>`
    UploadDelete,
    /// `HEAD …/manifests/<tag or digest>`
    ManifestHead,
    /// `GET …/manifests/<tag or digest>`
    ManifestGet,
    /// `PUT …/manifests/<digest>`
    ManifestPut,
    /// `PUT …/manifests/<tag>`
    TagPut,
    /// `DELETE …/manifests/<tag or digest>`
    ManifestDelete,
    /// `GET …/tags/list`
    TagsList,
    /// `GET …/referrers/<digest>`
    Referrers,
    /// Anything at the path of a token server.
    Token,
    /// Anything else.
    Other,
}

/// A request's path, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it asks for.
    pub call: Call,
    /// The repository, where there is one in it.
    pub repository: Option<String>,
    /// The tag or digest, or the upload session, or the digest to be mounted or put.
    pub reference: Option<String>,
}

/// A request as rules see it.
#[derive(Clone, Debug)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// Path and query, as sent.
    pub path: String,
    /// The path, taken apart.
    pub target: Target,
    /// The headers.
    pub headers: HeaderMap,
}

impl Head {
    /// Length of the body as the request has announced it; `None` where it is sent in chunks.
    pub(crate) fn content_length(&self) -> Option<u64> {
        if self.headers.contains_key(TRANSFER_ENCODING) {
            return None;
        }
        let length = self.headers.get(CONTENT_LENGTH);
        Some(length.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0))
    }
}

impl Target {
    /// Reads a request's method, path and query.
    #[must_use]
    pub fn of(method: &Method, path: &str, query: &str) -> Target {
        let bare = |call| Target { call, repository: None, reference: None };
        if path == "/token" {
            return bare(Call::Token);
        }
        let Some(rest) = path.strip_prefix("/v2/") else { return bare(Call::Other) };
        if rest.is_empty() {
            return bare(Call::Ping);
        }
        for (middle, find) in KINDS {
            // From the right: a repository may have such a word in its name.
            if let Some((repository, reference)) = rest.rsplit_once(middle)
                && !repository.is_empty()
                && !reference.contains('/')
            {
                let (call, reference) = find(method, reference, query);
                return Target { call, repository: Some(repository.to_owned()), reference };
            }
        }
        bare(Call::Other)
    }
}

/// The value of a field of a query, as it stands there.
pub(crate) fn field<'a>(query: &'a str, wanted: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(name, value)| (name == wanted).then_some(value))
}

/// A digest in a query may be written as it is or with its colon escaped.
pub(crate) fn unescape(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut left = value.as_bytes();
    while let Some((&first, rest)) = left.split_first() {
        let escaped = rest.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, escaped.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                left = &rest[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                left = rest;
            }
            _ => {
                bytes.push(first);
                left = rest;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

type Find = fn(&Method, &str, &str) -> (Call, Option<String>);

const KINDS: [(&str, Find); 5] = [
    ("/blobs/uploads/", |method, session, query| {
        let digest = |name| field(query, name).map(unescape);
        let session = (!session.is_empty()).then(|| session.to_owned());
        match *method {
            Method::POST => match digest("mount") {
                Some(digest) => (Call::UploadMount, Some(digest)),
                None => (Call::UploadPost, digest("digest")),
            },
            Method::PATCH => (Call::UploadPatch, session),
            Method::PUT => (Call::UploadPut, digest("digest").or(session)),
            Method::GET => (Call::UploadGet, session),
            Method::DELETE => (Call::UploadDelete, session),
            _ => (Call::Other, session),
        }
    }),
    ("/blobs/", |method, digest, _| {
        let call = match *method {
            Method::HEAD => Call::BlobHead,
            Method::GET => Call::BlobGet,
            Method::DELETE => Call::BlobDelete,
            _ => Call::Other,
        };
        (call, Some(digest.to_owned()))
    }),
    ("/manifests/", |method, reference, _| {
        let call = match *method {
            Method::HEAD => Call::ManifestHead,
            Method::GET => Call::ManifestGet,
            Method::PUT if reference.contains(':') => Call::ManifestPut,
            Method::PUT => Call::TagPut,
            Method::DELETE => Call::ManifestDelete,
            _ => Call::Other,
        };
        (call, Some(reference.to_owned()))
    }),
    ("/tags/", |_, list, _| (if list == "list" { Call::TagsList } else { Call::Other }, None)),
    ("/referrers/", |_, digest, _| (Call::Referrers, Some(digest.to_owned()))),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(request: &str, call: Call, repository: Option<&str>, reference: Option<&str>) {
        let (method, path) = request.split_once(' ').unwrap();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let target = Target::of(&method.parse().unwrap(), path, query);
        let expected = Target {
            call,
            repository: repository.map(str::to_owned),
            reference: reference.map(str::to_owned),
        };
        assert_eq!(target, expected, "{request}");
    }

    #[test]
    fn every_endpoint_is_known() {
        check("GET /v2/", Call::Ping, None, None);
        check("GET /token?scope=x", Call::Token, None, None);
        check("GET /", Call::Other, None, None);
        let name = Some("a/b");
        check("HEAD /v2/a/b/blobs/sha256:0", Call::BlobHead, name, Some("sha256:0"));
        check("GET /v2/a/b/blobs/sha256:0", Call::BlobGet, name, Some("sha256:0"));
        check("POST /v2/a/b/blobs/uploads/", Call::UploadPost, name, None);
        check(
            "POST /v2/a/b/blobs/uploads/?digest=sha256%3A0",
            Call::UploadPost,
            name,
            Some("sha256:0"),
        );
        check(
            "POST /v2/a/b/blobs/uploads/?from=c&mount=sha256:0",
            Call::UploadMount,
            name,
            Some("sha256:0"),
        );
        check("PATCH /v2/a/b/blobs/uploads/u?_state=x", Call::UploadPatch, name, Some("u"));
        check("GET /v2/a/b/blobs/uploads/u", Call::UploadGet, name, Some("u"));
        check("DELETE /v2/a/b/blobs/uploads/u", Call::UploadDelete, name, Some("u"));
        check(
            "PUT /v2/a/b/blobs/uploads/u?_state=x&digest=sha256:0",
            Call::UploadPut,
            name,
            Some("sha256:0"),
        );
        check("PUT /v2/a/b/manifests/sha256:0", Call::ManifestPut, name, Some("sha256:0"));
        check("PUT /v2/a/b/manifests/v1", Call::TagPut, name, Some("v1"));
        check("HEAD /v2/a/b/manifests/v1", Call::ManifestHead, name, Some("v1"));
        check("GET /v2/a/b/tags/list?n=5", Call::TagsList, name, None);
        check("GET /v2/a/b/referrers/sha256:0", Call::Referrers, name, Some("sha256:0"));
    }

    #[test]
    fn a_repository_may_be_named_like_an_endpoint() {
        check(
            "PUT /v2/a/manifests/b/manifests/v1",
            Call::TagPut,
            Some("a/manifests/b"),
            Some("v1"),
        );
        check("HEAD /v2/blobs/x/blobs/sha256:0", Call::BlobHead, Some("blobs/x"), Some("sha256:0"));
    }

    #[test]
    fn fields_of_a_query() {
        assert_eq!(field("a=1&b=2%2B&c", "b").map(unescape).as_deref(), Some("2+"));
        assert_eq!(field("a=1", "b"), None);
        assert_eq!(unescape("a%3Ab%zz+%"), "a:b%zz %");
    }
}
