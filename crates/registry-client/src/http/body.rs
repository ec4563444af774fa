//! A request's body as the connection reads it: of known length, behind its gate, counted as it
//! is handed to the socket.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::future::BoxFuture;
use http_body::{Frame, SizeHint};
use windlass_source::{BlobReader, BlobSource, SourceError};

use super::flow::Flow;
use super::{Body, Progress};

/// The body of one attempt to send a request.
pub(super) struct SendBody {
    stage: Stage,
    /// How many bytes have not been given out yet.
    left: u64,
    /// The offset in the source where it ends.
    end: u64,
    progress: Option<Progress>,
    flow: Arc<Flow>,
}

enum Stage {
    Bytes(Bytes),
    Unopened { source: Arc<dyn BlobSource>, offset: u64 },
    Opening { source: Arc<dyn BlobSource>, opening: Opening },
    Reading { source: Arc<dyn BlobSource>, reader: Box<dyn BlobReader> },
    Done,
}

type Opening = BoxFuture<'static, Result<Box<dyn BlobReader>, SourceError>>;

impl SendBody {
    pub(super) fn new(body: &Body, flow: Arc<Flow>) -> SendBody {
        let left = body.length();
        let (stage, end, progress) = match body {
            Body::Empty => (Stage::Done, 0, None),
            Body::Bytes(bytes) | Body::Secret(bytes) => (Stage::Bytes(bytes.clone()), left, None),
            Body::Source { source, offset, progress, .. } => (
                Stage::Unopened { source: Arc::clone(source), offset: *offset },
                offset.saturating_add(left),
                progress.clone(),
            ),
        };
        SendBody { stage, left, end, progress, flow }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, SourceError>> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Done => return Poll::Ready(Ok(Bytes::new())),
                Stage::Bytes(bytes) => return Poll::Ready(Ok(bytes)),
                Stage::Unopened { source, offset } => {
                    let opened = Arc::clone(&source);
                    let opening = Box::pin(async move { opened.open(offset).await });
                    self.stage = Stage::Opening { source, opening };
                }
                Stage::Opening { source, mut opening } => match opening.as_mut().poll(context) {
                    Poll::Pending => {
                        self.stage = Stage::Opening { source, opening };
                        return Poll::Pending;
                    }
                    Poll::Ready(reader) => {
                        self.stage = Stage::Reading { source, reader: reader? };
                    }
                },
                Stage::Reading { source, mut reader } => {
                    let piece = match reader.poll_next(context) {
                        Poll::Pending => {
                            self.stage = Stage::Reading { source, reader };
                            return Poll::Pending;
                        }
                        Poll::Ready(piece) => piece,
                    };
                    let mut piece = match piece {
                        Some(piece) => piece?,
                        None => return Poll::Ready(Err(self.cut_short(&*source))),
                    };
                    piece.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
                    if piece.len() as u64 != self.left {
                        self.stage = Stage::Reading { source, reader };
                    }
                    return Poll::Ready(Ok(piece));
                }
            }
        }
    }

    /// The source gave fewer bytes than it promised.
    fn cut_short(&self, source: &dyn BlobSource) -> SourceError {
        SourceError::Changed {
            origin: source.origin(),
            expected: source.size(),
            found: self.end.saturating_sub(self.left),
        }
    }
}

impl http_body::Body for SendBody {
    type Data = Piece;
    type Error = Unreadable;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Unreadable>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        ready!(self.flow.poll_open(context));
        match ready!(self.poll_piece(context)) {
            Ok(bytes) => {
                self.left -= bytes.len() as u64;
                let piece =
                    Piece { bytes, progress: self.progress.clone(), flow: Arc::clone(&self.flow) };
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Err(problem) => {
                self.flow.fail(problem);
                Poll::Ready(Some(Err(Unreadable)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A piece of a body, which tells of its bytes as the socket takes them.
pub(super) struct Piece {
    bytes: Bytes,
    progress: Option<Progress>,
    flow: Arc<Flow>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.flow.moved(count as u64);
        if let Some(progress) = &self.progress {
            progress(count as u64);
        }
    }
}

/// The body could not be read. Why is kept in the [`Flow`], since a connection's errors can only
/// be looked at, not taken.
#[derive(Debug)]
pub(super) struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body cannot be read")
    }
}

impl std::error::Error for Unreadable {}
