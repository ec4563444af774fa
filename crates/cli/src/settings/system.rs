//! Where programs keep what is theirs differs by the kind of system.

use std::path::PathBuf;

use super::Environment;

/// A kind of system, by where programs keep their data on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// [XDG base directories](https://specifications.freedesktop.org/basedir-spec/latest/).
    Xdg,
    /// `~/Library`.
    MacOs,
    /// `%LOCALAPPDATA%`.
    Windows,
}

impl System {
    /// This one.
    pub(crate) const THIS: System = if cfg!(windows) {
        System::Windows
    } else if cfg!(target_os = "macos") {
        System::MacOs
    } else {
        System::Xdg
    };

    /// The path in a variable. A relative one would be another in each folder; XDG says to ignore it.
    pub(crate) fn absolute(self, environment: &Environment, name: &str) -> Option<PathBuf> {
        // Only a Windows can tell what is absolute on one.
        environment.path(name).filter(|path| self != System::THIS || path.is_absolute())
    }
}
