//! Requests whose body can be sent again.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use windlass_source::BlobSource;

use super::origin::bare;

/// A request that can be sent any number of times.
#[derive(Clone)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Where to: absolute, its bytes as they were given (upload locations are signed).
    pub uri: Uri,
    /// Its headers. `Authorization`, and every other one marked sensitive, goes to the origin of
    /// `uri` only, whatever redirects say.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Body,
}

/// The body of a request. Its length is always known and sent as `Content-Length`.
#[derive(Clone)]
pub enum Body {
    /// None; `Content-Length: 0` where the method has a body as a rule.
    Empty,
    /// A few bytes.
    Bytes(Bytes),
    /// A few bytes that are for the host of the request alone: a redirect never takes them to
    /// another one.
    Secret(Bytes),
    /// A blob, or the rest of one.
    Source {
        /// Where it comes from.
        source: Arc<dyn BlobSource>,
        /// The first byte that is sent.
        offset: u64,
        /// How many bytes are sent from there.
        length: u64,
        /// Is told of bytes as they are handed to the socket.
        progress: Option<Progress>,
    },
}

/// Called with the number of bytes that were just handed to the socket.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;

impl fmt::Debug for Request {
    /// Leaves out the query, which may be signed, and the headers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {} {:?})", self.method, bare(&self.uri), self.body)
    }
}

impl Body {
    /// How many bytes it has.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Body::Empty => 0,
            Body::Bytes(bytes) | Body::Secret(bytes) => bytes.len() as u64,
            Body::Source { length, .. } => *length,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Body::Empty => f.write_str("Empty"),
            Body::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Body::Secret(_) => f.write_str("Secret"),
            Body::Source { source, offset, length, .. } => {
                write!(f, "Source({}, {offset}+{length})", source.origin())
            }
        }
    }
}
