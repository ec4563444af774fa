//! Sleeping until a moment, to a tenth of a millisecond. A runtime's timers round to whole ones,
//! which is a tenth of the round trip that a lagging link wants to model.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

/// A thread that wakes tasks at their moments.
#[derive(Debug)]
pub(crate) struct Pacer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    sleepers: BinaryHeap<Sleeper>,
    is_over: bool,
}

#[derive(Debug)]
struct Sleeper {
    until: Instant,
    wake: oneshot::Sender<()>,
}

impl Pacer {
    pub(crate) fn start() -> Pacer {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("pacer".to_owned())
            .spawn(move || of_thread.run())
            .expect("a thread for the pacer");
        Pacer(shared)
    }

    /// What it gives is done at `until`, or when the pacer is dropped.
    pub(crate) fn alarm(&self, until: Instant) -> oneshot::Receiver<()> {
        let (wake, alarm) = oneshot::channel();
        self.0.state.lock().unwrap().sleepers.push(Sleeper { until, wake });
        self.0.changed.notify_one();
        alarm
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().is_over = true;
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn run(&self) {
        let mut state = self.state.lock().unwrap();
        while !state.is_over {
            let now = Instant::now();
            while state.sleepers.peek().is_some_and(|next| next.until <= now) {
                if let Some(due) = state.sleepers.pop() {
                    let _ = due.wake.send(());
                }
            }
            state = match state.sleepers.peek() {
                None => self.changed.wait(state).unwrap(),
                Some(next) => {
                    let pause = next.until.saturating_duration_since(now);
                    self.changed.wait_timeout(state, pause).unwrap().0
                }
            };
        }
        state.sleepers.clear();
    }
}

/// The earliest is the greatest, as the heap wants it.
impl Ord for Sleeper {
    fn cmp(&self, other: &Sleeper) -> Ordering {
        other.until.cmp(&self.until)
    }
}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Sleeper) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Sleeper) -> bool {
        self.until == other.until
    }
}

impl Eq for Sleeper {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn alarms_ring_in_the_order_of_their_moments_and_never_early() {
        let pacer = Pacer::start();
        let start = Instant::now();
        let moments = [30, 10, 20, 0].map(|after| start + Duration::from_millis(after));
        for alarm in moments.map(|until| (until, pacer.alarm(until))).into_iter().rev() {
            alarm.1.blocking_recv().unwrap();
            assert!(Instant::now() >= alarm.0);
        }
    }

    #[test]
    fn a_pacer_that_goes_wakes_all() {
        let pacer = Pacer::start();
        let alarm = pacer.alarm(Instant::now() + Duration::from_secs(1000));
        drop(pacer);
        assert!(alarm.blocking_recv().is_err());
    }
}
