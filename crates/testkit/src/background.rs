//! A runtime of its own for everything that serves, so that a blocking test can use it as well as
//! one with a runtime of a single thread.

use std::future::Future;
use std::sync::mpsc;

use tokio::runtime::{Builder, Handle, Runtime};

/// Threads that serve until this is dropped.
#[derive(Debug)]
pub(crate) struct Background(Option<Runtime>);

impl Background {
    pub(crate) fn new(name: &str) -> Background {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name(name)
            .enable_all()
            .build()
            .expect("a runtime for a server of the test kit");
        Background(Some(runtime))
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.0.as_ref().expect("it is there until drop").handle()
    }

    /// Runs `future` on the threads of this runtime and blocks the caller until it is done, which
    /// is allowed in the middle of another runtime too.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.handle().spawn(async move {
            let _ = sender.send(future.await);
        });
        receiver.recv().expect("a task of the test kit has panicked; see above")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Dropping a runtime inside another one panics; this does not wait.
            runtime.shutdown_background();
        }
    }
}
