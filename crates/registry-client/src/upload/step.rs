//! What an upload is told to do, and what can come of that.

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    /// The step.
    pub(crate) step: Step,
    /// Whether it follows a failure, so that patience is asked and time passes before it.
    pub(crate) wait: bool,
}

/// One request, or the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// POST: open a session.
    Open,
    /// PUT with the digest and all bytes from `offset` on: the last request.
    Put {
        /// The session's newest location.
        location: String,
        /// The first byte to send.
        offset: u64,
    },
    /// PATCH with `length` bytes from `offset` on.
    Patch {
        /// The session's newest location.
        location: String,
        /// The first byte to send.
        offset: u64,
        /// How many.
        length: u64,
        /// Whether to say which bytes they are (`Content-Range`). A PATCH with all the bytes from
        /// the first to the last need not, and some registries take it only so.
        ranged: bool,
    },
    /// GET: ask the session how much it has.
    Ask {
        /// The session's newest location.
        location: String,
    },
    /// HEAD: ask whether the blob is there after all.
    Check,
    /// It is there.
    Done,
    /// It cannot be sent: the last refusal stands.
    GiveUp(GiveUp),
}

/// Why an upload ends without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GiveUp {
    /// The registry refused in a way that no repetition mends.
    Refused,
    /// The registry says again and again that the bytes have another digest.
    Digest,
    /// Bodies of any size are too large for it.
    TooLarge,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// POST: a session is open. `least`: `OCI-Chunk-Min-Length`.
    Opened {
        /// Where to send to.
        location: String,
        /// The least bytes of a chunk that is not the last.
        least: Option<u64>,
    },
    /// The blob is there (201, or 200 to a HEAD).
    Stored,
    /// The blob is not there (404 to a HEAD).
    Absent,
    /// PATCH: taken. `received`: from `Range`, where it could be read.
    Taken {
        /// The newest location, where one was given.
        location: Option<String>,
        /// How many bytes the session has by its own account.
        received: Option<u64>,
    },
    /// GET: the session lives.
    Status {
        /// The newest location, where one was given.
        location: Option<String>,
        /// How many bytes it has by its own account.
        received: Option<u64>,
    },
    /// 416: the session is elsewhere.
    OutOfStep,
    /// 404, or any other word that there is no such session.
    SessionGone,
    /// 413, or a limit by another name.
    TooLarge,
    /// The bytes that arrived have another digest.
    BadDigest,
    /// PATCH is not to be had.
    NoPatch,
    /// 500 to a PATCH: it passes, or is how a registry says that it takes no such thing.
    PatchFailed,
    /// A refusal of the last request, or an odd success: it stands if the blob is not there.
    Doubtful,
    /// No answer, or one that says nothing: the connection broke, a gateway failed.
    Broken,
    /// Refused before a byte of the body left (a 401 since healed, a 429): nothing has changed.
    Untouched,
    /// Refused for good.
    Refused,
}

pub(super) fn at_once(step: Step) -> Next {
    Next { step, wait: false }
}

pub(super) fn after_a_while(step: Step) -> Next {
    Next { step, wait: true }
}

pub(super) fn waiting(next: Next) -> Next {
    Next { wait: true, ..next }
}
