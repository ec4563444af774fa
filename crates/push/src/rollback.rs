//! Puts the tags that this run has moved back where they were, the last first. Best effort: what
//! somebody else has moved on meanwhile is left there, and what cannot be put back is told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use windlass_oci::{Digest, RawManifest, Reference};
use windlass_registry_client::{Error, ManifestPresence};

use crate::failure::Failure;
use crate::receipt::TagStatus;
use crate::reporter::{Event, Reporter};
use crate::target::Target;

/// The tags that were moved or may have been, in their order. Kept up to date step by step: it is
/// read when everything else was dropped.
#[derive(Default)]
pub(crate) struct Moves<'t, 'a>(Mutex<Vec<Move<'t, 'a>>>);

struct Move<'t, 'a> {
    target: &'t Target<'a>,
    /// The tag's place.
    place: usize,
    before: Before,
    /// Whether the registry has said that it is set.
    is_set: bool,
}

/// What a tag named before it was moved.
#[derive(Debug)]
pub(crate) enum Before {
    /// Nothing: it did not exist.
    Nothing,
    /// This, whose bytes have the digest and are what their media type says.
    Manifest(RawManifest),
    /// Something that cannot be put back; why, in words.
    Lost(String),
}

/// What became of a tag that was to be put back.
enum Back {
    /// It is where it was.
    Restored,
    /// It was not moved after all.
    NeverMoved,
    /// Somebody else has changed it since; what it is now, in words.
    Others(String),
}

/// How long putting back may take, where the run's own patience is not shorter.
const LIMIT: Duration = Duration::from_secs(60);

impl<'t, 'a> Moves<'t, 'a> {
    /// A tag is about to be moved. To be called before the request goes out.
    pub(crate) fn begin(&self, target: &'t Target<'a>, place: usize, before: Before) {
        self.list().push(Move { target, place, before, is_set: false });
    }

    /// The registry says that a tag is set.
    pub(crate) fn is_set(&self, target: &Target<'_>, place: usize) {
        let mut list = self.list();
        let of = |it: &&mut Move<'_, '_>| std::ptr::eq(it.target.job, target.job);
        let mut found = list.iter_mut().filter(of).filter(|it| it.place == place);
        let repository = target.client.repository();
        if let Some(it) = found.find(|it| it.target.client.repository() == repository) {
            it.is_set = true;
        }
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Move<'t, 'a>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fetches what a tag names, so that it can be put back.
pub(crate) async fn fetch(
    target: &Target<'_>,
    presence: &ManifestPresence,
) -> Result<Before, Failure> {
    let digest = match presence {
        ManifestPresence::Absent => return Ok(Before::Nothing),
        ManifestPresence::Unknown => {
            return Ok(Before::Lost("the registry does not tell what it named".to_owned()));
        }
        ManifestPresence::Present(digest) => digest,
    };
    let lost = |why: &dyn std::fmt::Display| {
        Ok(Before::Lost(format!("what it named could not be fetched: {why}")))
    };
    // By digest, so the bytes that come are those that the tag named.
    match target.client.get_manifest(&Reference::Digest(digest.clone())).await {
        Ok(Some(manifest)) => match manifest.view() {
            Ok(_) => Ok(Before::Manifest(manifest)),
            Err(error) => lost(&error),
        },
        Ok(None) => lost(&format!("{digest} is not there")),
        Err(error) if error.status().is_some_and(|status| status.is_client_error()) => lost(&error),
        Err(error) => Err(Failure::Registry(error)),
    }
}

/// Puts back all that was moved, within `limit`.
pub(crate) async fn roll_back(
    moves: &Moves<'_, '_>,
    reporter: &Arc<dyn Reporter>,
    limit: Option<Duration>,
) {
    let mut moves = std::mem::take(&mut *moves.list());
    let patience = moves.iter().map(|it| it.target.client.client().retry_for()).max();
    let limit = limit.unwrap_or(LIMIT).min(patience.unwrap_or(LIMIT));
    let deadline = tokio::time::Instant::now() + limit;
    while let Some(it) = moves.pop() {
        let back = tokio::time::timeout_at(deadline, put_back(&it)).await;
        note(&it, back.unwrap_or_else(|_| Err("there was no time left".to_owned())), reporter);
    }
}

async fn put_back(it: &Move<'_, '_>) -> Result<Back, String> {
    let client = &it.target.client;
    let root = it.target.graph().root().raw.digest();
    let Some(tag) = it.target.tags().get(it.place) else { return Ok(Back::NeverMoved) };
    let reference = Reference::Tag(tag.clone());
    let words = |error: Error| error.to_string();
    match client.head_manifest(&reference).await.map_err(words)? {
        ManifestPresence::Present(found) if found == *root => {}
        ManifestPresence::Present(found) if it.is_set => {
            return Ok(Back::Others(format!("names {found}")));
        }
        ManifestPresence::Absent if it.is_set => {
            return Ok(Back::Others("does not exist any more".to_owned()));
        }
        ManifestPresence::Unknown if it.is_set => {}
        ManifestPresence::Unknown => {
            return Err("the registry does not tell what it names".to_owned());
        }
        _ => return Ok(Back::NeverMoved),
    }
    match &it.before {
        Before::Lost(why) => return Err(why.clone()),
        Before::Manifest(manifest) => {
            client.put_manifest(&reference, manifest).await.map_err(words)?;
        }
        Before::Nothing => {
            // By its name: by digest the image would go, and all other tags that name it.
            client.delete_tag(tag).await.map_err(words)?;
            let found = client.head_manifest(&reference).await.map_err(words)?;
            if found == ManifestPresence::Present(root.clone()) {
                return Err("the registry says that it is deleted, and it is there".to_owned());
            }
        }
    }
    Ok(Back::Restored)
}

fn note(it: &Move<'_, '_>, back: Result<Back, String>, reporter: &Arc<dyn Reporter>) {
    let (target, place) = (it.target, it.place);
    let (status, error) = target.tag_status(place);
    let also = |words: String| match &error {
        Some(error) => format!("{error}; {words}"),
        None => words,
    };
    let (status, error) = match back {
        Ok(Back::NeverMoved) => return,
        Ok(Back::Restored) if it.is_set => (TagStatus::Restored, None),
        Ok(Back::Restored) => {
            (status, Some(also("it was set all the same, and was put back".to_owned())))
        }
        Ok(Back::Others(now)) => {
            (status, Some(also(format!("was not put back: it {now}, as somebody else has set it"))))
        }
        Err(why) => (status, Some(also(format!("could not be put back: {why}")))),
    };
    target.note_tag(place, status, error);
    target.note_incomplete();
    if let Some(tag) = target.tags().get(place) {
        let before = match &it.before {
            Before::Manifest(manifest) => Some(manifest.digest()),
            Before::Nothing | Before::Lost(_) => None,
        };
        let repository = target.client.repository();
        reporter.report(Event::Tag {
            repository,
            tag,
            status,
            before: before.map(|it: &Digest| it),
        });
    }
}
