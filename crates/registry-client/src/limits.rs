//! How much is asked of a host at once, and when it wants to be left alone.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The limits of one host, shared by all that is done there.
#[derive(Debug)]
pub(crate) struct Limits {
    requests: Semaphore,
    bodies: Semaphore,
    paused_until: Mutex<Option<Instant>>,
}

/// How many requests, bodies among them, are in flight to a host: each needs a connection.
pub(crate) const REQUESTS: usize = 16;

/// How many of them are always left for small ones.
const SMALL: usize = 4;
const MOST: usize = 256;

impl Limits {
    /// At most `bodies` large bodies at once; small requests are never stuck behind them.
    pub(crate) fn new(bodies: usize) -> Limits {
        Limits {
            requests: Semaphore::new(REQUESTS.max(bodies.saturating_add(SMALL).min(MOST))),
            bodies: Semaphore::new(bodies.max(1)),
            paused_until: Mutex::new(None),
        }
    }

    /// Waits until a small request may start.
    pub(crate) async fn request(&self) -> Option<SemaphorePermit<'_>> {
        let permit = self.requests.acquire().await.ok();
        self.wait_for_pause().await;
        permit
    }

    /// Waits until a large body may start.
    pub(crate) async fn body(&self) -> Option<SemaphorePermit<'_>> {
        let permit = self.bodies.acquire().await.ok();
        self.wait_for_pause().await;
        permit
    }

    /// No request to this host starts for `pause`.
    pub(crate) fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        if let Ok(mut paused_until) = self.paused_until.lock() {
            *paused_until = (*paused_until).max(Some(until));
        }
    }

    async fn wait_for_pause(&self) {
        // A pause may be made longer while it is waited for.
        while let Some(left) = self.pause_left() {
            tokio::time::sleep(left).await;
        }
    }

    fn pause_left(&self) -> Option<Duration> {
        let mut paused_until = self.paused_until.lock().ok()?;
        let left =
            (*paused_until)?.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
        if left.is_none() {
            *paused_until = None;
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_pause_holds_back_every_request_and_is_never_shortened() {
        let limits = Limits::new(1);
        limits.pause(Duration::from_millis(60));
        limits.pause(Duration::from_millis(1));
        let start = Instant::now();
        let _body = limits.body().await;
        let _request = limits.request().await;
        assert!(start.elapsed() >= Duration::from_millis(60));
        assert!(limits.pause_left().is_none());
    }

    #[tokio::test]
    async fn bodies_do_not_hold_back_small_requests() {
        let limits = Limits::new(1);
        let _body = limits.body().await;
        let other = tokio::time::timeout(Duration::from_millis(20), limits.body()).await;
        assert!(other.is_err());
        assert!(limits.request().await.is_some());
    }
}
