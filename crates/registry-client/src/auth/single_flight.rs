//! A value that is made by one, while all others who want it wait for the same.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A value that can grow old, and the right to make the next.
#[derive(Debug)]
pub(super) struct SingleFlight<T, E> {
    state: Mutex<State<T, E>>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State<T, E> {
    value: Option<T>,
    failures: u64,
    failure: Option<E>,
}

/// One [`SingleFlight`] a key.
#[derive(Debug)]
pub(super) struct Flights<K, T, E>(Mutex<HashMap<K, Arc<SingleFlight<T, E>>>>);

impl<T: Clone, E: Clone> SingleFlight<T, E> {
    /// The value, where it is there.
    pub(super) fn peek(&self) -> Option<T> {
        self.state().value.clone()
    }

    /// The value, where it is there and `good`, otherwise what `make` makes.
    ///
    /// Who comes while another makes it gets what comes of that, be it a failure. Who is dropped
    /// while making leaves it to the next.
    pub(super) async fn get(
        &self,
        good: impl Fn(&T) -> bool,
        make: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let before = {
            let state = self.state();
            match &state.value {
                Some(value) if good(value) => return Ok(value.clone()),
                _ => state.failures,
            }
        };
        let _turn = self.turn.lock().await;
        {
            let state = self.state();
            match (&state.value, &state.failure) {
                (Some(value), _) if good(value) => return Ok(value.clone()),
                (_, Some(failure)) if state.failures != before => return Err(failure.clone()),
                _ => {}
            }
        }
        let made = make.await;
        let mut state = self.state();
        match &made {
            Ok(value) => {
                state.value = Some(value.clone());
                state.failure = None;
            }
            Err(failure) => {
                state.failures += 1;
                state.failure = Some(failure.clone());
            }
        }
        made
    }

    fn state(&self) -> MutexGuard<'_, State<T, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, T, E> Flights<K, T, E> {
    /// The one of `key`.
    pub(super) fn of(&self, key: K) -> Arc<SingleFlight<T, E>> {
        self.map().entry(key).or_default().clone()
    }

    /// What `look` makes of the first that it makes something of.
    pub(super) fn find<R>(
        &self,
        mut look: impl FnMut(&K, &SingleFlight<T, E>) -> Option<R>,
    ) -> Option<R> {
        self.map().iter().find_map(|(key, flight)| look(key, flight))
    }

    fn map(&self) -> MutexGuard<'_, HashMap<K, Arc<SingleFlight<T, E>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, E> Default for SingleFlight<T, E> {
    fn default() -> Self {
        let state = State { value: None, failures: 0, failure: None };
        SingleFlight { state: Mutex::new(state), turn: tokio::sync::Mutex::new(()) }
    }
}

impl<K, T, E> Default for Flights<K, T, E> {
    fn default() -> Self {
        Flights(Mutex::new(HashMap::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use std::sync::atomic::{AtomicU32, Ordering};

    type Flight = SingleFlight<u32, String>;

    async fn make(count: &AtomicU32, result: Result<(), &str>) -> Result<u32, String> {
        let made = count.fetch_add(1, Ordering::Relaxed) + 1;
        tokio::task::yield_now().await;
        result.map(|()| made).map_err(str::to_owned)
    }

    #[tokio::test]
    async fn it_is_made_once_for_many() {
        let (flight, count) = (Flight::default(), AtomicU32::new(0));
        let all = join_all((0..20).map(|_| flight.get(|_| true, make(&count, Ok(()))))).await;
        assert!(all.iter().all(|value| *value == Ok(1)));
        assert_eq!(flight.get(|value| *value > 1, make(&count, Ok(()))).await, Ok(2));
    }

    #[tokio::test]
    async fn a_failure_is_everyones_who_waited_for_it_and_nobody_elses() {
        let (flight, count) = (Flight::default(), AtomicU32::new(0));
        let all = join_all((0..20).map(|_| flight.get(|_| true, make(&count, Err("no"))))).await;
        assert!(all.iter().all(|value| *value == Err("no".to_owned())));
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert_eq!(flight.get(|_| true, make(&count, Ok(()))).await, Ok(2));
    }

    #[tokio::test]
    async fn who_is_dropped_leaves_it_to_the_next() {
        let (flight, count) = (Flight::default(), AtomicU32::new(0));
        let first = flight.get(|_| true, std::future::pending());
        assert!(first.now_or_never().is_none());
        assert_eq!(flight.get(|_| true, make(&count, Ok(()))).await, Ok(1));
    }
}
