//! Uploads that go on with what an earlier process left, by table; and what is left for the next.

use super::*;

/// As `check`, for an upload that goes on with the session `/old`, of which `acknowledged` bytes were told
/// to have come, and `sent` had left.
#[track_caller]
fn check_old(
    size: u64,
    options: UploadOptions,
    (acknowledged, sent): (u64, u64),
    outcomes: &[Outcome],
    expected: &str,
) {
    let location = Secret::from("/old");
    let session = UploadSession { location, acknowledged, sent };
    walk(Upload::resuming(size, options, &session), outcomes, expected);
}

#[test]
fn an_old_session_is_asked_and_gone_on_with() {
    use Outcome::*;
    let steps = "ask/old patch/s@4+6r put/s@10 done";
    check_old(10, STREAM, (0, 10), &[status(4), taken(10), Stored], steps);
    check_old(10, WHOLE, (0, 10), &[status(4), Stored], "ask/old put/s@4 done");
    check_old(10, WHOLE, (4, 10), &[status(4), Stored], "ask/old put/s@4 done");
    check_old(10, chunks(4), (4, 8), &[status(8), Stored], "ask/old put/s@8 done");
    // All of it had come, but for the last word.
    check_old(10, WHOLE, (0, 10), &[status(10), Stored], "ask/old put/s@10 done");
    check_old(10, WHOLE, (10, 10), &[status(10), Stored], "ask/old put/s@10 done");
    // Nothing had come, and it lives.
    check_old(10, WHOLE, (0, 10), &[status(0), Stored], "ask/old put/s@0 done");
    let same = Status { location: None, received: Some(4) };
    check_old(10, WHOLE, (0, 10), &[same, Stored], "ask/old put/old@4 done");
}

#[test]
fn an_old_session_is_believed_only_where_it_makes_sense() {
    use Outcome::*;
    let anew = "ask/old open put/a@0 done";
    let check = |told: (u64, u64), said: Outcome| {
        check_old(10, WHOLE, told, &[said, opened("/a"), Stored], anew);
    };
    // Less than it has acknowledged, more than was sent, more than there is, nothing at all.
    check((5, 10), status(4));
    check((4, 8), status(9));
    check((0, 10), status(11));
    check((0, 10), status(u64::MAX));
    check((0, 10), status(None));
    // Gone before all of it had left.
    check((0, 9), SessionGone);
    // Anything else than a status.
    for odd in [
        Refused,
        Doubtful,
        OutOfStep,
        TooLarge,
        BadDigest,
        NoPatch,
        Absent,
        Stored,
        taken(4),
        opened("/b"),
    ] {
        check((0, 10), odd);
    }
}

#[test]
fn an_old_session_that_is_gone_may_have_come_to_its_end_meanwhile() {
    use Outcome::*;
    check_old(10, WHOLE, (0, 10), &[SessionGone, Stored], "ask/old check done");
    check_old(
        10,
        WHOLE,
        (4, 10),
        &[SessionGone, Absent, opened("/a"), Stored],
        "ask/old check open put/a@0 done",
    );
}

#[test]
fn what_is_remembered_must_fit() {
    let check = |told| check_old(10, WHOLE, told, &[opened("/a")], "open put/a@0");
    check((5, 4));
    check((0, 11));
    check((11, 11));
    check((u64::MAX, u64::MAX));
}

#[test]
fn an_old_session_that_does_not_answer_is_left_alone() {
    use Outcome::*;
    check_old(10, WHOLE, (0, 10), &[Broken, status(4)], "ask/old ~ask/old put/s@4");
    check_old(10, WHOLE, (0, 10), &[Untouched, status(4)], "ask/old ~ask/old put/s@4");
    check_old(
        10,
        WHOLE,
        (0, 10),
        &[Broken, Broken, Broken, opened("/a"), Stored],
        "ask/old ~ask/old ~ask/old open put/a@0 done",
    );
}

#[test]
fn bytes_of_an_old_session_that_were_wrong_are_sent_anew() {
    use Outcome::*;
    check_old(
        10,
        WHOLE,
        (0, 10),
        &[status(4), BadDigest, opened("/a"), Stored],
        "ask/old put/s@4 ~open put/a@0 done",
    );
    // It says that it is elsewhere each time that it is believed.
    check_old(
        10,
        WHOLE,
        (0, 10),
        &[status(4), OutOfStep, status(4), OutOfStep, status(4), OutOfStep, opened("/a"), Stored],
        "ask/old put/s@4 ~ask/s put/s@4 ~ask/s put/s@4 ~open put/a@0 done",
    );
}

#[test]
fn what_is_remembered_is_what_may_have_arrived() {
    let mut upload = Upload::new(10, chunks(4));
    assert_eq!(upload.session(), None);
    let told = |upload: &Upload| {
        let UploadSession { location, acknowledged, sent } = upload.session().unwrap();
        (location.expose().to_owned(), acknowledged, sent)
    };
    let next = upload.next(&Step::Open, opened("/a"));
    assert_eq!(told(&upload), ("/a".to_owned(), 0, 4));
    let location = Some("/b".to_owned());
    let next = upload.next(&next.step, Outcome::Taken { location, received: Some(4) });
    assert_eq!(told(&upload), ("/b".to_owned(), 4, 8));
    let next = upload.next(&next.step, taken(None));
    assert_eq!(told(&upload), ("/b".to_owned(), 8, 10));
    upload.next(&next.step, Outcome::SessionGone);
    assert_eq!(upload.session(), None);
}
