//! Moves a request's body into a session's file.
//!
//! The next bytes are gathered while the last ones are written and hashed on a blocking thread.
//! A buffer is held only for as long as a write takes, never while the network is waited for, so
//! a few buffers serve any number of slow clients.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::sync::Notify;

use super::buffers::{Buffer, Buffers};
use super::sink::Sink;
use crate::workers::Workers;

/// How a body came to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All of it is in the file.
    Complete,
    /// The connection broke, or nothing came for too long. What came is in the file.
    Broken(String),
    /// Another request wants the session. What came is in the file.
    Stopped,
    /// It had more bytes than its headers said. Those that were said are in the file.
    TooLong,
}

/// What a pump must know besides body and file.
#[derive(Debug)]
pub(crate) struct Pump<'a> {
    pub(crate) workers: &'a Workers,
    pub(crate) buffers: &'a Buffers,
    /// Stops it.
    pub(crate) stop: &'a Notify,
    /// Counts what comes from the network, for those who want to know whether anything does.
    pub(crate) seen: &'a AtomicU64,
    /// How many bytes the body must have, where its headers say so.
    pub(crate) expected: Option<u64>,
    /// How long to wait for the next byte.
    pub(crate) idle: Duration,
}

impl Pump<'_> {
    /// Writes `body` to the end of `sink`. The sink comes back in every case but a panic in the
    /// writing thread.
    pub(crate) async fn run(&self, body: &mut Body, sink: Sink) -> (Option<Sink>, io::Result<End>) {
        let mut sink = Some(sink);
        let mut writing = None;
        let mut gathered: Option<Buffer> = None;
        let mut pending = Bytes::new();
        let mut left = self.expected;
        let mut end = None;
        loop {
            if !pending.is_empty() && gathered.is_none() {
                gathered = match writing {
                    Some(_) => self.buffers.try_get(),
                    None => match self.buffers.get().await {
                        Ok(buffer) => Some(buffer),
                        Err(error) => return (sink, Err(error)),
                    },
                };
            }
            if let Some(buffer) = &mut gathered {
                buffer.fill(&mut pending);
            }
            if let Some(idle_sink) = sink.take_if(|_| gathered.is_some())
                && let Some(buffer) = gathered.take()
            {
                writing = Some(Box::pin(self.write(idle_sink, buffer)));
                continue;
            }
            if writing.is_none()
                && pending.is_empty()
                && let Some(end) = end.take()
            {
                return (sink, Ok(end));
            }

            let has_room = !gathered.as_ref().is_some_and(Buffer::is_full);
            let reads = end.is_none() && pending.is_empty() && has_room;
            tokio::select! {
                biased;
                done = finished(&mut writing), if writing.is_some() => {
                    writing = None;
                    match done {
                        Ok((back, Ok(()))) => sink = Some(back),
                        Ok((back, Err(error))) => return (Some(back), Err(error)),
                        Err(error) => return (None, Err(error)),
                    }
                }
                () = self.stop.notified(), if end.is_none() => end = Some(End::Stopped),
                next = self.next(body), if reads => match next {
                    Ok(Some(mut bytes)) => {
                        self.seen.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                        if let Some(left) = &mut left {
                            if bytes.len() as u64 > *left {
                                bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                                end = Some(End::TooLong);
                            }
                            *left -= bytes.len() as u64;
                        }
                        pending = bytes;
                    }
                    Ok(None) => end = Some(match left {
                        None | Some(0) => End::Complete,
                        Some(left) => End::Broken(format!("the body ended {left} bytes early")),
                    }),
                    Err(reason) => end = Some(End::Broken(reason)),
                },
            }
        }
    }

    async fn write(&self, mut sink: Sink, buffer: Buffer) -> io::Result<(Sink, io::Result<()>)> {
        let work = move || {
            let result = sink.write(buffer.as_slice());
            (sink, result)
        };
        self.workers.run(work).await
    }

    async fn next(&self, body: &mut Body) -> Result<Option<Bytes>, String> {
        loop {
            match tokio::time::timeout(self.idle, body.frame()).await {
                Err(_) => return Err(format!("nothing came for {:?}", self.idle)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(format!("the body broke off: {error}")),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
                    // Trailers say nothing here.
                    _ => {}
                },
            }
        }
    }
}

/// Waits for what is there, or for ever.
async fn finished<F: Future + Unpin>(writing: &mut Option<F>) -> F::Output {
    match writing {
        Some(writing) => writing.await,
        None => std::future::pending().await,
    }
}
