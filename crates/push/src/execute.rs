//! Carries a plan out: blobs, then manifests from the leaves to the root.
//!
//! A manifest is put only when all that it names is there. Nothing here touches a tag.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use windlass_oci::{Digest, Reference, RepositoryName};
use windlass_registry_client::{BlobProgress, ManifestPresence, Pushed, PutManifest};

use crate::failure::{Failure, Refusal};
use crate::known::{Claim, KnownBlobs};
use crate::plan::{Plan, plan};
use crate::referrers::{list_inner, list_root};
use crate::reporter::{Event, Reporter};
use crate::survey::survey_all;
use crate::target::Target;

/// How many blobs, and how many manifests, of one image are under way.
const UNDER_WAY: usize = 24;
/// How often what the registry says is missing is looked up and sent again, and how often it is put
/// again while the registry is of two minds: since there was last less missing than ever before, so
/// that no count ends what moves forward. Counts they are because nothing failed on the way here. The
/// registry contradicts itself, and what it says about it is worth more than minutes of asking again.
pub(crate) const REPAIRS: u32 = 3;
const SECOND_MINDS: u32 = 6;
/// Before the first repair, then twice as long each time: replicas and caches of a registry may need
/// a moment to agree (<https://github.com/cloudfoundry/korifi/issues/2381>).
const BEFORE_REPAIR: Duration = Duration::from_millis(100);

/// Whether a blob that a sibling has is mounted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mounts {
    /// It is, and sent where that is refused.
    Tried,
    /// A registry may have said that it did, and has not: what can be sent is sent.
    Distrusted,
}

/// Brings the image of `target` there, its root manifest by its digest last.
pub(crate) async fn bring_content(
    target: &Target<'_>,
    known: &KnownBlobs,
    reporter: &Arc<dyn Reporter>,
    plan: &Plan,
) -> Result<(), Failure> {
    match carry_out(target, known, reporter, plan, Mounts::Tried).await {
        Err(failure) if is_about_missing_parts(&failure) => repair(target, known, reporter).await,
        other => other,
    }
}

/// Looks for everything, whatever vouches for it, and sends what is missing.
pub(crate) async fn repair(
    target: &Target<'_>,
    known: &KnownBlobs,
    reporter: &Arc<dyn Reporter>,
) -> Result<(), Failure> {
    let (repository, graph) = (target.client.repository(), target.graph());
    let mut begun = Instant::now();
    let (mut repairs, mut second_minds) = (0, 0);
    let mut fewest = usize::MAX;
    loop {
        let round = repairs + second_minds;
        reporter.report(Event::Repairing { repository });
        tokio::time::sleep(BEFORE_REPAIR * 2u32.saturating_pow(round)).await;
        for blob in graph.blobs() {
            known.forget(repository, &blob.descriptor.digest);
        }
        let found = survey_all(&target.client, graph, &[]).await?;
        found.present_blobs().for_each(|digest| known.note(repository, digest));
        let sibling = |digest: &Digest| known.sibling(repository, digest);
        let (policy, expectations) = target.policy();
        let again = plan(graph, repository, &found, &sibling, &[], policy, expectations)
            .map_err(Failure::Refused)?;
        if again.blobs.len() < fewest {
            fewest = again.blobs.len();
            (repairs, second_minds, begun) = (0, 0, Instant::now());
        }
        if again.blobs.is_empty() {
            second_minds += 1;
        } else {
            repairs += 1;
        }
        let in_time = begun.elapsed() < target.client.client().retry_for();
        let may_repeat = in_time && repairs < REPAIRS && second_minds < SECOND_MINDS;
        match carry_out(target, known, reporter, &again, Mounts::Distrusted).await {
            Err(failure) if is_about_missing_parts(&failure) && may_repeat => {}
            other => return other,
        }
    }
}

/// Whether a registry refuses a manifest because it misses what the manifest names.
pub(crate) fn is_about_missing_parts(failure: &Failure) -> bool {
    // zot says BLOB_UNKNOWN where the specification has MANIFEST_BLOB_UNKNOWN.
    let codes = ["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"];
    let (Failure::Registry(error) | Failure::Tag { error, .. }) = failure else {
        return false;
    };
    error.status().is_some_and(|status| matches!(status.as_u16(), 400 | 404))
        && codes.iter().any(|code| error.has_code(code))
}

async fn carry_out(
    target: &Target<'_>,
    known: &KnownBlobs,
    reporter: &Arc<dyn Reporter>,
    plan: &Plan,
    mounts: Mounts,
) -> Result<(), Failure> {
    let blobs = plan.blobs.iter();
    all(blobs.map(|&place| bring_blob(target, known, reporter, place, mounts).boxed())).await?;
    for step in &plan.manifests {
        // It is alone in the last step.
        if step.contains(&target.graph().manifests().len().saturating_sub(1)) {
            list_inner(target).await?;
        }
        all(step.iter().map(|&place| put_manifest(target, reporter, place).boxed())).await?;
    }
    list_root(target).await
}

/// Does all of it, so much at once; the first failure ends it.
async fn all<'a>(
    mut work: impl Iterator<Item = BoxFuture<'a, Result<(), Failure>>>,
) -> Result<(), Failure> {
    let mut under_way: FuturesUnordered<_> = work.by_ref().take(UNDER_WAY).collect();
    while let Some(result) = under_way.next().await {
        result?;
        under_way.extend(work.next());
    }
    Ok(())
}

async fn bring_blob(
    target: &Target<'_>,
    known: &KnownBlobs,
    reporter: &Arc<dyn Reporter>,
    place: usize,
    mounts: Mounts,
) -> Result<(), Failure> {
    let repository = target.client.repository();
    let blob = &target.graph().blobs()[place];
    let (digest, size) = (&blob.descriptor.digest, blob.descriptor.size);
    let claim = known.claim(repository, digest).await;
    if matches!(claim, Claim::Here) {
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
            let keeper = target.journal.upload(repository, digest, size);
            let pushed =
                target.client.push_blob(source.clone(), from, Some(progress), keeper).await;
            let host = target.client.client();
            match &pushed {
                Ok(_) => target.journal.note_host(&host),
                Err(_) => target.journal.doubt_host(&host),
            }
            pushed?
        }
        None => mount_only(target, digest, from).await?,
    };
    match claim {
        Claim::Mine(sending) => sending.arrived(),
        _ => known.note(repository, digest),
    }
    target.note_blob(digest, pushed);
    let mounted = pushed == Pushed::Mounted;
    reporter.report(Event::BlobFinished { repository, digest, size, mounted });
    Ok(())
}

/// A blob whose bytes are not here, in a repository beside.
async fn mount_only(
    target: &Target<'_>,
    digest: &Digest,
    from: Option<&RepositoryName>,
) -> Result<Pushed, Failure> {
    let mounted = match from {
        Some(from) => target.client.mount_blob(digest, from).await?,
        None => false,
    };
    if mounted {
        return Ok(Pushed::Mounted);
    }
    let repository = target.client.repository().clone();
    let missing = Refusal::Missing { kind: "blob", digest: digest.clone(), repository };
    Err(Failure::Refused(vec![missing]))
}

fn progress_of(target: &Target<'_>, reporter: &Arc<dyn Reporter>, digest: &Digest) -> BlobProgress {
    let repository = target.client.repository().clone();
    let (reporter, digest) = (reporter.clone(), digest.clone());
    Arc::new(move |position| {
        let (repository, digest) = (&repository, &digest);
        reporter.report(Event::BlobProgress { repository, digest, position });
    })
}

/// Puts the root manifest by its digest.
pub(crate) async fn put_root(
    target: &Target<'_>,
    reporter: &Arc<dyn Reporter>,
) -> Result<(), Failure> {
    // It is the last of all.
    let root = target.graph().manifests().len().saturating_sub(1);
    put_manifest(target, reporter, root).await
}

async fn put_manifest(
    target: &Target<'_>,
    reporter: &Arc<dyn Reporter>,
    place: usize,
) -> Result<(), Failure> {
    let repository = target.client.repository();
    // A plan holds no manifest whose bytes are not here.
    let Some(content) = &target.graph().manifests()[place].content else {
        return Ok(());
    };
    let digest = content.raw.digest();
    let reference = Reference::Digest(digest.clone());
    let put = match target.client.put_manifest(&reference, &content.raw).await {
        Ok(put) => put,
        Err(error) => {
            let failure = Failure::Registry(error);
            if !is_there_all_the_same(target, &reference, &failure).await {
                return Err(failure);
            }
            PutManifest::default()
        }
    };
    target.note_manifest(digest);
    if content.view.subject().is_some() {
        target.note_subject(digest, put.subject_is_listed);
    }
    reporter.report(Event::ManifestPut { repository, digest });
    Ok(())
}

/// Whether a manifest that the registry refuses is there: some refuse to take one again
/// (Nexus, <https://github.com/sonatype/nexus-public/issues/1040>), and another push may have been
/// quicker.
async fn is_there_all_the_same(
    target: &Target<'_>,
    reference: &Reference,
    failure: &Failure,
) -> bool {
    let is_refusal = match failure {
        _ if is_about_missing_parts(failure) => false,
        Failure::Registry(error) => {
            error.status().is_some_and(|status| status.is_client_error() && status.as_u16() != 401)
        }
        _ => false,
    };
    is_refusal
        && matches!(target.client.head_manifest(reference).await, Ok(ManifestPresence::Present(_)))
}
