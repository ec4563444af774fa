//! What a repository already has: asked in one burst, before the first byte leaves.
//!
//! In this order: root, tags, child manifests, blobs. When the root turns out to be there, what has
//! not been asked yet is not asked: a registry takes a manifest only with all that it names.
//!
//! Of an image that is known to have been complete there, root and tags are asked alone; where
//! nothing is left to be done by their answers, that is all. A tag is never set upon memory: where
//! one is to be set, everything is asked as if nothing were known.

use std::collections::HashMap;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, TryStreamExt};
use tokio::sync::{Semaphore, SetOnce};
use windlass_image::{Graph, ManifestNode};
use windlass_oci::{Digest, Reference, Tag};
use windlass_registry_client::{Error, ManifestPresence, Presence, RepositoryClient};

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

/// How many questions are under way; as many connections are opened at once.
const BURST: usize = 16;

enum Told {
    Root(Presence),
    Tag(usize, ManifestPresence),
    Manifest(Digest, Presence),
    Blob(Digest, Presence),
    Nothing,
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
    // One place for each question under way.
    let places = &Semaphore::new(BURST);
    // Whether the image is there. What does not fit into the first burst waits for it: the answer
    // comes with the others of the burst, and may save the rest.
    let settled = &SetOnce::new();
    let questions = FuturesUnordered::<BoxFuture<'_, Result<Told, Error>>>::new();
    let root = graph.root().raw.digest();
    questions.push(
        async move {
            let _place = places.acquire().await;
            let presence = ask_for_manifest(client, root).await?;
            // Nobody else sets it.
            drop(settled.set(presence == Presence::Present && depth != Depth::Everything));
            Ok(Told::Root(presence))
        }
        .boxed(),
    );
    for (index, tag) in tags.iter().enumerate() {
        questions.push(
            async move {
                let _place = places.acquire().await;
                Ok(Told::Tag(index, client.head_manifest(&Reference::Tag(tag.clone())).await?))
            }
            .boxed(),
        );
    }
    let below =
        |manifest: &&ManifestNode| depth != Depth::Root && manifest.descriptor.digest != *root;
    for manifest in graph.manifests().iter().rev().filter(below) {
        let (digest, in_burst) = (&manifest.descriptor.digest, questions.len() < BURST);
        questions.push(
            async move {
                let _place = places.acquire().await;
                if !in_burst && *settled.wait().await {
                    return Ok(Told::Nothing);
                }
                Ok(Told::Manifest(digest.clone(), ask_for_manifest(client, digest).await?))
            }
            .boxed(),
        );
    }
    for blob in graph.blobs().iter().filter(|_| depth != Depth::Root) {
        let (digest, in_burst) = (&blob.descriptor.digest, questions.len() < BURST);
        questions.push(
            async move {
                let _place = places.acquire().await;
                if !in_burst && *settled.wait().await {
                    return Ok(Told::Nothing);
                }
                Ok(Told::Blob(digest.clone(), client.head_blob(digest).await?))
            }
            .boxed(),
        );
    }
    let thorough = depth == Depth::Everything;
    let empty =
        Survey { thorough, tags: vec![ManifestPresence::Unknown; tags.len()], ..Survey::default() };
    questions
        .try_fold(empty, |mut survey, told| async move {
            match told {
                Told::Root(presence) => {
                    survey.image_is_there =
                        presence == Presence::Present && depth != Depth::Everything;
                    survey.manifests.insert(root.clone(), presence);
                }
                Told::Tag(index, presence) => survey.tags[index] = presence,
                Told::Manifest(digest, presence) => {
                    survey.manifests.insert(digest, presence);
                }
                Told::Blob(digest, presence) => {
                    survey.blobs.insert(digest, presence);
                }
                Told::Nothing => {}
            }
            Ok(survey)
        })
        .await
}

async fn ask_for_manifest(client: &RepositoryClient, digest: &Digest) -> Result<Presence, Error> {
    Ok(match client.head_manifest(&Reference::Digest(digest.clone())).await? {
        ManifestPresence::Present(_) => Presence::Present,
        ManifestPresence::Absent => Presence::Absent,
        ManifestPresence::Unknown => Presence::Unknown,
    })
}
