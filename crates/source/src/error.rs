//! What goes wrong while bytes are found or read.

use std::io;

/// Why a blob could not be found or read. The message names the file.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The operating system said no.
    #[error("cannot read {origin}: {error}")]
    Io {
        /// The file, or the archive and its member.
        origin: String,
        /// What the system said.
        error: io::Error,
    },
    /// It does not have as many bytes as it had when it was found.
    #[error("{origin} has changed while it was read: expected {expected} bytes, found {found}")]
    Changed {
        /// The file, or the archive and its member.
        origin: String,
        /// Its size when it was found.
        expected: u64,
        /// How many bytes there were; where it has grown, at least that many.
        found: u64,
    },
    /// The archive cannot be understood.
    #[error("{origin} is no tar archive that can be read: {problem}")]
    Archive {
        /// The archive.
        origin: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl SourceError {
    /// The system's `error`, with the name of what was read.
    #[must_use]
    pub fn io(origin: &str, error: io::Error) -> SourceError {
        SourceError::Io { origin: origin.to_owned(), error }
    }

    /// Whether it says that there is nothing of that name.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, SourceError::Io { error, .. } if error.kind() == io::ErrorKind::NotFound)
    }
}
