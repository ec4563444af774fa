//! Sets the tags: strictly one after another, in the order given, the first failure ends it. Where
//! that is asked for, [at once](crate::at_once) first, and the rest one by one.

use std::sync::Arc;
use std::time::Duration;

use windlass_oci::{Reference, Tag};
use windlass_registry_client::ManifestPresence;

use crate::at_once::set_at_once;
use crate::execute::{REPAIRS, is_about_missing_parts, put_root, repair};
use crate::failure::{Failure, FailureClass};
use crate::known::KnownBlobs;
use crate::plan::{Plan, TagAction, TagPolicy, TagStep, plan_tag};
use crate::receipt::TagStatus;
use crate::reporter::{Event, Reporter};
use crate::rollback::{Moves, fetch};
use crate::target::Target;

/// What all tags of a run are set with.
pub(crate) struct Tagging<'s, 't, 'a> {
    pub(crate) known: &'s KnownBlobs,
    pub(crate) reporter: &'s Arc<dyn Reporter>,
    /// Where to note what is moved, so that it can be put back.
    pub(crate) moves: &'s Moves<'t, 'a>,
}

/// What was planned is older than this when a tag's turn comes: somebody may have moved it.
const OLD: Duration = Duration::from_secs(60);

/// Sets the tags of `target`, whose image is there but for its root manifest where `root_is_due`.
pub(crate) async fn set_tags<'t, 'a>(
    tagging: &Tagging<'_, 't, 'a>,
    target: &'t Target<'a>,
    plan: &Plan,
    root_is_due: bool,
) -> Result<(), Failure> {
    let mut tried = vec![None; plan.tags.len()];
    if target.job.tags_at_once {
        tried = set_at_once(tagging, target, plan, root_is_due).await?;
    }
    if root_is_due && !target.has_put_root() {
        put_root(target, tagging.reporter).await?;
    }
    for (place, (step, tried)) in plan.tags.iter().zip(tried).enumerate() {
        if matches!(tried, Some(Tried { is_set: true, .. })) {
            continue;
        }
        if step.action != TagAction::Leave {
            note_under_way(target, place);
        }
        match set_tag(tagging, target, place, step, tried).await {
            Ok(done) => note_done(tagging, target, place, &done),
            Err(failure) => {
                let (tag, before, status) = (&step.tag, step.before.as_ref(), TagStatus::Failed);
                target.note_tag(place, status, Some(failure.to_string()));
                let repository = target.client.repository();
                tagging.reporter.report(Event::Tag { repository, tag, status, before });
                return Err(failure);
            }
        }
    }
    target.note_complete();
    Ok(())
}

/// A tag that went in a request with others.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    /// What was to be done.
    pub(crate) step: TagStep,
    /// Whether the registry has said that it is set.
    pub(crate) is_set: bool,
}

/// Whoever is stopped while it is set cannot know.
pub(crate) fn note_under_way(target: &Target<'_>, place: usize) {
    let unknown = "it was being set when the push ended; it may name the image or not";
    target.note_tag(place, TagStatus::Failed, Some(unknown.to_owned()));
}

/// Notes and tells what was done with a tag.
pub(crate) fn note_done(
    tagging: &Tagging<'_, '_, '_>,
    target: &Target<'_>,
    place: usize,
    done: &TagStep,
) {
    let TagStep { tag, before, action } = done;
    let status = match action {
        TagAction::Create => TagStatus::Created,
        TagAction::Move => TagStatus::Moved,
        TagAction::Leave => TagStatus::Unchanged,
    };
    target.note_tag(place, status, None);
    target.note_tag_before(place, before.as_ref());
    let (repository, before) = (target.client.repository(), before.as_ref());
    tagging.reporter.report(Event::Tag { repository, tag, status, before });
}

/// Sets a tag as planned; gives what was done, which differs where somebody else was quicker.
async fn set_tag<'t, 'a>(
    tagging: &Tagging<'_, 't, 'a>,
    target: &'t Target<'a>,
    place: usize,
    step: &TagStep,
    tried: Option<Tried>,
) -> Result<TagStep, Failure> {
    let (looked, presence) = look_again(target, step).await?;
    let tag = &looked.tag;
    match tried {
        // What names the image now was set by the request that it went in with others.
        Some(Tried { step, .. }) if looked.action == TagAction::Leave => return Ok(step),
        _ if looked.action == TagAction::Leave => return Ok(looked),
        Some(_) => {}
        None => begin(tagging, target, place, presence.as_ref()).await?,
    }
    let mut repairs = 0;
    let set = loop {
        match put(target, tag).await {
            // It was trusted to be there since its root is, and it is not: mend that first.
            Err(failure) if is_about_missing_parts(&failure) && repairs < REPAIRS => {
                repair(target, tagging.known, tagging.reporter).await?;
                repairs += 1;
            }
            other => break other,
        }
    };
    match set {
        Ok(()) => {
            tagging.moves.is_set(target, place);
            Ok(looked)
        }
        // Immutable tags are refused even where they name the same image already: ECR,
        // <https://github.com/aws/containers-roadmap/issues/2380>.
        Err(failure)
            if failure.class() == FailureClass::Tag && names_the_image(target, tag).await =>
        {
            Ok(looked)
        }
        Err(failure) => Err(failure),
    }
}

/// Notes what a tag names, where that is to be put back if it comes to that.
pub(crate) async fn begin<'t, 'a>(
    tagging: &Tagging<'_, 't, 'a>,
    target: &'t Target<'a>,
    place: usize,
    presence: Option<&ManifestPresence>,
) -> Result<(), Failure> {
    if target.job.rollback {
        let before = fetch(target, presence.unwrap_or(&ManifestPresence::Unknown)).await?;
        tagging.moves.begin(target, place, before);
    }
    Ok(())
}

/// Where it matters what a tag names, or where what is known of that is old, it is asked again right
/// before it is set: the blobs may have taken their time. Between this and the PUT somebody may
/// still be quicker; no registry can be told to compare.
pub(crate) async fn look_again(
    target: &Target<'_>,
    step: &TagStep,
) -> Result<(TagStep, Option<ManifestPresence>), Failure> {
    let (policy, expectations) = target.policy();
    let expected = expectations.get(&step.tag);
    let matters = policy == TagPolicy::Create || expected.is_some();
    let wanted = matters || target.job.rollback;
    if !must_look(step.action, wanted, target.age()) {
        return Ok((step.clone(), None));
    }
    let presence = target.client.head_manifest(&Reference::Tag(step.tag.clone())).await?;
    if presence == ManifestPresence::Unknown && !matters {
        return Ok((step.clone(), Some(presence)));
    }
    let root = target.graph().root().raw.digest();
    let step = plan_tag(&step.tag, &presence, root, policy, expected)
        .map_err(|refuse| Failure::Refused(vec![refuse(target.client.repository())]))?;
    Ok((step, Some(presence)))
}

/// Whether a tag is asked for again before it is set. `wanted`: something depends on the answer.
fn must_look(action: TagAction, wanted: bool, age: Duration) -> bool {
    action != TagAction::Leave && (wanted || age >= OLD)
}

async fn put(target: &Target<'_>, tag: &Tag) -> Result<(), Failure> {
    let manifest = &target.graph().root().raw;
    match target.client.put_manifest(&Reference::Tag(tag.clone()), manifest).await {
        Ok(_) => Ok(()),
        Err(error) => {
            let repository = target.client.repository().clone();
            Err(Failure::Tag { tag: tag.clone(), repository, error })
        }
    }
}

async fn names_the_image(target: &Target<'_>, tag: &Tag) -> bool {
    let found = target.client.head_manifest(&Reference::Tag(tag.clone())).await;
    matches!(found, Ok(ManifestPresence::Present(found)) if found == *target.graph().root().raw.digest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_asked_for_again_where_it_matters_or_after_a_while() {
        #[track_caller]
        fn check(action: TagAction, wanted: bool, seconds: u64, expected: bool) {
            assert_eq!(must_look(action, wanted, Duration::from_secs(seconds)), expected);
        }
        check(TagAction::Move, false, 0, false);
        check(TagAction::Move, false, 59, false);
        check(TagAction::Move, false, 60, true);
        check(TagAction::Create, false, 600, true);
        check(TagAction::Create, true, 0, true);
        check(TagAction::Leave, true, 600, false);
    }
}
