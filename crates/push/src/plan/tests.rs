//! Plans over small images, by table.

use std::collections::HashMap;

use windlass_image::GraphOptions;
use windlass_oci::{Descriptor, MediaType};
use windlass_source::{MemorySource, MemoryStore};

use super::*;

/// An image in memory: what is in its store, and the descriptor to point at it.
pub(crate) struct Built {
    contents: Vec<String>,
    root: Descriptor,
}

impl Built {
    /// An image with a config and one layer per text.
    pub(crate) fn image(layers: &[&str]) -> Built {
        let mut contents = Vec::new();
        let mut add = |media_type: MediaType, text: &str| {
            contents.push(text.to_owned());
            serde_json::to_string(&Descriptor::of(media_type, text.as_bytes())).unwrap()
        };
        let config = add(MediaType::OCI_CONFIG, &format!("config of {layers:?}"));
        let layers: Vec<String> =
            layers.iter().map(|layer| add(MediaType::OCI_LAYER, layer)).collect();
        let manifest = format!(r#"{{"config":{config},"layers":[{}]}}"#, layers.join(","));
        let root = Descriptor::of(MediaType::OCI_MANIFEST, manifest.as_bytes());
        contents.push(manifest);
        Built { contents, root }
    }

    /// An index over images.
    pub(crate) fn index(images: &[&[&str]]) -> Built {
        let mut contents = Vec::new();
        let mut children = Vec::new();
        for layers in images {
            let image = Built::image(layers);
            children.push(serde_json::to_string(&image.root).unwrap());
            contents.extend(image.contents);
        }
        let index = format!(r#"{{"manifests":[{}]}}"#, children.join(","));
        let root = Descriptor::of(MediaType::OCI_INDEX, index.as_bytes());
        contents.push(index);
        Built { contents, root }
    }

    /// Without the bytes of `text`.
    pub(crate) fn without(mut self, text: &str) -> Built {
        self.contents.retain(|content| content != text);
        self
    }

    pub(crate) async fn graph(self) -> Graph {
        let store: MemoryStore = self.contents.into_iter().map(MemorySource::new).collect();
        Graph::read(&self.root, &store, &GraphOptions::default()).await.unwrap()
    }
}

fn repository() -> Repository {
    "host.io/app".parse().unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// What a registry has: these blobs and manifests, nothing else.
fn survey(present: &[Digest], tags: &[ManifestPresence]) -> Survey {
    let there = |digest: &Digest| (digest.clone(), Presence::Present);
    Survey {
        blobs: present.iter().map(there).collect(),
        manifests: present.iter().map(there).collect(),
        tags: tags.to_vec(),
        ..Survey::default()
    }
}

fn nobody(_: &Digest) -> Option<RepositoryName> {
    None
}

/// Plans a push without tags and writes it down: blobs by their text's size, manifests by step.
#[track_caller]
fn check_content(graph: &Graph, found: &Survey, expected: &str) {
    let nothing = Expectations::new();
    let planned = plan(graph, &repository(), found, &nobody, &[], TagPolicy::Move, &nothing);
    let told = match planned {
        Ok(plan) => {
            let sizes: Vec<u64> =
                plan.blobs.iter().map(|&place| graph.blobs()[place].descriptor.size).collect();
            let steps: Vec<usize> = plan.manifests.iter().map(Vec::len).collect();
            assert_eq!(plan.blobs.len() as u64 + plan.summary.present, graph.blobs().len() as u64);
            format!("blobs {sizes:?} manifests {steps:?}")
        }
        Err(refusals) => refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    };
    assert_eq!(told, expected);
}

#[tokio::test]
async fn an_absent_image_is_sent_whole_the_largest_blob_first() {
    let graph = Built::image(&["1", "333", "22"]).graph().await;
    check_content(&graph, &survey(&[], &[]), "blobs [28, 3, 2, 1] manifests [1]");
}

#[tokio::test]
async fn what_is_there_is_not_sent() {
    let graph = Built::image(&["1", "333"]).graph().await;
    let present = [Digest::sha256(b"333")];
    check_content(&graph, &survey(&present, &[]), "blobs [22, 1] manifests [1]");
    let all = Survey { image_is_there: true, ..survey(&[], &[]) };
    let planned =
        plan(&graph, &repository(), &all, &nobody, &[], TagPolicy::Move, &Expectations::new());
    let planned = planned.unwrap();
    assert!(planned.blobs.is_empty() && planned.manifests.is_empty());
}

#[tokio::test]
async fn children_are_put_before_their_index_and_not_where_they_are_there() {
    let graph = Built::index(&[&["1"], &["22"]]).graph().await;
    check_content(&graph, &survey(&[], &[]), "blobs [16, 15, 2, 1] manifests [2, 1]");
    // One child is there, and so is what it names, whether or not that was asked for.
    let first = graph.manifests()[0].descriptor.digest.clone();
    check_content(&graph, &survey(&[first], &[]), "blobs [16, 2] manifests [1, 1]");
}

#[tokio::test]
async fn what_is_neither_here_nor_there_is_refused_and_all_of_it_told() {
    let built = Built::image(&["1", "22", "333"]).without("1").without("22");
    let graph = built.graph().await;
    let (one, two) = (Digest::sha256(b"1"), Digest::sha256(b"22"));
    let words =
        |digest: &Digest| format!("blob {digest} is neither in the image nor in host.io/app");
    check_content(&graph, &survey(&[], &[]), &format!("{}; {}", words(&one), words(&two)));
    check_content(&graph, &survey(&[one, two], &[]), "blobs [28, 3] manifests [1]");
}

#[tokio::test]
async fn a_missing_blob_may_come_from_beside() {
    let graph = Built::image(&["1"]).without("1").graph().await;
    let beside =
        |digest: &Digest| (*digest == Digest::sha256(b"1")).then(|| "other".parse().unwrap());
    let (found, nothing) = (survey(&[], &[]), Expectations::new());
    let planned =
        plan(&graph, &repository(), &found, &beside, &[], TagPolicy::Move, &nothing).unwrap();
    assert_eq!((planned.summary.mounts, planned.summary.uploads), (1, 1));
}

#[tokio::test]
async fn a_thorough_survey_trusts_no_manifest() {
    let graph = Built::index(&[&["1"], &["22"]]).graph().await;
    let first = graph.manifests()[0].descriptor.digest.clone();
    let found = Survey { thorough: true, ..survey(&[first], &[]) };
    check_content(&graph, &found, "blobs [16, 15, 2, 1] manifests [1, 1]");
}

#[tokio::test]
async fn tags_are_created_moved_left_or_refused() {
    use ManifestPresence::{Absent, Present, Unknown};
    let graph = Built::image(&["1"]).graph().await;
    let root = graph.root().raw.digest().clone();
    let other = Digest::sha256(b"other");
    let check = |presence: ManifestPresence,
                 policy: TagPolicy,
                 expected: Option<Option<Digest>>,
                 outcome: &str| {
        let found = Survey { image_is_there: true, ..survey(&[], &[presence]) };
        let expectations: HashMap<Tag, Option<Digest>> =
            expected.into_iter().map(|digest| (tag("v1"), digest)).collect();
        let tags = [tag("v1")];
        let planned = plan(&graph, &repository(), &found, &nobody, &tags, policy, &expectations);
        let told = match planned {
            Ok(plan) => format!("{:?}", plan.tags[0].action),
            Err(refusals) => refusals[0].to_string(),
        };
        assert!(told.contains(outcome), "{told:?} lacks {outcome:?}");
    };
    let there = |digest: &Digest| Present(digest.clone());
    check(Absent, TagPolicy::Move, None, "Create");
    check(there(&other), TagPolicy::Move, None, "Move");
    check(there(&root), TagPolicy::Move, None, "Leave");
    check(Unknown, TagPolicy::Move, None, "Create");
    check(Absent, TagPolicy::Create, None, "Create");
    check(there(&root), TagPolicy::Create, None, "Leave");
    check(there(&other), TagPolicy::Create, None, "may not be moved");
    check(Unknown, TagPolicy::Create, None, "does not tell");
    check(there(&other), TagPolicy::Move, Some(Some(other.clone())), "Move");
    check(there(&other), TagPolicy::Create, Some(Some(other.clone())), "Move");
    check(there(&other), TagPolicy::Move, Some(None), "expected was nothing");
    check(Absent, TagPolicy::Move, Some(None), "Create");
    check(Absent, TagPolicy::Move, Some(Some(other.clone())), "names nothing, expected was sha256");
    check(Unknown, TagPolicy::Move, Some(None), "does not tell");
    check(there(&root), TagPolicy::Move, Some(Some(other)), "Leave");
}

#[tokio::test]
async fn a_blob_that_is_not_here_is_taken_for_there_where_the_registry_will_not_tell() {
    let graph = Built::image(&["1", "333"]).without("1").graph().await;
    let mut found = survey(&[], &[]);
    found.blobs.insert(Digest::sha256(b"1"), Presence::Unknown);
    check_content(&graph, &found, "blobs [22, 3] manifests [1]");
}

#[tokio::test]
async fn a_child_that_is_there_is_trusted_unless_a_part_of_it_is_known_to_be_missing() {
    let graph = Built::index(&[&["1"], &["22"]]).graph().await;
    let child = graph.manifests()[0].descriptor.digest.clone();
    let mut found = survey(&[child], &[]);
    check_content(&graph, &found, "blobs [16, 2] manifests [1, 1]");
    found.blobs.insert(Digest::sha256(b"1"), Presence::Absent);
    check_content(&graph, &found, "blobs [16, 15, 2, 1] manifests [2, 1]");
}
