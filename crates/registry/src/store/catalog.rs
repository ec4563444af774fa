//! Lists: which repositories there are, which tags a repository has.

use std::io;
use std::path::Path;

use windlass_oci::{RepositoryName, Tag};

use super::{Store, disk};

impl Store {
    /// Whether anything was ever put into `repository`.
    pub fn repository_exists(&self, repository: &RepositoryName) -> io::Result<bool> {
        has_marks(&self.layout.repository(repository))
    }

    /// The tags of `repository` in byte order; `None` where there is no such repository.
    pub fn tags(&self, repository: &RepositoryName) -> io::Result<Option<Vec<Tag>>> {
        if !self.repository_exists(repository)? {
            return Ok(None);
        }
        let names = disk::names(&self.layout.tags(repository))?;
        let mut tags: Vec<Tag> = names.iter().filter_map(|name| name.parse().ok()).collect();
        tags.sort();
        Ok(Some(tags))
    }

    /// All repositories in byte order.
    pub fn repositories(&self) -> io::Result<Vec<RepositoryName>> {
        let mut found = Vec::new();
        let mut open = vec![String::new()];
        while let Some(prefix) = open.pop() {
            let folder = self.layout.repositories().join(&prefix);
            for name in disk::names(&folder)?.iter().filter(|name| !name.starts_with('_')) {
                let name =
                    if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
                if has_marks(&self.layout.repositories().join(&name))?
                    && let Ok(repository) = name.parse()
                {
                    found.push(repository);
                }
                open.push(name);
            }
        }
        found.sort();
        Ok(found)
    }
}

fn has_marks(folder: &Path) -> io::Result<bool> {
    Ok(disk::exists(&folder.join("_manifests"))? || disk::exists(&folder.join("_blobs"))?)
}
