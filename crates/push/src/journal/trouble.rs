//! What can be wrong with a journal. None of it stops a push.

use std::io;
use std::path::PathBuf;

/// Something that is wrong with the journal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalTrouble {
    /// Its folder cannot be made or looked at: there is no journal.
    #[error("cannot keep a journal in {path}: {source}", path = path.display())]
    Opening {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its folder is open to others, or another user's: there is no journal.
    #[error("cannot keep a journal in {path}: it is no folder of this user alone", path = path.display())]
    Shared {
        /// The folder.
        path: PathBuf,
    },
    /// A file of it cannot be read, and is passed over.
    #[error("cannot read {path}: {source}", path = path.display())]
    Reading {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of it cannot be written: nothing is kept any more.
    #[error("cannot keep {path}: {source}", path = path.display())]
    Writing {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of it is passed over.
    #[error("{path} is passed over: {why}", path = path.display())]
    Odd {
        /// The file.
        path: PathBuf,
        /// Why, in words that show nothing of what is in it.
        why: String,
    },
}
