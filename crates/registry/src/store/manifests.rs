//! Manifests and tags of a repository.

use std::io;

use windlass_oci::{
    Descriptor, Digest, Manifest, MediaType, RawManifest, Reference, RepositoryName, Tag,
};

use super::{Store, disk};
use crate::{TagHook, TagWrite};

/// A manifest that is to be put.
#[derive(Debug)]
pub(crate) struct Put<'a> {
    pub(crate) repository: &'a RepositoryName,
    pub(crate) manifest: &'a RawManifest,
    pub(crate) view: &'a Manifest,
    pub(crate) tags: &'a [Tag],
    pub(crate) accept_incomplete: bool,
    pub(crate) precondition: &'a Precondition,
}

/// What must hold of the name that a manifest is put under, at the moment when it is put
/// (RFC 9110 §13.1). Entity tags are digests in quotes.
#[derive(Debug, Default)]
pub(crate) struct Precondition {
    /// What the manifest is addressed by.
    pub(crate) name: Option<Reference>,
    /// `If-Match`.
    pub(crate) matches: Option<String>,
    /// `If-None-Match`.
    pub(crate) matches_not: Option<String>,
}

impl Precondition {
    fn holds(&self, current: Option<&Digest>) -> bool {
        let is_in = |tags: &String| match current {
            None => false,
            Some(current) => tags.trim() == "*" || tags.contains(&format!("\"{current}\"")),
        };
        self.matches.as_ref().is_none_or(is_in) && !self.matches_not.as_ref().is_some_and(is_in)
    }

    fn is_none(&self) -> bool {
        self.matches.is_none() && self.matches_not.is_none()
    }
}

/// Why a manifest was not put.
#[derive(Debug)]
pub(crate) enum PutRefusal {
    /// These of its parts are not in the repository.
    Missing(Vec<Descriptor>),
    /// Its name names something else than the request has for a condition.
    Changed,
    Io(io::Error),
}

impl From<io::Error> for PutRefusal {
    fn from(error: io::Error) -> PutRefusal {
        PutRefusal::Io(error)
    }
}

impl Store {
    /// Whether `repository` has a manifest.
    pub fn manifest_exists(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> io::Result<bool> {
        Ok(disk::exists(&self.layout.manifest(repository, digest))?
            && disk::exists(&self.layout.content(digest))?)
    }

    /// A manifest of `repository`, verbatim, with its media type. Bytes that no longer have their
    /// digest are an error.
    pub fn manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> io::Result<Option<RawManifest>> {
        let Some(media_type) = disk::read(&self.layout.manifest(repository, digest))? else {
            return Ok(None);
        };
        let Some(bytes) = disk::read(&self.layout.content(digest))? else {
            return Ok(None);
        };
        let media_type = MediaType::new(&String::from_utf8_lossy(&media_type));
        match RawManifest::with_digest(media_type, digest.clone(), bytes.into()) {
            Some(manifest) => Ok(Some(manifest)),
            None => Err(corrupt(format!("the bytes of manifest {digest} have another digest"))),
        }
    }

    /// The digest that a tag names.
    pub fn tag(&self, repository: &RepositoryName, tag: &Tag) -> io::Result<Option<Digest>> {
        match disk::read(&self.layout.tag(repository, tag))? {
            None => Ok(None),
            Some(text) => match String::from_utf8_lossy(&text).trim().parse() {
                Ok(digest) => Ok(Some(digest)),
                Err(error) => Err(corrupt(format!("tag {tag} of {repository}: {error}"))),
            },
        }
    }

    /// Puts a manifest with its tags, in one turn: what it needs cannot go meanwhile.
    pub(crate) fn put_manifest(
        &self,
        put: &Put<'_>,
        on_tag: Option<&TagHook>,
    ) -> Result<(), PutRefusal> {
        let Put { repository, manifest, view, tags, accept_incomplete, precondition } = put;
        let _turn = self.turn(repository);
        if !precondition.is_none() {
            let current = match &precondition.name {
                Some(Reference::Tag(tag)) => self.tag(repository, tag)?,
                Some(Reference::Digest(digest)) if self.manifest_exists(repository, digest)? => {
                    Some(digest.clone())
                }
                _ => None,
            };
            if !precondition.holds(current.as_ref()) {
                return Err(PutRefusal::Changed);
            }
        }
        if !accept_incomplete {
            let mut missing = Vec::new();
            for child in view.children() {
                if !self.has_child(repository, view, child)? && !missing.contains(child) {
                    missing.push(child.clone());
                }
            }
            if !missing.is_empty() {
                return Err(PutRefusal::Missing(missing));
            }
        }
        let digest = manifest.digest();
        self.disk.write(&self.layout.content(digest), manifest.bytes())?;
        let mark = self.layout.manifest(repository, digest);
        self.disk.write(&mark, manifest.media_type().as_str().as_bytes())?;
        if let Some(subject) = view.subject() {
            self.add_referrer(repository, &subject.digest, manifest, view)?;
        }
        for tag in *tags {
            // A pointer that can no longer be read may be overwritten like any other.
            let previous = self.tag(repository, tag).ok().flatten();
            if let Some(hook) = on_tag {
                let previous = previous.as_ref();
                hook(TagWrite { repository, tag, digest, previous, store: self });
            }
            self.disk.write(&self.layout.tag(repository, tag), digest.as_str().as_bytes())?;
        }
        Ok(())
    }

    /// Removes a manifest with all its tags; whether it was there.
    pub(crate) fn remove_manifest(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> io::Result<bool> {
        let _turn = self.turn(repository);
        if !disk::exists(&self.layout.manifest(repository, digest))? {
            return Ok(false);
        }
        for tag in self.tags(repository)?.unwrap_or_default() {
            if self.tag(repository, &tag).ok().flatten().as_ref() == Some(digest) {
                self.disk.remove(&self.layout.tag(repository, &tag))?;
            }
        }
        // One that cannot be read any more is removed all the same; its referrer's entry is left
        // out of lists once its mark is gone.
        if let Ok(Some(manifest)) = self.manifest(repository, digest)
            && let Ok(view) = manifest.view()
            && let Some(subject) = view.subject()
        {
            self.disk.remove(&self.layout.referrer(repository, &subject.digest, digest))?;
        }
        self.disk.remove(&self.layout.manifest(repository, digest))
    }

    /// Removes a tag and leaves its manifest; whether it was there.
    pub(crate) fn remove_tag(&self, repository: &RepositoryName, tag: &Tag) -> io::Result<bool> {
        let _turn = self.turn(repository);
        self.disk.remove(&self.layout.tag(repository, tag))
    }

    fn has_child(
        &self,
        repository: &RepositoryName,
        parent: &Manifest,
        child: &Descriptor,
    ) -> io::Result<bool> {
        let digest = &child.digest;
        match parent {
            Manifest::Image(_) => {
                Ok(child.media_type.is_non_distributable()
                    || self.blob_exists(repository, digest)?)
            }
            // Build caches list blobs in an index.
            Manifest::Index(_) => Ok(self.manifest_exists(repository, digest)?
                || (!child.media_type.is_manifest() && self.blob_exists(repository, digest)?)),
        }
    }
}

fn corrupt(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
