//! Threads for what blocks: the file system, and hashing.
//!
//! Threads of its own, a fixed number: tokio's pool begins a new thread whenever none is idle at
//! that instant, and under load that came to hundreds, each of which costs memory.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::{Semaphore, oneshot};

/// Runs blocking work on a few threads. Cheap to clone; the threads end with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Workers {
    queue: Sender<Work>,
    /// One permit a thread, so that nothing piles up in the queue.
    idle: Arc<Semaphore>,
}

type Work = Box<dyn FnOnce() + Send>;

/// More than there are processors, since most of them wait for the disk.
const THREADS: usize = 16;

impl Workers {
    pub(crate) fn start() -> io::Result<Workers> {
        let (queue, work) = channel();
        let work = Arc::new(Mutex::new(work));
        for _ in 0..THREADS {
            let work = work.clone();
            thread::Builder::new().name("registry disk".to_owned()).spawn(move || toil(&work))?;
        }
        Ok(Workers { queue, idle: Arc::new(Semaphore::new(THREADS)) })
    }

    /// Runs `work`. Once it has begun it is done to its end even when the caller is dropped.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let permit = self.idle.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (sender, result) = oneshot::channel();
        let work = Box::new(move || {
            let value = work();
            drop(permit);
            drop(sender.send(value));
        });
        self.queue.send(work).map_err(|_| io::Error::other("the disk's threads are gone"))?;
        result.await.map_err(|_| io::Error::other("a thread panicked at work on the disk"))
    }

    /// The same for work that can fail as input and output do.
    pub(crate) async fn try_run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        self.run(work).await?
    }
}

fn toil(work: &Mutex<Receiver<Work>>) {
    loop {
        // One waits for work, the others wait for that one.
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(next) = next else { return };
        // Whoever gave the work sees that its answer never comes; the thread goes on.
        drop(catch_unwind(AssertUnwindSafe(next)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_takes_nothing_along() {
        let workers = Workers::start().unwrap();
        for _ in 0..2 * THREADS {
            workers.run(|| panic!("on purpose")).await.unwrap_err();
        }
        assert_eq!(workers.run(|| 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_does_not_pile_up() {
        let workers = Workers::start().unwrap();
        let many = (0..1000).map(|index| {
            let workers = workers.clone();
            tokio::spawn(async move { workers.run(move || index).await.unwrap() })
        });
        let mut sum = 0;
        for task in many.collect::<Vec<_>>() {
            sum += task.await.unwrap();
        }
        assert_eq!(sum, 499_500);
        assert_eq!(workers.idle.available_permits(), THREADS);
    }
}
