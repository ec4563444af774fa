//! What a refusal means for an upload: a decision without a socket, in which most of what registries
//! have of their own stands.

use http::StatusCode;
use windlass_oci::ErrorBody;

use crate::retry::Verdict;
use crate::upload::{Outcome, Step};

/// What of a request's body has gone out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    NoBody,
    Nothing,
    Some,
}

/// An answer that is no success.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal<'a> {
    pub(super) status: StatusCode,
    /// The registry's words.
    pub(super) words: &'a ErrorBody,
    /// Whether it may be another one later.
    pub(super) verdict: Verdict,
    /// It is a 401, and there is a new login that it was not said to.
    pub(super) login_renewed: bool,
    /// What had gone out by then.
    pub(super) body: Sent,
}

impl Refusal<'_> {
    /// What it means for a step.
    pub(super) fn outcome(&self, step: &Step) -> Outcome {
        let may_pass = self.verdict != Verdict::Fatal;
        let has = |code: &str| self.words.has(code);
        match (step, self.status.as_u16()) {
            (Step::Check, 404) => Outcome::Absent,
            (Step::Patch { .. }, 500) => Outcome::PatchFailed,
            _ if may_pass && self.body == Sent::Nothing => Outcome::Untouched,
            _ if may_pass || self.login_renewed => Outcome::Broken,
            // Some never answer questions and take pushes all the same, see `Presence::Unknown`.
            (Step::Check, 403) => Outcome::Absent,
            (Step::Ask { .. }, 403) => Outcome::SessionGone,
            (_, 401 | 403) => Outcome::Refused,
            (Step::Put { .. }, _) if has("DIGEST_INVALID") => Outcome::BadDigest,
            (_, 413) => Outcome::TooLarge,
            // GHCR's word for a chunk above 4 MiB, <https://github.com/oras-project/rust-oci-client/issues/35>.
            (_, 416) if self.words.to_string().contains("too large") => Outcome::TooLarge,
            // No session is lost before there is one.
            (Step::Open, _) => Outcome::Refused,
            (_, 416) => Outcome::OutOfStep,
            (Step::Ask { .. }, 400..=499) => Outcome::SessionGone,
            (Step::Put { .. } | Step::Patch { .. }, 404 | 409) => Outcome::SessionGone,
            // Nexus says so to the slower of two that push one blob,
            // <https://github.com/sonatype/nexus-public/issues/967>.
            _ if has("BLOB_UPLOAD_INVALID") || has("BLOB_UPLOAD_UNKNOWN") => Outcome::SessionGone,
            (Step::Patch { .. }, 400 | 405 | 411 | 415 | 501) => Outcome::NoPatch,
            // Of two that push one blob the slower may be told anything.
            (Step::Put { .. }, _) => Outcome::Doubtful,
            (Step::Check, _) => Outcome::Absent,
            _ => Outcome::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retry::judge_status;

    fn put() -> Step {
        Step::Put { location: "/a".to_owned(), offset: 0 }
    }

    fn patch() -> Step {
        Step::Patch { location: "/a".to_owned(), offset: 0, length: 9, ranged: false }
    }

    fn ask() -> Step {
        Step::Ask { location: "/a".to_owned() }
    }

    #[track_caller]
    fn check_said(step: &Step, status: u16, words: &str, body: Sent, expected: &Outcome) {
        let status = StatusCode::from_u16(status).unwrap();
        let words = ErrorBody::parse(words.as_bytes());
        let verdict = judge_status(status, None, &words);
        let refusal = Refusal { status, words: &words, verdict, login_renewed: false, body };
        assert_eq!(refusal.outcome(step), *expected, "{step:?} {status} {words}");
    }

    #[track_caller]
    fn check(step: &Step, status: u16, code: &str, expected: &Outcome) {
        let words = format!(r#"{{"errors":[{{"code":"{code}","message":"no"}}]}}"#);
        check_said(step, status, &words, Sent::Some, expected);
    }

    #[test]
    fn a_body_is_refused_in_many_ways() {
        use Outcome::*;
        for (status, code, of_put, of_patch) in [
            (400, "DIGEST_INVALID", BadDigest, NoPatch),
            (400, "BLOB_UPLOAD_INVALID", SessionGone, SessionGone),
            (400, "BLOB_UPLOAD_UNKNOWN", SessionGone, SessionGone),
            (400, "SIZE_INVALID", Doubtful, NoPatch),
            (401, "UNAUTHORIZED", Refused, Refused),
            (403, "DENIED", Refused, Refused),
            (404, "NAME_UNKNOWN", SessionGone, SessionGone),
            (404, "BLOB_UPLOAD_UNKNOWN", SessionGone, SessionGone),
            (405, "UNSUPPORTED", Doubtful, NoPatch),
            (409, "CONFLICT", SessionGone, SessionGone),
            (411, "", Doubtful, NoPatch),
            (413, "", TooLarge, TooLarge),
            (415, "", Doubtful, NoPatch),
            (416, "RANGE_INVALID", OutOfStep, OutOfStep),
            (418, "", Doubtful, Refused),
            (429, "TOOMANYREQUESTS", Broken, Broken),
            (500, "UNKNOWN", Broken, PatchFailed),
            (501, "UNSUPPORTED", Doubtful, NoPatch),
            (503, "", Broken, Broken),
        ] {
            check(&put(), status, code, &of_put);
            check(&patch(), status, code, &of_patch);
        }
        check_said(&patch(), 416, "request body is too large", Sent::Some, &TooLarge);
    }

    #[test]
    fn a_body_that_did_not_begin_has_changed_nothing() {
        for step in [put(), patch()] {
            check_said(&step, 503, "", Sent::Nothing, &Outcome::Untouched);
            check_said(&step, 413, "", Sent::Nothing, &Outcome::TooLarge);
        }
    }

    #[test]
    fn where_there_is_no_session_none_is_lost() {
        for (status, code) in [
            (400, "BLOB_UPLOAD_INVALID"),
            (401, "UNAUTHORIZED"),
            (403, "DENIED"),
            (404, "NAME_UNKNOWN"),
            (405, "UNSUPPORTED"),
            (416, "RANGE_INVALID"),
        ] {
            check(&Step::Open, status, code, &Outcome::Refused);
        }
        check(&Step::Open, 503, "", &Outcome::Broken);
    }

    #[test]
    fn a_question_that_is_refused_says_that_there_is_nothing() {
        for status in [400, 403, 404, 405] {
            check(&ask(), status, "", &Outcome::SessionGone);
            check(&Step::Check, status, "", &Outcome::Absent);
        }
        check(&ask(), 401, "", &Outcome::Refused);
        check(&ask(), 416, "", &Outcome::OutOfStep);
        check(&ask(), 502, "", &Outcome::Broken);
        check(&Step::Check, 502, "", &Outcome::Broken);
    }

    #[test]
    fn a_login_that_can_be_renewed_is_no_refusal() {
        let words = ErrorBody::default();
        let refusal = Refusal {
            status: StatusCode::UNAUTHORIZED,
            words: &words,
            verdict: Verdict::Fatal,
            login_renewed: true,
            body: Sent::Some,
        };
        assert_eq!(refusal.outcome(&put()), Outcome::Broken);
        let again = Refusal { login_renewed: false, ..refusal };
        assert_eq!(again.outcome(&put()), Outcome::Refused);
    }
}
