//! The kinds of fault: what a network, a proxy or a registry in trouble does to a request. None of
//! them says that something was stored which was not: nobody could push to such a registry.

use windlass_push::FailureClass;
use windlass_testkit::{Call, Rule, When, on_any};

/// What is done to one request, or to all from one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// 500, in the specification's form.
    Fails,
    /// 503 with `Retry-After: 0`.
    Busy,
    /// 429 with `Retry-After: 0`.
    Limited,
    /// A proxy's 502 in HTML, when the body has been read.
    BadGateway,
    /// 401, without a word of how to log in.
    Unauthorized,
    /// 403 DENIED.
    Denied,
    /// 404 NAME_UNKNOWN.
    Unknown,
    /// 404 MANIFEST_BLOB_UNKNOWN.
    PartMissing,
    /// 400 with the code for nonsense of that kind.
    Invalid,
    /// 409, as for an immutable tag.
    Conflict,
    /// 405 UNSUPPORTED.
    NotAllowed,
    /// 413.
    TooLarge,
    /// 416.
    OutOfStep,
    /// A reset before anything is done.
    Reset,
    /// An early end in good order.
    Close,
    /// A reset in mid-body.
    ResetMid,
    /// An early end in mid-body.
    CloseMid,
    /// A reset after the work is done.
    LoseReply,
    /// An early end after the work is done.
    CloseInsteadOfReply,
    /// No answer.
    Stall,
    /// No answer, and no more of the body is read.
    StallMid,
    /// Bytes that are no HTTP.
    Garbage,
    /// A redirect to the same place.
    Redirect,
    /// The work is done; `Range` says next to nothing.
    StaleRange,
    /// The work is done; `Range` says more than was sent.
    RangeAhead,
    /// The work is done; `Range` is not there.
    NoRange,
    /// The work is done; `Location` is not there.
    NoLocation,
    /// The work is done, and the status is a 200.
    OddSuccess,
    /// A page of a proxy that wants a login, with a 200.
    Page,
    /// Only some of the body is taken, as if that were all.
    TakesLess,
    /// Every request from here on is reset.
    Gone,
    /// Every request from here on is answered with 503.
    Down,
}

/// How a push may end for a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bearing {
    /// It goes by: the push succeeds.
    GoesBy,
    /// The push may end in one of these ways.
    MayEnd(&'static [FailureClass]),
}

/// So many bytes of a body go through before it is broken: less than the smallest has.
const MID: u64 = 100;

const WRITES: &[Call] =
    &[Call::UploadPost, Call::UploadPatch, Call::UploadPut, Call::ManifestPut, Call::TagPut];
const BODIES: &[Call] = &[Call::UploadPatch, Call::UploadPut, Call::ManifestPut, Call::TagPut];

impl Kind {
    pub(crate) const ALL: &[Kind] = &[
        Kind::Fails,
        Kind::Busy,
        Kind::Limited,
        Kind::BadGateway,
        Kind::Unauthorized,
        Kind::Denied,
        Kind::Unknown,
        Kind::PartMissing,
        Kind::Invalid,
        Kind::Conflict,
        Kind::NotAllowed,
        Kind::TooLarge,
        Kind::OutOfStep,
        Kind::Reset,
        Kind::Close,
        Kind::ResetMid,
        Kind::CloseMid,
        Kind::LoseReply,
        Kind::CloseInsteadOfReply,
        Kind::Stall,
        Kind::StallMid,
        Kind::Garbage,
        Kind::Redirect,
        Kind::StaleRange,
        Kind::RangeAhead,
        Kind::NoRange,
        Kind::NoLocation,
        Kind::OddSuccess,
        Kind::Page,
        Kind::TakesLess,
        Kind::Gone,
        Kind::Down,
    ];

    /// To which requests it can be done; all, where none is named.
    pub(crate) fn calls(self) -> &'static [Call] {
        match self {
            Kind::PartMissing => &[Call::ManifestPut, Call::TagPut],
            Kind::Invalid => WRITES,
            Kind::Conflict => &[Call::UploadPut, Call::ManifestPut, Call::TagPut],
            Kind::TooLarge | Kind::ResetMid | Kind::CloseMid | Kind::StallMid | Kind::TakesLess => {
                BODIES
            }
            Kind::OutOfStep => &[Call::UploadPatch, Call::UploadPut],
            Kind::StaleRange | Kind::RangeAhead | Kind::NoRange => {
                &[Call::UploadPatch, Call::UploadGet]
            }
            Kind::NoLocation => &[Call::UploadPost, Call::UploadPatch, Call::UploadGet],
            Kind::OddSuccess | Kind::Page => WRITES,
            _ => &[],
        }
    }

    pub(crate) fn fits(self, call: Call) -> bool {
        self.calls().is_empty() || self.calls().contains(&call)
    }

    /// It done to the request of this number.
    pub(crate) fn rule(self, number: usize) -> Rule {
        let when = || on_any(self.calls());
        let at = || when().numbered(number);
        let refuse = |status, code: &str| at().refuse(status, code, "no");
        match self {
            Kind::Fails => refuse(500, "UNKNOWN"),
            Kind::Busy => refuse(503, "UNAVAILABLE").header("retry-after", "0"),
            Kind::Limited => refuse(429, "TOOMANYREQUESTS").header("retry-after", "0"),
            Kind::BadGateway => at().answer(502).body("<html>502 Bad Gateway</html>").after_body(),
            Kind::Unauthorized => refuse(401, "UNAUTHORIZED"),
            Kind::Denied => refuse(403, "DENIED"),
            Kind::Unknown => refuse(404, "NAME_UNKNOWN"),
            Kind::PartMissing => refuse(404, "MANIFEST_BLOB_UNKNOWN"),
            Kind::Invalid => refuse(400, "DIGEST_INVALID"),
            Kind::Conflict => refuse(409, "TAG_INVALID"),
            Kind::NotAllowed => refuse(405, "UNSUPPORTED"),
            Kind::TooLarge => refuse(413, "SIZE_INVALID"),
            Kind::OutOfStep => refuse(416, "BLOB_UPLOAD_INVALID"),
            Kind::Reset => at().reset_after(0),
            Kind::Close => at().close_after(0),
            Kind::ResetMid => at().reset_after(MID),
            Kind::CloseMid => at().close_after(MID),
            Kind::LoseReply => at().lose_reply(),
            Kind::CloseInsteadOfReply => at().close_instead_of_reply(),
            Kind::Stall => at().stall_after(0),
            Kind::StallMid => at().stall_after(MID),
            Kind::Garbage => at().raw("HTTP, if it were\r\n\r\n"),
            Kind::Redirect => at().redirect(307, ""),
            Kind::StaleRange => at().with_header("range", "0-9"),
            Kind::RangeAhead => at().with_header("range", "0-99999999"),
            Kind::NoRange => at().without_header("range"),
            Kind::NoLocation => at().without_header("location"),
            Kind::OddSuccess => at().status(200),
            Kind::Page => page(at()),
            Kind::TakesLess => at().accept_only(MID),
            Kind::Gone => when().numbered_from(number).reset_after(0),
            Kind::Down => when().numbered_from(number).refuse(503, "UNAVAILABLE", "no"),
        }
    }

    /// How a push may end for it, done to `call`. `first`: it may come before the registry has
    /// given any answer. `others`: what else has happened.
    pub(crate) fn bearing(self, call: Call, first: bool, others: &[Kind]) -> Bearing {
        use Bearing::{GoesBy, MayEnd};
        use FailureClass::{Authentication, Rejected, Tag, Unreachable};
        let is_question = matches!(call, Call::BlobHead | Call::ManifestHead | Call::UploadGet);
        let is_put = matches!(call, Call::ManifestPut | Call::TagPut);
        let refused = MayEnd(if call == Call::TagPut { &[Tag] } else { &[Rejected] });
        match self {
            Kind::Gone | Kind::Down => MayEnd(&[Unreachable]),
            Kind::Unauthorized => MayEnd(&[Authentication]),
            // An odd success is believed when the registry confirms it.
            Kind::Denied | Kind::Unknown | Kind::NotAllowed
                if is_question && others.contains(&Kind::OddSuccess) =>
            {
                MayEnd(&[Rejected])
            }
            Kind::Denied if is_question => GoesBy,
            Kind::Denied if call != Call::TagPut => MayEnd(&[Authentication]),
            Kind::Denied => refused,
            Kind::Unknown if is_put || call == Call::UploadPost => refused,
            Kind::Invalid if call == Call::UploadPut => GoesBy,
            Kind::Invalid | Kind::TooLarge => refused,
            Kind::Conflict | Kind::TakesLess if is_put => refused,
            Kind::NotAllowed if !is_question && call != Call::UploadPatch => refused,
            Kind::NoLocation | Kind::OddSuccess if call == Call::UploadPost => refused,
            Kind::Page => MayEnd(&[Rejected]),
            // Who has never given an answer may be no registry at all.
            Kind::Garbage if first => MayEnd(&[Unreachable, Rejected]),
            _ => GoesBy,
        }
    }

    /// Whether no byte needs to be sent again after it, done to `call`, where the registry keeps
    /// what it got.
    pub(crate) fn costs_no_bytes(self, call: Call) -> bool {
        match self {
            Kind::Reset | Kind::Close | Kind::ResetMid | Kind::CloseMid => true,
            Kind::LoseReply | Kind::CloseInsteadOfReply => true,
            Kind::Fails | Kind::Busy | Kind::Limited => true,
            Kind::StaleRange | Kind::RangeAhead | Kind::NoRange => call == Call::UploadPatch,
            _ => false,
        }
    }

    /// Whether somebody has to wait for a limit because of it.
    pub(crate) fn takes_time(self) -> bool {
        matches!(self, Kind::Stall | Kind::StallMid)
    }

    /// Whether it lasts, so that patience must end.
    pub(crate) fn lasts(self) -> bool {
        matches!(self, Kind::Gone | Kind::Down)
    }
}

fn page(when: When) -> Rule {
    when.answer(200).header("content-type", "text/html").body("<html>log in</html>").after_body()
}
