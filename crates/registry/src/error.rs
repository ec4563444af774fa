//! Why a registry cannot be opened.

use std::io;
use std::path::{Path, PathBuf};

/// Why a registry cannot be opened. The message names the folder.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system said no.
    #[error("cannot open the registry in {}: {doing}: {error}", data.display())]
    Io {
        /// The folder.
        data: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// Another server uses the folder.
    #[error("the registry in {} is in use by another server", data.display())]
    InUse {
        /// The folder.
        data: PathBuf,
    },
    /// The folder holds something else.
    #[error(
        "{} is not empty and no registry's folder; give an empty one, or one that does not exist",
        data.display()
    )]
    Foreign {
        /// The folder.
        data: PathBuf,
    },
    /// It was written by another version.
    #[error("the registry in {} has the layout {found:?}; this version knows {known:?}", data.display())]
    Version {
        /// The folder.
        data: PathBuf,
        /// What its `version` file says.
        found: String,
        /// What it would have to say.
        known: &'static str,
    },
}

impl OpenError {
    /// Tells at what it failed.
    pub(crate) fn at(data: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> OpenError {
        move |error| OpenError::Io { data: data.to_owned(), doing, error }
    }
}
