//! What was asked of a server, and what it has answered.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};

use crate::body::Progress;
use crate::call::{Call, Head};

/// One request, with what has become of it.
#[derive(Clone, Debug)]
pub struct Logged {
    /// What it asked for.
    pub call: Call,
    /// `PUT`
    pub method: String,
    /// Path and query, as sent.
    pub path: String,
    /// The repository in the path.
    pub repository: Option<String>,
    /// The tag, digest or session in path or query.
    pub reference: Option<String>,
    /// The headers, without those that hold secrets.
    pub headers: HeaderMap,
    /// The scheme of `Authorization`, in lower case; `None` where there was none.
    pub authorization: Option<String>,
    /// How many bytes of its body the registry has got.
    pub received: u64,
    /// The status of the answer; `None` where none was given, or not yet.
    pub status: Option<u16>,
    /// Which kind of fault was done to it.
    pub fault: Option<&'static str>,
    /// The number of its connection, from 0.
    pub connection: u64,
    /// When its head was there, counted from the start of the server.
    pub at: Duration,
}

#[derive(Debug)]
pub(crate) struct Log {
    start: Instant,
    entries: Mutex<Vec<(Logged, Arc<Progress>)>>,
}

impl Logged {
    /// A header's value, where it has that header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Log {
    pub(crate) fn new() -> Log {
        Log { start: Instant::now(), entries: Mutex::default() }
    }

    /// Notes a request. Gives its number.
    pub(crate) fn begin(&self, head: &Head, connection: u64, progress: &Arc<Progress>) -> usize {
        let mut headers = head.headers.clone();
        let authorization = headers.get(AUTHORIZATION).map(|value| {
            let value = String::from_utf8_lossy(value.as_bytes());
            value.split(' ').next().unwrap_or_default().to_ascii_lowercase()
        });
        for secret in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE] {
            headers.remove(secret);
        }
        let logged = Logged {
            call: head.target.call,
            method: head.method.to_string(),
            path: head.path.clone(),
            repository: head.target.repository.clone(),
            reference: head.target.reference.clone(),
            headers,
            authorization,
            received: 0,
            status: None,
            fault: None,
            connection,
            at: self.start.elapsed(),
        };
        let mut entries = self.entries.lock().unwrap();
        entries.push((logged, Arc::clone(progress)));
        entries.len() - 1
    }

    pub(crate) fn suffered(&self, number: usize, fault: &'static str) {
        self.entries.lock().unwrap()[number].0.fault = Some(fault);
    }

    pub(crate) fn answered(&self, number: usize, status: u16) {
        self.entries.lock().unwrap()[number].0.status = Some(status);
    }

    pub(crate) fn read(&self) -> Vec<Logged> {
        let entries = self.entries.lock().unwrap();
        let entries = entries.iter().map(|(logged, progress)| {
            let received = progress.received();
            Logged { received, ..logged.clone() }
        });
        entries.collect()
    }
}
