//! How much is asked of a host at once, and when it wants to be left alone: the [pace](crate::pace)
//! made to hold.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::pace::{Pace, Round, Word};

/// The limits of one host, shared by all that is done there.
#[derive(Debug)]
pub(crate) struct Limits(Mutex<State>);

/// Leave to ask the host for something; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    limits: &'a Limits,
    kind: Kind,
    round: Round,
}

#[derive(Debug)]
struct State {
    pace: Pace,
    small: Line,
    bodies: Line,
    /// When a large body last moved forward.
    moved_at: Option<Instant>,
    paused_until: Option<Instant>,
}

/// Those who are in, and those who wait for it.
#[derive(Debug, Default)]
struct Line {
    inside: usize,
    waiting: BTreeMap<Place, Arc<Notify>>,
    arrived: u64,
}

/// The largest first, and of two alike the one who came first.
type Place = (Reverse<u64>, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Small,
    Body,
}

/// A place in a line. Dropped before its turn, it lets the next one pass.
struct Turn<'a> {
    limits: &'a Limits,
    kind: Kind,
    place: Place,
    called: Arc<Notify>,
}

impl Limits {
    /// At most `bodies` large bodies at once; small requests are never stuck behind them.
    pub(crate) fn new(bodies: usize) -> Limits {
        Limits(Mutex::new(State {
            pace: Pace::new(bodies),
            small: Line::default(),
            bodies: Line::default(),
            moved_at: None,
            paused_until: None,
        }))
    }

    /// Waits until a small request may start.
    pub(crate) async fn request(&self) -> Permit<'_> {
        self.enter(Kind::Small, 0).await
    }

    /// Waits until a body of so many bytes may start. The largest is let out first, whoever came
    /// first: what takes longest must not begin last.
    pub(crate) async fn body(&self, size: u64) -> Permit<'_> {
        self.enter(Kind::Body, size).await
    }

    /// A large body has moved forward: the host has taken it, or a part of it.
    pub(crate) fn moved_forward(&self) {
        self.state().moved_at = Some(Instant::now());
    }

    /// When a large body last moved forward.
    pub(crate) fn moved_at(&self) -> Option<Instant> {
        self.state().moved_at
    }

    /// No request to this host starts for `pause`.
    pub(crate) fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut state = self.state();
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// Waits until the host need not be left alone any more.
    pub(crate) async fn wait_for_pause(&self) {
        // A pause may be made longer while it is waited for.
        while let Some(until) = self.paused_until() {
            tokio::time::sleep_until(until).await;
        }
    }

    fn paused_until(&self) -> Option<Instant> {
        self.state().paused_until.filter(|until| *until > Instant::now())
    }

    async fn enter(&self, kind: Kind, size: u64) -> Permit<'_> {
        let turn = self.queue(kind, size);
        let permit = loop {
            if let Some(permit) = turn.try_enter() {
                break permit;
            }
            turn.called.notified().await;
        };
        self.wait_for_pause().await;
        permit
    }

    fn queue(&self, kind: Kind, size: u64) -> Turn<'_> {
        let called = Arc::new(Notify::new());
        let mut state = self.state();
        let line = state.line(kind);
        line.arrived += 1;
        let place = (Reverse(size), line.arrived);
        line.waiting.insert(place, called.clone());
        Turn { limits: self, kind, place, called }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whatever panicked did not do so between two changes that belong together.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn line(&mut self, kind: Kind) -> &mut Line {
        match kind {
            Kind::Small => &mut self.small,
            Kind::Body => &mut self.bodies,
        }
    }

    fn has_room(&self, kind: Kind) -> bool {
        match kind {
            Kind::Small => self.small.inside < self.pace.small(self.bodies.inside),
            Kind::Body => self.bodies.inside < self.pace.bodies(),
        }
    }

    /// Wakes those whose turn it may be; they look for themselves.
    fn call(&self) {
        for (kind, line) in [(Kind::Small, &self.small), (Kind::Body, &self.bodies)] {
            if self.has_room(kind)
                && let Some((_, called)) = line.waiting.first_key_value()
            {
                called.notify_one();
            }
        }
    }
}

impl<'a> Turn<'a> {
    fn try_enter(&self) -> Option<Permit<'a>> {
        let mut state = self.limits.state();
        let is_first = state.line(self.kind).waiting.first_key_value().map(|(place, _)| *place)
            == Some(self.place);
        if !is_first || !state.has_room(self.kind) {
            return None;
        }
        state.line(self.kind).waiting.remove(&self.place);
        state.line(self.kind).inside += 1;
        state.call();
        Some(Permit { limits: self.limits, kind: self.kind, round: state.pace.round() })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.limits.state();
        if state.line(self.kind).waiting.remove(&self.place).is_some() {
            state.call();
        }
    }
}

impl Permit<'_> {
    /// The host has answered to what this was for.
    pub(crate) fn heard(&self, word: Word) {
        let mut state = self.limits.state();
        state.pace.heard(self.round, word);
        state.call();
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.limits.state();
        state.line(self.kind).inside -= 1;
        state.call();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_back_every_request_and_is_never_shortened() {
        let limits = Limits::new(1);
        limits.pause(Duration::from_millis(60));
        limits.pause(Duration::from_millis(1));
        let start = Instant::now();
        let _body = limits.body(1).await;
        let _request = limits.request().await;
        assert!(start.elapsed() >= Duration::from_millis(60));
        assert!(limits.paused_until().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_is_made_longer_meanwhile_is_kept_to_its_new_end() {
        let limits = Limits::new(1);
        limits.pause(Duration::from_millis(60));
        let start = Instant::now();
        let longer = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            limits.pause(Duration::from_millis(100));
        };
        tokio::join!(limits.request(), longer);
        assert!(start.elapsed() >= Duration::from_millis(150));
    }

    #[tokio::test]
    async fn bodies_do_not_hold_back_small_requests() {
        let limits = Limits::new(1);
        let _body = limits.body(1).await;
        assert!(limits.body(1).now_or_never().is_none());
        assert!(limits.request().now_or_never().is_some());
        // Nor those that were let out before the host pushed back.
        let limits = Limits::new(8);
        let bodies: Vec<_> = (0..8).map(|_| limits.body(1).now_or_never().unwrap()).collect();
        for _ in 0..10 {
            limits.request().await.heard(Word::PushedBack);
        }
        assert!(limits.request().now_or_never().is_some());
        drop(bodies);
    }

    #[tokio::test]
    async fn the_largest_body_that_waits_is_let_out_first() {
        let limits = Limits::new(1);
        let first = limits.body(1).await;
        let order = Mutex::new(Vec::new());
        let waiting = [3, 9, 5, 9].map(|size| {
            let (limits, order) = (&limits, &order);
            async move {
                let _permit = limits.body(size).await;
                order.lock().unwrap().push(size);
            }
        });
        let waiting = futures_util::future::join_all(waiting);
        tokio::join!(waiting, async {
            tokio::task::yield_now().await;
            drop(first);
        });
        assert_eq!(*order.lock().unwrap(), [9, 9, 5, 3]);
    }

    #[tokio::test]
    async fn who_goes_away_while_waiting_lets_the_next_one_pass() {
        let limits = Limits::new(1);
        let first = limits.body(1).await;
        let mut large = Box::pin(limits.body(9));
        let mut small = Box::pin(limits.body(5));
        assert!(large.as_mut().now_or_never().is_none());
        assert!(small.as_mut().now_or_never().is_none());
        drop(first);
        // It was called, and is gone before it heard.
        drop(large);
        tokio::time::timeout(Duration::from_secs(10), small).await.expect("nobody was called");
    }

    #[tokio::test]
    async fn a_host_that_pushes_back_gets_less_at_once_and_more_again_as_it_goes_well() {
        let limits = Limits::new(8);
        limits.request().await.heard(Word::PushedBack);
        limits.request().await.heard(Word::PushedBack);
        let mut bodies: Vec<_> = (0..2).map(|_| limits.body(1).now_or_never().unwrap()).collect();
        assert!(limits.body(1).now_or_never().is_none());
        // A round each of 6, 7 and 8.
        for _ in 0..6 + 7 + 8 {
            limits.request().await.heard(Word::WentWell);
        }
        bodies.push(limits.body(1).now_or_never().unwrap());
        assert!(limits.body(1).now_or_never().is_none());
    }
}
