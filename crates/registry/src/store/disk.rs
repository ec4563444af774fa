//! The few ways in which files come to be on the disk, each safe at any moment of a crash.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Writes into one tree, synced or not.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Where files grow before they are renamed to where they are seen. On the same file system.
    temporary: PathBuf,
    sync: bool,
    /// Held while a folder is looked for or made: one that somebody else has just made must not
    /// be relied on before it is synced.
    folders: Mutex<()>,
}

impl Disk {
    pub(crate) fn new(temporary: PathBuf, sync: bool) -> Disk {
        Disk { temporary, sync, folders: Mutex::new(()) }
    }

    /// Makes a folder with all above it, so that it is still there after a crash.
    pub(crate) fn make_folder(&self, folder: &Path) -> io::Result<()> {
        let _alone = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut missing = Vec::new();
        for folder in folder.ancestors().take_while(|folder| !folder.is_dir()) {
            missing.push(folder);
        }
        for folder in missing.into_iter().rev() {
            match fs::create_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => self.sync_folder(folder_of(folder)?)?,
            }
        }
        Ok(())
    }

    /// Writes a small file: whoever looks sees the old content or the new, never a part.
    pub(crate) fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.temporary)?;
        file.write_all(content)?;
        self.sync_file(file.as_file())?;
        let folder = folder_of(path)?;
        self.make_folder(folder)?;
        file.persist(path).map_err(|error| error.error)?;
        self.sync_folder(folder)
    }

    /// Makes an empty file whose name is all that it says. One that is there already is fine.
    pub(crate) fn mark(&self, path: &Path) -> io::Result<()> {
        let folder = folder_of(path)?;
        self.make_folder(folder)?;
        match File::create_new(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        // Also where it was there: who made it may not have synced it yet.
        self.sync_folder(folder)
    }

    /// Moves a finished file to where it is seen. It must have been synced.
    pub(crate) fn publish(&self, from: &Path, to: &Path) -> io::Result<()> {
        let folder = folder_of(to)?;
        self.make_folder(folder)?;
        fs::rename(from, to)?;
        self.sync_folder(folder)
    }

    /// Takes a file away for good; whether there was one.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<bool> {
        match fs::remove_file(path) {
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error),
            Ok(()) => self.sync_folder(folder_of(path)?).map(|()| true),
        }
    }

    /// Brings a file's content to the disk.
    pub(crate) fn sync_file(&self, file: &File) -> io::Result<()> {
        if self.sync { file.sync_all() } else { Ok(()) }
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        // Windows neither opens folders as files nor needs it.
        if self.sync && cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
    }
}

/// The content of a small file, or `None` where there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    present(fs::read(path))
}

/// Whether there is a file.
pub(crate) fn exists(path: &Path) -> io::Result<bool> {
    present(fs::metadata(path)).map(|metadata| metadata.is_some())
}

/// The names in a folder, unsorted; none where there is no folder.
pub(crate) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in present(fs::read_dir(folder))?.into_iter().flatten() {
        // What is not Unicode was not written here.
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

/// Turns "there is none" into `None`.
pub(crate) fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn folder_of(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::Error::other("a file without a folder"))
}
