//! Connections, and those of them that wait for their next request.
//!
//! A pool of our own instead of hyper-util's: it can tell whether a connection was fresh, closes
//! one for certain when its exchange is given up, and keeps none whose body was cut short.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use hyper::client::conn::http1::SendRequest;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use super::body::SendBody;
use super::half_dead::Wire;
use super::origin::Origin;

/// How long a connection may take from the end of an answer until it takes the next request.
const TURNAROUND: Duration = Duration::from_secs(1);
/// How long that is waited for, so that whoever hears of the end finds the connection. It is a turn
/// of another task; only a body that was answered before its end takes longer.
const TURN: Duration = Duration::from_millis(100);

/// One connection to an origin. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) origin: Origin,
    pub(super) sender: SendRequest<SendBody>,
    pub(super) wire: Wire,
    /// Where it leads to a proxy that is handed http requests whole.
    pub(super) forward: Option<Forward>,
    /// Held for its end.
    pub(super) _task: Task,
}

/// How requests are handed to a proxy.
#[derive(Clone, Debug)]
pub(super) struct Forward {
    /// The proxy's own login.
    pub(super) login: Option<HeaderValue>,
}

/// What moves a connection's bytes; ends with its owner.
#[derive(Debug)]
pub(super) struct Task(pub(super) AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The connections that wait for their next request.
#[derive(Debug)]
pub(super) struct Pool {
    per_host: usize,
    idle_timeout: Duration,
    idle: Mutex<HashMap<Origin, Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    pub(super) fn new(per_host: usize, idle_timeout: Duration) -> Pool {
        Pool { per_host, idle_timeout, idle: Mutex::default() }
    }

    /// The connection to `origin` that waits for the shortest time and still stands.
    pub(super) fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut idle = self.idle();
        let of_origin = idle.get_mut(origin)?;
        while let Some(Idle { connection, since }) = of_origin.pop() {
            if since.elapsed() < self.idle_timeout && connection.sender.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// Whether a connection to `origin` waits.
    pub(super) fn has(&self, origin: &Origin) -> bool {
        let idle = self.idle();
        let stands = |idle: &Idle| {
            idle.since.elapsed() < self.idle_timeout && idle.connection.sender.is_ready()
        };
        idle.get(origin).is_some_and(|of_origin| of_origin.iter().any(stands))
    }

    /// Takes a fresh connection, or takes back one whose exchange came to its proper end.
    pub(super) async fn put(self: &Arc<Self>, mut connection: Connection) {
        if connection.wire.is_broken() || connection.sender.is_closed() {
            return;
        }
        match timeout(TURN, connection.sender.ready()).await {
            Ok(Ok(())) => self.keep(connection),
            Ok(Err(_)) => {}
            Err(_) => {
                let pool = Arc::clone(self);
                tokio::spawn(async move {
                    if let Ok(Ok(())) = timeout(TURNAROUND, connection.sender.ready()).await {
                        pool.keep(connection);
                    }
                });
            }
        }
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        let of_origin = idle.entry(connection.origin.clone()).or_default();
        of_origin.retain(|idle| {
            idle.since.elapsed() < self.idle_timeout && !idle.connection.sender.is_closed()
        });
        if of_origin.len() < self.per_host {
            of_origin.push(Idle { connection, since: Instant::now() });
        }
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<Origin, Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
