//! The body of a request on its way to the registry: counted, and cut where a fault says so.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// What has become of a body.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    received: AtomicU64,
    is_broken: AtomicBool,
}

/// A request's body.
pub(crate) struct RequestBody {
    inner: Incoming,
    cut: Option<Cut>,
    /// What comes after so many bytes is read and forgotten.
    most: Option<u64>,
    progress: Arc<Progress>,
}

/// Where a body ends too early.
struct Cut {
    after: u64,
    /// What is waited for before the body is said to be broken.
    wait: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Progress {
    /// How many bytes have been read.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    /// Whether it has ended before its end.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::SeqCst)
    }
}

impl RequestBody {
    pub(crate) fn new(inner: Incoming, progress: &Arc<Progress>) -> RequestBody {
        RequestBody { inner, cut: None, most: None, progress: Arc::clone(progress) }
    }

    /// Ends after `after` bytes with an error, when `wait` is done.
    pub(crate) fn cut(
        mut self,
        after: u64,
        wait: impl Future<Output = ()> + Send + 'static,
    ) -> RequestBody {
        self.cut = Some(Cut { after, wait: Box::pin(wait) });
        self
    }

    /// Seems to have no more than `most` bytes.
    pub(crate) fn shorten(mut self, most: u64) -> RequestBody {
        self.most = Some(most);
        self
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Reads and forgets `wanted` bytes, or all of them.
    pub(crate) async fn discard(&mut self, wanted: Option<u64>) -> io::Result<()> {
        while wanted.is_none_or(|wanted| self.progress.received() < wanted) {
            if self.frame().await.transpose()?.is_none() {
                break;
            }
        }
        Ok(())
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let left = this.cut.as_ref().map(|cut| cut.after - this.progress.received());
        if left == Some(0)
            && let Some(cut) = &mut this.cut
        {
            ready!(cut.wait.as_mut().poll(context));
            this.cut = Some(Cut { after: cut.after, wait: Box::pin(async {}) });
            this.progress.is_broken.store(true, Ordering::SeqCst);
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
        }
        let frame = match ready!(Pin::new(&mut this.inner).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                this.progress.is_broken.store(true, Ordering::SeqCst);
                return Poll::Ready(Some(Err(io::Error::other(error))));
            }
            None => return Poll::Ready(None),
        };
        let forgotten = this.most.map(|most| most - this.progress.received());
        let left = left.into_iter().chain(forgotten).min();
        let frame = frame.map_data(|data| match left.map(usize::try_from) {
            Some(Ok(left)) if left < data.len() => data.slice(..left),
            _ => data,
        });
        if let Some(data) = frame.data_ref() {
            this.progress.received.fetch_add(data.len() as u64, Ordering::SeqCst);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.cut.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.most {
            Some(most) => SizeHint::with_exact(most),
            None => self.inner.size_hint(),
        }
    }
}
