//! Upload sessions: who may write, and where they are on the disk.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, OwnedMutexGuard};
use tokio::time::timeout;
use windlass_oci::{Algorithm, RepositoryName};

use super::sink::Received;

/// The name of a session; whoever knows it may write to it, so it cannot be guessed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct UploadId(String);

/// An upload that has begun and not ended.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: UploadId,
    pub(crate) repository: RepositoryName,
    pub(crate) algorithm: Algorithm,
    /// The file of its bytes.
    pub(crate) data: PathBuf,
    /// What it has; `None` once it has ended. Whoever writes holds this.
    state: Arc<tokio::sync::Mutex<Option<Received>>>,
    /// Tells whoever writes to stop.
    pub(crate) stop: Notify,
    /// Bytes that came from the network, as they come.
    pub(crate) seen: AtomicU64,
    /// How many bytes it had when they were counted last, for those who cannot wait.
    pub(crate) size: AtomicU64,
    touched: Mutex<SystemTime>,
}

/// The right to write to a session, or to end it.
pub(crate) type Claim = OwnedMutexGuard<Option<Received>>;

/// What is on the disk beside a session's bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) repository: String,
    pub(crate) algorithm: String,
}

/// How long a request that is just ending is waited for before anything is done about it. A
/// connection that the client has reset may have megabytes in the socket that are still good.
const NATURAL_END: Duration = Duration::from_millis(250);
/// How often a writer is told to stop.
const INSIST: Duration = Duration::from_millis(20);
/// How long a writer that was told to stop, or that is at its commit, may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl Session {
    pub(crate) fn new(
        folder: &Path,
        id: UploadId,
        repository: RepositoryName,
        algorithm: Algorithm,
        received: Received,
        touched: SystemTime,
    ) -> Session {
        Session {
            data: folder.join(format!("{id}.data")),
            id,
            repository,
            algorithm,
            size: AtomicU64::new(received.size),
            state: Arc::new(tokio::sync::Mutex::new(Some(received))),
            stop: Notify::new(),
            seen: AtomicU64::new(0),
            touched: Mutex::new(touched),
        }
    }

    /// Takes the session from whoever writes, who is asked to stop: what a client wants that has
    /// lost its connection while this side has not noticed. `None` where the writer does not end.
    pub(crate) async fn take_over(&self) -> Option<Claim> {
        // Whoever comes later queues up behind this and is not told to stop in its stead.
        let mut claim = std::pin::pin!(self.state.clone().lock_owned());
        if let Ok(claim) = timeout(NATURAL_END, &mut claim).await {
            return Some(claim);
        }
        for _ in 0..PATIENCE.as_millis() / INSIST.as_millis() {
            self.stop.notify_waiters();
            if let Ok(claim) = timeout(INSIST, &mut claim).await {
                return Some(claim);
            }
        }
        None
    }

    /// Claims the session for the next bytes. While another request writes there is none, unless
    /// that one's connection seems dead and `knows_place`: this one says where its bytes go, so
    /// that nothing can be mixed up.
    pub(crate) async fn claim(&self, knows_place: bool) -> Option<Claim> {
        let seen = self.seen.load(Ordering::Relaxed);
        if let Ok(claim) = timeout(NATURAL_END, self.state.clone().lock_owned()).await {
            return Some(claim);
        }
        if knows_place && self.seen.load(Ordering::Relaxed) == seen {
            return self.take_over().await;
        }
        None
    }

    /// The same, only if nobody else has it.
    pub(crate) fn try_claim(&self) -> Option<Claim> {
        self.state.clone().try_lock_owned().ok()
    }

    pub(crate) fn touch(&self) {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = SystemTime::now();
    }

    pub(crate) fn is_expired(&self, expiry: Duration) -> bool {
        let touched = *self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.elapsed().is_ok_and(|age| age > expiry)
    }

    /// The file that says what the session is.
    pub(crate) fn record(&self) -> PathBuf {
        self.data.with_extension("json")
    }

    /// Where it is asked for: path, without host.
    pub(crate) fn location(&self) -> String {
        format!("/v2/{}/blobs/uploads/{}", self.repository, self.id)
    }
}

impl UploadId {
    /// A new one: 128 bits from the system's generator, written as a UUID is.
    pub(crate) fn generate() -> io::Result<UploadId> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        // Version 4, variant 1: RFC 9562, §5.4.
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        Ok(UploadId(parts.join("-")))
    }

    /// Reads one; anything that could be another file's name is none.
    pub(crate) fn parse(text: &str) -> Option<UploadId> {
        let is_fine = text.len() == 36
            && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        is_fine.then(|| UploadId(text.to_owned()))
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
