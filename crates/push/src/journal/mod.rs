//! What one push leaves for the next, in files that may be lost at any moment without harm.
//!
//! Three things are kept: where an unfinished upload can be gone on with, that an image was found
//! complete in a repository, and what a host can do and where tokens for it are to be had. Nothing of it is believed without asking the
//! registry; it decides what is asked first. Whatever is wrong with the journal, a push goes on
//! without it: trouble is told to a [`JournalListener`] and never an error.
//!
//! All I/O in here is a few system calls on files of one small record, so that it is done where it
//! is needed rather than on another thread.

mod folder;
mod keeper;
mod key;
mod record;
mod slot;
mod trouble;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_oci::{Digest, Registry, Repository};
use windlass_registry_client::{Client, HostProfile, SessionKeeper};

use self::keeper::Keeper;
use self::key::Key;
use self::record::{Host, Image, Odd};
use self::slot::{Slot, Taken};
pub use self::trouble::JournalTrouble;

/// What earlier pushes left, and what later ones will find. Cheap to clone.
#[derive(Clone, Default)]
pub struct Journal(Option<Arc<Inner>>);

/// Is told what was wrong with the journal, each time that the push goes on without some of it.
/// Calls must return at once.
pub type JournalListener = Arc<dyn Fn(&JournalTrouble) + Send + Sync>;

pub(crate) struct Inner {
    place: PathBuf,
    /// The least size of a blob whose upload is remembered.
    least: u64,
    listener: JournalListener,
    /// The folder of the records, once it was made; `None` where it cannot be used.
    folder: OnceLock<Option<PathBuf>>,
    /// Nothing could be written once, and nothing is written any more.
    is_broken: AtomicBool,
    /// What is on record of hosts.
    hosts: Mutex<HashMap<Registry, HostProfile>>,
}

/// A blob below this size is not worth a record: to send all of it again takes no longer than to
/// find out what is missing.
const LEAST: u64 = 1 << 20;

impl Journal {
    /// A journal in the folder `place`, which is made when something is kept, for nobody but the
    /// user.
    #[must_use]
    pub fn new(place: PathBuf, listener: JournalListener) -> Journal {
        Journal::with_least(place, LEAST, listener)
    }

    /// The same, which remembers the uploads of blobs of `least` bytes and more. [`Journal::new`]
    /// takes 1 MiB; on a way so slow that less is worth a question, less may be taken.
    #[must_use]
    pub fn with_least(place: PathBuf, least: u64, listener: JournalListener) -> Journal {
        Journal(Some(Arc::new(Inner {
            place,
            least,
            listener,
            folder: OnceLock::new(),
            is_broken: AtomicBool::new(false),
            hosts: Mutex::default(),
        })))
    }

    /// No journal: nothing is known from before, nothing is kept.
    #[must_use]
    pub fn none() -> Journal {
        Journal(None)
    }

    /// Who remembers the session of a blob's upload. `None` where nobody does, and where another
    /// process is at the same: then each goes its own way.
    pub(crate) fn upload(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
    ) -> Option<Arc<dyn SessionKeeper>> {
        let inner = self.0.as_ref().filter(|inner| size >= inner.least)?;
        let key = Key::upload(repository, digest);
        let slot = inner.take(&key)?;
        Some(Arc::new(Keeper::new(inner.clone(), key, slot)))
    }

    /// Whether the image was complete there not long ago.
    pub(crate) fn knows_image(&self, repository: &Repository, root: &Digest) -> bool {
        let Some(inner) = &self.0 else { return false };
        inner.look_up::<Image>(&Key::image(repository, root)).is_some()
    }

    /// The image is complete there.
    pub(crate) fn note_image(&self, repository: &Repository, root: &Digest) {
        if let Some(inner) = &self.0 {
            inner.write_down(&Key::image(repository, root), &Image {});
        }
    }

    /// The image is not there, or not all of it.
    pub(crate) fn forget_image(&self, repository: &Repository, root: &Digest) {
        if let Some(inner) = &self.0 {
            inner.strike_out(&Key::image(repository, root));
        }
    }

    /// Tells `client` what is known of its host from before.
    pub(crate) fn recall_host(&self, client: &Client) {
        let Some(inner) = &self.0 else { return };
        let Some(found) = inner.look_up::<Host>(&Key::host(client.registry())) else { return };
        let profile = HostProfile::from(found);
        client.recall(&profile);
        inner.has_on_record(client.registry(), profile);
    }

    /// Keeps what `client` has learned of its host, where that is new.
    pub(crate) fn note_host(&self, client: &Client) {
        let Some(inner) = &self.0 else { return };
        let learned = client.learned();
        if inner.has_on_record(client.registry(), learned.clone()) != learned {
            inner.write_down(&Key::host(client.registry()), &Host::from(learned));
        }
    }

    /// Something failed at a host: what was remembered of it may be why, and must not make the next
    /// push fail too.
    pub(crate) fn doubt_host(&self, client: &Client) {
        let Some(inner) = &self.0 else { return };
        let nothing = HostProfile::default();
        if inner.has_on_record(client.registry(), nothing.clone()) != nothing {
            inner.strike_out(&Key::host(client.registry()));
        }
    }
}

impl Inner {
    /// The record's place, held against other processes. `None` where another holds it, and where
    /// it cannot be had.
    fn take(&self, key: &Key) -> Option<Slot> {
        let path = self.folder()?.join(key.file_name());
        self.told(&path, Slot::take(&path)).and_then(Taken::mine)
    }

    fn look_up<V: DeserializeOwned>(&self, key: &Key) -> Option<V> {
        let path = self.folder()?.join(key.file_name());
        let mut slot = self.told(&path, Slot::take_existing(&path)).and_then(Taken::mine)?;
        self.read(key, &mut slot)
    }

    /// What a slot has for `key`; what is odd is told, and is as good as nothing.
    fn read<V: DeserializeOwned>(&self, key: &Key, slot: &mut Slot) -> Option<V> {
        let bytes = match slot.read() {
            Ok(bytes) => bytes,
            Err(source) => {
                self.tell(&JournalTrouble::Reading { path: slot.path().to_owned(), source });
                return None;
            }
        };
        match record::parse(&bytes, key, now()) {
            Ok(value) => Some(value),
            Err(Odd::Empty) => None,
            Err(odd) => {
                let (path, why) = (slot.path().to_owned(), odd.to_string());
                self.tell(&JournalTrouble::Odd { path, why });
                None
            }
        }
    }

    /// Whether it was written. After the first time that it was not, nothing is tried any more.
    fn write(&self, key: &Key, slot: &mut Slot, value: &impl Serialize) -> bool {
        if self.is_broken.load(Ordering::Relaxed) {
            return false;
        }
        let written = slot.write(&record::render(key, now(), value));
        self.told(slot.path(), written).is_some()
    }

    fn write_down(&self, key: &Key, value: &impl Serialize) {
        if let Some(mut slot) = self.take(key) {
            self.write(key, &mut slot, value);
        }
    }

    fn strike_out(&self, key: &Key) {
        let Some(folder) = self.folder() else { return };
        let path = folder.join(key.file_name());
        if let Some(slot) = self.told(&path, Slot::take_existing(&path)).and_then(Taken::mine) {
            slot.remove();
        }
    }

    /// Notes what is on record of a host; gives what was before.
    fn has_on_record(&self, registry: &Registry, profile: HostProfile) -> HostProfile {
        let Ok(mut hosts) = self.hosts.lock() else { return profile };
        hosts.insert(registry.clone(), profile).unwrap_or_default()
    }

    fn folder(&self) -> Option<&Path> {
        if self.is_broken.load(Ordering::Relaxed) {
            return None;
        }
        let open = || match folder::open(&self.place, SystemTime::now()) {
            Ok(folder) => Some(folder),
            Err(trouble) => {
                self.tell(&trouble);
                None
            }
        };
        self.folder.get_or_init(open).as_deref()
    }

    /// What came of something; a failure ends all writing.
    fn told<T>(&self, path: &Path, result: std::io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(source) => {
                if !self.is_broken.swap(true, Ordering::Relaxed) {
                    self.tell(&JournalTrouble::Writing { path: path.to_owned(), source });
                }
                None
            }
        }
    }

    fn tell(&self, trouble: &JournalTrouble) {
        (self.listener)(trouble);
    }
}

/// Seconds since 1970; a clock that stands before that stands at it.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Journal").field(&self.0.as_ref().map(|inner| &inner.place)).finish()
    }
}
