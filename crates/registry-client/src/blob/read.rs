//! Blobs as they are at a registry: their sizes, and their bytes read to the end and hashed.

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{Method, StatusCode};
use windlass_oci::{Digest, Hasher};

use crate::auth::Scopes;
use crate::client::RepositoryClient;
use crate::error::{Error, ErrorKind};
use crate::exchange::Trouble;
use crate::http::Answer;
use crate::reply::Reply;
use crate::retry::{Patience, Verdict};

/// What a registry says of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobStat {
    /// It is there, with so many bytes where the registry tells.
    Present(Option<u64>),
    /// It is not.
    Absent,
}

/// What the bytes of a blob came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashedBlob {
    /// The digest of those that came.
    pub digest: Digest,
    /// How many came; one more than were to come where there are too many.
    pub size: u64,
}

impl RepositoryClient {
    /// Whether the repository has a blob, and how large it is. Where the registry does not tell
    /// by HEAD, it is asked by GET.
    pub async fn stat_blob(&self, digest: &Digest) -> Result<BlobStat, Error> {
        let path = format!("blobs/{digest}");
        let pull = || Scopes::pull(self.repository.name());
        let call = self.blob_call("ask for", digest, &path).method(Method::HEAD).scopes(pull());
        let reply = call.send().await?;
        match reply.status.as_u16() {
            200..=299 if !reply.is_about_other_than(digest) => return Ok(size_of(&reply)),
            404 => return Ok(BlobStat::Absent),
            _ => {}
        }
        let call = self.blob_call("get", digest, &path).scopes(pull());
        let reply = call.send().await?;
        match reply.status.as_u16() {
            200..=299 if !reply.is_about_other_than(digest) => Ok(size_of(&reply)),
            200..=299 => {
                let problem = "what it sends is something else".to_owned();
                Err(call.error(ErrorKind::Protocol(problem)))
            }
            404 => Ok(BlobStat::Absent),
            _ => Err(call.error(reply.into_error_kind())),
        }
    }

    /// Reads a blob of `size` bytes to its end and hashes it on the way; `None` where it is not
    /// there. A read that breaks goes on where it broke, or begins anew where the registry cannot
    /// do that. Nothing is kept. `progress` is told how many of the bytes have come, which is less
    /// than before where it begins anew.
    pub async fn hash_blob(
        &self,
        digest: &Digest,
        size: u64,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Option<HashedBlob>, Error> {
        let hasher = Hasher::new(digest.algorithm());
        let mut read = Read { hasher, digest, size, done: 0, progress };
        let mut patience = Patience::default();
        loop {
            let mut call = self
                .blob_call("get", digest, &format!("blobs/{digest}"))
                .scopes(Scopes::pull(self.repository.name()));
            if read.done > 0 {
                call = call.header(RANGE, &format!("bytes={}-", read.done));
            }
            let reply = match call.once().await {
                Ok(reply) => reply,
                Err(failure) => {
                    call.recover(&mut patience, failure).await?;
                    continue;
                }
            };
            if let Verdict::Retry { pause } = reply.verdict() {
                let kind = reply.into_error_kind();
                call.wait(&mut patience, Trouble { kind, pause, moved: false }).await?;
                continue;
            }
            match reply.status {
                StatusCode::NOT_FOUND => return Ok(None),
                StatusCode::PARTIAL_CONTENT if begins_at(&reply, read.done) => {}
                StatusCode::OK => read.restart(),
                // It does not give parts as they were asked for.
                status if read.done > 0 && !status.is_server_error() => {
                    read.restart();
                    let problem = format!("{status} to the rest of it");
                    let kind = ErrorKind::Protocol(problem);
                    call.wait(&mut patience, Trouble { kind, pause: None, moved: false }).await?;
                    continue;
                }
                _ => return Err(call.error(reply.into_error_kind())),
            }
            let answer = reply.into_open().map_err(|kind| call.error(kind))?;
            let before = read.done;
            match read.on(answer).await {
                Ok(()) => {
                    let Read { hasher, done, .. } = read;
                    return Ok(Some(HashedBlob { digest: hasher.finish(), size: done }));
                }
                Err(kind) => {
                    if read.done > before {
                        patience.moved_forward();
                    }
                    call.recover(&mut patience, kind).await?;
                }
            }
        }
    }
}

/// A blob that is being read.
struct Read<'a> {
    hasher: Hasher,
    digest: &'a Digest,
    /// So many bytes it should have.
    size: u64,
    /// So many have come.
    done: u64,
    progress: &'a (dyn Fn(u64) + Send + Sync),
}

impl Read<'_> {
    fn restart(&mut self) {
        self.hasher = Hasher::new(self.digest.algorithm());
        self.done = 0;
    }

    /// Reads on to the end, or to the first byte too many.
    async fn on(&mut self, mut answer: Answer) -> Result<(), ErrorKind> {
        while let Some(piece) = answer.next().await {
            let piece = piece.map_err(ErrorKind::Http)?;
            self.hasher.update(&piece);
            self.done += piece.len() as u64;
            (self.progress)(self.done.min(self.size));
            if self.done > self.size {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn size_of(reply: &Reply) -> BlobStat {
    BlobStat::Present(reply.header(CONTENT_LENGTH).and_then(|length| length.parse().ok()))
}

/// Whether it is the rest from `offset` on.
fn begins_at(reply: &Reply, offset: u64) -> bool {
    let range = reply.header(CONTENT_RANGE).and_then(|range| range.strip_prefix("bytes "));
    range.and_then(|range| range.split('-').next()?.parse().ok()) == Some(offset)
}
