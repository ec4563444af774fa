//! All upload sessions of a registry: in memory for speed, on disk so that they outlive it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use windlass_oci::{Algorithm, RepositoryName};

use super::session::{Record, Session, UploadId};
use super::sink::Received;
use crate::store;

/// Finds sessions by their identifiers.
#[derive(Debug)]
pub(crate) struct Sessions {
    folder: PathBuf,
    expiry: Duration,
    by_id: Mutex<HashMap<UploadId, Arc<Session>>>,
    swept: Mutex<SystemTime>,
}

/// How often the whole table is looked through for sessions that expired.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

impl Sessions {
    /// Finds the sessions that a server before this one has left, and clears away what expired or
    /// cannot be understood. Blocks.
    pub(crate) fn open(folder: PathBuf, expiry: Duration) -> io::Result<Sessions> {
        let mut by_id = HashMap::new();
        for name in store::names(&folder)? {
            let id = name.split('.').next().and_then(UploadId::parse);
            let Some(id) = id.filter(|_| name.ends_with(".json") || name.ends_with(".data")) else {
                continue;
            };
            if by_id.contains_key(&id) {
                continue;
            }
            let found = find(&folder, id.clone())?.filter(|session| !session.is_expired(expiry));
            match found {
                Some(session) => {
                    by_id.insert(id, Arc::new(session));
                }
                None => {
                    for kind in ["json", "data"] {
                        store::present(fs::remove_file(folder.join(format!("{id}.{kind}"))))?;
                    }
                }
            }
        }
        let swept = Mutex::new(SystemTime::now());
        Ok(Sessions { folder, expiry, by_id: Mutex::new(by_id), swept })
    }

    /// Begins a session. Blocks.
    pub(crate) fn begin(
        &self,
        repository: RepositoryName,
        algorithm: Algorithm,
    ) -> io::Result<Arc<Session>> {
        self.sweep();
        let id = UploadId::generate()?;
        let now = SystemTime::now();
        let received = Received::nothing(algorithm);
        let session = Session::new(&self.folder, id, repository, algorithm, received, now);
        let record = Record {
            repository: session.repository.as_str().to_owned(),
            algorithm: algorithm.name().to_owned(),
        };
        // Not synced: a session that a crash of the machine takes along is begun anew.
        fs::write(session.record(), serde_json::to_vec(&record)?)?;
        let session = Arc::new(session);
        self.table().insert(session.id.clone(), session.clone());
        Ok(session)
    }

    /// The session of `repository` with that identifier, touched.
    pub(crate) fn get(&self, repository: &RepositoryName, id: &str) -> Option<Arc<Session>> {
        let session = self.table().get(&UploadId::parse(id)?)?.clone();
        if session.repository != *repository || session.is_expired(self.expiry) {
            return None;
        }
        session.touch();
        Some(session)
    }

    /// Forgets a session and removes its files. Only who has claimed it may call this. Blocks.
    pub(crate) fn end(&self, session: &Session) -> io::Result<()> {
        self.table().remove(&session.id);
        // The record first: bytes without a record are cleared away at the next open.
        store::present(fs::remove_file(session.record()))?;
        store::present(fs::remove_file(&session.data)).map(|_| ())
    }

    /// Ends what has expired, now and then. What cannot be removed now is at the next open.
    fn sweep(&self) {
        {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            if swept.elapsed().is_ok_and(|age| age < SWEEP_EVERY.min(self.expiry)) {
                return;
            }
            *swept = SystemTime::now();
        }
        let expired: Vec<Arc<Session>> = self
            .table()
            .values()
            .filter(|session| session.is_expired(self.expiry))
            .cloned()
            .collect();
        for session in expired {
            // One that is being written to is not idle, however long it takes.
            if let Some(mut claim) = session.try_claim() {
                *claim = None;
                drop(self.end(&session));
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<UploadId, Arc<Session>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a session from the disk; `None` where it cannot be understood.
fn find(folder: &Path, id: UploadId) -> io::Result<Option<Session>> {
    let path = |kind: &str| folder.join(format!("{id}.{kind}"));
    let Some(record) = store::read(&path("json"))? else {
        return Ok(None);
    };
    let Ok(record) = serde_json::from_slice::<Record>(&record) else {
        return Ok(None);
    };
    let Ok(repository) = record.repository.parse::<RepositoryName>() else {
        return Ok(None);
    };
    let Some(algorithm) = super::algorithm(&record.algorithm) else {
        return Ok(None);
    };
    let begun = fs::metadata(path("json"))?.modified()?;
    let data = store::present(fs::metadata(path("data")))?;
    let touched = data.as_ref().map_or(Ok(begun), fs::Metadata::modified)?;
    let received = match data.map_or(0, |data| data.len()) {
        0 => Received::nothing(algorithm),
        size => Received { size, hasher: None },
    };
    Ok(Some(Session::new(folder, id, repository, algorithm, received, touched)))
}
