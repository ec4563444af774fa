//! A connection whose sending side broke can still hold an answer.
//!
//! A server that refuses a body (401, 413) answers and closes while the body is still being sent.
//! The next write then fails, and an HTTP library that takes this for the end never reads the
//! answer that lies in the socket's buffer. Here a write that fails so does not fail: it waits,
//! until the reading side has come to its end as well.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Whether the sending side of a connection broke.
#[derive(Clone, Debug, Default)]
pub(super) struct Wire(Arc<AtomicBool>);

impl Wire {
    /// Whether it did. Such a connection is of no use for another request.
    pub(super) fn is_broken(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The adapter. It lies below TLS: what it holds back is the socket's failure.
#[derive(Debug)]
pub(super) struct HalfDead<T> {
    inner: T,
    wire: Wire,
    broken: Option<io::ErrorKind>,
    read_to_end: bool,
}

impl<T> HalfDead<T> {
    pub(super) fn new(inner: T, wire: Wire) -> HalfDead<T> {
        HalfDead { inner, wire, broken: None, read_to_end: false }
    }

    /// What to say to a write, where the sending side is known to be broken.
    fn verdict<R>(&self) -> Option<Poll<io::Result<R>>> {
        let kind = self.broken?;
        // The reader is woken by the socket, and with it the task that both belong to.
        Some(if self.read_to_end { Poll::Ready(Err(kind.into())) } else { Poll::Pending })
    }

    fn weigh<R>(&mut self, result: io::Result<R>) -> Poll<io::Result<R>> {
        match result {
            Err(error) if is_half_death(error.kind()) => {
                self.broken = Some(error.kind());
                self.wire.0.store(true, Ordering::Relaxed);
                if self.read_to_end { Poll::Ready(Err(error)) } else { Poll::Pending }
            }
            other => Poll::Ready(other),
        }
    }
}

fn is_half_death(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
}

impl<T: AsyncRead + Unpin> AsyncRead for HalfDead<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut self.inner).poll_read(context, buffer));
        let ended = buffer.remaining() > 0 && buffer.filled().len() == before;
        if result.is_err() || ended {
            self.read_to_end = true;
        }
        Poll::Ready(result)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for HalfDead<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(verdict) = self.verdict() {
            return verdict;
        }
        let result = ready!(Pin::new(&mut self.inner).poll_write(context, bytes));
        self.weigh(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(verdict) = self.verdict() {
            return verdict;
        }
        let result = ready!(Pin::new(&mut self.inner).poll_write_vectored(context, slices));
        self.weigh(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(verdict) = self.verdict() {
            return verdict;
        }
        let result = ready!(Pin::new(&mut self.inner).poll_flush(context));
        self.weigh(result)
    }

    /// Never waits: there is nothing left to be told to the other side.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken.is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
