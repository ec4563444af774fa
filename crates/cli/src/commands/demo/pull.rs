//! Pulls an image back by plain GETs, from a tag down, and hashes every byte itself.

use std::collections::HashSet;

use windlass_oci::{
    Descriptor, Digest, Hasher, Manifest, ManifestError, RawManifest, Reference, Tag,
};
use windlass_registry_client::http::HttpError;
use windlass_registry_client::{Error, RepositoryClient};

/// What came back, each digest once, all of them right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pulled {
    /// Manifests and indexes.
    pub(super) manifests: u64,
    /// Blobs.
    pub(super) blobs: u64,
    /// Their bytes.
    pub(super) bytes: u64,
}

/// Why an image did not come back as it was pushed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PullError {
    #[error(transparent)]
    Asking(#[from] Error),
    #[error("cannot get blob {digest}: {error}")]
    Reading { digest: Digest, error: HttpError },
    #[error("{reference} is not there")]
    Missing { reference: Reference },
    #[error("{reference} came back with the digest {found} and {size} bytes, not as {expected}")]
    Wrong { reference: Reference, expected: Digest, found: Digest, size: u64 },
    #[error("manifest {digest} came back, but cannot be understood: {error}")]
    Manifest { digest: Digest, error: ManifestError },
}

/// Pulls all that `tag` names, which must be `root`.
pub(super) async fn pull(
    repository: &RepositoryClient,
    tag: &Tag,
    root: &Descriptor,
) -> Result<Pulled, PullError> {
    let mut pull = Pull { repository, pulled: Pulled::default(), seen: HashSet::new() };
    let mut below = pull.manifest(&Reference::Tag(tag.clone()), root).await?;
    while let Some(descriptor) = below.pop() {
        if !pull.seen.insert(descriptor.digest.clone()) {
            continue;
        }
        let is_manifest = descriptor.media_type.is_manifest();
        if is_manifest {
            let reference = Reference::Digest(descriptor.digest.clone());
            below.extend(pull.manifest(&reference, &descriptor).await?);
        } else if !descriptor.media_type.is_non_distributable() {
            pull.blob(&descriptor).await?;
        }
    }
    Ok(pull.pulled)
}

struct Pull<'a> {
    repository: &'a RepositoryClient,
    pulled: Pulled,
    seen: HashSet<Digest>,
}

impl Pull<'_> {
    /// Gets a manifest; what is given is all that it names.
    async fn manifest(
        &mut self,
        reference: &Reference,
        expected: &Descriptor,
    ) -> Result<Vec<Descriptor>, PullError> {
        let Some(manifest) = self.repository.get_manifest(reference).await? else {
            return Err(PullError::Missing { reference: reference.clone() });
        };
        let found = Digest::of(expected.digest.algorithm(), manifest.bytes());
        check(reference, expected, &found, manifest.size())?;
        self.pulled.manifests += 1;
        self.pulled.bytes += manifest.size();
        let view = view(&manifest, expected)?;
        Ok(view.children().cloned().collect())
    }

    async fn blob(&mut self, expected: &Descriptor) -> Result<(), PullError> {
        let digest = &expected.digest;
        let mut answer = self.repository.get_blob(digest).await?;
        let mut hasher = Hasher::new(digest.algorithm());
        let mut size = 0;
        while let Some(piece) = answer.next().await {
            let piece =
                piece.map_err(|error| PullError::Reading { digest: digest.clone(), error })?;
            hasher.update(&piece);
            size += piece.len() as u64;
        }
        check(&Reference::Digest(digest.clone()), expected, &hasher.finish(), size)?;
        self.pulled.blobs += 1;
        self.pulled.bytes += size;
        Ok(())
    }
}

fn view(manifest: &RawManifest, expected: &Descriptor) -> Result<Manifest, PullError> {
    let digest = || expected.digest.clone();
    manifest.view().map_err(|error| PullError::Manifest { digest: digest(), error })
}

fn check(
    reference: &Reference,
    expected: &Descriptor,
    found: &Digest,
    size: u64,
) -> Result<(), PullError> {
    if *found == expected.digest && size == expected.size {
        return Ok(());
    }
    let (reference, expected, found) = (reference.clone(), expected.digest.clone(), found.clone());
    Err(PullError::Wrong { reference, expected, found, size })
}
