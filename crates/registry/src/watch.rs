//! Tells [`Config::on_request`](crate::Config::on_request) of each request, and of nothing where
//! nobody listens.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use http_body::{Frame, SizeHint};

use crate::{RequestHook, RequestSeen};

/// A request that somebody wants to hear of.
pub(crate) struct Watch {
    hook: RequestHook,
    begun: Instant,
    taken: Arc<AtomicU64>,
}

impl Watch {
    /// Starts the clock, and counts what is read of `body`.
    pub(crate) fn begin(hook: RequestHook, body: Body) -> (Watch, Body) {
        let taken = Arc::<AtomicU64>::default();
        let body = Body::new(Counted { body, taken: taken.clone() });
        (Watch { hook, begun: Instant::now(), taken }, body)
    }

    /// Tells what became of the request.
    pub(crate) fn tell(&self, request: &Parts, status: StatusCode) {
        (self.hook)(RequestSeen {
            method: request.method.as_str(),
            path: request.uri.path(),
            status: status.as_u16(),
            took: self.begun.elapsed(),
            received: self.taken.load(Ordering::Relaxed),
        });
    }
}

/// A body that counts what is taken of it.
struct Counted {
    body: Body,
    taken: Arc<AtomicU64>,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let count = frame.data_ref().map_or(0, Bytes::len);
            self.taken.fetch_add(count as u64, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
