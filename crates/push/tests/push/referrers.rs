//! What refers to an image: there before the first tag, and listed whatever the registry can do.

use serde_json::{Value, json};
use windlass_oci::{Descriptor, Digest, MediaType, Reference};
use windlass_push::{FailureClass, Finished, ListedBy, ReferrerStatus, TagStatus};
use windlass_registry_client::fallback_tag;
use windlass_testkit::{
    Call, Image, ImageBuilder, IndexBuilder, RealOptions, RealRegistry, TestOptions, TestRegistry,
    on,
};

use crate::harness::*;

fn image() -> Image {
    ImageBuilder::new(1).layers(2, 1000).build()
}

fn about(subject: &Image, kind: &str) -> Image {
    let builder = ImageBuilder::new(7).empty_config().artifact_type(kind).annotation("by", "me");
    builder.layers(1, 500).subject(subject.root()).build()
}

/// A registry that has no API for referrers, and knows nothing of them.
fn without_api() -> TestRegistry {
    let registry = TestRegistry::plain();
    registry.fault(on(Call::Referrers).answer(404));
    registry.fault(on(Call::ManifestPut).without_header("oci-subject"));
    registry
}

async fn push_with(host: &str, image: &Image, referrers: &[&Image], tags: &[&str]) -> Finished {
    let how = How::default();
    let mut job = how.job(image, &[format!("{host}/app")], tags).await;
    for referrer in referrers {
        job.referrers.push(how.graph(referrer).await);
    }
    in_time(how.pusher(host).push(job)).await
}

/// What is listed under the fall-back tag of `subject`.
async fn list(host: &str, subject: &Digest) -> Vec<Value> {
    let client = How::default().pusher(host).client(&host.parse().unwrap());
    let client = client.repository(format!("{host}/app").parse().unwrap());
    let tag = fallback_tag(subject).parse().unwrap();
    let list = client.get_manifest(&Reference::Tag(tag)).await.unwrap().expect("no list");
    assert_eq!(*list.media_type(), MediaType::OCI_INDEX);
    let list: Value = serde_json::from_slice(list.bytes()).unwrap();
    list["manifests"].as_array().unwrap().clone()
}

fn digests(list: &[Value]) -> Vec<&str> {
    list.iter().map(|entry| entry["digest"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn referrers_come_after_their_subject_and_before_the_first_tag() {
    let registry =
        TestRegistry::start(TestOptions { refuses_incomplete: true, ..TestOptions::default() });
    let image = image();
    let signature = about(&image, "a/signature");
    let seal = about(&signature, "a/seal");
    // Whatever the order in which they are given.
    let finished = push_with(&registry.host(), &image, &[&seal, &signature], &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert!(registry.has_image("app", &signature) && registry.has_image("app", &seal));
    let log = registry.log();
    let put = |reference: &str| {
        let is_it = |path: &str| path.ends_with(&format!("/manifests/{reference}"));
        log.iter().position(|logged| logged.method == "PUT" && is_it(&logged.path)).unwrap()
    };
    let order =
        [image.digest().as_str(), signature.digest().as_str(), seal.digest().as_str(), "v1"];
    assert!(order.map(put).is_sorted(), "{:?}", order.map(put));
    let told = &receipt(&finished).referrers;
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|one| one.status == ReferrerStatus::Uploaded));
    assert!(told.iter().all(|one| one.listed_by == Some(ListedBy::Api)));
    assert_eq!(told[1].artifact_type.as_deref(), Some("a/signature"));
    assert_eq!(told[1].subject.as_ref(), Some(image.digest()));
    // What is told of the image is told of it alone.
    assert_eq!((receipt(&finished).blobs.total, receipt(&finished).manifests.total), (3, 1));
    assert_eq!(registry.tags_set().len(), 1);
}

#[tokio::test]
async fn no_tag_is_set_where_a_referrer_cannot_be_brought() {
    let registry = TestRegistry::plain();
    let image = image();
    let signature = about(&image, "a/signature");
    let refused = on(Call::ManifestPut).digest(signature.digest());
    registry.fault(refused.refuse(400, "MANIFEST_INVALID", "no artifacts here"));
    let finished = push_with(&registry.host(), &image, &[&signature], &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "no artifacts here");
    assert_eq!(tags(&finished), [TagStatus::Skipped]);
    assert_eq!(receipt(&finished).referrers[0].status, ReferrerStatus::Skipped);
    assert!(registry.tags_set().is_empty());
}

#[tokio::test]
async fn f40_where_there_is_no_api_the_fall_back_tag_is_added_to() {
    let registry = without_api();
    let image = image();
    let (one, two) = (about(&image, "a/one"), about(&image, "a/two"));
    let finished = push_with(&registry.host(), &image, &[&one, &two], &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    let listed = list(&registry.host(), image.digest()).await;
    assert_eq!(digests(&listed), [one.digest().as_str(), two.digest().as_str()]);
    assert_eq!(listed[0]["artifactType"], "a/one");
    assert_eq!(listed[0]["annotations"], json!({"by": "me"}));
    assert_eq!(receipt(&finished).referrers[0].listed_by, Some(ListedBy::Tag));
    // Both at once: one list, written once, before the tag.
    let set: Vec<_> = registry.tags_set().into_iter().map(|set| set.tag).collect();
    assert_eq!(set, [fallback_tag(image.digest()), "v1".to_owned()]);

    // A second run sets nothing, and one more is added to the two.
    let again = push_with(&registry.host(), &image, &[&one, &two], &["v1"]).await;
    assert_pushed(&again, &registry, &image, &["v1"]);
    assert_eq!(receipt(&again).referrers[0].status, ReferrerStatus::Present);
    assert_eq!(registry.tags_set().len(), 2);
    let three = about(&image, "a/three");
    push_with(&registry.host(), &image, &[&three], &["v1"]).await;
    assert_eq!(list(&registry.host(), image.digest()).await.len(), 3);
}

#[tokio::test]
async fn f40_an_entry_that_somebody_overwrites_is_added_again() {
    let registry = without_api();
    let image = image();
    let one = about(&image, "a/one");
    let reference = fallback_tag(image.digest());
    // Somebody else was quicker twice: the list that is read again has theirs alone.
    let theirs = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX,
        "manifests": [Descriptor::of(MediaType::OCI_MANIFEST, b"theirs")],
    });
    let bytes = theirs.to_string();
    let overwritten = registry.fault(
        on(Call::ManifestGet).tag(&reference).skip(1).times(2).garble(move |_, reply| {
            reply.body = bytes.clone().into();
            reply.headers.remove("docker-content-digest");
        }),
    );
    let finished = push_with(&registry.host(), &image, &[&one], &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(overwritten.fired(), 2);
    // What they wrote is kept: nothing that was read is left out of what is written.
    let listed = list(&registry.host(), image.digest()).await;
    let their = Digest::sha256(b"theirs");
    assert_eq!(digests(&listed), [their.as_str(), one.digest().as_str()]);
    // Their manifest is not there, which is theirs to mend.
    assert!(!registry.violations().is_empty());
}

#[tokio::test]
async fn f40_a_list_is_written_only_over_what_was_read_where_that_can_be_asked_for() {
    let image = image();
    let reference = fallback_tag(image.digest());
    let registry = without_api();
    let asks =
        |name: &'static str| move |head: &windlass_testkit::Head| head.headers.contains_key(name);
    let set = || on(Call::TagPut).tag(&reference);
    let created = registry.fault(set().matching(asks("if-none-match")).once().answer(412));
    push_with(&registry.host(), &image, &[&about(&image, "a/one")], &["v1"]).await;
    assert_eq!(created.fired(), 1);
    // Its ETags match nothing: after the first surprise they are not asked for.
    let changed = registry.fault(set().matching(asks("if-match")).answer(412));
    let two = about(&image, "a/two");
    let finished = push_with(&registry.host(), &image, &[&two], &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(changed.fired(), 1);
    assert_eq!(list(&registry.host(), image.digest()).await.len(), 2);
}

#[tokio::test]
async fn a_list_that_never_holds_is_given_up_on() {
    let registry = without_api();
    let image = image();
    let reference = fallback_tag(image.digest());
    registry.fault(on(Call::ManifestGet).tag(&reference).answer(404));
    let finished = push_with(&registry.host(), &image, &[&about(&image, "a/one")], &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "somebody else changes the list");
    let puts = registry.calls(Call::TagPut).len();
    assert!((2..=8).contains(&puts), "{puts}");
    assert_eq!(registry.tag("app", "v1"), None);
}

#[tokio::test]
async fn f40_what_is_no_list_is_left_alone() {
    let image = image();
    let reference = fallback_tag(image.digest());
    // GitLab gives the subject itself under this name.
    let registry = without_api();
    registry.seed("app", &image, Some(&reference));
    let finished = push_with(&registry.host(), &image, &[&about(&image, "a/one")], &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "takes this tag for the digest");
    let registry = without_api();
    let other = ImageBuilder::new(9).build();
    registry.seed("app", &other, Some(&reference));
    let finished = push_with(&registry.host(), &image, &[&about(&image, "a/one")], &["v1"]).await;
    assert_failed(&finished, FailureClass::Rejected, "not an image index");
    assert_eq!(registry.tag("app", &reference).as_ref(), Some(other.digest()));
    assert_eq!(registry.tag("app", "v1"), None);
}

#[tokio::test]
async fn a_refused_fall_back_tag_is_a_refused_tag() {
    let registry = without_api();
    let image = image();
    registry.fault(on(Call::TagPut).refuse(400, "TAG_INVALID", "immutable"));
    let finished = push_with(&registry.host(), &image, &[&about(&image, "a/one")], &["v1"]).await;
    assert_failed(&finished, FailureClass::Tag, "immutable");
}

#[tokio::test]
async fn what_stands_in_the_index_is_listed_before_the_index_is_there() {
    let part = image();
    let attestation = about(&part, "an/attestation");
    let index =
        IndexBuilder::new().child(Some("linux/amd64"), &part).child(None, &attestation).build();
    let registry = without_api();
    let finished = push(&registry, &index, &["v1"]).await;
    assert_pushed(&finished, &registry, &index, &["v1"]);
    let listed = list(&registry.host(), part.digest()).await;
    assert_eq!(digests(&listed), [attestation.digest().as_str()]);
    let log = registry.log();
    let puts = log.iter().filter(|logged| logged.method == "PUT");
    let manifests: Vec<_> = puts.filter(|logged| logged.path.contains("/manifests/")).collect();
    assert!(manifests[2].path.ends_with(&fallback_tag(part.digest())));
    assert!(manifests[3].path.ends_with(index.digest().as_str()));
    // Where that does not work the image is whole all the same.
    let registry = without_api();
    let reference = fallback_tag(part.digest());
    registry.fault(on(Call::TagPut).tag(&reference).refuse(400, "TAG_INVALID", "immutable"));
    let finished = push(&registry, &index, &["v1"]).await;
    assert_pushed(&finished, &registry, &index, &["v1"]);
    assert!(receipt(&finished).warnings[0].contains("immutable"));
}

#[tokio::test]
async fn what_was_not_listed_when_a_run_ended_is_listed_by_the_next() {
    let part = image();
    let attestation = about(&part, "an/attestation");
    let index =
        IndexBuilder::new().child(Some("linux/amd64"), &part).child(None, &attestation).build();
    let registry = without_api();
    let reference = fallback_tag(part.digest());
    let away = registry.fault(on(Call::ManifestGet).tag(&reference).answer(503));
    let how = How { retry_for: std::time::Duration::from_millis(300), ..How::default() };
    let finished = how.push(&registry.host(), &index, &["v1"]).await;
    assert_failed(&finished, FailureClass::Unreachable, "503");
    assert!(away.fired() > 0 && !registry.has_manifest("app", index.digest()));
    registry.heal();
    registry.fault(on(Call::Referrers).answer(200).body("<html>not found</html>"));
    registry.fault(on(Call::ManifestPut).without_header("oci-subject"));
    let finished = push(&registry, &index, &["v1"]).await;
    assert_pushed(&finished, &registry, &index, &["v1"]);
    assert_eq!(list(&registry.host(), part.digest()).await.len(), 1);
}

#[tokio::test]
async fn an_image_that_refers_to_something_is_listed_too() {
    let registry = without_api();
    let image = image();
    let signature = about(&image, "a/signature");
    let finished = push(&registry, &signature, &["v1"]).await;
    assert_pushed(&finished, &registry, &signature, &["v1"]);
    let listed = list(&registry.host(), image.digest()).await;
    assert_eq!(digests(&listed), [signature.digest().as_str()]);
}

#[tokio::test]
async fn two_pushes_at_once_both_stand_in_the_list() {
    // Conditions are not known there: it is the reading again that keeps both.
    let Some(registry) = RealRegistry::start(&RealOptions::default()) else { return };
    let host = registry.host();
    let image = image();
    push_with(&host, &image, &[], &["v1"]).await;
    let (one, two) = (about(&image, "a/one"), about(&image, "a/two"));
    let (one_of, two_of) = ([&one], [&two]);
    let pushes =
        (push_with(&host, &image, &one_of, &["v1"]), push_with(&host, &image, &two_of, &["v1"]));
    let (first, second) = tokio::join!(pushes.0, pushes.1);
    assert!(first.failure.is_none() && second.failure.is_none());
    let last = push_with(&host, &image, &[&one, &two], &["v1"]).await;
    assert!(last.failure.is_none());
    let listed = list(&host, image.digest()).await;
    assert_eq!(listed.len(), 2, "{listed:?}");
}
