//! One blob, readable from any offset, any number of times.

use std::fmt;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
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
