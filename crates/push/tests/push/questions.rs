//! Registries that take everything and answer few questions.

use windlass_push::FailureClass;
use windlass_testkit::{Call, ImageBuilder, TestRegistry, on, on_any};

use crate::harness::*;

#[tokio::test]
async fn who_never_answers_questions_is_pushed_to_after_a_lost_answer() {
    let image = ImageBuilder::new(91).layers(1, 50_000).build();
    let questions = [Call::BlobHead, Call::ManifestHead, Call::UploadGet];
    for lost in [Call::UploadPatch, Call::UploadPut, Call::ManifestPut, Call::TagPut] {
        let registry = TestRegistry::plain();
        registry.fault(on_any(&questions).refuse(403, "DENIED", "no questions"));
        let lost = registry.fault(on(lost).once().lose_reply());
        let how = How { chunk_size: Some(20_000), ..How::default() };
        let finished = how.push(&registry.host(), &image, &["v1"]).await;
        assert_pushed(&finished, &registry, &image, &["v1"]);
        assert_eq!(lost.fired(), 1);
    }
}

#[tokio::test]
async fn a_login_that_ends_between_a_body_and_the_question_about_it_is_what_is_told() {
    let image = ImageBuilder::new(92).layers(1, 50_000).build();
    let registry = TestRegistry::plain();
    registry.fault(on(Call::UploadPut).skip(1).answer(503));
    registry.fault(on(Call::BlobHead).skip(2).refuse(401, "UNAUTHORIZED", "who are you"));
    let finished = push(&registry, &image, &["v1"]).await;
    assert_failed(&finished, FailureClass::Authentication, "cannot log in");
}

#[tokio::test]
async fn a_question_about_an_odd_success_is_asked_until_it_is_answered() {
    let image = ImageBuilder::new(93).layers(1, 1000).build();
    let registry = TestRegistry::plain();
    registry.fault(on(Call::TagPut).once().status(200));
    // One for each tag in the survey.
    let busy = registry.fault(on(Call::ManifestHead).tag("v1").skip(1).times(2).answer(503));
    let finished = push(&registry, &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(busy.fired(), 2);
}

#[tokio::test]
async fn an_odd_success_that_nobody_confirms_is_no_success() {
    let image = ImageBuilder::new(94).layers(1, 1000).build();
    let check = async |status: u16, words: &str| {
        let registry = TestRegistry::plain();
        registry.fault(on(Call::TagPut).once().status(200));
        registry.fault(on(Call::ManifestHead).tag("v1").skip(1).refuse(status, "X", "no"));
        let finished = push(&registry, &image, &["v1"]).await;
        assert_failed(&finished, FailureClass::Rejected, words);
    };
    check(403, "200 OK to a manifest and does not tell whether it is there").await;
    check(404, "200 OK to a manifest that is not there afterwards").await;
}
