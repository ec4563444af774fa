//! Finds requests and answers in the bytes of a connection, just well enough to count them.

use std::collections::VecDeque;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The head of a request is complete.
    Request {
        /// `PUT`
        method: String,
        /// Path and query, as sent.
        path: String,
    },
    /// The first byte of the request's body was here.
    Body,
    /// `1xx`: more is to come.
    Interim,
    /// An answer is complete.
    Answer {
        /// Its status.
        status: u16,
    },
}

/// Reads one direction of a connection.
#[derive(Debug)]
pub(crate) struct Scanner {
    side: Side,
    state: State,
    /// Whether each answer to come is one to a HEAD, which has no body.
    heads: VecDeque<bool>,
    /// A request has announced a body of which nothing has come yet.
    awaits_body: bool,
    /// The status of the answer whose body is read.
    status: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Requests,
    Answers,
}

#[derive(Debug)]
enum State {
    Head(Vec<u8>),
    /// So many bytes of the body are left.
    Body(u64),
    /// The line with the length of a chunk, or one after the last chunk.
    ChunkLine(Vec<u8>, Line),
    /// So many bytes of a chunk are left.
    Chunk(u64),
    /// An answer of no known length: it goes on until the connection ends.
    Endless,
    /// Not HTTP: TLS, mostly.
    Opaque,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Length,
    /// Empty, after a chunk's bytes.
    AfterChunk,
    Trailer,
}

/// Longer heads than that are no HTTP.
const LONGEST_HEAD: usize = 256 * 1024;

impl Scanner {
    pub(crate) fn of_requests() -> Scanner {
        Scanner::new(Side::Requests)
    }

    pub(crate) fn of_answers() -> Scanner {
        Scanner::new(Side::Answers)
    }

    /// Tells a scanner of answers to what the next one answers.
    pub(crate) fn expect_answer(&mut self, method: &str) {
        self.heads.push_back(method == "HEAD");
    }

    /// Takes in the next bytes.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some((&first, rest)) = bytes.split_first() {
            if std::mem::take(&mut self.awaits_body) {
                events.push(Event::Body);
            }
            match &mut self.state {
                State::Opaque | State::Endless => return events,
                State::Body(left) => {
                    let taken = take(left, bytes);
                    let is_over = *left == 0;
                    bytes = &bytes[taken..];
                    if is_over {
                        self.end(&mut events);
                    }
                }
                State::Chunk(left) => {
                    let taken = take(left, bytes);
                    let is_over = *left == 0;
                    bytes = &bytes[taken..];
                    if is_over {
                        self.state = State::ChunkLine(Vec::new(), Line::AfterChunk);
                    }
                }
                State::Head(head) => {
                    if head.is_empty() && !first.is_ascii_alphabetic() {
                        self.state = State::Opaque;
                        return events;
                    }
                    head.push(first);
                    bytes = rest;
                    if head.ends_with(b"\r\n\r\n") {
                        let head = std::mem::take(head);
                        self.begin(&String::from_utf8_lossy(&head), &mut events);
                    } else if head.len() > LONGEST_HEAD {
                        self.state = State::Opaque;
                    }
                }
                State::ChunkLine(line, kind) => {
                    line.push(first);
                    bytes = rest;
                    if first == b'\n' {
                        let (line, kind) = (String::from_utf8_lossy(line).into_owned(), *kind);
                        self.chunk_line(line.trim_end(), kind, &mut events);
                    }
                }
            }
        }
        events
    }

    /// The connection has ended in good order: an answer without a length is complete.
    pub(crate) fn close(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if matches!(self.state, State::Endless) {
            self.end(&mut events);
        }
        events
    }

    fn new(side: Side) -> Scanner {
        Scanner {
            side,
            state: State::Head(Vec::new()),
            heads: VecDeque::new(),
            awaits_body: false,
            status: 0,
        }
    }

    fn begin(&mut self, head: &str, events: &mut Vec<Event>) {
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
        let header = |wanted: &str| {
            headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, v)| v.trim())
        };
        let is_chunked =
            header("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
        let length = header("content-length").and_then(|value| value.parse::<u64>().ok());

        self.state = match (is_chunked, length) {
            (true, _) => State::ChunkLine(Vec::new(), Line::Length),
            (false, Some(length)) => State::Body(length),
            (false, None) if self.side == Side::Answers => State::Endless,
            (false, None) => State::Body(0),
        };
        if self.side == Side::Requests {
            events.push(Event::Request { method: first.to_owned(), path: second.to_owned() });
        } else {
            self.status = second.parse().unwrap_or_default();
            if (100..200).contains(&self.status) {
                events.push(Event::Interim);
                self.state = State::Head(Vec::new());
                return;
            }
            let is_to_head = self.heads.pop_front().unwrap_or_default();
            if is_to_head || matches!(self.status, 204 | 304) {
                self.state = State::Body(0);
            }
        }
        match self.state {
            State::Body(0) => self.end(events),
            _ => self.awaits_body = self.side == Side::Requests,
        }
    }

    fn chunk_line(&mut self, line: &str, kind: Line, events: &mut Vec<Event>) {
        let length = line.split(';').next().unwrap_or_default().trim();
        self.state = match kind {
            Line::AfterChunk => State::ChunkLine(Vec::new(), Line::Length),
            Line::Length => match u64::from_str_radix(length, 16) {
                Ok(0) => State::ChunkLine(Vec::new(), Line::Trailer),
                Ok(length) => State::Chunk(length),
                Err(_) => State::Opaque,
            },
            Line::Trailer if line.is_empty() => return self.end(events),
            Line::Trailer => State::ChunkLine(Vec::new(), Line::Trailer),
        };
    }

    fn end(&mut self, events: &mut Vec<Event>) {
        if self.side == Side::Answers {
            events.push(Event::Answer { status: self.status });
        }
        self.state = State::Head(Vec::new());
    }
}

/// Takes as much off `left` as `bytes` have.
fn take(left: &mut u64, bytes: &[u8]) -> usize {
    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= taken as u64;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the pieces in which the bytes come.
    #[track_caller]
    fn check(scanner: impl Fn() -> Scanner, bytes: &str, expected: &str) {
        for piece in [1, 2, 7, 10_000] {
            let mut scanner = scanner();
            let mut words = Vec::new();
            for bytes in bytes.as_bytes().chunks(piece) {
                words.extend(scanner.feed(bytes));
            }
            words.extend(scanner.close());
            let words: Vec<_> = words
                .into_iter()
                .map(|event| match event {
                    Event::Request { method, path } => format!("{method} {path}"),
                    Event::Body => "body".to_owned(),
                    Event::Interim => "interim".to_owned(),
                    Event::Answer { status } => status.to_string(),
                })
                .collect();
            assert_eq!(words.join(", "), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn requests() {
        let check = |bytes, expected| check(Scanner::of_requests, bytes, expected);
        check("", "");
        check("GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n", "GET /v2/");
        check(
            "POST /a?b=c HTTP/1.1\r\ncontent-LENGTH: 0\r\n\r\nGET /d HTTP/1.1\r\n\r\n",
            "POST /a?b=c, GET /d",
        );
        check(
            "PUT /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /d HTTP/1.1\r\n\r\n",
            "PUT /a, body, GET /d",
        );
        check(
            "PATCH /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
             5\r\nhello\r\na;x=y\r\n0123456789\r\n0\r\nX: y\r\n\r\nGET /d HTTP/1.1\r\n\r\n",
            "PATCH /a, body, GET /d",
        );
        check("\u{16}\u{3}\u{1}GET / HTTP/1.1\r\n\r\n", "");
    }

    #[test]
    fn answers() {
        let to = |methods: &'static [&'static str]| {
            move || {
                let mut scanner = Scanner::of_answers();
                methods.iter().for_each(|method| scanner.expect_answer(method));
                scanner
            }
        };
        check(
            to(&["HEAD", "GET"]),
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\
             HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
            "200, 404",
        );
        check(
            to(&["PUT", "DELETE"]),
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n\
             HTTP/1.1 204 No Content\r\n\r\n",
            "interim, 201, 204",
        );
        check(to(&["GET"]), "HTTP/1.1 200 OK\r\n\r\nall the rest\r\n\r\n", "200");
        check(to(&["GET"]), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "");
    }
}
