//! How many round trips one after another a client has needed: what the time on a lagging link is
//! made of, and what stays the same however fast the machine is.

use std::time::{Duration, Instant};

/// What a [`Link`](crate::Link) has seen.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many connections it has taken.
    pub connections: u64,
    /// The requests, in the order in which they were sent. Empty where the bytes were TLS.
    pub requests: Vec<Seen>,
    /// How many bytes it has handed to the target.
    pub bytes_up: u64,
    /// How many bytes it has handed to clients.
    pub bytes_down: u64,
    /// The longest chain of connects and requests of which each was sent when the answer to the
    /// one before had been delivered.
    pub round_trips: u32,
}

/// One request that has gone over a [`Link`](crate::Link).
#[derive(Clone, Debug)]
pub struct Seen {
    /// The number of its connection, from 0.
    pub connection: u64,
    /// `PUT`
    pub method: String,
    /// Path and query, as sent.
    pub path: String,
    /// The status of the answer; `None` where none was delivered.
    pub status: Option<u16>,
    /// How many connects and requests, itself among them, had to come one after another for it to
    /// be sent.
    pub depth: u32,
    /// When it was sent, counted from the start of the link.
    pub at: Duration,
    /// How many bytes of the connection, head and body, have been handed to the target since.
    pub bytes: u64,
}

/// Counts chains.
///
/// Depths are given by time, not by cause: what has been delivered may have been needed for what
/// is sent next. So a chain is never shorter than what the client really waited for, and never
/// longer than the time it took.
#[derive(Debug)]
pub(crate) struct Chain {
    start: Instant,
    /// The largest depth of what has been delivered.
    delivered: u32,
    /// Connects whose handshake is over at a moment to come, with their depth.
    handshakes: Vec<(Instant, u32)>,
    connections: Vec<u32>,
    requests: Vec<Seen>,
    /// For each request, whether it was told to go on with its body and has not yet done so.
    told_to_continue: Vec<bool>,
    longest: u32,
}

impl Chain {
    pub(crate) fn new(start: Instant) -> Chain {
        Chain {
            start,
            delivered: 0,
            handshakes: Vec::new(),
            connections: Vec::new(),
            requests: Vec::new(),
            told_to_continue: Vec::new(),
            longest: 0,
        }
    }

    /// A connection was asked for at `now`; its handshake is over at `done`. Gives its number.
    pub(crate) fn connect(&mut self, now: Instant, done: Instant) -> u64 {
        let depth = self.depth_at(now);
        self.handshakes.push((done, depth));
        self.connections.push(depth);
        self.connections.len() as u64 - 1
    }

    /// A request was sent at `now`. Gives its number.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        connection: u64,
        method: &str,
        path: &str,
    ) -> usize {
        let of_connection = usize::try_from(connection).map_or(0, |index| self.connections[index]);
        let depth = self.depth_at(now).max(of_connection + 1);
        self.longest = self.longest.max(depth);
        self.told_to_continue.push(false);
        self.requests.push(Seen {
            connection,
            method: method.to_owned(),
            path: path.to_owned(),
            status: None,
            depth,
            at: now.saturating_duration_since(self.start),
            bytes: 0,
        });
        self.requests.len() - 1
    }

    /// `100 Continue` was delivered: the body, when it comes, is one round trip deeper.
    pub(crate) fn tell_to_continue(&mut self, request: usize) {
        self.told_to_continue[request] = true;
    }

    /// The body of a request begins.
    pub(crate) fn send_body(&mut self, request: usize) {
        if std::mem::take(&mut self.told_to_continue[request]) {
            self.requests[request].depth += 1;
            self.longest = self.longest.max(self.requests[request].depth);
        }
    }

    /// Bytes of a request were handed on.
    pub(crate) fn carry(&mut self, request: usize, bytes: u64) {
        self.requests[request].bytes += bytes;
    }

    /// The answer to a request was delivered.
    pub(crate) fn answer(&mut self, request: usize, status: u16) {
        let request = &mut self.requests[request];
        request.status = Some(status);
        self.delivered = self.delivered.max(request.depth);
    }

    pub(crate) fn report(&self, bytes_up: u64, bytes_down: u64) -> Report {
        Report {
            connections: self.connections.len() as u64,
            requests: self.requests.clone(),
            bytes_up,
            bytes_down,
            round_trips: self.longest,
        }
    }

    fn depth_at(&mut self, now: Instant) -> u32 {
        let delivered = &mut self.delivered;
        self.handshakes.retain(|(done, depth)| {
            let is_done = *done <= now;
            if is_done {
                *delivered = (*delivered).max(*depth);
            }
            !is_done
        });
        let depth = self.delivered + 1;
        self.longest = self.longest.max(depth);
        depth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        chain: Chain,
        start: Instant,
    }

    impl Bench {
        fn new() -> Bench {
            let start = Instant::now();
            Bench { chain: Chain::new(start), start }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn connect(&mut self, millis: u64) -> u64 {
            self.chain.connect(self.at(millis), self.at(millis + 20))
        }

        fn send(&mut self, millis: u64, connection: u64) -> usize {
            self.chain.send(self.at(millis), connection, "GET", "/")
        }

        #[track_caller]
        fn check(&self, expected: u32) {
            assert_eq!(self.chain.report(0, 0).round_trips, expected);
        }
    }

    #[test]
    fn what_goes_at_once_counts_once() {
        let mut bench = Bench::new();
        let connections: Vec<_> = (0..10).map(|_| bench.connect(0)).collect();
        bench.check(1);
        let requests: Vec<_> = connections.iter().map(|c| bench.send(1, *c)).collect();
        bench.check(2);
        requests.iter().for_each(|request| bench.chain.answer(*request, 200));
        for (step, expected) in [3, 4, 5].into_iter().enumerate() {
            let request = bench.send(40 + 20 * step as u64, connections[0]);
            bench.check(expected);
            bench.chain.answer(request, 200);
        }
    }

    #[test]
    fn a_connect_after_an_answer_is_one_more() {
        let mut bench = Bench::new();
        let first = bench.connect(0);
        let request = bench.send(0, first);
        bench.chain.answer(request, 401);
        let second = bench.connect(40);
        bench.check(3);
        bench.send(40, second);
        bench.check(4);
    }

    #[test]
    fn a_connect_during_a_handshake_is_not_one_more_and_after_it_is() {
        let mut bench = Bench::new();
        bench.connect(0);
        bench.connect(19);
        bench.check(1);
        bench.connect(20);
        bench.check(2);
    }

    #[test]
    fn a_body_that_waits_for_100_is_one_more() {
        let mut bench = Bench::new();
        let connection = bench.connect(0);
        let request = bench.send(0, connection);
        bench.chain.tell_to_continue(request);
        bench.check(2);
        bench.chain.send_body(request);
        bench.check(3);
    }

    #[test]
    fn a_body_that_did_not_wait_for_100_is_not() {
        let mut bench = Bench::new();
        let connection = bench.connect(0);
        let request = bench.send(0, connection);
        bench.chain.send_body(request);
        bench.chain.tell_to_continue(request);
        bench.check(2);
    }
}
