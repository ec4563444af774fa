//! What a registry is opened with.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use windlass_oci::{Digest, RepositoryName, Tag};

use crate::Store;

/// Called at the very moment a tag is about to become visible; see [`Config::on_tag`].
pub type TagHook = Arc<dyn Fn(TagWrite<'_>) + Send + Sync>;

/// Called once for every request that is answered; see [`Config::on_request`].
pub type RequestHook = Arc<dyn Fn(RequestSeen<'_>) + Send + Sync>;

/// Where a registry keeps its content, and how it behaves.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// The folder it lives in. Made where it is missing; it must be empty or a registry's.
    pub data: PathBuf,
    /// Take manifests whose blobs or child manifests are missing. For tests; off by default.
    pub accept_incomplete: bool,
    /// Sync files and folders to the disk before an answer says that they are there. On by
    /// default; without it a crash of the machine (not one of the process) may lose what was
    /// acknowledged.
    pub sync: bool,
    /// The most bytes that a manifest may have; a longer one is refused with 413. 4 MiB and a
    /// little by default: the specification wants 4 MB to be taken.
    pub manifest_limit: usize,
    /// An upload session that nobody has touched for so long is thrown away. 24 hours by default.
    pub upload_expiry: Duration,
    /// A request body of which no byte moved for so long is given up; what arrived of an upload
    /// stays. 2 minutes by default.
    pub idle_timeout: Duration,
    /// How long running requests may go on after the server was told to stop. 10 seconds by
    /// default.
    pub shutdown_grace: Duration,
    /// Called under the repository's lock after all that a tag's write needs has been written
    /// and checked, just before the tag becomes visible. It runs on a blocking thread and may
    /// look things up in [`TagWrite::store`].
    pub on_tag: Option<TagHook>,
    /// Called once for every request when its answer is known, and before the client gets to see
    /// it. It runs between other requests, on a thread that serves them: it must not wait.
    ///
    /// It is not told of what cannot be read as HTTP. Of a request whose connection breaks it may
    /// be told or not.
    pub on_request: Option<RequestHook>,
}

/// A tag that is about to be created or moved.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TagWrite<'a> {
    /// The repository it is in.
    pub repository: &'a RepositoryName,
    /// The tag.
    pub tag: &'a Tag,
    /// The manifest that it names from now on.
    pub digest: &'a Digest,
    /// The manifest that it named until now, where it existed.
    pub previous: Option<&'a Digest>,
    /// The store as it is at this moment.
    pub store: &'a Store,
}

/// A request that is about to be answered.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RequestSeen<'a> {
    /// The method, such as `PUT`.
    pub method: &'a str,
    /// The path as the client wrote it, percent signs and all. Without the query, where clients
    /// put things that do not belong into a log. The address of an upload session is in it as it
    /// is: who knows that can write to the session. It may hold control characters beyond ASCII,
    /// so escape it before it goes to a terminal.
    pub path: &'a str,
    /// The status of the answer.
    pub status: u16,
    /// From the request's head to the answer's head.
    pub took: Duration,
    /// How many bytes of the request's body were read until now. Of a body that was refused some
    /// may be read and thrown away later; they are not counted.
    pub received: u64,
}

impl Config {
    /// The defaults, with content in `data`.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Config {
        Config {
            data: data.into(),
            accept_incomplete: false,
            sync: true,
            manifest_limit: 4 * 1024 * 1024 + 64 * 1024,
            upload_expiry: Duration::from_secs(24 * 60 * 60),
            idle_timeout: Duration::from_secs(120),
            shutdown_grace: Duration::from_secs(10),
            on_tag: None,
            on_request: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("data", &self.data)
            .field("accept_incomplete", &self.accept_incomplete)
            .field("sync", &self.sync)
            .field("manifest_limit", &self.manifest_limit)
            .field("upload_expiry", &self.upload_expiry)
            .field("idle_timeout", &self.idle_timeout)
            .field("shutdown_grace", &self.shutdown_grace)
            .field("on_tag", &self.on_tag.is_some())
            .field("on_request", &self.on_request.is_some())
            .finish()
    }
}
