//! An answer, whose body is still to come.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, Uri};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use super::HttpError;
use super::origin::bare;
use super::pool::{Connection, Pool};

/// How long an error's text may take to arrive.
const PREFIX_TIME: Duration = Duration::from_secs(5);
/// What is read of a body that nobody wants, to keep its connection.
const DISCARD_BYTES: usize = 16 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// The head of an answer, with its body still to come.
///
/// Read to its end, its connection serves the next request; dropped before, the connection is
/// closed.
pub struct Answer {
    /// Its status, never 1xx.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The URI that gave it, after redirects: what a relative `Location` is relative to.
    pub uri: Uri,
    pub(super) body: Incoming,
    pub(super) lease: Lease,
    pub(super) stall_timeout: Duration,
}

/// A connection that is in use by an answer.
pub(super) struct Lease {
    connection: Option<Connection>,
    pool: Arc<Pool>,
    reusable: bool,
}

impl Lease {
    /// `reusable` where the request was sent whole.
    pub(super) fn new(connection: Connection, pool: Arc<Pool>, reusable: bool) -> Lease {
        Lease { connection: Some(connection), pool, reusable }
    }

    /// The answer was read to its end.
    async fn end(&mut self) {
        if let (Some(connection), true) = (self.connection.take(), self.reusable) {
            self.pool.put(connection).await;
        }
    }
}

impl Answer {
    /// The whole body, of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// [`TooLarge`](HttpError::TooLarge), and those of [`next`](Answer::next).
    pub async fn bytes(mut self, limit: usize) -> Result<Bytes, HttpError> {
        if self.body.size_hint().lower() > limit as u64 {
            return Err(HttpError::TooLarge(limit));
        }
        let mut whole = BytesMut::new();
        while let Some(piece) = self.next().await {
            whole.extend_from_slice(&piece?);
            if whole.len() > limit {
                return Err(HttpError::TooLarge(limit));
            }
        }
        Ok(whole.freeze())
    }

    /// What comes of the body within a few seconds, at most `limit` bytes: for the text of an
    /// error, whose own errors interest nobody.
    pub async fn prefix(self, limit: usize) -> Bytes {
        self.within(limit, PREFIX_TIME).await
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    ///
    /// [`Broken`](HttpError::Broken) where the connection ends before the body,
    /// [`Stalled`](HttpError::Stalled) where nothing comes for the configured time.
    pub async fn next(&mut self) -> Option<Result<Bytes, HttpError>> {
        loop {
            let Ok(frame) = timeout(self.stall_timeout, self.body.frame()).await else {
                return Some(Err(HttpError::Stalled(self.stall_timeout)));
            };
            match frame {
                None => {
                    self.lease.end().await;
                    return None;
                }
                Some(Err(error)) => {
                    return Some(Err(HttpError::Broken(super::words::of_hyper(&error))));
                }
                // Trailers mean nothing here.
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Some(Ok(piece));
                    }
                }
            }
        }
    }

    /// Reads on to the end where that is near, so that the connection can be used again.
    pub(super) async fn discard(self) {
        if self.lease.reusable {
            self.within(DISCARD_BYTES, DISCARD_TIME).await;
        }
    }

    async fn within(mut self, limit: usize, time: Duration) -> Bytes {
        let deadline = Instant::now() + time;
        let mut prefix = BytesMut::new();
        while let Ok(Some(Ok(piece))) = timeout_at(deadline, self.next()).await {
            prefix.extend_from_slice(&piece);
            if prefix.len() > limit {
                break;
            }
        }
        prefix.truncate(limit);
        prefix.freeze()
    }
}

impl fmt::Debug for Answer {
    /// Leaves out the headers: a `Location` may be signed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({} from {})", self.status, bare(&self.uri))
    }
}
