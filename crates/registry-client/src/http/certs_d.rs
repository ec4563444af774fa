//! The directories in which Docker and Podman keep certificates host by host.
//!
//! See <https://docs.docker.com/engine/security/certificates/> and `containers-certs.d(5)`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::origin::Origin;

/// What a `certs.d` holds for a host.
#[derive(Debug, Default)]
pub(super) struct HostFiles {
    /// PEM files with the authorities that are trusted for it.
    pub(super) authorities: Vec<PathBuf>,
    /// PEM files with the certificate that is shown to it, and its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

impl HostFiles {
    /// Looks into all of `certs_dirs`. Blocks.
    pub(super) fn find(certs_dirs: &[PathBuf], origin: &Origin) -> Result<HostFiles, String> {
        let mut files = HostFiles::default();
        let mut names = vec![origin.host_and_port(), origin.authority()];
        names.dedup();
        for (directory, name) in certs_dirs.iter().flat_map(|d| names.iter().map(move |n| (d, n))) {
            // A colon is no part of a file's name on Windows, where Docker leaves it out too.
            let name = if cfg!(windows) { name.replace(':', "") } else { name.clone() };
            files.add(&directory.join(name))?;
        }
        Ok(files)
    }

    fn add(&mut self, folder: &Path) -> Result<(), String> {
        let unreadable = |error| format!("cannot read {}: {error}", folder.display());
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(unreadable)?.path());
        }
        paths.sort();
        for path in paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => self.authorities.push(path),
                Some("cert") if self.identity.is_none() => {
                    let key = path.with_extension("key");
                    if !key.exists() {
                        let (path, key) = (path.display(), key.display());
                        return Err(format!("{path} has no key: there is no {key}"));
                    }
                    self.identity = Some((path, key));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
