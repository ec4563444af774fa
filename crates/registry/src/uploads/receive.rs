//! One request's bytes on their way into a session, and what becomes of the session then.
//!
//! All of it runs in a task of its own. A server drops the future of a request whose connection
//! broke; what arrived must still reach the file, and the session must still be given back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use http::{Response, StatusCode};
use serde_json::json;
use tokio::sync::oneshot;
use windlass_oci::Digest;

use super::pump::{End, Pump};
use super::session::{Claim, Session};
use super::sink::Sink;
use super::{answer, at, created, unknown};
use crate::Registry;
use crate::exchange::{self, Exchange};
use crate::failure::Failure;

/// A request that has the right to write to a session.
pub(super) struct Job {
    pub(super) session: Arc<Session>,
    pub(super) claim: Claim,
    pub(super) purpose: Purpose,
    /// How many bytes the body has, where that was said.
    pub(super) expected: Option<u64>,
}

/// What the bytes are.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// Some of a blob.
    Append,
    /// The last of a blob with this digest.
    Finish(Digest),
    /// A whole blob, in a session that the client knows nothing of.
    Whole(Digest),
}

impl Job {
    /// Takes the body; the answer tells what became of it.
    pub(super) async fn run(self, exchange: &mut Exchange) -> Result<Response<Body>, Failure> {
        let registry = exchange.registry.clone();
        let body = exchange.body.take().unwrap_or_default();
        let running = registry.inner.running().await?;
        let (reply, answer) = oneshot::channel();
        tokio::spawn(async move {
            let outcome = self.receive(&registry, body, &reply).await;
            // By now the claim is given back: who has the answer can send the next bytes.
            drop(reply.send(outcome));
            drop(registry);
            drop(running);
        });
        answer.await.unwrap_or_else(|_| Err(std::io::Error::other("the upload was lost").into()))
    }

    async fn receive(
        mut self,
        registry: &Registry,
        mut body: Body,
        reply: &oneshot::Sender<Result<Response<Body>, Failure>>,
    ) -> Result<Response<Body>, Failure> {
        let (session, inner) = (&self.session, &registry.inner);
        // A copy: should anything be lost on the way, the session still has what it had.
        let received = self.claim.clone().ok_or_else(|| unknown(&session.id.to_string()))?;
        let (path, purpose) = (session.data.clone(), self.purpose.clone());
        let sink = inner.workers.try_run(move || {
            let mut sink = Sink::open(&path, received)?;
            if let Purpose::Finish(digest) | Purpose::Whole(digest) = purpose {
                sink.prefer(digest.algorithm());
            }
            Ok(sink)
        });
        let sink = match sink.await {
            Ok(sink) => sink,
            Err(error) => {
                exchange::leave(body);
                return Err(error.into());
            }
        };
        let start = sink.size();

        let pump = Pump {
            workers: &inner.workers,
            buffers: &inner.buffers,
            stop: &session.stop,
            seen: &session.seen,
            expected: self.expected,
            idle: inner.config.idle_timeout,
        };
        let (sink, end) = pump.run(&mut body, sink).await;
        exchange::leave(body);
        session.touch();
        let Some(mut sink) = sink else {
            return Err(end.err().unwrap_or_else(|| std::io::Error::other("no file left")).into());
        };

        let end = match end {
            // A server that is torn down may let a body of unknown length just end.
            Ok(End::Complete) if self.expected.is_none() && reply.is_closed() => {
                Ok(End::Broken("whoever sent it is gone".to_owned()))
            }
            // See `range::received`: what nobody acknowledged must not look like nothing.
            Ok(End::Broken(reason)) if start == 0 && sink.size() == 1 => {
                sink.clear(session.algorithm)?;
                Ok(End::Broken(reason))
            }
            other => other,
        };
        match end {
            Ok(End::Complete) => match self.purpose.clone() {
                Purpose::Append => self.acknowledge(registry, sink).await,
                Purpose::Finish(digest) | Purpose::Whole(digest) => {
                    self.commit(registry, sink, digest).await
                }
            },
            Ok(End::Broken(reason)) => {
                let size = self.keep(registry, sink).await;
                Err(at(&self.session, size, StatusCode::BAD_REQUEST, reason))
            }
            Ok(End::Stopped) => {
                let size = self.keep(registry, sink).await;
                let words = "another request has taken this upload over";
                Err(at(&self.session, size, StatusCode::CONFLICT, words))
            }
            Ok(End::TooLong) => {
                self.keep(registry, sink).await;
                let words = "the body has more bytes than its Content-Range says";
                Err(Failure::bad_request("SIZE_INVALID", words))
            }
            Err(error) => {
                self.keep(registry, sink).await;
                Err(error.into())
            }
        }
    }

    /// The session goes on with what it has; how much that is.
    async fn keep(&mut self, registry: &Registry, sink: Sink) -> u64 {
        let size = sink.size();
        if let Purpose::Whole(_) = self.purpose {
            self.end(registry).await;
        } else {
            self.session.size.store(size, Ordering::Relaxed);
            *self.claim = Some(sink.close());
        }
        size
    }

    async fn acknowledge(
        mut self,
        registry: &Registry,
        sink: Sink,
    ) -> Result<Response<Body>, Failure> {
        let inner = registry.inner.clone();
        let synced = registry.inner.workers.run(move || {
            let result = inner.store.disk().sync_file(sink.file());
            (sink, result)
        });
        let (sink, result) = synced.await?;
        let size = self.keep(registry, sink).await;
        result?;
        answer(&self.session, StatusCode::ACCEPTED, size)
    }

    async fn commit(
        mut self,
        registry: &Registry,
        mut sink: Sink,
        digest: Digest,
    ) -> Result<Response<Body>, Failure> {
        let (inner, session, wanted) =
            (registry.inner.clone(), self.session.clone(), digest.clone());
        let committed = registry.inner.workers.run(move || {
            let result = sink.digest(wanted.algorithm()).and_then(|found| {
                if found == wanted {
                    inner.store.disk().sync_file(sink.file())?;
                    inner.store.take_blob(sink.path(), &session.repository, &wanted)?;
                }
                Ok(found)
            });
            (sink, result)
        });
        let (sink, result) = committed.await?;
        match result {
            Ok(found) if found == digest => {
                self.end(registry).await;
                created(&self.session.repository, &digest)
            }
            Ok(found) => {
                self.end(registry).await;
                let words = format!("the {} bytes that came have the digest {found}", sink.size());
                Err(Failure::bad_request("DIGEST_INVALID", words)
                    .about(&json!({ "digest": digest.as_str(), "received": found.as_str() })))
            }
            Err(error) => {
                self.keep(registry, sink).await;
                Err(error.into())
            }
        }
    }

    /// Ends the session. Files that cannot be removed now are at the next open.
    async fn end(&mut self, registry: &Registry) {
        *self.claim = None;
        let (inner, session) = (registry.inner.clone(), self.session.clone());
        drop(registry.inner.workers.run(move || inner.sessions.end(&session)).await);
    }
}
