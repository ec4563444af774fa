//! What went to whom, in numbers.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::origin::Origin;

/// What was exchanged with a host so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests, those that were redirected or had to be sent again included.
    pub requests: u64,
    /// Connections that were opened.
    pub connections: u64,
    /// Bytes of request bodies that were handed to sockets.
    pub bytes_sent: u64,
}

/// The numbers of every origin.
#[derive(Debug, Default)]
pub(super) struct Tallies(Mutex<HashMap<Origin, Stats>>);

impl Tallies {
    pub(super) fn connected(&self, origin: &Origin) {
        self.tallies().entry(origin.clone()).or_default().connections += 1;
    }

    pub(super) fn asked(&self, origin: &Origin) {
        self.tallies().entry(origin.clone()).or_default().requests += 1;
    }

    pub(super) fn sent(&self, origin: &Origin, bytes: u64) {
        self.tallies().entry(origin.clone()).or_default().bytes_sent += bytes;
    }

    /// The sum of what `authority`, `HOST[:PORT]`, can mean.
    pub(super) fn of(&self, authority: &str) -> Stats {
        let tallies = self.tallies();
        let meant = tallies.iter().filter(|(origin, _)| origin.is(authority));
        meant.fold(Stats::default(), |sum, (_, stats)| Stats {
            requests: sum.requests + stats.requests,
            connections: sum.connections + stats.connections,
            bytes_sent: sum.bytes_sent + stats.bytes_sent,
        })
    }

    fn tallies(&self) -> MutexGuard<'_, HashMap<Origin, Stats>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Origins that something is remembered of.
#[derive(Debug, Default)]
pub(super) struct Origins(Mutex<HashSet<Origin>>);

impl Origins {
    pub(super) fn contains(&self, origin: &Origin) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(origin)
    }

    pub(super) fn insert(&self, origin: &Origin) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(origin.clone());
    }
}
