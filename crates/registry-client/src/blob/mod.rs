//! Blobs: whether they are there, getting them there, reading them back.

mod push;
mod read;
mod refusal;
mod session;

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, LOCATION};
use http::{Method, StatusCode, Uri};
use windlass_oci::{Digest, RepositoryName};
use windlass_source::BlobSource;

use self::push::BlobPush;
pub use self::read::{BlobStat, HashedBlob};
pub use self::session::{SessionKeeper, UploadSession};
use crate::auth::Scopes;
use crate::client::RepositoryClient;
use crate::error::{Error, ErrorKind};
use crate::exchange::{Call, Target};
use crate::http::{Answer, location};
use crate::reply::Reply;

/// What a registry says of something that may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    Present,
    /// It is not.
    Absent,
    /// The registry will not tell: it may take pushes all the same (GHCR and Artifactory answer
    /// 403 to a HEAD, <https://github.com/google/go-containerregistry/pull/1691>).
    Unknown,
}

/// How a blob got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// The registry had it in another repository.
    Mounted,
    /// Its bytes were sent.
    Uploaded {
        /// How many, those sent again among them.
        sent: u64,
        /// Whether it went on in mid-blob after a break.
        resumed: bool,
    },
}

/// Is told how many bytes of a blob have been handed over; the number goes back when some were
/// lost and are sent again.
pub type BlobProgress = Arc<dyn Fn(u64) + Send + Sync>;

impl RepositoryClient {
    /// Whether the repository has a blob. Distribution-spec, §"Checking if content exists in the
    /// registry".
    pub async fn head_blob(&self, digest: &Digest) -> Result<Presence, Error> {
        let call = self.blob_call("ask for", digest, &format!("blobs/{digest}"));
        let reply = call.method(Method::HEAD).send().await?;
        match reply.status.as_u16() {
            200..=299 if reply.is_about_other_than(digest) => Ok(Presence::Unknown),
            200..=299 => Ok(Presence::Present),
            404 => Ok(Presence::Absent),
            401 => Err(self.error(&operation("ask for", digest, self), reply.into_error_kind())),
            _ => Ok(Presence::Unknown),
        }
    }

    /// Opens a blob for reading. Distribution-spec, §"Pulling blobs".
    pub async fn get_blob(&self, digest: &Digest) -> Result<Answer, Error> {
        let call = self.blob_call("get", digest, &format!("blobs/{digest}"));
        let reply = call.scopes(Scopes::pull(self.repository.name())).send().await?;
        match reply.into_open() {
            Ok(answer) => Ok(answer),
            Err(kind) => Err(self.error(&operation("get", digest, self), kind)),
        }
    }

    /// Makes the repository have the blob of `source`: by a mount from the repository
    /// `mount_from`, where that is given and the registry does it, otherwise by its bytes.
    /// Distribution-spec, §"Pushing blobs", §"Mounting a blob from another repository".
    ///
    /// Where `keeper` remembers an upload session, that one is gone on with, if the registry still
    /// answers for it.
    ///
    /// Dropped before its end, it leaves an upload session behind: remembered by `keeper`, or see
    /// [`cancel_sessions`](Self::cancel_sessions).
    pub async fn push_blob(
        &self,
        source: Arc<dyn BlobSource>,
        mount_from: Option<&RepositoryName>,
        progress: Option<BlobProgress>,
        keeper: Option<Arc<dyn SessionKeeper>>,
    ) -> Result<Pushed, Error> {
        BlobPush::new(self, source, mount_from, progress, keeper).run().await
    }

    /// Makes the repository have a blob that another repository of the registry has; no bytes of
    /// it are needed here. Whether that was done. A session that the registry opened instead is
    /// cancelled.
    pub async fn mount_blob(&self, digest: &Digest, from: &RepositoryName) -> Result<bool, Error> {
        let path = format!("blobs/uploads/?mount={digest}&from={from}");
        let call = self
            .blob_call("mount", digest, &path)
            .method(Method::POST)
            .scopes(Scopes::mount(self.repository.name(), from));
        let reply = call.send().await?;
        if reply.status == StatusCode::ACCEPTED
            && let Ok(location) = self.location(&reply)
        {
            self.cancel_upload(&location).await;
        }
        Ok(reply.status == StatusCode::CREATED)
    }

    /// Asks an upload session to end. Nothing follows from a refusal: registries end sessions by
    /// themselves, and some demand the right to delete for this.
    pub(crate) async fn cancel_upload(&self, location: &str) {
        if let Ok(uri) = location.parse::<Uri>() {
            let call = Call::new(self, "cancel an upload".to_owned(), Target::Given(uri));
            let call = call.method(Method::DELETE).header(CONTENT_LENGTH, "0");
            drop(call.once().await);
        }
    }

    fn blob_call(&self, verb: &str, digest: &Digest, path: &str) -> Call<'_> {
        self.call(operation(verb, digest, self), path)
    }

    /// The `Location` of an answer, made absolute, otherwise byte for byte.
    pub(crate) fn location(&self, reply: &Reply) -> Result<String, ErrorKind> {
        let Some(value) = reply.headers.get(LOCATION) else {
            return Err(ErrorKind::Protocol("it opened an upload without a Location".to_owned()));
        };
        match location::resolve(&reply.uri, value) {
            Ok(uri) => Ok(uri.to_string()),
            Err(error) => Err(ErrorKind::Protocol(error.to_string())),
        }
    }
}

fn operation(verb: &str, digest: &Digest, client: &RepositoryClient) -> String {
    format!("{verb} blob {digest} of {}", client.repository)
}
