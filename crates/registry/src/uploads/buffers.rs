//! The buffers through which all uploads go: a fixed number, used again and again.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf as _, Bytes};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many bytes go to the disk at once.
const SIZE: usize = 256 * 1024;
/// 8 MiB in all, however many uploads there are.
const COUNT: usize = 32;

/// All buffers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Buffers {
    permits: Arc<Semaphore>,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// One buffer; it goes back when it is dropped.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
    _permit: OwnedSemaphorePermit,
}

impl Buffers {
    pub(crate) fn new() -> Buffers {
        Buffers { permits: Arc::new(Semaphore::new(COUNT)), free: Arc::default() }
    }

    /// Waits for a buffer. Who holds one must not wait for the network before giving it back.
    pub(crate) async fn get(&self) -> io::Result<Buffer> {
        let permit = self.permits.clone().acquire_owned().await.map_err(io::Error::other)?;
        Ok(self.hand_out(permit))
    }

    /// A buffer, where one is free.
    pub(crate) fn try_get(&self) -> Option<Buffer> {
        let permit = self.permits.clone().try_acquire_owned().ok()?;
        Some(self.hand_out(permit))
    }

    fn hand_out(&self, permit: OwnedSemaphorePermit) -> Buffer {
        let bytes = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = bytes.unwrap_or_else(|| Vec::with_capacity(SIZE));
        Buffer { bytes, free: self.free.clone(), _permit: permit }
    }
}

impl Buffer {
    /// Takes in as much of `bytes` as there is room for.
    pub(crate) fn fill(&mut self, bytes: &mut Bytes) {
        let count = bytes.len().min(SIZE - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..count]);
        bytes.advance(count);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() == SIZE
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}
