//! Sets the tags: strictly one after another, in the order given, the first failure ends it.

use std::sync::Arc;

use windlass_oci::{Reference, Tag};
use windlass_registry_client::ManifestPresence;

use crate::execute::{is_about_missing_parts, repair};
use crate::failure::{Failure, FailureClass};
use crate::known::KnownBlobs;
use crate::plan::{Plan, TagAction, TagPolicy, TagStep, plan_tag};
use crate::receipt::TagStatus;
use crate::reporter::{Event, Reporter};
use crate::target::Target;

/// Sets the tags of `target`, whose root manifest is there.
pub(crate) async fn set_tags(
    target: &Target<'_>,
    known: &KnownBlobs,
    reporter: &Arc<dyn Reporter>,
    plan: &Plan,
) -> Result<(), Failure> {
    let repository = target.client.repository();
    for (place, step) in plan.tags.iter().enumerate() {
        if step.action != TagAction::Leave {
            // Whoever is stopped while it is set cannot know.
            let unknown = "it was being set when the push ended; it may name the image or not";
            target.note_tag(place, TagStatus::Failed, Some(unknown.to_owned()));
        }
        let tag = &step.tag;
        match set_tag(target, known, reporter, step).await {
            Ok(TagStep { before, action, .. }) => {
                let status = match action {
                    TagAction::Create => TagStatus::Created,
                    TagAction::Move => TagStatus::Moved,
                    TagAction::Leave => TagStatus::Unchanged,
                };
                target.note_tag(place, status, None);
                target.note_tag_before(place, before.as_ref());
                reporter.report(Event::Tag { repository, tag, status, before: before.as_ref() });
            }
            Err(failure) => {
                let status = TagStatus::Failed;
                target.note_tag(place, status, Some(failure.to_string()));
                let before = step.before.as_ref();
                reporter.report(Event::Tag { repository, tag, status, before });
                return Err(failure);
            }
        }
    }
    target.note_complete();
    Ok(())
}

/// Sets a tag as planned; gives what was done, which differs where somebody else was quicker.
async fn set_tag(
    target: &Target<'_>,
    known: &KnownBlobs,
    reporter: &Arc<dyn Reporter>,
    step: &TagStep,
) -> Result<TagStep, Failure> {
    let step = look_again(target, step).await?;
    let tag = &step.tag;
    if step.action == TagAction::Leave {
        return Ok(step);
    }
    match put(target, tag).await {
        Ok(()) => Ok(step),
        // It was trusted to be there since its root is, and it is not: mend that first.
        Err(failure) if is_about_missing_parts(&failure) => {
            repair(target, known, reporter).await?;
            put(target, tag).await?;
            Ok(step)
        }
        // Immutable tags are refused even where they name the same image already: ECR,
        // <https://github.com/aws/containers-roadmap/issues/2380>.
        Err(failure)
            if failure.class() == FailureClass::Tag && names_the_image(target, tag).await =>
        {
            Ok(step)
        }
        Err(failure) => Err(failure),
    }
}

/// Where it matters what a tag names, it is asked again right before it is set: the blobs may have
/// taken their time. Between this and the PUT somebody may still be quicker; no registry can be
/// told to compare.
async fn look_again(target: &Target<'_>, step: &TagStep) -> Result<TagStep, Failure> {
    let (policy, expectations) = target.policy();
    let expected = expectations.get(&step.tag);
    if step.action == TagAction::Leave || (policy == TagPolicy::Move && expected.is_none()) {
        return Ok(step.clone());
    }
    let presence = target.client.head_manifest(&Reference::Tag(step.tag.clone())).await?;
    let root = target.graph().root().raw.digest();
    plan_tag(&step.tag, &presence, root, policy, expected)
        .map_err(|refuse| Failure::Refused(vec![refuse(target.client.repository())]))
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
