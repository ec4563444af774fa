//! A gate that a test holds shut: requests wait at it until the test has seen what it wants to see.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Requests wait at it until it is opened. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    is_open: watch::Sender<bool>,
    arrived: watch::Sender<usize>,
}

impl Default for Inner {
    fn default() -> Inner {
        Inner { is_open: watch::Sender::new(false), arrived: watch::Sender::new(0) }
    }
}

impl Gate {
    /// A shut gate.
    #[must_use]
    pub fn new() -> Gate {
        Gate::default()
    }

    /// Lets all go on that wait or will come.
    pub fn open(&self) {
        self.0.is_open.send_replace(true);
    }

    /// How many have come to it, open or shut.
    #[must_use]
    pub fn arrived(&self) -> usize {
        *self.0.arrived.borrow()
    }

    /// Waits until `count` have come to it.
    pub async fn wait_for(&self, count: usize) {
        let mut arrived = self.0.arrived.subscribe();
        let _ = arrived.wait_for(|arrived| *arrived >= count).await;
    }

    /// As [`wait_for`](Self::wait_for), in a test without a runtime.
    ///
    /// # Panics
    /// If they do not come within ten seconds.
    pub fn block_for(&self, count: usize) {
        let start = Instant::now();
        while self.arrived() < count {
            assert!(start.elapsed() < Duration::from_secs(10), "nobody has come to the gate");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Comes to it, and waits until it is open.
    pub async fn pass(&self) {
        self.0.arrived.send_modify(|arrived| *arrived += 1);
        let _ = self.0.is_open.subscribe().wait_for(|is_open| *is_open).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_shut_until_it_is_opened() {
        let gate = Gate::new();
        let passing = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        gate.wait_for(1).await;
        assert!(!passing.is_finished());
        gate.open();
        passing.await.unwrap();
        gate.pass().await;
        assert_eq!(gate.arrived(), 2);
    }
}
