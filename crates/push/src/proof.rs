//! What a push looks at when it shall prove what it says: the image's own files before, and all of
//! the repository afterwards.

use std::collections::HashSet;
use std::sync::Arc;

use windlass_image::Graph;
use windlass_oci::{Digest, Hasher, Reference};
use windlass_source::{BlobSource, SourceError};

use crate::execute::repair;
use crate::failure::Failure;
use crate::known::KnownBlobs;
use crate::reporter::Reporter;
use crate::target::Target;
use crate::verify::{Depth, first_astray, verify};

/// Hashes all files of an image but those that have been; manifests were when they were read.
pub(crate) async fn check_sources(
    graph: &Graph,
    hashed: &mut HashSet<Digest>,
) -> Result<(), Failure> {
    for source in graph.blobs().iter().filter_map(|blob| blob.source.as_ref()) {
        if hashed.insert(source.digest().clone()) {
            check_source(&**source).await?;
        }
    }
    Ok(())
}

/// Sees that all of the image is there; what is not is sent once more.
pub(crate) async fn prove(
    target: &Target<'_>,
    known: &KnownBlobs,
    reporter: &Arc<dyn Reporter>,
) -> Result<(), Failure> {
    let root = Reference::Digest(target.graph().root().raw.digest().clone());
    let mut is_repaired = false;
    loop {
        let found = verify(&target.client, &root, None, Depth::Sizes, &|_| ()).await?;
        target.note_verified(found.flaws.is_empty());
        match found.flaws {
            flaws if flaws.is_empty() => return Ok(()),
            flaws if is_repaired => {
                let repository = target.client.repository().clone();
                return Err(Failure::Incomplete { repository, flaws });
            }
            _ => repair(target, known, reporter).await?,
        }
        is_repaired = true;
    }
}

/// Sees that the tags name the image, as far as the registry tells.
pub(crate) async fn prove_tags(target: &Target<'_>) -> Result<(), Failure> {
    let root = target.graph().root().raw.digest();
    match first_astray(&target.client, target.tags(), root).await? {
        None => Ok(()),
        Some(tag) => {
            target.note_verified(false);
            target.note_incomplete();
            let (tag, repository) = (tag.clone(), target.client.repository().clone());
            Err(Failure::Astray { tag, repository })
        }
    }
}

async fn check_source(source: &dyn BlobSource) -> Result<(), Failure> {
    let unreadable = |error: SourceError| Failure::Image(error.to_string());
    let expected = source.digest();
    let mut hasher = Hasher::new(expected.algorithm());
    let mut reader = source.open(0).await.map_err(unreadable)?;
    while let Some(piece) = reader.next().await {
        hasher.update(&piece.map_err(unreadable)?);
        // Whoever wants to stop it must be heard.
        tokio::task::yield_now().await;
    }
    let found = hasher.finish();
    if found == *expected {
        return Ok(());
    }
    let origin = source.origin();
    Err(Failure::Image(format!("{origin} has the digest {found}, not {expected}")))
}
