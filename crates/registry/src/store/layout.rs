//! Which path means what. Pure.

use std::path::{Path, PathBuf};

use windlass_oci::{Digest, RepositoryName, Tag};

/// The paths of one store; the folder's meaning is told in [`store`](super).
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Layout {
        Layout { root: root.to_owned() }
    }

    pub(crate) fn version(&self) -> PathBuf {
        self.root.join("version")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    pub(crate) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(crate) fn contents(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(crate) fn repositories(&self) -> PathBuf {
        self.root.join("repositories")
    }

    pub(crate) fn content(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.contents().join(digest.algorithm().name()).join(&hex[..2]).join(hex)
    }

    pub(crate) fn repository(&self, name: &RepositoryName) -> PathBuf {
        self.repositories().join(name.as_str())
    }

    pub(crate) fn blob(&self, name: &RepositoryName, digest: &Digest) -> PathBuf {
        by_digest(&self.repository(name).join("_blobs"), digest)
    }

    pub(crate) fn manifest(&self, name: &RepositoryName, digest: &Digest) -> PathBuf {
        by_digest(&self.repository(name).join("_manifests"), digest)
    }

    pub(crate) fn tags(&self, name: &RepositoryName) -> PathBuf {
        self.repository(name).join("_tags")
    }

    pub(crate) fn tag(&self, name: &RepositoryName, tag: &Tag) -> PathBuf {
        self.tags(name).join(tag.as_str())
    }

    pub(crate) fn referrers(&self, name: &RepositoryName, subject: &Digest) -> PathBuf {
        by_digest(&self.repository(name).join("_referrers"), subject)
    }

    pub(crate) fn referrer(
        &self,
        name: &RepositoryName,
        subject: &Digest,
        referrer: &Digest,
    ) -> PathBuf {
        by_digest(&self.referrers(name, subject), referrer)
    }
}

fn by_digest(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join(digest.algorithm().name()).join(digest.hex())
}
