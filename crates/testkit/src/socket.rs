//! The server's end of a connection: read and written by hyper, and broken from outside of it.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::listening::hung_up;

/// How a connection is to end, now.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Reset,
    Close,
    /// These bytes go out first, past hyper and TLS.
    Raw(Bytes),
}

/// Ends a connection from outside of what serves it.
#[derive(Debug)]
pub(crate) struct Control {
    stream: Arc<TcpStream>,
    end: watch::Sender<Option<End>>,
    is_silent: AtomicBool,
}

/// A stream that others hold too.
#[derive(Debug)]
pub(crate) struct Socket(Arc<TcpStream>);

/// Keeps hyper's `100 Continue` from the client.
#[derive(Debug)]
pub(crate) struct WithoutContinue<S>(pub(crate) S);

impl Control {
    pub(crate) fn new(stream: TcpStream) -> (Control, Socket) {
        let stream = Arc::new(stream);
        let socket = Socket(Arc::clone(&stream));
        let end = watch::Sender::new(None);
        (Control { stream, end, is_silent: AtomicBool::new(false) }, socket)
    }

    /// Ends the connection. Returns at once.
    pub(crate) fn end(&self, end: End) {
        self.end.send_if_modified(|current| {
            let is_first = current.is_none();
            if is_first {
                *current = Some(end);
            }
            is_first
        });
    }

    /// Waits until it is to end.
    pub(crate) async fn ending(&self) -> End {
        let mut end = self.end.subscribe();
        let end = end.wait_for(Option::is_some).await.expect("the sender is in self");
        end.clone().expect("it was waited for")
    }

    /// Whether nothing is answered on it any more.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_silent.load(Ordering::SeqCst)
    }

    pub(crate) fn fall_silent(&self) {
        self.is_silent.store(true, Ordering::SeqCst);
    }

    /// Ends it on the wire, when nobody else reads or writes it any more.
    pub(crate) async fn finish(&self, end: End) {
        match end {
            End::Reset => drop(self.stream.set_zero_linger()),
            End::Close => self.close().await,
            End::Raw(bytes) => {
                let mut left = &bytes[..];
                while !left.is_empty() && self.stream.writable().await.is_ok() {
                    match self.stream.try_write(left) {
                        Ok(written) => left = &left[written..],
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(_) => return,
                    }
                }
                self.close().await;
            }
        }
    }

    /// Waits until the client has gone away.
    pub(crate) async fn hung_up(&self) {
        hung_up(&self.stream).await;
    }

    /// Closing a socket with unread bytes in it would reset the connection: read them all, but
    /// not for ever.
    async fn close(&self) {
        let _ = SockRef::from(&*self.stream).shutdown(Shutdown::Write);
        let drain = async {
            let mut buffer = vec![0; 64 * 1024];
            while self.stream.readable().await.is_ok() {
                match self.stream.try_read(&mut buffer) {
                    Ok(0) => return,
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
                    _ => {}
                }
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(5), drain).await;
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(context))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(context))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.0).shutdown(Shutdown::Write))
    }
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl<S: AsyncRead + Unpin> AsyncRead for WithoutContinue<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WithoutContinue<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.starts_with(CONTINUE) {
            return Poll::Ready(Ok(CONTINUE.len()));
        }
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
