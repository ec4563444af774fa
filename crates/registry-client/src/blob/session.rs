//! Upload sessions that outlive their process: what is remembered of one, and who remembers it.

use crate::auth::Secret;

/// An upload session at a registry, as it was when a request of it was last about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadSession {
    /// Its newest location. Whoever knows it may write to it.
    pub location: Secret,
    /// How many bytes the registry has acknowledged.
    pub acknowledged: u64,
    /// The most bytes that may have arrived: those of all requests that were sent.
    pub sent: u64,
}

/// Remembers the session of one blob's upload into one repository, so that a later process can go
/// on with it. Calls must return soon.
pub trait SessionKeeper: Send + Sync {
    /// What an earlier process left.
    fn remembered(&self) -> Option<UploadSession>;

    /// Remembers the newest state instead of any older one; it is told before a request to the
    /// session leaves. Whether it is remembered: one that is not is cancelled where the upload ends
    /// early.
    fn keep(&self, session: &UploadSession) -> bool;

    /// There is nothing to go on with any more.
    fn forget(&self);
}
