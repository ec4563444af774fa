//! The file of an upload session, with the digest of what is in it. All of this blocks.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use windlass_oci::{Algorithm, Digest, Hasher};

/// What a session has so far.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// How many bytes.
    pub(crate) size: u64,
    /// Has seen exactly those bytes; `None` where they were written by a server before this one.
    pub(crate) hasher: Option<Hasher>,
}

impl Received {
    pub(crate) fn nothing(algorithm: Algorithm) -> Received {
        Received { size: 0, hasher: Some(Hasher::new(algorithm)) }
    }
}

/// A session's file, open at its end.
#[derive(Debug)]
pub(crate) struct Sink {
    path: PathBuf,
    file: File,
    received: Received,
}

impl Sink {
    /// Opens the file where what was received ends; what a failed write left behind that is cut
    /// off.
    pub(crate) fn open(path: &Path, received: Received) -> io::Result<Sink> {
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.set_len(received.size)?;
        file.seek(SeekFrom::Start(received.size))?;
        Ok(Sink { path: path.to_owned(), file, received })
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> u64 {
        self.received.size
    }

    /// Appends. After an error it has what it had before.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            self.file.set_len(self.received.size)?;
            self.file.seek(SeekFrom::Start(self.received.size))?;
            return Err(error);
        }
        if let Some(hasher) = &mut self.received.hasher {
            hasher.update(bytes);
        }
        self.received.size += bytes.len() as u64;
        Ok(())
    }

    /// Forgets all that it has.
    pub(crate) fn clear(&mut self, algorithm: Algorithm) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.received = Received::nothing(algorithm);
        Ok(())
    }

    /// Uses another algorithm from now on, where nothing was received yet.
    pub(crate) fn prefer(&mut self, algorithm: Algorithm) {
        if self.received.size == 0 {
            self.received = Received::nothing(algorithm);
        }
    }

    /// The digest of all that it has; reads it again only where it must.
    pub(crate) fn digest(&mut self, algorithm: Algorithm) -> io::Result<Digest> {
        if let Some(hasher) = &self.received.hasher {
            let digest = hasher.clone().finish();
            if digest.algorithm() == algorithm {
                return Ok(digest);
            }
        }
        let mut hasher = Hasher::new(algorithm);
        let mut buffer = vec![0; 256 * 1024];
        self.file.rewind()?;
        loop {
            match self.file.read(&mut buffer)? {
                0 => break,
                count => hasher.update(&buffer[..count]),
            }
        }
        self.received.hasher = Some(hasher.clone());
        Ok(hasher.finish())
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Closes the file and gives back what the session has.
    pub(crate) fn close(self) -> Received {
        self.received
    }
}
