//! The index of referrers: for each subject, the descriptors of the manifests that are about it.

use std::io;

use windlass_oci::{Descriptor, Digest, Manifest, RawManifest, RepositoryName};

use super::{Store, disk};

impl Store {
    /// The descriptors of all manifests of `repository` whose subject is `subject`, in the order
    /// of their digests. Distribution-spec, §"Listing Referrers".
    pub fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> io::Result<Vec<Descriptor>> {
        let folder = self.layout.referrers(repository, subject);
        let mut referrers = Vec::new();
        for algorithm in disk::names(&folder)? {
            for hex in disk::names(&folder.join(&algorithm))? {
                let Ok(digest) = format!("{algorithm}:{hex}").parse() else { continue };
                if !self.manifest_exists(repository, &digest)? {
                    continue;
                }
                // One that was removed between the two looks is not there.
                if let Some(entry) = disk::read(&folder.join(&algorithm).join(&hex))? {
                    referrers.push(serde_json::from_slice::<Descriptor>(&entry)?);
                }
            }
        }
        referrers.sort_by(|one, other| one.digest.cmp(&other.digest));
        Ok(referrers)
    }

    pub(super) fn add_referrer(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        manifest: &RawManifest,
        view: &Manifest,
    ) -> io::Result<()> {
        let entry = serde_json::to_vec(&describe(manifest, view))?;
        self.disk.write(&self.layout.referrer(repository, subject, manifest.digest()), &entry)
    }
}

/// A referrer's descriptor: with all its annotations, and with the artifact type, which for an
/// image that has none is its config's media type.
fn describe(manifest: &RawManifest, view: &Manifest) -> Descriptor {
    let (artifact_type, annotations) = match view {
        Manifest::Image(image) => (
            image
                .artifact_type
                .clone()
                .filter(|artifact_type| !artifact_type.is_empty())
                .or_else(|| Some(image.config.media_type.as_str().to_owned())),
            &image.annotations,
        ),
        Manifest::Index(index) => (index.artifact_type.clone(), &index.annotations),
    };
    Descriptor { artifact_type, annotations: annotations.clone(), ..manifest.descriptor() }
}
