//! What a repository already has: asked in one burst, before the first byte leaves.
//!
//! In this order: root, tags, child manifests, blobs, as many as go at once. What is left is asked by
//! what was heard: nothing when the root is there, and of an index no blob that only manifests need
//! which are there: a registry takes a manifest only with all that it names. Nor is it asked for what
//! is sent sooner where all that was asked for is new.
//!
//! Of an image that is known to have been complete there, root and tags are asked alone; where
//! nothing is left to be done by their answers, that is all. A tag is never set upon memory: where
//! one is to be set, everything is asked as if nothing were known.

use std::collections::{HashMap, HashSet};

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use windlass_image::{BlobNode, Graph};
use windlass_oci::{Digest, Reference, Tag};
use windlass_registry_client::{Error, ManifestPresence, Presence, RepositoryClient};

use crate::plan::trusted_manifests;

/// What a registry has, as far as it was asked and told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// Whether the root is there, and so all of the image.
    pub(crate) image_is_there: bool,
    /// Manifests that were asked for.
    pub(crate) manifests: HashMap<Digest, Presence>,
    /// Blobs that were asked for.
    pub(crate) blobs: HashMap<Digest, Presence>,
    /// Whether nothing vouched for anything else: a manifest may be there without its parts.
    pub(crate) thorough: bool,
    /// What the tags name, in the order asked.
    pub(crate) tags: Vec<ManifestPresence>,
}

impl Survey {
    /// Whether the root is there although the registry says that something below it is not.
    pub(crate) fn contradicts_itself(&self) -> bool {
        let is_absent = |presence: &Presence| *presence == Presence::Absent;
        self.image_is_there
            && (self.blobs.values().any(is_absent) || self.manifests.values().any(is_absent))
    }

    /// Whether the image is there under all tags that were asked for.
    fn needs_nothing(&self, root: &Digest) -> bool {
        let names_it = |tag: &ManifestPresence| matches!(tag, ManifestPresence::Present(found) if found == root);
        self.image_is_there && self.tags.iter().all(names_it)
    }

    /// The blobs that the registry says are not there.
    pub(crate) fn absent_blobs(&self) -> impl Iterator<Item = &Digest> {
        self.blobs.iter().filter(|(_, it)| **it == Presence::Absent).map(|(digest, _)| digest)
    }

    /// The blobs that the registry says are there.
    pub(crate) fn present_blobs(&self) -> impl Iterator<Item = &Digest> {
        self.blobs.iter().filter(|(_, it)| **it == Presence::Present).map(|(digest, _)| digest)
    }
}

/// How thoroughly to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// Root and tags alone.
    Root,
    /// A manifest that is there vouches for what it names.
    Trusting,
    /// Everything is asked for: a manifest is there whose parts are not.
    Everything,
}

/// How many questions are asked before anything is known; those of tags, which are asked in any case,
/// may be more.
const BURST: usize = 16;
/// How many questions are under way; as many connections are opened at once.
const AT_ONCE: usize = 24;
/// Where so many blobs were asked for and none is there, the others are hardly there either, ...
const EVIDENCE: usize = 8;
/// ... and up to so many bytes are sent sooner than asked for and then sent. What is there all the same
/// is then sent in vain, which harms nobody.
const CHEAP: u64 = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question<'a> {
    Tag(usize),
    Manifest(&'a Digest),
    Blob(&'a Digest),
}

enum Told<'a> {
    Tag(usize, ManifestPresence),
    Manifest(&'a Digest, Presence),
    Blob(&'a Digest, Presence),
}

/// Asks `client` for `tags` and all of `graph`, and looks closer where what it hears does not fit.
/// `is_known`: all of it was there before.
pub(crate) async fn survey(
    client: &RepositoryClient,
    graph: &Graph,
    tags: &[Tag],
    is_known: bool,
) -> Result<Survey, Error> {
    if is_known {
        let found = ask(client, graph, tags, Depth::Root).await?;
        if found.needs_nothing(graph.root().raw.digest()) {
            return Ok(found);
        }
    }
    let found = ask(client, graph, tags, Depth::Trusting).await?;
    if found.contradicts_itself() {
        return ask(client, graph, tags, Depth::Everything).await;
    }
    Ok(found)
}

/// Asks `client` for `tags` and all of `graph`, whatever vouches for it.
pub(crate) async fn survey_all(
    client: &RepositoryClient,
    graph: &Graph,
    tags: &[Tag],
) -> Result<Survey, Error> {
    ask(client, graph, tags, Depth::Everything).await
}

async fn ask(
    client: &RepositoryClient,
    graph: &Graph,
    tags: &[Tag],
    depth: Depth,
) -> Result<Survey, Error> {
    let mut survey = Survey {
        thorough: depth == Depth::Everything,
        tags: vec![ManifestPresence::Unknown; tags.len()],
        ..Survey::default()
    };
    hear(client, first_questions(graph, tags.len(), depth), tags, &mut survey).await?;
    let root = survey.manifests.get(graph.root().raw.digest());
    survey.image_is_there = root == Some(&Presence::Present) && depth != Depth::Everything;
    let further = further_questions(graph, &survey, depth);
    hear(client, further, tags, &mut survey).await?;
    Ok(survey)
}

/// What is asked before anything is known.
fn first_questions(graph: &Graph, tags: usize, depth: Depth) -> Vec<Question<'_>> {
    let mut questions = vec![Question::Manifest(graph.root().raw.digest())];
    questions.extend((0..tags).map(Question::Tag));
    if depth != Depth::Root {
        let room = BURST.saturating_sub(questions.len());
        questions.extend(below_root(graph).take(room));
    }
    questions
}

/// What is still worth asking by the answers to the first questions.
fn further_questions<'a>(graph: &'a Graph, survey: &Survey, depth: Depth) -> Vec<Question<'a>> {
    if depth == Depth::Root || survey.image_is_there {
        return Vec::new();
    }
    let was_asked = |question: &Question<'_>| match question {
        Question::Tag(_) => true,
        Question::Manifest(digest) => survey.manifests.contains_key(*digest),
        Question::Blob(digest) => survey.blobs.contains_key(*digest),
    };
    let left = below_root(graph).filter(|question| !was_asked(question));
    if depth == Depth::Everything {
        return left.collect();
    }
    let trusted = trusted_manifests(graph, survey);
    let in_doubt = graph.manifests().iter().filter(|it| !trusted.contains(&it.descriptor.digest));
    let in_doubt: HashSet<&Digest> = in_doubt
        .filter_map(|manifest| manifest.content.as_ref())
        .flat_map(|it| &it.blobs)
        .collect();
    let is_all_new = survey.blobs.len() >= EVIDENCE
        && survey.blobs.values().all(|presence| *presence == Presence::Absent);
    let is_cheap = |blob: &&BlobNode| blob.source.is_some() && blob.descriptor.size <= CHEAP;
    let sent_sooner = graph.blobs().iter().filter(|blob| is_all_new && is_cheap(blob));
    let sent_sooner: HashSet<_> = sent_sooner.map(|blob| &blob.descriptor.digest).collect();
    left.filter(|question| match question {
        Question::Blob(digest) => in_doubt.contains(digest) && !sent_sooner.contains(digest),
        _ => true,
    })
    .collect()
}

/// Manifests from the root down, then blobs.
fn below_root(graph: &Graph) -> impl Iterator<Item = Question<'_>> {
    let root = graph.root().raw.digest();
    let manifests = graph.manifests().iter().rev().map(|manifest| &manifest.descriptor.digest);
    let manifests = manifests.filter(move |digest| *digest != root).map(Question::Manifest);
    let blobs = graph.blobs().iter().map(|blob| Question::Blob(&blob.descriptor.digest));
    manifests.chain(blobs)
}

/// Asks `questions`, so many at once, and notes the answers.
async fn hear(
    client: &RepositoryClient,
    questions: Vec<Question<'_>>,
    tags: &[Tag],
    survey: &mut Survey,
) -> Result<(), Error> {
    let mut answers: Vec<BoxFuture<'_, _>> = Vec::with_capacity(questions.len());
    for question in questions {
        answers.push(answer_to(question, client, tags).boxed());
    }
    let mut answers = stream::iter(answers).buffer_unordered(AT_ONCE);
    while let Some(told) = answers.try_next().await? {
        match told {
            Told::Tag(index, presence) => survey.tags[index] = presence,
            Told::Manifest(digest, presence) => {
                survey.manifests.insert(digest.clone(), presence);
            }
            Told::Blob(digest, presence) => {
                survey.blobs.insert(digest.clone(), presence);
            }
        }
    }
    Ok(())
}

async fn answer_to<'a>(
    question: Question<'a>,
    client: &RepositoryClient,
    tags: &[Tag],
) -> Result<Told<'a>, Error> {
    Ok(match question {
        Question::Tag(index) => {
            let tag = Reference::Tag(tags[index].clone());
            Told::Tag(index, client.head_manifest(&tag).await?)
        }
        Question::Manifest(digest) => {
            Told::Manifest(digest, ask_for_manifest(client, digest).await?)
        }
        Question::Blob(digest) => Told::Blob(digest, client.head_blob(digest).await?),
    })
}

async fn ask_for_manifest(client: &RepositoryClient, digest: &Digest) -> Result<Presence, Error> {
    Ok(match client.head_manifest(&Reference::Digest(digest.clone())).await? {
        ManifestPresence::Present(_) => Presence::Present,
        ManifestPresence::Absent => Presence::Absent,
        ManifestPresence::Unknown => Presence::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use windlass_image::ManifestNode;

    use super::*;
    use crate::plan::tests::Built;

    /// What is asked in the second place of an image of which the first place told `manifests` and
    /// `blobs` by their places in the graph; each question as `m` or `b` with such a place.
    #[track_caller]
    fn check(
        graph: &Graph,
        depth: Depth,
        manifests: &[(usize, Presence)],
        blobs: &[(usize, Presence)],
        expected: &str,
    ) {
        let manifest_at = |place: usize| graph.manifests()[place].descriptor.digest.clone();
        let blob_at = |place: usize| graph.blobs()[place].descriptor.digest.clone();
        let survey = Survey {
            manifests: manifests.iter().map(|(place, it)| (manifest_at(*place), *it)).collect(),
            blobs: blobs.iter().map(|(place, it)| (blob_at(*place), *it)).collect(),
            image_is_there: manifests.contains(&(graph.manifests().len() - 1, Presence::Present)),
            ..Survey::default()
        };
        let name = |question: Question<'_>| match question {
            Question::Tag(index) => format!("t{index}"),
            Question::Manifest(digest) => {
                let is_it = |manifest: &ManifestNode| manifest.descriptor.digest == *digest;
                format!("m{}", graph.manifests().iter().position(is_it).unwrap())
            }
            Question::Blob(digest) => {
                let is_it = |blob: &BlobNode| blob.descriptor.digest == *digest;
                format!("b{}", graph.blobs().iter().position(is_it).unwrap())
            }
        };
        let asked = further_questions(graph, &survey, depth).into_iter().map(name);
        assert_eq!(asked.collect::<Vec<_>>().join(" "), expected);
    }

    const THERE: Presence = Presence::Present;
    const GONE: Presence = Presence::Absent;

    #[tokio::test]
    async fn what_is_asked_further_depends_on_what_was_heard() {
        // Blobs 0 and 1 are the first image's config and layer, 2 and 3 the second's.
        let index = Built::index(&[&["a"], &["b"]]).graph().await;
        let trusting = Depth::Trusting;
        check(&index, trusting, &[(2, THERE)], &[], "");
        check(&index, trusting, &[(2, GONE)], &[], "m1 m0 b0 b1 b2 b3");
        check(&index, trusting, &[(2, GONE), (0, GONE), (1, GONE)], &[(0, GONE)], "b1 b2 b3");
        // A manifest that is there vouches, unless a part of it is not.
        check(&index, trusting, &[(2, GONE), (0, THERE), (1, GONE)], &[(2, GONE)], "b3");
        check(&index, trusting, &[(2, GONE), (0, THERE), (1, THERE)], &[], "");
        check(&index, trusting, &[(2, GONE), (0, THERE), (1, THERE)], &[(0, GONE)], "b1");
        let unknown = [(2, Presence::Unknown), (0, Presence::Unknown), (1, GONE)];
        check(&index, trusting, &unknown, &[], "b0 b1 b2 b3");
        let present = [(2, GONE), (0, THERE), (1, THERE)];
        check(&index, Depth::Everything, &present, &[(0, THERE)], "b1 b2 b3");
        check(&index, Depth::Root, &[(2, GONE)], &[], "");
    }

    #[tokio::test]
    async fn small_blobs_are_sent_rather_than_asked_for_where_all_was_new() {
        let large = "l".repeat(usize::try_from(CHEAP).unwrap() + 1);
        let layers: Vec<String> = (0..EVIDENCE).map(|number| number.to_string()).collect();
        let mut layers: Vec<&str> = layers.iter().map(String::as_str).collect();
        layers.extend(["small", &large, "elsewhere"]);
        // The config is blob 0.
        let graph = Built::image(&layers).without("elsewhere").graph().await;
        let new: Vec<_> = (0..EVIDENCE).map(|place| (place, GONE)).collect();
        let root = [(0, GONE)];
        // 8 is small too, 9 the one called so, 10 is large, and of 11 there is nothing to send.
        check(&graph, Depth::Trusting, &root, &new, "b10 b11");
        check(&graph, Depth::Trusting, &root, &new[1..], "b0 b8 b9 b10 b11");
        let mut one_there = new.clone();
        one_there[3] = (3, THERE);
        check(&graph, Depth::Trusting, &root, &one_there, "b8 b9 b10 b11");
        check(&graph, Depth::Everything, &root, &new, "b8 b9 b10 b11");
    }
}
