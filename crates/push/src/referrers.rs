//! What refers to an image, or to a part of it: signatures, attestations, bills of materials.
//! Brought after what it refers to, and listed for it, before the first tag is set: nobody pulls a
//! tagged image whose signature is not there yet.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::future::{FutureExt, try_join_all};
use windlass_image::{Graph, ManifestContent};
use windlass_oci::{Descriptor, Digest, Reference};
use windlass_registry_client::{Error, RepositoryClient, as_referrer, fallback_tag};

use crate::execute::bring_content;
use crate::failure::Failure;
use crate::known::KnownBlobs;
use crate::plan::Plan;
use crate::receipt::ListedBy;
use crate::reporter::Reporter;
use crate::target::Target;

/// Brings all that refers to the image of `target`, which is there, and has it listed.
pub(crate) async fn bring_referrers(
    target: &Target<'_>,
    known: &KnownBlobs,
    reporter: &Arc<dyn Reporter>,
    plan: &Plan,
) -> Result<(), Failure> {
    for round in rounds(target.graph(), &target.job.referrers) {
        let pairs = || {
            let pair = |&place: &usize| target.referrers.get(place).zip(plan.referrers.get(place));
            round.iter().filter_map(pair)
        };
        let bring = |(referrer, plan)| bring_content(referrer, known, reporter, plan).boxed();
        try_join_all(pairs().map(bring)).await?;
        let roots = pairs().map(|(referrer, _)| &**referrer.graph().root());
        list(target, roots.collect()).await?;
        pairs().for_each(|(referrer, _)| referrer.note_complete());
    }
    Ok(())
}

/// Has those manifests of an image listed that have a subject and are below its root, before that is
/// there and vouches for them.
pub(crate) async fn list_inner(target: &Target<'_>) -> Result<(), Failure> {
    let graph = target.graph();
    let root = graph.root().raw.digest();
    let nodes = graph.manifests().iter().filter_map(|node| node.content.as_deref());
    let inner = nodes.filter(|node| node.raw.digest() != root && node.view.subject().is_some());
    match list(target, inner.collect()).await {
        // The image itself names it: whoever has the image finds it without the list.
        Err(failure) if is_refusal(&failure) => {
            target.warn(format!("what is in the image is not listed as a referrer: {failure}"));
            Ok(())
        }
        other => other,
    }
}

/// Has the root of an image listed, where it has a subject.
pub(crate) async fn list_root(target: &Target<'_>) -> Result<(), Failure> {
    // Those of referrers are listed together.
    if target.is_referrer {
        return Ok(());
    }
    list(target, vec![&**target.graph().root()]).await
}

/// Has manifests that are there listed for their subjects, where the registry has not said that
/// it does.
async fn list(target: &Target<'_>, manifests: Vec<&ManifestContent>) -> Result<(), Failure> {
    let client = &target.client;
    let mut by_subject: BTreeMap<Digest, Vec<(&ManifestContent, Descriptor)>> = BTreeMap::new();
    for manifest in manifests {
        let Some((subject, descriptor)) = as_referrer(&manifest.raw, &manifest.view) else {
            continue;
        };
        let digest = &descriptor.digest;
        if target.is_listed(digest) {
            continue;
        }
        if target.lists_itself(digest) == Some(true) {
            target.note_listed(digest, ListedBy::Api);
        } else {
            by_subject.entry(subject).or_default().push((manifest, descriptor));
        }
    }
    for (subject, unlisted) in by_subject {
        let listed = client.referrers_by_api(&subject).await?;
        let mut by_tag = Vec::new();
        for (manifest, descriptor) in unlisted {
            let was_put = target.lists_itself(&descriptor.digest).is_some();
            match ask(client, manifest, listed.as_deref(), was_put).await? {
                ListedBy::Api => target.note_listed(&descriptor.digest, ListedBy::Api),
                ListedBy::Tag => by_tag.push(descriptor),
            }
        }
        let added = client.add_to_fallback_tag(&subject, &by_tag).await;
        added.map_err(|error| refused(client, &subject, error))?;
        by_tag.iter().for_each(|one| target.note_listed(&one.digest, ListedBy::Tag));
    }
    Ok(())
}

/// Who lists a manifest that is there, where the registry's own list is `listed`; `None` where it
/// keeps none. `was_put`: it was put just now, and the registry has not said that it lists it.
async fn ask(
    client: &RepositoryClient,
    manifest: &ManifestContent,
    listed: Option<&[Descriptor]>,
    was_put: bool,
) -> Result<ListedBy, Error> {
    let digest = manifest.raw.digest();
    match listed {
        None => Ok(ListedBy::Tag),
        Some(listed) if listed.iter().any(|one| one.digest == *digest) => Ok(ListedBy::Api),
        Some(_) if was_put => Ok(ListedBy::Tag),
        // It came before the registry learned to list: put again, it says whether it does now.
        Some(_) => {
            let reference = Reference::Digest(digest.clone());
            let put = client.put_manifest(&reference, &manifest.raw).await?;
            Ok(if put.subject_is_listed { ListedBy::Api } else { ListedBy::Tag })
        }
    }
}

/// The fall-back tag is a tag too: a refusal of it is one.
fn refused(client: &RepositoryClient, subject: &Digest, error: Error) -> Failure {
    match (error.status(), fallback_tag(subject).parse()) {
        (Some(_), Ok(tag)) => Failure::Tag { tag, repository: client.repository().clone(), error },
        _ => Failure::Registry(error),
    }
}

fn is_refusal(failure: &Failure) -> bool {
    use crate::failure::FailureClass::{Rejected, Tag};
    matches!(failure.class(), Tag | Rejected)
}

/// The places of `referrers` in rounds: each refers to the image, or to one of an earlier round.
fn rounds(image: &Graph, referrers: &[Arc<Graph>]) -> Vec<Vec<usize>> {
    let digests = |graph: &Graph| -> Vec<Digest> {
        graph.manifests().iter().map(|node| node.descriptor.digest.clone()).collect()
    };
    let mut there: HashSet<Digest> = digests(image).into_iter().collect();
    let mut left: Vec<usize> = (0..referrers.len()).collect();
    let mut rounds = Vec::new();
    while !left.is_empty() {
        let refers = |place: &usize| {
            let subject = referrers[*place].root().view.subject();
            subject.is_some_and(|subject| there.contains(&subject.digest))
        };
        let (mut round, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(refers);
        left = rest;
        if round.is_empty() {
            // They refer to what is elsewhere: it need not be there.
            round = std::mem::take(&mut left);
        }
        there.extend(round.iter().flat_map(|&place| digests(&referrers[place])));
        rounds.push(round);
    }
    rounds
}
