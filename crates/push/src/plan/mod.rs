//! What is to be done in a repository: a pure function of the image, of what the registry has, and
//! of what may be done with tags. Every reason to refuse is found here.

use std::collections::{HashMap, HashSet};

use windlass_image::{Graph, ManifestNode};
use windlass_oci::{Digest, Repository, RepositoryName, Tag};
use windlass_registry_client::{ManifestPresence, Presence};

use crate::failure::Refusal;
use crate::reporter::PlanSummary;
use crate::survey::Survey;

/// What is to be done in one repository, in the order it is done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Places in [`Graph::blobs`] of those to send or mount, the largest first.
    pub(crate) blobs: Vec<usize>,
    /// Places in [`Graph::manifests`] of those to put: each step only names what the steps before
    /// it have brought. The root, where it is to be put, is alone in the last.
    pub(crate) manifests: Vec<Vec<usize>>,
    /// All tags, in the order given.
    pub(crate) tags: Vec<TagStep>,
    /// What is to be done with what refers to the image, in the job's order.
    pub(crate) referrers: Vec<Plan>,
    /// In numbers, without the referrers.
    pub(crate) summary: PlanSummary,
}

/// What is to be done with a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TagStep {
    pub(crate) tag: Tag,
    /// What it names, where it exists and the registry tells.
    pub(crate) before: Option<Digest>,
    pub(crate) action: TagAction,
}

/// What is to be done with a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagAction {
    /// It does not exist, as far as is known.
    Create,
    /// It names something else.
    Move,
    /// It names the image.
    Leave,
}

/// Whether a tag may be moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TagPolicy {
    /// A tag may be moved from any image to this one.
    #[default]
    Move,
    /// A tag may be created; one that names another image is a refusal.
    Create,
}

/// What a tag is expected to name before it is set: [`None`] for nothing.
pub type Expectations = HashMap<Tag, Option<Digest>>;

impl Plan {
    /// Leaves out the root where everything was asked for and is there: only a repair puts it again.
    pub(crate) fn without_present_root(mut self, graph: &Graph, survey: &Survey) -> Plan {
        let root = graph.root().raw.digest();
        let is_there = survey.manifests.get(root) == Some(&Presence::Present);
        let root_alone = self.manifests.iter().map(Vec::len).sum::<usize>() == 1;
        if is_there && root_alone && self.blobs.is_empty() {
            self.manifests.clear();
            self.summary.manifests = 0;
            self.summary.image_is_there = true;
        }
        self
    }
}

/// Plans what is to be done in `repository`. `sibling` names another repository of the same
/// registry that has a blob.
pub(crate) fn plan(
    graph: &Graph,
    repository: &Repository,
    survey: &Survey,
    sibling: &dyn Fn(&Digest) -> Option<RepositoryName>,
    tags: &[Tag],
    policy: TagPolicy,
    expectations: &Expectations,
) -> Result<Plan, Vec<Refusal>> {
    let mut plan = Plan::default();
    let mut refusals = Vec::new();
    plan.summary.image_is_there = survey.image_is_there;
    if !survey.image_is_there {
        plan_content(graph, repository, survey, sibling, &mut plan, &mut refusals);
    }
    let root = graph.root().raw.digest();
    for (tag, presence) in tags.iter().zip(&survey.tags) {
        match plan_tag(tag, presence, root, policy, expectations.get(tag)) {
            Ok(step) => plan.tags.push(step),
            Err(refuse) => refusals.push(refuse(repository)),
        }
    }
    if refusals.is_empty() { Ok(plan) } else { Err(refusals) }
}

fn plan_content(
    graph: &Graph,
    repository: &Repository,
    survey: &Survey,
    sibling: &dyn Fn(&Digest) -> Option<RepositoryName>,
    plan: &mut Plan,
    refusals: &mut Vec<Refusal>,
) {
    let missing = |kind, digest: &Digest| Refusal::Missing {
        kind,
        digest: digest.clone(),
        repository: repository.clone(),
    };
    let steps = missing_manifests(graph, survey);
    let mut needed: HashSet<&Digest> = HashSet::new();
    for &place in steps.iter().flatten() {
        let manifest = &graph.manifests()[place];
        match &manifest.content {
            Some(content) => needed.extend(&content.blobs),
            None => refusals.push(missing("manifest", &manifest.descriptor.digest)),
        }
    }
    for (place, blob) in graph.blobs().iter().enumerate() {
        let (digest, size) = (&blob.descriptor.digest, blob.descriptor.size);
        let needed = survey.thorough || needed.contains(digest);
        if !needed || survey.blobs.get(digest) == Some(&Presence::Present) {
            plan.summary.present += 1;
            continue;
        }
        let elsewhere = sibling(digest).is_some();
        match (elsewhere, &blob.source) {
            (true, _) => plan.summary.mounts += 1,
            (false, Some(_)) => {
                plan.summary.uploads += 1;
                plan.summary.upload_bytes = plan.summary.upload_bytes.saturating_add(size);
            }
            // It may be there: the manifest's PUT will tell.
            (false, None) if survey.blobs.get(digest) == Some(&Presence::Unknown) => {
                plan.summary.present += 1;
                continue;
            }
            (false, None) => refusals.push(missing("blob", digest)),
        }
        plan.blobs.push(place);
    }
    plan.blobs.sort_by_key(|&place| std::cmp::Reverse(graph.blobs()[place].descriptor.size));
    plan.summary.manifests = steps.iter().map(|step| step.len() as u64).sum();
    plan.manifests = steps;
}

/// The manifests to put, by steps. One that is there vouches for what is below it, unless the
/// registry itself says that some of that is missing: then it is put again when its parts are there.
fn missing_manifests(graph: &Graph, survey: &Survey) -> Vec<Vec<usize>> {
    let manifests = graph.manifests();
    let trusted = trusted_manifests(graph, survey);
    let root = graph.root().raw.digest();
    // Parents come after their children in the graph, so one walk backwards finds what is wanted.
    let mut wanted: HashSet<&Digest> = HashSet::from([root]);
    for manifest in manifests.iter().rev() {
        let digest = &manifest.descriptor.digest;
        if survey.thorough && !trusted.contains(digest) {
            wanted.insert(digest);
        }
        if wanted.contains(digest) {
            wanted.extend(children(manifest).iter().filter(|child| !trusted.contains(child)));
        }
    }
    let mut steps: Vec<Vec<usize>> = Vec::new();
    let mut step_of: HashMap<&Digest, usize> = HashMap::new();
    for (place, manifest) in manifests.iter().enumerate() {
        let digest = &manifest.descriptor.digest;
        if !wanted.contains(digest) {
            continue;
        }
        let below = children(manifest).iter().filter_map(|child| step_of.get(child)).max();
        let step = below.map_or(0, |below| below + 1);
        step_of.insert(digest, step);
        if steps.len() <= step {
            steps.resize(step + 1, Vec::new());
        }
        steps[step].push(place);
    }
    steps
}

/// The manifests that are there with all that they name, as far as the registry tells.
pub(crate) fn trusted_manifests<'a>(graph: &'a Graph, survey: &Survey) -> HashSet<&'a Digest> {
    let absent = |blob: &Digest| survey.blobs.get(blob) == Some(&Presence::Absent);
    let mut trusted = HashSet::new();
    let mut broken = HashSet::new();
    // Children come before their parents.
    for manifest in graph.manifests() {
        let digest = &manifest.descriptor.digest;
        let presence = survey.manifests.get(digest);
        let lacks_parts = manifest.content.as_ref().is_some_and(|content| {
            content.blobs.iter().any(absent)
                || content.manifests.iter().any(|child| broken.contains(child))
        });
        if presence == Some(&Presence::Absent) || lacks_parts {
            broken.insert(digest);
        } else if presence == Some(&Presence::Present) {
            trusted.insert(digest);
        }
    }
    trusted
}

fn children(manifest: &ManifestNode) -> &[Digest] {
    manifest.content.as_ref().map_or(&[], |content| &content.manifests)
}

/// A refusal that still wants to know its repository.
pub(crate) type Refuse = Box<dyn FnOnce(&Repository) -> Refusal>;

pub(crate) fn plan_tag(
    tag: &Tag,
    presence: &ManifestPresence,
    root: &Digest,
    policy: TagPolicy,
    expected: Option<&Option<Digest>>,
) -> Result<TagStep, Refuse> {
    let tag = tag.clone();
    let (before, action) = match presence {
        ManifestPresence::Present(found) if found == root => {
            (Some(found.clone()), TagAction::Leave)
        }
        ManifestPresence::Present(found) => (Some(found.clone()), TagAction::Move),
        ManifestPresence::Absent => (None, TagAction::Create),
        // It may well exist; nobody who must know that goes on without.
        ManifestPresence::Unknown if policy == TagPolicy::Create || expected.is_some() => {
            return Err(Box::new(move |repository| Refusal::TagUnknown {
                tag,
                repository: repository.clone(),
            }));
        }
        ManifestPresence::Unknown => (None, TagAction::Create),
    };
    // A tag that names the image already is where it should be, whatever was expected.
    if action == TagAction::Leave {
        return Ok(TagStep { tag, before, action });
    }
    match (expected, &before, policy) {
        (Some(expected), found, _) if expected != found => {
            let (expected, found) = (expected.clone(), before);
            Err(Box::new(move |repository| Refusal::TagUnexpected {
                tag,
                repository: repository.clone(),
                found,
                expected,
            }))
        }
        (None, Some(found), TagPolicy::Create) => {
            let found = found.clone();
            Err(Box::new(move |repository| Refusal::TagExists {
                tag,
                repository: repository.clone(),
                found,
            }))
        }
        _ => Ok(TagStep { tag, before, action }),
    }
}

#[cfg(test)]
pub(crate) mod tests;
