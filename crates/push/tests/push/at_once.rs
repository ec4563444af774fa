//! Root and tags in one request, with registries that can do it, half can, and cannot.

use windlass_push::TagStatus::{Created, Failed, Restored, Skipped, Unchanged};
use windlass_push::{FailureClass, Finished, Job, TagPolicy};
use windlass_testkit::{
    Call, Image, ImageBuilder, Modes, RealOptions, RealRegistry, TestOptions, TestRegistry, on,
};

use crate::harness::*;

fn image() -> Image {
    ImageBuilder::new(1).layers(2, 1000).build()
}

fn registry(tags_at_once: usize) -> TestRegistry {
    let modes = Modes { tags_at_once, ..Modes::default() };
    TestRegistry::start(TestOptions { modes, refuses_incomplete: true, ..TestOptions::default() })
}

async fn at_once(host: &str, tags: &[&str]) -> Finished {
    let how = How::default();
    let job = how.job(&image(), &[format!("{host}/app")], tags).await;
    in_time(how.pusher(host).push(Job { tags_at_once: true, ..job })).await
}

fn puts(registry: &TestRegistry) -> (usize, usize) {
    (registry.calls(Call::ManifestPut).len(), registry.calls(Call::TagPut).len())
}

const TAGS: [&str; 3] = ["v1", "v1.2", "latest"];

#[tokio::test]
async fn root_and_tags_go_in_one_request() {
    let registry = registry(usize::MAX);
    let finished = at_once(&registry.host(), &TAGS).await;
    assert_pushed(&finished, &registry, &image(), &TAGS);
    assert_eq!(tags(&finished), [Created; 3]);
    assert_eq!(puts(&registry), (1, 0));
    assert_eq!(receipt(&finished).manifests.uploaded, 1);
    // A second run asks, and sets nothing.
    let again = at_once(&registry.host(), &TAGS).await;
    assert_eq!(tags(&again), [Unchanged; 3]);
    assert_eq!(puts(&registry), (1, 0));
}

#[tokio::test]
async fn f47_what_the_answer_leaves_out_goes_one_by_one() {
    for (most, expected) in [(0, (1, 3)), (1, (1, 2)), (2, (1, 1))] {
        let registry = registry(most);
        let finished = at_once(&registry.host(), &TAGS).await;
        assert_pushed(&finished, &registry, &image(), &TAGS);
        assert_eq!(tags(&finished), [Created; 3]);
        assert_eq!(puts(&registry), expected, "{most}");
        let set: Vec<_> = registry.tags_set().into_iter().map(|set| set.tag).collect();
        assert_eq!(set, TAGS);
    }
}

#[tokio::test]
async fn f47_a_registry_that_refuses_the_question_gets_the_root_and_then_the_tags() {
    for status in [400, 404, 414] {
        let registry = registry(usize::MAX);
        let asked = |head: &windlass_testkit::Head| head.path.contains("tag=");
        let refused = registry.fault(on(Call::ManifestPut).matching(asked).answer(status));
        let finished = at_once(&registry.host(), &TAGS).await;
        assert_pushed(&finished, &registry, &image(), &TAGS);
        assert_eq!((refused.fired(), puts(&registry)), (1, (2, 3)), "{status}");
    }
}

#[tokio::test]
async fn many_tags_go_in_requests_of_ten() {
    let registry = registry(usize::MAX);
    let many: Vec<_> = (0..23).map(|number| format!("v{number}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let finished = at_once(&registry.host(), &many).await;
    assert_pushed(&finished, &registry, &image(), &many);
    assert_eq!(puts(&registry), (3, 0));
}

#[tokio::test]
async fn a_lost_answer_sets_no_tag_for_nothing() {
    let registry = registry(usize::MAX);
    registry.fault(on(Call::ManifestPut).once().lose_reply());
    let finished = at_once(&registry.host(), &TAGS).await;
    assert_pushed(&finished, &registry, &image(), &TAGS);
    assert_eq!(tags(&finished), [Created; 3]);
}

#[tokio::test]
async fn several_repositories_hold_the_root_before_any_tag_is_set() {
    let registry = registry(usize::MAX);
    let (how, host) = (How::default(), registry.host());
    let to = [format!("{host}/app"), format!("{host}/other")];
    registry.fault(on(Call::ManifestPut).repository("other").refuse(400, "MANIFEST_INVALID", "no"));
    let job = how.job(&image(), &to, &TAGS).await;
    let finished = in_time(how.pusher(&host).push(Job { tags_at_once: true, ..job })).await;
    assert_failed(&finished, FailureClass::Rejected, "no");
    assert!(registry.tags_set().is_empty());
}

#[tokio::test]
async fn a_tag_that_may_not_move_stops_those_after_it() {
    let registry = registry(usize::MAX);
    registry.seed("app", &ImageBuilder::new(9).build(), Some("v1.2"));
    // When it was asked first, it was not there.
    registry.fault(on(Call::ManifestHead).tag("v1.2").once().answer(404));
    let how = How { tag_policy: TagPolicy::Create, ..How::default() };
    let host = registry.host();
    let job = how.job(&image(), &[format!("{host}/app")], &TAGS).await;
    let job = Job { tags_at_once: true, rollback: true, ..job };
    let finished = in_time(how.pusher(&host).push(job)).await;
    assert_failed(&finished, FailureClass::Tag, "may not be moved");
    assert_eq!(tags(&finished), [Restored, Failed, Skipped]);
    assert_eq!(registry.tag("app", "v1"), None);
}

#[tokio::test]
async fn what_went_at_once_is_put_back_too() {
    let registry = registry(2);
    let old = ImageBuilder::new(9).build();
    registry.seed("app", &old, Some("v1"));
    registry.fault(on(Call::TagPut).tag("latest").refuse(400, "TAG_INVALID", "immutable"));
    let (how, host) = (How::default(), registry.host());
    let job = how.job(&image(), &[format!("{host}/app")], &TAGS).await;
    let job = Job { tags_at_once: true, rollback: true, ..job };
    let finished = in_time(how.pusher(&host).push(job)).await;
    assert_failed(&finished, FailureClass::Tag, "immutable");
    assert_eq!(tags(&finished), [Restored, Restored, Failed]);
    assert_eq!(registry.tag("app", "v1").as_ref(), Some(old.digest()));
}

#[tokio::test]
async fn docker_registry_does_not_know_of_it_and_has_all_tags_in_the_end() {
    let Some(registry) = RealRegistry::start(&RealOptions::default()) else { return };
    let finished = at_once(&registry.host(), &TAGS).await;
    assert!(finished.failure.is_none());
    assert_eq!(tags(&finished), [Created; 3]);
}
