//! The embedded registry: a store on disk with the distribution protocol on top of it.
//!
//! It takes and gives all that the command can send: blobs in every kind of upload, manifests,
//! indexes, tags, referrers. Bodies are streamed through a bounded number of buffers, so memory
//! grows neither with an image nor much with the number of uploads. What it has answered with
//! success is on the disk.
//!
//! [`Registry::serve`] runs it on a listener; [`Registry::service`] is the same as a
//! [`tower_service::Service`], for those who bring their own server.

mod blobs;
mod config;
mod error;
mod exchange;
mod failure;
mod lists;
mod manifests;
mod query;
mod range;
mod referrers;
mod router;
mod serve;
mod service;
mod store;
mod uploads;
mod watch;
mod workers;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use config::{Config, RequestHook, RequestSeen, TagHook, TagWrite};
pub use error::OpenError;
pub use service::RegistryService;
pub use store::Store;

use uploads::{Buffers, Sessions};
use workers::Workers;

/// A registry. Cheap to clone; the folder is let go when the last clone and the last running
/// request are gone.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) inner: Arc<Inner>,
}

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Inner {
    config: Config,
    store: Store,
    sessions: Sessions,
    buffers: Buffers,
    workers: Workers,
    /// One permit a running upload.
    uploads: Arc<Semaphore>,
    /// One permit a KiB of manifests that are being read.
    manifests: Arc<Semaphore>,
}

/// How many uploads run at once; more wait.
const UPLOADS: u32 = 1024;
/// How much of manifests is held in memory at once, if no single one may be larger; more wait.
const MANIFESTS: usize = 16 * 1024 * 1024;

impl Registry {
    /// Opens the folder of `config`, makes it where it is missing, and locks it. What a crash
    /// left half done is cleared away; upload sessions are found again.
    pub async fn open(config: Config) -> Result<Registry, OpenError> {
        let data = config.data.clone();
        let workers = Workers::start().map_err(OpenError::at(&data, "starting threads"))?;
        let opened = workers.run(move || {
            let store = Store::open(&config.data, config.sync)?;
            let sessions = Sessions::open(store.uploads_folder(), config.upload_expiry)
                .map_err(OpenError::at(&config.data, "finding upload sessions"))?;
            Ok::<_, OpenError>((config, store, sessions))
        });
        let opened = opened.await.map_err(OpenError::at(&data, "looking into the folder"))?;
        let (config, store, sessions) = opened?;
        let room = MANIFESTS.max(config.manifest_limit);
        let room = manifests::kibibytes(room).unwrap_or(u32::MAX / 8) as usize;
        let inner = Inner {
            config,
            store,
            sessions,
            buffers: Buffers::new(),
            workers,
            uploads: Arc::new(Semaphore::new(UPLOADS as usize)),
            manifests: Arc::new(Semaphore::new(room)),
        };
        Ok(Registry { inner: Arc::new(inner) })
    }

    /// The protocol as a service, for a server of one's own.
    #[must_use]
    pub fn service(&self) -> RegistryService {
        RegistryService { registry: self.clone() }
    }

    /// Answers on `listener` until `shutdown` is done; requests that run then get
    /// [`Config::shutdown_grace`] to end. Fails when connections can no longer be accepted.
    pub async fn serve(
        self,
        listener: tokio::net::TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        serve::serve(self, listener, shutdown).await
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

impl Inner {
    /// Counts an upload as running until the permit is dropped.
    async fn running(&self) -> io::Result<OwnedSemaphorePermit> {
        self.uploads.clone().acquire_owned().await.map_err(io::Error::other)
    }

    /// Waits until no upload runs, at most for `within`.
    async fn settle(&self, within: Duration) {
        drop(tokio::time::timeout(within, self.uploads.acquire_many(UPLOADS)).await);
    }

    /// Waits until there is room for a manifest of so many bytes.
    async fn room_for(&self, bytes: usize) -> io::Result<OwnedSemaphorePermit> {
        let permits = manifests::kibibytes(bytes)?;
        self.manifests.clone().acquire_many_owned(permits).await.map_err(io::Error::other)
    }
}
