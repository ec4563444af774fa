//! How an upload goes on: a machine that is told what came back and says what to do next.
//!
//! Pure: no socket, no clock. [`blob`](crate) does what it says and tells it the outcome. The
//! machine never waits; it marks the steps before which the driver must (see [`Next::wait`]).
//!
//! Distribution-spec, §"Pushing blobs".

mod range;
mod step;

use std::fmt;

pub use self::range::received;
pub(crate) use self::step::{GiveUp, Next, Outcome, Step};
use self::step::{after_a_while, at_once, waiting};
use crate::auth::Secret;
use crate::blob::UploadSession;

/// Tells the way of one blob into a repository.
#[derive(Debug)]
pub(crate) struct Upload {
    size: u64,
    options: UploadOptions,
    session: Option<Session>,
    /// The most that may have arrived in the session: what was acknowledged or sent at all.
    sent: u64,
    /// A chunk's size, where bodies are limited.
    chunk: Option<u64>,
    /// The largest body that was not refused as too large, where one was.
    ceiling: Option<u64>,
    /// The registry takes no PATCH.
    whole_only: bool,
    /// The most bytes that any session has had.
    furthest: u64,
    /// Complaints in a row that the session is elsewhere.
    idle_answers: u32,
    /// The same over all sessions, since anything moved forward.
    complaints: u32,
    bad_digests: u32,
    /// How often in a row PATCH was answered by a failure of the registry itself.
    failed_patches: u32,
    /// The next look whether the blob is there decides.
    doubted: bool,
    /// The session is from an earlier process and has not answered yet: how often more it is asked.
    asks_left: Option<u32>,
}

/// What an upload may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UploadOptions {
    /// The most bytes of one body, where the user or an earlier refusal said so.
    pub(crate) chunk: Option<u64>,
    /// A blob above this size goes by PATCH, whose bytes more registries keep when it breaks.
    pub(crate) stream_above: u64,
    /// The registry is known to take no PATCH.
    pub(crate) whole_only: bool,
}

#[derive(Clone, PartialEq, Eq)]
struct Session {
    location: String,
    /// How many bytes the registry is known to have.
    offset: u64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The location is a secret.
        f.debug_struct("Session").field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// A chunk is never made smaller than this.
const LEAST_CHUNK: u64 = 1 << 20;
/// `OCI-Chunk-Min-Length` above this is nonsense: the blob goes whole.
const LARGEST_LEAST: u64 = 1 << 30;
/// After so many complaints in a row that it is elsewhere, the session is given up for a new one.
const IDLE_ANSWERS: u32 = 2;
/// After so many over all sessions the upload is given up, for a session that is new cannot be
/// elsewhere. A count, and not a time: each may cost a whole blob. It is two sessions' worth, the
/// second without PATCH.
const COMPLAINTS: u32 = 2 * (IDLE_ANSWERS + 1);
/// After so many failures of PATCH in a row the blob goes whole, which asks less of a registry.
const FAILED_PATCHES: u32 = 3;
/// How often the registry may complain of the digest before it is believed. A count, and not a
/// time: it has had all the bytes as often, our own file has been hashed to be right each time, and
/// another time costs a whole blob again.
const BAD_DIGESTS: u32 = 3;
/// How often a session from an earlier process is asked again where there was no answer.
const ASKS_AGAIN: u32 = 2;

impl Upload {
    pub(crate) fn new(size: u64, options: UploadOptions) -> Upload {
        let chunk = options.chunk.filter(|_| !options.whole_only).map(|chunk| chunk.max(1));
        Upload {
            size,
            options,
            session: None,
            sent: 0,
            chunk,
            ceiling: None,
            whole_only: options.whole_only,
            furthest: 0,
            idle_answers: 0,
            complaints: 0,
            bad_digests: 0,
            failed_patches: 0,
            doubted: false,
            asks_left: None,
        }
    }

    /// An upload that goes on with the session that an earlier process left, where the registry
    /// still answers for it.
    pub(crate) fn resuming(size: u64, options: UploadOptions, session: &UploadSession) -> Upload {
        let UploadSession { location, acknowledged, sent } = session;
        let upload = Upload::new(size, options);
        if acknowledged > sent || *sent > size {
            return upload;
        }
        let location = location.expose().to_owned();
        let session = Some(Session { location, offset: *acknowledged });
        Upload { session, sent: *sent, asks_left: Some(ASKS_AGAIN), ..upload }
    }

    /// The first step.
    pub(crate) fn start(&self) -> Next {
        match &self.session {
            Some(session) => at_once(Step::Ask { location: session.location.clone() }),
            None => at_once(Step::Open),
        }
    }

    /// The step after `step` had this `outcome`.
    pub(crate) fn next(&mut self, step: &Step, outcome: Outcome) -> Next {
        if let Some(asks_left) = self.asks_left {
            return self.first_word(step, outcome, asks_left);
        }
        match outcome {
            Outcome::Stored => at_once(Step::Done),
            Outcome::Refused => at_once(Step::GiveUp(GiveUp::Refused)),
            Outcome::Untouched => after_a_while(step.clone()),
            Outcome::Opened { location, least } => self.opened(location, least),
            Outcome::Taken { location, received } => self.taken(step, location, received),
            Outcome::Status { location, received } => self.status(location, received),
            Outcome::Broken => self.broken(step),
            Outcome::Absent if self.doubted => at_once(Step::GiveUp(GiveUp::Refused)),
            Outcome::Absent => self.ask(),
            Outcome::Doubtful => {
                self.doubted = true;
                at_once(Step::Check)
            }
            Outcome::NoPatch => self.no_patch(),
            Outcome::PatchFailed => self.patch_failed(step),
            Outcome::OutOfStep => self.out_of_step(step),
            Outcome::SessionGone => self.session_gone(step),
            Outcome::TooLarge => self.too_large(step),
            Outcome::BadDigest => self.bad_digest(),
        }
    }

    /// How many bytes the session is known to have.
    pub(crate) fn offset(&self) -> u64 {
        self.session.as_ref().map_or(0, |session| session.offset)
    }

    /// The session as it is now, with the next step counted as sent.
    pub(crate) fn session(&self) -> Option<UploadSession> {
        self.session.as_ref().map(|session| UploadSession {
            location: Secret::from(session.location.as_str()),
            acknowledged: session.offset,
            sent: self.sent.max(session.offset),
        })
    }

    /// Whether the session is from an earlier process and has not answered yet.
    pub(crate) fn is_asking_for_an_old_session(&self) -> bool {
        self.asks_left.is_some()
    }

    /// The most bytes that any session has had: what moves forward moves this.
    pub(crate) fn furthest(&self) -> u64 {
        self.furthest
    }

    /// The bound on one body, where one was met: worth remembering for the host.
    pub(crate) fn learned_chunk(&self) -> Option<u64> {
        self.chunk.filter(|_| self.ceiling.is_some())
    }

    /// Whether PATCH was found not to be had: worth remembering for the host.
    pub(crate) fn whole_only(&self) -> bool {
        self.whole_only
    }

    fn opened(&mut self, location: String, least: Option<u64>) -> Next {
        self.session = Some(Session { location, offset: 0 });
        self.sent = 0;
        self.idle_answers = 0;
        if let (Some(chunk), Some(least)) = (self.chunk, least) {
            match self.ceiling {
                Some(ceiling) if least > ceiling => {
                    return at_once(Step::GiveUp(GiveUp::TooLarge));
                }
                None if least > LARGEST_LEAST => self.chunk = None,
                _ => self.chunk = Some(chunk.max(least)),
            }
        }
        at_once(self.send())
    }

    /// An old session has answered, or has not. Whatever is odd about it, the blob starts anew: it
    /// can cost no more than it would have without.
    fn first_word(&mut self, step: &Step, outcome: Outcome, asks_left: u32) -> Next {
        self.asks_left = None;
        match (outcome, &mut self.session) {
            (Outcome::Broken | Outcome::Untouched, Some(_)) if asks_left > 0 => {
                self.asks_left = Some(asks_left - 1);
                after_a_while(step.clone())
            }
            (Outcome::Status { location, received: Some(received) }, Some(session))
                if session.offset <= received && received <= self.sent =>
            {
                if let Some(location) = location {
                    session.location = location;
                }
                session.offset = received;
                self.reached();
                at_once(self.send())
            }
            // The last request of the earlier process was still carried out, it may be, after this
            // one had asked for the blob.
            (Outcome::SessionGone, Some(_)) if self.sent == self.size => {
                self.session = None;
                at_once(Step::Check)
            }
            _ => self.restart(),
        }
    }

    /// Sends what is missing.
    fn send(&mut self) -> Step {
        let Some(Session { location, offset }) = self.session.clone() else {
            return Step::Open;
        };
        let rest = self.size - offset;
        let step = match self.chunk {
            Some(chunk) if rest > chunk => {
                Step::Patch { location, offset, length: chunk, ranged: true }
            }
            // The last bytes go with the PUT: ECR has failed on an empty one,
            // <https://github.com/aws/containers-roadmap/issues/1931>.
            Some(_) => Step::Put { location, offset },
            None if rest > 0 && self.size > self.options.stream_above && !self.whole_only => {
                Step::Patch { location, offset, length: rest, ranged: offset > 0 }
            }
            None => Step::Put { location, offset },
        };
        self.sent = match &step {
            Step::Patch { offset, length, .. } => offset + length,
            _ => self.size,
        };
        step
    }

    /// A PATCH was taken: all of it, unless the session itself says less.
    fn taken(&mut self, step: &Step, location: Option<String>, received: Option<u64>) -> Next {
        let Step::Patch { offset, length, .. } = step else {
            return self.out_of_step(step);
        };
        let (from, to) = (*offset, offset + length);
        let Some(session) = &mut self.session else {
            return at_once(Step::Open);
        };
        if let Some(location) = location {
            session.location = location;
        }
        self.failed_patches = 0;
        match received {
            // Taken in part, or a `Range` from before: the next body would be for nothing if the
            // wrong one of them were believed, so the session is asked.
            Some(received) if from < received && received < to => {
                self.idle_answers += 1;
                let again = self.idle_answers > IDLE_ANSWERS;
                if again { waiting(self.restart()) } else { self.ask() }
            }
            // ECR's stays at the end of the first chunk although more is stored,
            // <https://github.com/aws/containers-roadmap/issues/2831>.
            _ => {
                session.offset = to;
                self.idle_answers = 0;
                self.reached();
                at_once(self.send())
            }
        }
    }

    /// The session has told how much it has: believed where it makes sense.
    fn status(&mut self, location: Option<String>, received: Option<u64>) -> Next {
        let sent = self.sent.min(self.size);
        let Some(session) = &mut self.session else {
            return at_once(Step::Open);
        };
        let (Some(received), known) = (received, session.offset) else {
            return self.restart();
        };
        // After a wrong digest nothing that a session says of itself is believed: Quay's is one
        // byte too many, <https://github.com/quay/quay/blob/01863755/endpoints/v2/blob.py>.
        if received < known || received > sent || self.bad_digests > 0 {
            return self.restart();
        }
        if let Some(location) = location {
            session.location = location;
        }
        if received > known {
            self.idle_answers = 0;
        }
        session.offset = received;
        self.reached();
        at_once(self.send())
    }

    fn broken(&mut self, step: &Step) -> Next {
        match step {
            // A PUT may have been carried out before its answer was lost.
            Step::Put { .. } => after_a_while(Step::Check),
            Step::Patch { .. } => waiting(self.ask()),
            other => after_a_while(other.clone()),
        }
    }

    fn out_of_step(&mut self, step: &Step) -> Next {
        match step {
            Step::Put { .. } | Step::Patch { .. } => {
                self.idle_answers += 1;
                self.complaints += 1;
                if self.complaints >= COMPLAINTS {
                    return at_once(Step::GiveUp(GiveUp::Refused));
                }
                if self.complaints > IDLE_ANSWERS {
                    self.send_whole();
                }
                let again = self.idle_answers > IDLE_ANSWERS;
                waiting(if again { self.restart() } else { self.ask() })
            }
            // There is no session that could be elsewhere.
            Step::Open => at_once(Step::GiveUp(GiveUp::Refused)),
            _ => waiting(self.restart()),
        }
    }

    fn session_gone(&mut self, step: &Step) -> Next {
        match step {
            // GHCR says so to a PUT sent twice although the first was carried out,
            // <https://github.com/GoogleContainerTools/jib/issues/4301>.
            Step::Put { .. } => {
                self.session = None;
                after_a_while(Step::Check)
            }
            Step::Patch { .. } => waiting(self.restart()),
            // There is none yet.
            Step::Open => at_once(Step::GiveUp(GiveUp::Refused)),
            // Where it broke before, that was waited for.
            _ if self.idle_answers == 0 => self.restart(),
            _ => waiting(self.restart()),
        }
    }

    fn too_large(&mut self, step: &Step) -> Next {
        let tried = match step {
            Step::Put { offset, .. } => self.size - offset,
            Step::Patch { length, .. } => *length,
            _ => return at_once(Step::GiveUp(GiveUp::TooLarge)),
        };
        if tried <= LEAST_CHUNK || self.whole_only {
            return at_once(Step::GiveUp(GiveUp::TooLarge));
        }
        self.ceiling = Some(tried - 1);
        // Limits are round numbers as a rule: 4 MiB, 100 MB. Half of a power of two meets them.
        self.chunk = Some(((tried - 1).next_power_of_two() / 2).max(LEAST_CHUNK));
        self.session = None;
        at_once(Step::Open)
    }

    fn bad_digest(&mut self) -> Next {
        self.bad_digests += 1;
        if self.bad_digests >= BAD_DIGESTS {
            return at_once(Step::GiveUp(GiveUp::Digest));
        }
        // A registry that ignores `Content-Range` ends here after a chunk: whole, then.
        if self.ceiling.is_none() {
            self.chunk = None;
        }
        waiting(self.restart())
    }

    fn no_patch(&mut self) -> Next {
        if self.ceiling.is_some() || self.whole_only {
            return at_once(Step::GiveUp(GiveUp::Refused));
        }
        self.whole_only = true;
        self.chunk = None;
        self.restart()
    }

    /// Tries it without PATCH, if only for this blob: what a host can do is not learned from this.
    fn patch_failed(&mut self, step: &Step) -> Next {
        self.failed_patches += 1;
        if self.failed_patches < FAILED_PATCHES || self.ceiling.is_some() {
            return self.broken(step);
        }
        self.send_whole();
        waiting(self.restart())
    }

    /// No PATCH from here on, unless bodies are known to be limited.
    fn send_whole(&mut self) {
        if self.ceiling.is_none() {
            self.chunk = None;
            self.options.stream_above = u64::MAX;
        }
    }

    /// Notes how far it is.
    fn reached(&mut self) {
        if self.offset() > self.furthest {
            self.furthest = self.offset();
            self.complaints = 0;
        }
    }

    fn ask(&mut self) -> Next {
        match &self.session {
            Some(session) => at_once(Step::Ask { location: session.location.clone() }),
            None => self.restart(),
        }
    }

    fn restart(&mut self) -> Next {
        self.session = None;
        self.sent = 0;
        self.idle_answers = 0;
        at_once(Step::Open)
    }
}

#[cfg(test)]
mod tests;
