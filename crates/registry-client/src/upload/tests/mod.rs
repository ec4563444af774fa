//! Uploads by table: what came back, and what is done next.

mod old;

use super::*;

const WHOLE: UploadOptions =
    UploadOptions { chunk: None, stream_above: u64::MAX, whole_only: false };
const STREAM: UploadOptions = UploadOptions { stream_above: 0, ..WHOLE };

fn chunks(chunk: u64) -> UploadOptions {
    UploadOptions { chunk: Some(chunk), ..WHOLE }
}

fn opened(location: &str) -> Outcome {
    Outcome::Opened { location: location.to_owned(), least: None }
}

fn status(received: impl Into<Option<u64>>) -> Outcome {
    Outcome::Status { location: Some("/s".to_owned()), received: received.into() }
}

fn taken(received: impl Into<Option<u64>>) -> Outcome {
    Outcome::Taken { location: None, received: received.into() }
}

/// Runs an upload of `size` bytes through `outcomes` and writes down the steps, `~` before
/// those that wait.
#[track_caller]
fn check(size: u64, options: UploadOptions, outcomes: &[Outcome], expected: &str) {
    walk(Upload::new(size, options), outcomes, expected);
}

#[track_caller]
fn walk(mut upload: Upload, outcomes: &[Outcome], expected: &str) {
    let mut next = upload.start();
    let mut told = vec![tell(&next)];
    for outcome in outcomes {
        next = upload.next(&next.step, outcome.clone());
        told.push(tell(&next));
    }
    assert_eq!(told.join(" "), expected);
}

fn tell(next: &Next) -> String {
    let wait = if next.wait { "~" } else { "" };
    let step = match &next.step {
        Step::Open => "open".to_owned(),
        Step::Put { location, offset } => format!("put{location}@{offset}"),
        Step::Patch { location, offset, length, ranged } => {
            let ranged = if *ranged { "r" } else { "" };
            format!("patch{location}@{offset}+{length}{ranged}")
        }
        Step::Ask { location } => format!("ask{location}"),
        Step::Check => "check".to_owned(),
        Step::Done => "done".to_owned(),
        Step::GiveUp(why) => format!("{why:?}"),
    };
    format!("{wait}{step}")
}

#[test]
fn whole_in_two_requests() {
    check(10, WHOLE, &[opened("/a"), Outcome::Stored], "open put/a@0 done");
    check(0, STREAM, &[opened("/a"), Outcome::Stored], "open put/a@0 done");
}

#[test]
fn streamed_then_closed() {
    let outcomes = [opened("/a"), taken(10), Outcome::Stored];
    check(10, STREAM, &outcomes, "open patch/a@0+10 put/a@10 done");
}

#[test]
fn a_lost_reply_is_asked_after() {
    use Outcome::*;
    check(10, WHOLE, &[opened("/a"), Broken, Stored], "open put/a@0 ~check done");
    check(
        10,
        WHOLE,
        &[opened("/a"), Broken, Absent, status(4), Stored],
        "open put/a@0 ~check ask/a put/s@4 done",
    );
}

#[test]
fn a_broken_stream_goes_on_where_the_registry_has_it() {
    use Outcome::*;
    check(
        10,
        STREAM,
        &[opened("/a"), Broken, status(4), Broken, status(7), taken(10), Stored],
        "open patch/a@0+10 ~ask/a patch/s@4+6r ~ask/s patch/s@7+3r put/s@10 done",
    );
    check(10, STREAM, &[opened("/a"), Broken, status(10)], "open patch/a@0+10 ~ask/a put/s@10");
}

#[test]
fn a_session_that_is_gone_begins_anew() {
    use Outcome::*;
    check(
        10,
        STREAM,
        &[opened("/a"), Broken, SessionGone, opened("/b")],
        "open patch/a@0+10 ~ask/a open patch/b@0+10",
    );
    check(
        10,
        WHOLE,
        &[opened("/a"), SessionGone, Absent, opened("/b")],
        "open put/a@0 ~check open put/b@0",
    );
    check(10, STREAM, &[opened("/a"), SessionGone], "open patch/a@0+10 ~open");
}

#[test]
fn a_status_that_cannot_be_is_not_believed() {
    use Outcome::*;
    let nonsense = [status(11), status(None)];
    for nonsense in nonsense {
        check(10, STREAM, &[opened("/a"), Broken, nonsense], "open patch/a@0+10 ~ask/a open");
    }
    // Less than was known before: the registry has lost some.
    check(
        10,
        chunks(4),
        &[opened("/a"), taken(4), Broken, status(2)],
        "open patch/a@0+4r patch/a@4+4r ~ask/a open",
    );
}

#[test]
fn chunks_end_with_the_put() {
    check(
        10,
        chunks(4),
        &[opened("/a"), taken(4), taken(8), Outcome::Stored],
        "open patch/a@0+4r patch/a@4+4r put/a@8 done",
    );
    check(4, chunks(4), &[opened("/a"), Outcome::Stored], "open put/a@0 done");
}

#[test]
fn a_stale_range_is_ignored_and_a_short_one_asked_about() {
    check(
        12,
        chunks(4),
        &[opened("/a"), taken(4), taken(4), Outcome::Stored],
        "open patch/a@0+4r patch/a@4+4r put/a@8 done",
    );
    check(
        12,
        chunks(4),
        &[opened("/a"), taken(3), status(3), taken(None)],
        "open patch/a@0+4r ask/a patch/s@3+4r patch/s@7+4r",
    );
    check(
        12,
        chunks(4),
        &[opened("/a"), taken(3), status(4), taken(None)],
        "open patch/a@0+4r ask/a patch/s@4+4r put/s@8",
    );
    check(
        12,
        chunks(4),
        &[opened("/a"), taken(3), status(0), taken(3), status(0), taken(3)],
        "open patch/a@0+4r ask/a patch/s@0+4r ask/s patch/s@0+4r ~open",
    );
}

#[test]
fn a_minimal_chunk_is_obeyed_within_reason() {
    let least = |least| Outcome::Opened { location: "/a".to_owned(), least: Some(least) };
    check(10, chunks(2), &[least(4)], "open patch/a@0+4r");
    check(10, chunks(8), &[least(4)], "open patch/a@0+8r");
    check(10, chunks(2), &[least(1 << 62)], "open put/a@0");
    check(10, WHOLE, &[least(4)], "open put/a@0");
    let (gib, three) = (1 << 30, 3 << 30);
    check(three, chunks(2), &[least(gib)], &format!("open patch/a@0+{gib}r"));
    check(three, chunks(2), &[least(gib + 1)], "open put/a@0");
}

#[test]
fn whoever_carries_it_out_is_told_how_far_it_came_and_what_was_learned() {
    let mut upload = Upload::new(10, chunks(4));
    let told = |upload: &Upload| (upload.furthest(), upload.offset(), upload.whole_only());
    assert_eq!(told(&upload), (0, 0, false));
    assert!(!upload.is_asking_for_an_old_session());
    let next = upload.next(&Step::Open, opened("/a"));
    let next = upload.next(&next.step, taken(None));
    assert_eq!(told(&upload), (4, 4, false));
    // What is begun anew was once as far as it was.
    let next = upload.next(&next.step, Outcome::SessionGone);
    assert_eq!(told(&upload), (4, 0, false));
    let next = upload.next(&next.step, opened("/b"));
    upload.next(&next.step, Outcome::NoPatch);
    assert_eq!(told(&upload), (4, 0, true));

    let session = UploadSession { location: Secret::from("/old"), acknowledged: 0, sent: 10 };
    let mut upload = Upload::resuming(10, WHOLE, &session);
    assert!(upload.is_asking_for_an_old_session());
    upload.next(&upload.start().step, status(4));
    assert!(!upload.is_asking_for_an_old_session());
    assert_eq!(told(&upload), (4, 4, false));
}

#[test]
fn out_of_step_asks_but_not_for_ever() {
    use Outcome::*;
    check(
        10,
        chunks(4),
        &[opened("/a"), OutOfStep, status(0), OutOfStep, status(0), OutOfStep],
        "open patch/a@0+4r ~ask/a patch/s@0+4r ~ask/s patch/s@0+4r ~open",
    );
}

#[test]
fn a_registry_that_never_agrees_is_believed_after_two_sessions_the_second_without_patch() {
    use Outcome::*;
    let round = [OutOfStep, status(0), OutOfStep, status(0), OutOfStep];
    let twice = [opened("/a")].into_iter().chain(round.clone());
    let twice: Vec<Outcome> = twice.chain([opened("/a")]).chain(round).collect();
    check(
        10,
        STREAM,
        &twice,
        "open patch/a@0+10 ~ask/a patch/s@0+10 ~ask/s patch/s@0+10 ~open \
         put/a@0 ~ask/a put/s@0 ~ask/s put/s@0 Refused",
    );
    // What moves forward is forgiven.
    let forward = [opened("/a"), OutOfStep, status(1), OutOfStep, status(2), OutOfStep, status(3)];
    let mut forward = forward.to_vec();
    for received in 4..10 {
        forward.extend([OutOfStep, status(received)]);
    }
    forward.push(Stored);
    let asked: String = (2..10).map(|at| format!(" ~ask/s put/s@{at}")).collect();
    check(10, WHOLE, &forward, &format!("open put/a@0 ~ask/a put/s@1{asked} done"));
}

#[test]
fn a_session_that_is_lost_again_and_again_is_begun_anew_as_long_as_patience_lasts() {
    use Outcome::*;
    let round = [opened("/a"), SessionGone];
    let outcomes: Vec<Outcome> = round.into_iter().cycle().take(40).collect();
    let expected = format!("open{}", " patch/a@0+10 ~open".repeat(20));
    check(10, STREAM, &outcomes, &expected);
}

/// Whatever comes back, as often as it likes: it ends, or it waits, and who waits is told when
/// patience is at its end.
#[test]
fn no_circle_of_answers_goes_round_for_ever_without_waiting() {
    use Outcome::*;
    let least = |least| Opened { location: "/a".to_owned(), least: Some(least) };
    let circles: [&[Outcome]; 14] = [
        &[least(5 << 20), TooLarge],
        &[least(1 << 62), TooLarge],
        &[opened("/a"), taken(4 << 20), OutOfStep, status(0)],
        &[opened("/a"), SessionGone, Absent],
        &[opened("/a"), OutOfStep, status(None)],
        &[opened("/a"), NoPatch],
        &[Doubtful, Absent],
        &[opened("/a"), taken(None), BadDigest],
        &[opened("/a"), OutOfStep, SessionGone],
        &[opened("/a"), taken(3), status(0), taken(3), status(0), taken(3)],
        &[opened("/a"), taken(3), SessionGone],
        &[opened("/a"), OutOfStep, status(0)],
        &[SessionGone],
        &[OutOfStep],
    ];
    for options in [WHOLE, STREAM, chunks(4 << 20)] {
        for circle in circles {
            let mut upload = Upload::new(40 << 20, options);
            let mut next = upload.start();
            let (mut without_waiting, mut waits) = (0, 0);
            for outcome in circle.iter().cycle().take(1000) {
                if matches!(next.step, Step::Done | Step::GiveUp(_)) {
                    break;
                }
                without_waiting = if next.wait { 0 } else { without_waiting + 1 };
                waits += u32::from(next.wait);
                assert!(without_waiting < 50, "{options:?} {circle:?}");
                next = upload.next(&next.step, outcome.clone());
            }
            let has_ended = matches!(next.step, Step::Done | Step::GiveUp(_));
            assert!(has_ended || waits >= 20, "{options:?} {circle:?}");
        }
    }
}

#[test]
fn what_was_refused_as_too_large_is_not_asked_for_again() {
    use Outcome::*;
    let mib = 1u64 << 20;
    let opened = |least| Opened { location: "/a".to_owned(), least };
    check(
        6 * mib,
        WHOLE,
        &[opened(None), TooLarge, opened(Some(5 * mib)), TooLarge, opened(Some(5 * mib))],
        &format!("open put/a@0 open patch/a@0+{}r open TooLarge", 5 * mib),
    );
    // As large as can be is not too large.
    let least = 6 * mib - 1;
    check(
        6 * mib,
        WHOLE,
        &[opened(None), TooLarge, opened(Some(least))],
        &format!("open put/a@0 open patch/a@0+{least}r"),
    );
}

#[test]
fn without_patch_it_goes_whole_or_not_at_all() {
    use Outcome::*;
    check(
        10,
        STREAM,
        &[opened("/a"), NoPatch, opened("/b"), Stored],
        "open patch/a@0+10 open put/b@0 done",
    );
    check(10, chunks(4), &[opened("/a"), NoPatch, opened("/b")], "open patch/a@0+4r open put/b@0");
    let known = UploadOptions { whole_only: true, ..chunks(4) };
    check(10, known, &[opened("/a")], "open put/a@0");
}

#[test]
fn where_patch_fails_again_and_again_the_blob_goes_whole() {
    use Outcome::*;
    check(
        10,
        chunks(4),
        &[opened("/a"), taken(4), PatchFailed, status(4), PatchFailed, status(4), PatchFailed]
            .into_iter()
            .chain([opened("/b"), Stored])
            .collect::<Vec<_>>(),
        "open patch/a@0+4r patch/a@4+4r ~ask/a patch/s@4+4r ~ask/s patch/s@4+4r ~open put/b@0 done",
    );
    // One that is taken between them shows that it is to be had.
    check(
        20,
        chunks(4),
        &[opened("/a"), PatchFailed, status(0), PatchFailed, status(0), taken(4), PatchFailed],
        "open patch/a@0+4r ~ask/a patch/s@0+4r ~ask/s patch/s@0+4r patch/s@4+4r ~ask/s",
    );
    // Where bodies are limited nothing but chunks is left.
    let opened = |location: &str| opened(location);
    let failed = [PatchFailed, status(0)];
    let outcomes: Vec<_> = [opened("/a"), TooLarge, opened("/b")]
        .into_iter()
        .chain(failed.into_iter().cycle().take(8))
        .collect();
    let mut upload = Upload::new(8 << 20, WHOLE);
    let mut next = upload.start();
    for outcome in outcomes {
        next = upload.next(&next.step, outcome);
    }
    assert!(matches!(next.step, Step::Patch { .. }), "{next:?}");
}

#[test]
fn a_doubtful_answer_stands_if_the_blob_is_not_there() {
    use Outcome::*;
    check(10, WHOLE, &[opened("/a"), Doubtful, Stored], "open put/a@0 check done");
    check(10, WHOLE, &[opened("/a"), Doubtful, Absent], "open put/a@0 check Refused");
    check(10, WHOLE, &[Doubtful, Absent], "open check Refused");
}

#[test]
fn after_a_wrong_digest_a_status_is_not_believed_again() {
    use Outcome::*;
    check(
        10,
        STREAM,
        &[opened("/a"), taken(10), BadDigest, opened("/b"), Broken, status(4)],
        "open patch/a@0+10 put/a@10 ~open patch/b@0+10 ~ask/b open",
    );
}

#[test]
fn a_body_that_is_too_large_is_cut_in_half() {
    use Outcome::*;
    let mib = 1u64 << 20;
    check(
        5 * mib,
        WHOLE,
        &[opened("/a"), TooLarge, opened("/b")],
        &format!("open put/a@0 open patch/b@0+{}r", 4 * mib),
    );
    check(mib, WHOLE, &[opened("/a"), TooLarge], "open put/a@0 TooLarge");
}

#[test]
fn a_wrong_digest_is_tried_twice_more() {
    use Outcome::*;
    check(
        10,
        WHOLE,
        &[opened("/a"), BadDigest, opened("/b"), BadDigest, opened("/c"), BadDigest],
        "open put/a@0 ~open put/b@0 ~open put/c@0 Digest",
    );
}

#[test]
fn a_refusal_ends_it_and_what_was_not_touched_is_done_again() {
    use Outcome::*;
    check(10, WHOLE, &[Refused], "open Refused");
    check(10, WHOLE, &[Broken, opened("/a")], "open ~open put/a@0");
    check(10, WHOLE, &[opened("/a"), Untouched, Stored], "open put/a@0 ~put/a@0 done");
}
