//! Watches for what must never be: a tag that names an image which is not completely there.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use windlass_oci::{Descriptor, Digest, Manifest, RawManifest, RepositoryName};
use windlass_registry::{Store, TagHook, TagWrite};

/// A tag that was set while something below it was missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// What it was set to.
    pub root: Digest,
    /// What was not there, in words.
    pub missing: Vec<String>,
}

/// A tag that was set, complete or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSet {
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// What it names from then on.
    pub digest: Digest,
    /// What it named before.
    pub previous: Option<Digest>,
}

/// What has been seen at the moments when tags were set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Monitor(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    violations: Vec<Violation>,
    tags: Vec<TagSet>,
}

impl Monitor {
    /// Called by the registry under its lock, at each moment when a tag is set.
    pub(crate) fn hook(&self) -> TagHook {
        let seen = Arc::clone(&self.0);
        Arc::new(move |write: TagWrite<'_>| {
            let (repository, tag) = (write.repository.to_string(), write.tag.to_string());
            let missing = missing_below(write.store, write.repository, write.digest);
            let mut seen = seen.lock().unwrap();
            if !missing.is_empty() {
                seen.violations.push(Violation {
                    repository: repository.clone(),
                    tag: tag.clone(),
                    root: write.digest.clone(),
                    missing,
                });
            }
            let (digest, previous) = (write.digest.clone(), write.previous.cloned());
            seen.tags.push(TagSet { repository, tag, digest, previous });
        })
    }

    /// The violations that have not been taken yet.
    pub(crate) fn take(&self) -> Vec<Violation> {
        std::mem::take(&mut self.0.lock().unwrap().violations)
    }

    pub(crate) fn tags(&self) -> Vec<TagSet> {
        self.0.lock().unwrap().tags.clone()
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { repository, tag, root, missing } = self;
        write!(f, "{repository}:{tag} was set to {root} without: {}", missing.join(", "))
    }
}

/// All that is not there of what a manifest reaches in its own repository. Foreign layers are
/// elsewhere, and a subject may come later.
fn missing_below(store: &Store, repository: &RepositoryName, root: &Digest) -> Vec<String> {
    let mut missing = Vec::new();
    let mut seen = HashSet::new();
    let mut left = vec![root.clone()];
    while let Some(digest) = left.pop() {
        if !seen.insert(digest.clone()) {
            continue;
        }
        match store.manifest(repository, &digest) {
            Ok(Some(manifest)) => {
                let unread = |error| missing.push(format!("manifest {digest} ({error})"));
                let Ok(view) = manifest.view().map_err(unread) else { continue };
                let is_index = matches!(view, Manifest::Index(_));
                for child in view.children() {
                    if is_index {
                        left.push(child.digest.clone());
                    } else if !child.media_type.is_non_distributable()
                        && seen.insert(child.digest.clone())
                    {
                        let size = store.blob_size(repository, &child.digest);
                        missing.extend(problem_of(child, size));
                    }
                }
            }
            other => missing.push(format!("manifest {digest}{}", reason(&other))),
        }
    }
    missing
}

fn problem_of(blob: &Descriptor, found: io::Result<Option<u64>>) -> Option<String> {
    let problem = match found {
        Ok(Some(size)) if size == blob.size => return None,
        Ok(Some(size)) => format!(" ({size} bytes are there, not {})", blob.size),
        Ok(None) => String::new(),
        Err(error) => format!(" ({error})"),
    };
    Some(format!("blob {}{problem}", blob.digest))
}

fn reason(found: &io::Result<Option<RawManifest>>) -> String {
    found.as_ref().err().map_or_else(String::new, |error| format!(" ({error})"))
}
