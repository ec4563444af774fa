//! Threads for what blocks: the file system.

use std::io;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// Runs blocking work on tokio's blocking threads, a bounded number at once. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Workers(Arc<Semaphore>);

/// Each thread costs memory, and a disk does not get faster by more of them.
const AT_ONCE: usize = 32;

impl Workers {
    pub(crate) fn new() -> Workers {
        Workers(Arc::new(Semaphore::new(AT_ONCE)))
    }

    /// Runs `work`; it is done to its end even when the caller is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let permit = self.0.clone().acquire_owned().await.map_err(io::Error::other)?;
        let work = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
    }

    /// The same for work that can fail as input and output do.
    pub(crate) async fn try_run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.run(work).await?
    }
}
