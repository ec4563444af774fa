//! Carries a plan out: blobs, then manifests from the leaves to the root.
//!
//! A manifest is put only when all that it names is there. Nothing here touches a tag.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use std::sync::Arc;
use std::time::Duration;

use windlass_oci::{Digest, Reference, RepositoryName};
use windlass_registry_client::{BlobProgress, Error, Pushed};

use crate::failure::{Failure, Refusal};
use crate::known::{Claim, KnownBlobs};
use crate::plan::{Plan, plan};
use crate::reporter::{Event, Reporter};
use crate::survey::{Depth, survey};
use crate::target::Target;

/// How many blobs, and how many manifests, of one image are under way.
const UNDER_WAY: usize = 16;
/// How often what the registry says is missing is looked up and sent again.
const REPAIRS: u32 = 3;
/// Between repairs: replicas and caches of a registry may need a moment to agree
/// (<https://github.com/cloudfoundry/korifi/issues/2381>).
const BETWEEN_REPAIRS: Duration = Duration::from_millis(200);

/// Brings the image of `target` there, its root manifest by its digest last.
pub(crate) async fn bring_content(
    target: &Target<'_>,
    known: &KnownBlobs,
    reporter: &Arc<dyn Reporter>,
    plan: &Plan,
) -> Result<(), Failure> {
    match carry_out(target, known, reporter, plan, Mounts::Tried).await {
        Err(error) if is_about_missing_parts(&error) => repair(target, known, reporter).await,
        other => Ok(other?),
    }
}

/// Looks for everything, whatever vouches for it, and sends what is missing.
pub(crate) async fn repair(
    target: &Target<'_>,
    known: &KnownBlobs,
    reporter: &Arc<dyn Reporter>,
) -> Result<(), Failure> {
    let repository = target.client.repository();
    let mut round = 1;
    loop {
        reporter.report(Event::Repairing { repository });
        tokio::time::sleep(BETWEEN_REPAIRS * round).await;
        let graph = target.graph();
        for blob in graph.blobs() {
            known.forget(repository, &blob.descriptor.digest);
        }
        let found = survey(&target.client, graph, &[], Depth::Everything).await?;
        Target::found(&found).for_each(|digest| known.note(repository, digest));
        let sibling = |digest: &Digest| known.sibling(repository, digest);
        let (policy, expectations) = target.policy();
        let again = plan(graph, repository, &found, &sibling, &[], policy, expectations)
            .map_err(Failure::Refused)?;
        match carry_out(target, known, reporter, &again, Mounts::Distrusted).await {
            Err(error) if is_about_missing_parts(&error) && round < REPAIRS => round += 1,
            other => return Ok(other?),
        }
    }
}

/// Whether a registry refuses a manifest because it misses what the manifest names.
pub(crate) fn is_about_missing_parts(error: &Error) -> bool {
    // zot says BLOB_UNKNOWN where the specification has MANIFEST_BLOB_UNKNOWN.
    let codes = ["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"];
    error.status().is_some_and(|status| matches!(status.as_u16(), 400 | 404))
        && codes.iter().any(|code| error.has_code(code))
}

/// Whether a blob that a sibling has is mounted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mounts {
    /// It is, and sent where that is refused.
    Tried,
    /// A registry may have said that it did, and has not: what can be sent is sent.
    Distrusted,
}

async fn carry_out(
    target: &Target<'_>,
    known: &KnownBlobs,
    reporter: &Arc<dyn Reporter>,
    plan: &Plan,
    mounts: Mounts,
) -> Result<(), Error> {
    stream::iter(&plan.blobs)
        .map(|&place| bring_blob(target, known, reporter, place, mounts))
        .buffer_unordered(UNDER_WAY)
        .try_collect::<()>()
        .await?;
    for step in &plan.manifests {
        stream::iter(step)
            .map(|&place| put_manifest(target, reporter, place))
            .buffer_unordered(UNDER_WAY)
            .try_collect::<()>()
            .await?;
    }
    Ok(())
}

async fn bring_blob(
    target: &Target<'_>,
    known: &KnownBlobs,
    reporter: &Arc<dyn Reporter>,
    place: usize,
    mounts: Mounts,
) -> Result<(), Error> {
    let repository = target.client.repository();
    let blob = &target.graph().blobs()[place];
    let (digest, size) = (&blob.descriptor.digest, blob.descriptor.size);
    let claim = known.claim(repository, digest).await;
    if matches!(claim, Claim::Here) {
        target.note(|record| record.blobs.present += 1);
        return Ok(());
    }
    reporter.report(Event::BlobStarted { repository, digest, size });
    let from = match &claim {
        Claim::Elsewhere(name) if mounts == Mounts::Tried || blob.source.is_none() => Some(name),
        _ => None,
    };
    let pushed = match &blob.source {
        Some(source) => {
            let progress = progress_of(target, reporter, digest);
            target.client.push_blob(source.clone(), from, Some(progress)).await?
        }
        None => mount_only(target, digest, from).await?,
    };
    match claim {
        Claim::Mine(sending) => sending.arrived(),
        _ => known.note(repository, digest),
    }
    target.note(|record| match pushed {
        Pushed::Mounted => record.blobs.mounted += 1,
        Pushed::Uploaded { resumed, .. } => {
            record.blobs.uploaded += 1;
            record.blobs.resumed += u64::from(resumed);
        }
    });
    let mounted = pushed == Pushed::Mounted;
    reporter.report(Event::BlobFinished { repository, digest, size, mounted });
    Ok(())
}

/// A blob whose bytes are not here, in a repository beside.
async fn mount_only(
    target: &Target<'_>,
    digest: &Digest,
    from: Option<&RepositoryName>,
) -> Result<Pushed, Error> {
    let mounted = match from {
        Some(from) => target.client.mount_blob(digest, from).await?,
        None => false,
    };
    if mounted {
        return Ok(Pushed::Mounted);
    }
    let repository = target.client.repository().clone();
    let missing = Refusal::Missing { kind: "blob", digest: digest.clone(), repository };
    Err(target.client.refuse_to_push(digest, missing.to_string()))
}

fn progress_of(target: &Target<'_>, reporter: &Arc<dyn Reporter>, digest: &Digest) -> BlobProgress {
    let repository = target.client.repository().clone();
    let (reporter, digest) = (reporter.clone(), digest.clone());
    Arc::new(move |position| {
        let (repository, digest) = (&repository, &digest);
        reporter.report(Event::BlobProgress { repository, digest, position });
    })
}

async fn put_manifest(
    target: &Target<'_>,
    reporter: &Arc<dyn Reporter>,
    place: usize,
) -> Result<(), Error> {
    let repository = target.client.repository();
    let node = &target.graph().manifests()[place];
    // A plan holds no manifest whose bytes are not here.
    let Some(content) = &node.content else {
        return Ok(());
    };
    let digest = content.raw.digest();
    target.client.put_manifest(&Reference::Digest(digest.clone()), &content.raw).await?;
    target.note(|record| record.manifests.uploaded += 1);
    reporter.report(Event::ManifestPut { repository, digest });
    Ok(())
}
