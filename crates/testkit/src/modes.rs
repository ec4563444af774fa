//! How a registry is as a whole: the ways of real ones that a single rule cannot play.

use http::StatusCode;

/// How a [`TestRegistry`](crate::TestRegistry) differs from a good one, in everything it does.
#[derive(Clone, Debug)]
pub struct Modes {
    /// What becomes of an upload session whose body breaks.
    pub sessions: Sessions,
    /// What it does when asked to mount.
    pub mount: Mount,
    /// Takes every chunk as the next one, whatever its `Content-Range` says.
    pub ignores_content_range: bool,
    /// How many tags it sets that a manifest's PUT has in its query (`?tag=`); it passes over those
    /// after them. 0 is one that does not know of this.
    pub tags_at_once: usize,
    /// Refuses PATCH with 405.
    pub refuses_patch: bool,
    /// Refuses longer bodies of uploads with 413.
    pub max_body: Option<u64>,
    /// Never answers `Expect: 100-continue`, but waits for the body.
    pub ignores_expect: bool,
    /// Closes each connection after one answer.
    pub closes_after_answer: bool,
}

/// What becomes of an upload session whose body breaks after its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sessions {
    /// What has arrived is kept, and the upload can be resumed.
    Keep,
    /// The session answers 404 `BLOB_UPLOAD_INVALID` to everything from its first byte on until the
    /// body is complete, and for good where it breaks, as distribution 2.8 does, whose upload state
    /// goes stale.
    TurnStale,
    /// The session is deleted and answers 404 `BLOB_UPLOAD_UNKNOWN`, as with zot.
    Delete,
}

/// What a registry does when it is asked to mount a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mount {
    /// It mounts.
    Works,
    /// It begins an upload instead: 202.
    StartsUpload,
    /// It answers with this status.
    Refuses(StatusCode),
    /// It says that it has mounted, and has not.
    Pretends,
}

impl Default for Modes {
    fn default() -> Modes {
        Modes {
            sessions: Sessions::Keep,
            mount: Mount::Works,
            ignores_content_range: false,
            tags_at_once: usize::MAX,
            refuses_patch: false,
            max_body: None,
            ignores_expect: false,
            closes_after_answer: false,
        }
    }
}
