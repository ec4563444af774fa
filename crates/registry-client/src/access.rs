//! What the registry lets us do, found out without leaving anything behind.

use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};

use crate::auth::Scopes;
use crate::client::RepositoryClient;
use crate::error::Error;

/// What may be done in a repository.
#[derive(Debug)]
pub struct Access {
    /// Reading: whether, or why not.
    pub pull: Result<(), Error>,
    /// Writing: whether, or why not.
    pub push: Result<(), Error>,
}

impl RepositoryClient {
    /// Tries what may be done: lists tags, and opens an upload that is cancelled at once.
    pub async fn check_access(&self) -> Access {
        Access { pull: self.check_pull().await, push: self.check_push().await }
    }

    async fn check_pull(&self) -> Result<(), Error> {
        let call = self.call(format!("read {}", self.repository), "tags/list?n=1");
        let call = call.scopes(Scopes::pull(self.repository.name()));
        let reply = call.send().await?;
        match reply.status.as_u16() {
            // The repository need not exist yet.
            200..=299 | 404 => Ok(()),
            _ => Err(call.error(reply.into_error_kind())),
        }
    }

    async fn check_push(&self) -> Result<(), Error> {
        let call = self.call(format!("push to {}", self.repository), "blobs/uploads/");
        let call = call.method(Method::POST).header(CONTENT_LENGTH, "0");
        let reply = call.send().await?;
        if reply.status != StatusCode::ACCEPTED {
            return Err(call.error(reply.into_error_kind()));
        }
        if let Ok(location) = self.location(&reply) {
            self.cancel_upload(&location).await;
        }
        Ok(())
    }
}
