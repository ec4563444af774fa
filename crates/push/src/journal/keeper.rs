//! Remembers one upload's session in its slot.

use std::sync::{Arc, Mutex};

use windlass_registry_client::auth::Secret;
use windlass_registry_client::{SessionKeeper, UploadSession};

use super::Inner;
use super::key::Key;
use super::record::Upload;
use super::slot::Slot;

/// Holds the slot as long as the upload lasts, so that no other process goes on with the same
/// session.
pub(super) struct Keeper {
    journal: Arc<Inner>,
    key: Key,
    held: Mutex<Held>,
}

struct Held {
    /// Gone only while it is dropped.
    slot: Option<Slot>,
    /// Whether something is in it.
    is_kept: bool,
}

impl Keeper {
    pub(super) fn new(journal: Arc<Inner>, key: Key, slot: Slot) -> Keeper {
        Keeper { journal, key, held: Mutex::new(Held { slot: Some(slot), is_kept: false }) }
    }

    /// Does something with the slot, which says whether something is in it then.
    fn with<T>(&self, act: impl FnOnce(&mut Slot) -> (bool, T)) -> Option<T> {
        let mut held = self.held.lock().ok()?;
        let (is_kept, result) = act(held.slot.as_mut()?);
        held.is_kept = is_kept;
        Some(result)
    }
}

impl SessionKeeper for Keeper {
    fn remembered(&self) -> Option<UploadSession> {
        self.with(|slot| {
            let found = self.journal.read::<Upload>(&self.key, slot);
            (found.is_some(), found)
        })
        .flatten()
        .map(|Upload { location, acknowledged, sent }| UploadSession {
            location: Secret::new(location),
            acknowledged,
            sent,
        })
    }

    fn keep(&self, session: &UploadSession) -> bool {
        let UploadSession { location, acknowledged, sent } = session;
        let (acknowledged, sent) = (*acknowledged, *sent);
        let upload = Upload { location: location.expose().to_owned(), acknowledged, sent };
        let written = self.with(|slot| {
            let is_kept = self.journal.write(&self.key, slot, &upload);
            (is_kept, is_kept)
        });
        written.unwrap_or(false)
    }

    fn forget(&self) {
        self.with(|slot| {
            slot.clear();
            (false, ())
        });
    }
}

impl Drop for Keeper {
    /// What came to its end leaves nothing behind.
    fn drop(&mut self) {
        if let Ok(held) = self.held.get_mut()
            && !held.is_kept
            && let Some(slot) = held.slot.take()
        {
            slot.remove();
        }
    }
}
