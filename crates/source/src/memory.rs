//! Blobs in memory: what was computed, came inline in a descriptor, or is a test's.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use windlass_oci::{Descriptor, Digest};

use crate::{BlobReader, BlobSource, Extent, PIECE, SourceError, Store};

/// A blob in memory.
#[derive(Clone)]
pub struct MemorySource {
    digest: Digest,
    bytes: Bytes,
    origin: Arc<str>,
}

impl MemorySource {
    /// `bytes` under their sha256 digest.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> MemorySource {
        let bytes = bytes.into();
        MemorySource::with_digest(Digest::sha256(&bytes), bytes)
    }

    /// `bytes` under a digest that is taken as it is said to be.
    #[must_use]
    pub fn with_digest(digest: Digest, bytes: impl Into<Bytes>) -> MemorySource {
        let origin = format!("{digest} in memory").into();
        MemorySource { digest, bytes: bytes.into(), origin }
    }

    /// The same under another name for people's eyes.
    #[must_use]
    pub fn called(self, origin: &str) -> MemorySource {
        MemorySource { origin: origin.into(), ..self }
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

#[async_trait]
impl BlobSource for MemorySource {
    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn open(&self, offset: u64) -> Result<Box<dyn BlobReader>, SourceError> {
        Extent { origin: self.origin(), offset, size: self.size() }.length()?;
        let start = usize::try_from(offset).unwrap_or(self.bytes.len());
        Ok(Box::new(Pieces::new(self.bytes.slice(start..))))
    }

    fn origin(&self) -> String {
        self.origin.to_string()
    }
}

impl fmt::Debug for MemorySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemorySource({}, {} bytes)", self.origin, self.bytes.len())
    }
}

/// Blobs in memory, by digest.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(HashMap<Digest, Arc<MemorySource>>);

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// Keeps `source`, in place of any other of the same digest.
    pub fn insert(&mut self, source: MemorySource) {
        self.0.insert(source.digest.clone(), Arc::new(source));
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<Arc<dyn BlobSource>>, SourceError> {
        let found = self.0.get(&descriptor.digest);
        Ok(found.map(|source| Arc::clone(source) as Arc<dyn BlobSource>))
    }
}

impl FromIterator<MemorySource> for MemoryStore {
    fn from_iter<I: IntoIterator<Item = MemorySource>>(sources: I) -> MemoryStore {
        let mut store = MemoryStore::new();
        sources.into_iter().for_each(|source| store.insert(source));
        store
    }
}

/// Reads bytes that are there already, in pieces as small as those of a file.
pub(crate) struct Pieces(Bytes);

impl Pieces {
    pub(crate) fn new(bytes: Bytes) -> Pieces {
        Pieces(bytes)
    }
}

impl BlobReader for Pieces {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        let length = self.0.len().min(PIECE);
        Poll::Ready((length > 0).then(|| Ok(self.0.split_to(length))))
    }
}
