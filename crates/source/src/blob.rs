//! One blob, readable from any offset, any number of times.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use windlass_oci::Digest;

use crate::SourceError;

/// The bytes of one blob.
///
/// There is no stream that is used up: after a broken connection, a 401 in mid-body or a 416 the
/// same source is opened again where the registry left off.
#[async_trait]
pub trait BlobSource: fmt::Debug + Send + Sync {
    /// The digest that its bytes are said to have. Whether they do is found out by reading them.
    fn digest(&self) -> &Digest;

    /// How many bytes it has.
    fn size(&self) -> u64;

    /// Opens it at `offset`, at most [`size`](Self::size). The reader gives exactly the bytes from
    /// there to the end, or an error: one that ends early or goes on for longer has changed while
    /// it was read, and says so.
    async fn open(&self, offset: u64) -> Result<Box<dyn BlobReader>, SourceError>;

    /// What a person calls it: a path, a member of an archive.
    fn origin(&self) -> String;
}

/// Reads a blob forward, piece by piece.
///
/// Dropping it at any moment is fine and frees all that it holds.
pub trait BlobReader: Send {
    /// The next piece, never empty; `None` at the end; nothing more after an error.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>>;
}

impl dyn BlobSource + '_ {
    /// All of it, where it has at most `limit` bytes; an error, and nothing read, where it has
    /// more. For manifests, configs and other small things.
    pub async fn read(&self, limit: u64) -> Result<Bytes, SourceError> {
        check_limit(&self.origin(), self.size(), limit)?;
        self.open(0).await?.read_to_end().await
    }
}

impl dyn BlobReader + '_ {
    /// The next piece, as [`poll_next`](BlobReader::poll_next) gives it.
    pub async fn next(&mut self) -> Option<Result<Bytes, SourceError>> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// All that is left, as one piece.
    pub(crate) async fn read_to_end(&mut self) -> Result<Bytes, SourceError> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await.transpose()? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(piece) = self.next().await.transpose()? {
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

/// An error where `size` is more than the `limit` that may be held in memory.
pub(crate) fn check_limit(origin: &str, size: u64, limit: u64) -> Result<(), SourceError> {
    if size <= limit {
        return Ok(());
    }
    let problem =
        format!("it has {size} bytes, more than the {limit} that are read of such a file");
    Err(SourceError::io(origin, io::Error::new(io::ErrorKind::FileTooLarge, problem)))
}
