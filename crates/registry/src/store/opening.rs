//! Opening a store: the folder is made or recognised, locked, and tidied up.

use std::collections::HashSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Mutex;

use super::{Disk, Layout, Store, disk};
use crate::OpenError;

/// What the `version` file says.
const VERSION: &str = "windlass-registry 1";

impl Store {
    pub(crate) fn open(data: &Path, sync: bool) -> Result<Store, OpenError> {
        let at = |doing| OpenError::at(data, doing);
        // Nothing below must depend on where the process stands later.
        let root = std::path::absolute(data).map_err(at("finding the folder"))?;
        let layout = Layout::new(&root);
        let disk = Disk::new(layout.temporary(), sync);

        disk.make_folder(&root).map_err(at("making the folder"))?;
        // Before the lock's file is made: a folder that is someone else's stays as it is.
        check_version(data, &layout)?;
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(layout.lock())
            .map_err(at("making the lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { data: data.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(at("taking the lock")(error)),
        }

        match fs::remove_dir_all(layout.temporary()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(at("removing temporary files")(error));
            }
            _ => {}
        }
        disk.make_folder(&layout.temporary()).map_err(at("making a folder"))?;
        if !check_version(data, &layout)? {
            disk.write(&layout.version(), format!("{VERSION}\n").as_bytes())
                .map_err(at("writing the version"))?;
        }
        for folder in [layout.uploads(), layout.contents(), layout.repositories()] {
            disk.make_folder(&folder).map_err(at("making a folder"))?;
        }

        let turns = std::array::from_fn(|_| Mutex::new(()));
        let store = Store { layout, disk, turns, _lock: lock };
        store.sweep().map_err(at("clearing away bytes that no repository has"))?;
        Ok(store)
    }

    /// Removes the bytes that no repository marks. Nobody else is here: the lock is ours.
    fn sweep(&self) -> io::Result<()> {
        let mut marked = HashSet::new();
        for repository in self.repositories()? {
            let root = self.layout.repository(&repository);
            for kind in ["_blobs", "_manifests"] {
                for algorithm in disk::names(&root.join(kind))? {
                    let folder = root.join(kind).join(&algorithm);
                    marked.extend(disk::names(&folder)?);
                }
            }
        }
        let contents = self.layout.contents();
        for algorithm in disk::names(&contents)? {
            for prefix in disk::names(&contents.join(&algorithm))? {
                let folder = contents.join(&algorithm).join(prefix);
                for hex in disk::names(&folder)? {
                    if !marked.contains(&hex) {
                        self.disk.remove(&folder.join(hex))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether the folder has a version, which is ours; an error where it is another's or holds
/// other things.
fn check_version(data: &Path, layout: &Layout) -> Result<bool, OpenError> {
    let at = |doing| OpenError::at(data, doing);
    match disk::read(&layout.version()).map_err(at("reading the version"))? {
        Some(found) => {
            let found = String::from_utf8_lossy(&found).trim().chars().take(80).collect::<String>();
            if found == VERSION {
                Ok(true)
            } else {
                Err(OpenError::Version { data: data.to_owned(), found, known: VERSION })
            }
        }
        None => {
            // A server that was killed while it made the folder leaves these two.
            let ours = |name: &String| matches!(name.as_str(), "lock" | "tmp");
            let names = fs::read_dir(data)
                .and_then(|entries| {
                    entries
                        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                        .collect::<io::Result<Vec<_>>>()
                })
                .map_err(at("looking into the folder"))?;
            if names.iter().all(ours) {
                Ok(false)
            } else {
                Err(OpenError::Foreign { data: data.to_owned() })
            }
        }
    }
}
