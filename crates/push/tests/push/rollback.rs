//! Tags put back where they were when one of them fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use windlass_push::TagStatus::{Created, Failed, Moved, Restored, Skipped, Unchanged};
use windlass_push::{FailureClass, Finished, Interrupt, Job};
use windlass_testkit::{
    Call, Gate, Image, ImageBuilder, RealOptions, RealRegistry, TestRegistry, on,
};

use crate::harness::*;

fn image() -> Image {
    ImageBuilder::new(1).layers(2, 1000).build()
}

fn old() -> Image {
    ImageBuilder::new(9).layers(1, 100).build()
}

async fn job(how: &How, host: &str, image: &Image, tags: &[&str]) -> Job {
    let job = how.job(image, &[format!("{host}/app")], tags).await;
    Job { rollback: true, ..job }
}

async fn roll(how: &How, host: &str, tags: &[&str]) -> Finished {
    let job = job(how, host, &image(), tags).await;
    in_time(how.pusher(host).push(job)).await
}

/// Two tags name the old image, one names the new one; `new` does not exist.
fn registry() -> TestRegistry {
    let registry = TestRegistry::plain();
    registry.seed("app", &old(), Some("v1"));
    registry.seed("app", &old(), Some("latest"));
    registry.seed("app", &image(), Some("same"));
    registry
}

const TAGS: [&str; 5] = ["v1", "new", "same", "latest", "never"];

fn error(finished: &Finished, place: usize) -> &str {
    receipt(finished).tags[place].error.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn tags_that_were_moved_are_put_back_the_last_first() {
    let registry = registry();
    let refused = on(Call::TagPut).tag("latest");
    registry.fault(refused.refuse(400, "TAG_INVALID", "it is immutable"));
    let finished = roll(&How::default(), &registry.host(), &TAGS).await;
    assert_failed(&finished, FailureClass::Tag, "it is immutable");
    assert_eq!(tags(&finished), [Restored, Restored, Unchanged, Failed, Skipped]);
    assert_eq!(registry.tag("app", "v1").as_ref(), Some(old().digest()));
    assert_eq!(registry.tag("app", "new"), None);
    assert_eq!(registry.tag("app", "same").as_ref(), Some(image().digest()));
    // The image is there, by its digest; nothing was deleted but a name.
    assert!(registry.has_image("app", &image()));
    let deleted = registry.calls(Call::ManifestDelete);
    assert_eq!(deleted.len(), 1);
    assert!(deleted[0].path.ends_with("/manifests/new"));
    let set: Vec<_> = registry.tags_set().into_iter().map(|set| set.tag).collect();
    assert_eq!(set[set.len() - 3..], ["v1", "new", "v1"]);
    assert_eq!(error(&finished, 0), "");
    // What they named is told.
    assert_eq!(receipt(&finished).tags[0].before.as_ref(), Some(old().digest()));
}

#[tokio::test]
async fn without_it_nothing_is_put_back_and_nothing_is_fetched() {
    let registry = registry();
    registry.fault(on(Call::TagPut).tag("latest").refuse(400, "TAG_INVALID", "no"));
    let finished = push(&registry, &image(), &TAGS).await;
    assert_eq!(tags(&finished), [Moved, Created, Unchanged, Failed, Skipped]);
    assert!(registry.calls(Call::ManifestGet).is_empty());
}

#[tokio::test]
async fn a_tag_whose_answer_was_lost_is_put_back_where_it_was_set() {
    let registry = registry();
    let how = How { retry_for: Duration::from_millis(600), ..How::default() };
    // It is set, nobody hears of it, and until the tag is given up nobody can ask.
    let given_up = Arc::new(AtomicBool::new(false));
    let away = || {
        let given_up = Arc::clone(&given_up);
        move |_: &windlass_testkit::Head| !given_up.load(Ordering::SeqCst)
    };
    registry.fault(on(Call::TagPut).tag("latest").once().lose_reply());
    registry.fault(on(Call::TagPut).tag("latest").matching(away()).answer(503));
    registry.fault(on(Call::ManifestHead).tag("latest").skip(2).matching(away()).answer(503));
    let job = job(&how, &registry.host(), &image(), &TAGS).await;
    let reporter = Arc::new(WhenFailed(given_up));
    let pusher = how.pusher(&registry.host());
    let finished = in_time(pusher.push_all(&[job], reporter, std::future::pending())).await;
    assert_failed(&finished, FailureClass::Unreachable, "503");
    assert_eq!(tags(&finished), [Restored, Restored, Unchanged, Failed, Skipped]);
    assert!(error(&finished, 3).ends_with("and was put back"), "{}", error(&finished, 3));
    for tag in ["v1", "latest"] {
        assert_eq!(registry.tag("app", tag).as_ref(), Some(old().digest()), "{tag}");
    }
}

/// Is told when a tag has failed.
struct WhenFailed(Arc<AtomicBool>);

impl windlass_push::Reporter for WhenFailed {
    fn report(&self, event: windlass_push::Event<'_>) {
        if let windlass_push::Event::Tag { status: Failed, .. } = event {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_put_back_is_told() {
    let registry = registry();
    registry.fault(on(Call::TagPut).tag("latest").refuse(403, "DENIED", "not yours"));
    registry.fault(on(Call::ManifestDelete).refuse(405, "UNSUPPORTED", "nothing is deleted here"));
    registry.fault(on(Call::ManifestGet).digest(old().digest()).answer(404));
    let finished = roll(&How::default(), &registry.host(), &TAGS).await;
    assert_failed(&finished, FailureClass::Tag, "not yours");
    assert_eq!(tags(&finished), [Moved, Created, Unchanged, Failed, Skipped]);
    assert!(error(&finished, 0).contains("is not there"), "{}", error(&finished, 0));
    assert!(error(&finished, 1).contains("nothing is deleted here"), "{}", error(&finished, 1));
}

#[tokio::test]
async fn a_tag_that_somebody_else_has_moved_on_is_left_there() {
    let registry = registry();
    let theirs = ImageBuilder::new(33).build();
    registry.fault(on(Call::TagPut).tag("latest").refuse(400, "TAG_INVALID", "no"));
    // Before it is asked for again.
    let other = theirs.digest().clone();
    registry.fault(
        on(Call::ManifestHead)
            .tag("v1")
            .skip(2)
            .with_header("docker-content-digest", other.as_str()),
    );
    let finished = roll(&How::default(), &registry.host(), &TAGS).await;
    assert_eq!(tags(&finished)[..2], [Moved, Restored]);
    assert!(error(&finished, 0).contains("somebody else"), "{}", error(&finished, 0));
    assert_eq!(registry.tag("app", "v1").as_ref(), Some(image().digest()));
}

#[tokio::test]
async fn an_interrupt_puts_back_too() {
    let registry = registry();
    let gate = Gate::new();
    let held = registry.fault(on(Call::TagPut).tag("latest").hold_before(&gate));
    let how = How::default();
    let job = job(&how, &registry.host(), &image(), &TAGS).await;
    let stop = async {
        while held.fired() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Interrupt::Terminate
    };
    let pusher = how.pusher(&registry.host());
    let reporter = Arc::new(windlass_push::Silent);
    let finished = in_time(pusher.push_all(&[job], reporter, stop)).await;
    assert_failed(&finished, FailureClass::Terminated, "terminated");
    assert_eq!(tags(&finished), [Restored, Restored, Unchanged, Failed, Skipped]);
    assert_eq!(registry.tag("app", "v1").as_ref(), Some(old().digest()));
    assert_eq!(registry.tag("app", "new"), None);
}

#[tokio::test]
async fn all_repositories_of_a_run_are_put_back() {
    let registry = registry();
    registry.seed("other", &old(), Some("v1"));
    let refused = on(Call::TagPut).repository("other").tag("v2");
    registry.fault(refused.refuse(400, "TAG_INVALID", "no"));
    let (how, host) = (How::default(), registry.host());
    let to = [format!("{host}/app"), format!("{host}/other")];
    let job = how.job(&image(), &to, &["v1", "v2"]).await;
    let finished = in_time(how.pusher(&host).push(Job { rollback: true, ..job })).await;
    assert_failed(&finished, FailureClass::Tag, "no");
    for repository in ["app", "other"] {
        assert_eq!(registry.tag(repository, "v1").as_ref(), Some(old().digest()));
        assert_eq!(registry.tag(repository, "v2"), None);
    }
    let restored = |place: usize| {
        let tags = &finished.receipts[0].repositories[place].tags;
        tags.iter().map(|tag| tag.status).collect::<Vec<_>>()
    };
    assert_eq!((restored(0), restored(1)), (vec![Restored, Restored], vec![Restored, Failed]));
}

#[tokio::test]
async fn with_docker_registry_what_was_moved_is_put_back() {
    let Some(registry) = RealRegistry::start(&RealOptions::default()) else { return };
    let (how, host) = (How::default(), registry.host());
    how.push(&host, &old(), &["v1"]).await;
    let mut job = job(&how, &host, &image(), &["v1", "new", "old"]).await;
    // Somebody has set it, so it may not be created.
    how.push(&host, &old(), &["old"]).await;
    job.expected_tags.insert("old".parse().unwrap(), Some(old().digest().clone()));
    let pusher = how.pusher(&host);
    let client = pusher.client(&host.parse().unwrap());
    let client = client.repository(format!("{host}/app").parse().unwrap());
    // Moved away between the plan and its turn.
    let reporter = Arc::new(MoveAway { host: host.clone() });
    let finished = in_time(pusher.push_all(&[job], reporter, std::future::pending())).await;
    assert_failed(&finished, FailureClass::Tag, "expected was");
    let reference = windlass_oci::Reference::Tag("v1".parse().unwrap());
    let found = client.get_manifest(&reference).await.unwrap().unwrap();
    assert_eq!(found.digest(), old().digest());
    assert_eq!(tags(&finished)[0], Restored);
    // Version 2.8 deletes no tag by its name, and says so.
    let told = error(&finished, 1);
    assert!(tags(&finished)[1] == Restored || told.contains("could not be put back"), "{told}");
}

/// Moves a tag when another is set.
struct MoveAway {
    host: String,
}

impl windlass_push::Reporter for MoveAway {
    fn report(&self, event: windlass_push::Event<'_>) {
        if let windlass_push::Event::Tag { tag, status: Created, .. } = event
            && tag.as_str() == "new"
        {
            let address = self.host.parse().unwrap();
            let mut client = windlass_testkit::Client::new(address);
            client.push("app", &ImageBuilder::new(44).build(), "old");
        }
    }
}
