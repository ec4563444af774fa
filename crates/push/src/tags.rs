//! Sets the tags: strictly one after another, in the order given, the first failure ends it.

use std::sync::Arc;

use windlass_oci::{Reference, Tag};
use windlass_registry_client::{Error, ManifestPresence};

use crate::execute::{is_about_missing_parts, repair};
use crate::failure::Failure;
use crate::known::KnownBlobs;
use crate::plan::{Plan, TagAction};
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
        let set = match step.action {
            TagAction::Leave => Ok(TagStatus::Unchanged),
            TagAction::Create => {
                set_tag(target, known, reporter, &step.tag).await.map(|()| TagStatus::Created)
            }
            TagAction::Move => {
                set_tag(target, known, reporter, &step.tag).await.map(|()| TagStatus::Moved)
            }
        };
        let (tag, before) = (&step.tag, step.before.as_ref());
        match set {
            Ok(status) => {
                target.note_tag(place, status, None);
                reporter.report(Event::Tag { repository, tag, status, before });
            }
            Err(failure) => {
                let status = TagStatus::Failed;
                target.note_tag(place, status, Some(failure.to_string()));
                reporter.report(Event::Tag { repository, tag, status, before });
                return Err(failure);
            }
        }
    }
    Ok(())
}

async fn set_tag(
    target: &Target<'_>,
    known: &KnownBlobs,
    reporter: &Arc<dyn Reporter>,
    tag: &Tag,
) -> Result<(), Failure> {
    match put(target, tag).await {
        Ok(()) => Ok(()),
        // It was trusted to be there since its root is, and it is not: mend that first.
        Err(error) if is_about_missing_parts(&error) => {
            repair(target, known, reporter).await?;
            put(target, tag).await.map_err(|error| failure(target, tag, error))
        }
        // Immutable tags are refused even where they name the same image already: ECR,
        // <https://github.com/aws/containers-roadmap/issues/2380>.
        Err(error) if is_refusal(&error) && names_the_image(target, tag).await => Ok(()),
        Err(error) => Err(failure(target, tag, error)),
    }
}

async fn put(target: &Target<'_>, tag: &Tag) -> Result<(), Error> {
    let manifest = &target.graph().root().raw;
    target.client.put_manifest(&Reference::Tag(tag.clone()), manifest).await?;
    Ok(())
}

fn is_refusal(error: &Error) -> bool {
    error.status().is_some_and(|status| status.is_client_error() && status.as_u16() != 401)
}

async fn names_the_image(target: &Target<'_>, tag: &Tag) -> bool {
    let found = target.client.head_manifest(&Reference::Tag(tag.clone())).await;
    matches!(found, Ok(ManifestPresence::Present(found)) if found == *target.graph().root().raw.digest())
}

fn failure(target: &Target<'_>, tag: &Tag, error: Error) -> Failure {
    Failure::Tag { tag: tag.clone(), repository: target.client.repository().clone(), error }
}
