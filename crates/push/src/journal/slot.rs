//! One record's file: locked against other processes as long as it is held, written in place.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// A record's file, which nobody else holds.
pub(crate) struct Slot {
    file: File,
    path: PathBuf,
}

/// What came of taking a slot.
pub(crate) enum Taken {
    Mine(Slot),
    /// Another process holds it.
    Others,
    /// It does not exist.
    None,
}

/// More is no record: locations are a few thousand bytes at the most.
const LARGEST: u64 = 64 << 10;
/// How often a file may be removed between its opening and its locking.
const ATTEMPTS: u32 = 8;

impl Taken {
    pub(crate) fn mine(self) -> Option<Slot> {
        match self {
            Taken::Mine(slot) => Some(slot),
            Taken::Others | Taken::None => None,
        }
    }
}

impl Slot {
    /// Takes a slot, which is made where it does not exist.
    pub(crate) fn take(path: &Path) -> io::Result<Taken> {
        Slot::open(path, true)
    }

    /// Takes a slot, if it exists.
    pub(crate) fn take_existing(path: &Path) -> io::Result<Taken> {
        Slot::open(path, false)
    }

    fn open(path: &Path, make: bool) -> io::Result<Taken> {
        for _ in 0..ATTEMPTS {
            let file = match private(make).open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && !make => {
                    return Ok(Taken::None);
                }
                file => file?,
            };
            if !is_private(&file.metadata()?) {
                return Err(io::Error::other("others may read it, or it is another user's"));
            }
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Taken::Others),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Whoever held it before may have removed it meanwhile.
            if is_at(&file, path)? {
                return Ok(Taken::Mine(Slot { file, path: path.to_owned() }));
            }
        }
        Ok(Taken::Others)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.rewind()?;
        Read::by_ref(&mut self.file).take(LARGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes over what it had. Nothing is synced: a machine that fails may lose a record, and that
    /// is no harm.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.rewind().and_then(|()| self.file.write_all(bytes));
        if written.is_err() {
            self.clear();
        }
        written?;
        self.file.set_len(bytes.len() as u64)
    }

    /// Empties it.
    pub(crate) fn clear(&mut self) {
        // What stays of it is found damaged or answered for by nobody.
        _ = self.file.set_len(0);
    }

    /// Removes it; it is held until it is gone.
    pub(crate) fn remove(mut self) {
        self.clear();
        _ = fs::remove_file(&self.path);
    }
}

#[cfg(unix)]
fn private(make: bool) -> fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = File::options();
    options.read(true).write(true).create(make).mode(0o600);
    // A link leads to a file of somebody who does not know what it is written for.
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

#[cfg(not(unix))]
fn private(make: bool) -> fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create(make).truncate(false);
    options
}

/// Whether nobody but the user may have to do with a file or folder.
#[cfg(unix)]
pub(crate) fn is_private(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0
}

/// What a user keeps is in a folder of the user's own here.
#[cfg(not(unix))]
pub(crate) fn is_private(_: &fs::Metadata) -> bool {
    true
}

/// Whether `path` still leads to `file`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let held = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((held.dev(), held.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Who holds a removed file here writes to nobody, and harms nobody by it.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mine(path: &Path) -> Option<Slot> {
        Slot::take(path).unwrap().mine()
    }

    #[test]
    fn one_holds_it_and_the_next_finds_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slot");
        assert!(matches!(Slot::take_existing(&path).unwrap(), Taken::None));
        let mut slot = mine(&path).unwrap();
        assert_eq!(slot.read().unwrap(), b"");
        assert!(matches!(Slot::take(&path).unwrap(), Taken::Others));
        slot.write(b"a long record").unwrap();
        slot.write(b"short").unwrap();
        drop(slot);
        let mut slot = Slot::take_existing(&path).unwrap().mine().unwrap();
        assert_eq!(slot.read().unwrap(), b"short");
        slot.remove();
        assert!(!path.exists());
    }

    #[test]
    fn one_that_was_removed_while_it_was_opened_is_not_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slot");
        let file = private(true).open(&path).unwrap();
        assert!(is_at(&file, &path).unwrap());
        mine(&path).unwrap().remove();
        if cfg!(unix) {
            assert!(!is_at(&file, &path).unwrap());
        }
        drop(mine(&path).unwrap());
        if cfg!(unix) {
            assert!(!is_at(&file, &path).unwrap());
        }
    }

    #[test]
    #[cfg(unix)]
    fn files_are_for_the_user_alone() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("slot");
        drop(mine(&path).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        for mode in [0o644, 0o620, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(Slot::take(&path).is_err(), "{mode:o}");
        }
        let link = folder.path().join("link");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&path, &link).unwrap();
        assert!(Slot::take(&link).is_err());
        assert!(Slot::take_existing(&link).is_err());
    }
}
