//! Root and tags in one request, where the registry takes them so (`?tag=`, distribution-spec,
//! §"Pushing Manifests"). What its answer leaves out of `OCI-Tag` is not set, and goes one by one.

use windlass_oci::Tag;
use windlass_registry_client::Class;

use crate::execute::{is_about_missing_parts, repair};
use crate::failure::Failure;
use crate::plan::{Plan, TagAction};
use crate::tags::{Tagging, Tried, begin, look_again, note_done, note_under_way};
use crate::target::Target;

/// So many tags in a request every registry should take that takes any.
const TAGS: usize = 10;

/// Sets tags of `target` by one request for ten of them, its root manifest with them. Gives what
/// was tried, by the tags' places: what is not set after it is to be set one by one.
pub(crate) async fn set_at_once<'t, 'a>(
    tagging: &Tagging<'_, 't, 'a>,
    target: &'t Target<'a>,
    plan: &Plan,
    root_is_due: bool,
) -> Result<Vec<Option<Tried>>, Failure> {
    let mut tried = vec![None; plan.tags.len()];
    let mut due = Vec::new();
    for (place, step) in plan.tags.iter().enumerate() {
        match look_again(target, step).await {
            Ok((step, _)) if step.action == TagAction::Leave => {}
            Ok((step, presence)) => due.push((place, step, presence)),
            // A refusal stops those after it, and no request can say that: one by one.
            Err(Failure::Refused(_)) => return Ok(tried),
            Err(failure) => return Err(failure),
        }
    }
    // One tag is one request either way.
    if due.len() + usize::from(root_is_due) < 2 {
        return Ok(tried);
    }
    for some in due.chunks(TAGS) {
        for (place, _, presence) in some {
            begin(tagging, target, *place, presence.as_ref()).await?;
            note_under_way(target, *place);
        }
        let tags: Vec<Tag> = some.iter().map(|(_, step, _)| step.tag.clone()).collect();
        let put = target.client.put_tagged(&target.graph().root().raw, &tags).await;
        let accepted = match put {
            Ok(put) => {
                target.note_root_put();
                put.tags
            }
            Err(error) if error.class() == Class::Unreachable => {
                let (tag, repository) = (tags[0].clone(), target.client.repository().clone());
                return Err(Failure::Tag { tag, repository, error });
            }
            Err(error) => {
                // It does not know of this, or refuses one of them: one by one tells. Where it
                // misses parts of the image they are brought first.
                if is_about_missing_parts(&Failure::Registry(error)) {
                    repair(target, tagging.known, tagging.reporter).await?;
                }
                Vec::new()
            }
        };
        for (place, step, _) in some {
            let is_set = accepted.contains(&step.tag);
            if is_set {
                tagging.moves.is_set(target, *place);
                note_done(tagging, target, *place, step);
            } else {
                target.note_tag_waits(*place);
            }
            tried[*place] = Some(Tried { step: step.clone(), is_set });
        }
        if accepted.is_empty() {
            break;
        }
    }
    Ok(tried)
}
