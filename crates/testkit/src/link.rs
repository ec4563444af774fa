//! A lagging, breaking link: a TCP proxy on real sockets that delays what it forwards as a long
//! cable would, breaks by plan, and counts.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::background::Background;
use crate::chain::{Chain, Report};
use crate::http_scan::{Event, Scanner};
use crate::listening::{Door, bind, hung_up};
use crate::pacer::Pacer;
use crate::pump::{self, Direction};

/// How a [`Link`] is.
#[derive(Clone, Debug, Default)]
pub struct LinkOptions {
    /// How long a byte and the answer to it are under way together. A new connection costs one of
    /// these before its first byte goes: the kernel accepts at once, so the link adds it.
    pub round_trip: Duration,
    /// How many bytes a second go through, each way, on all connections together; unlimited where
    /// `None`.
    pub rate: Option<u64>,
    /// When it breaks, and how.
    pub faults: Vec<LinkFault>,
}

/// One way in which a [`Link`] breaks.
#[derive(Clone, Copy, Debug)]
pub struct LinkFault {
    /// When.
    pub at: LinkPoint,
    /// What happens.
    pub action: LinkAction,
}

/// When a [`LinkFault`] happens. Bytes are those that were handed to the target, heads of requests
/// among them; the target gets exactly so many.
#[derive(Clone, Copy, Debug)]
pub enum LinkPoint {
    /// After so many bytes in total.
    Bytes(u64),
    /// Each time after so many bytes in total.
    Every(u64),
    /// After so many bytes of the `number`th connection, counted from 0.
    Connection {
        /// Which connection.
        number: u64,
        /// After how many of its bytes.
        bytes: u64,
    },
    /// Instead of the first byte of the answer to the `number`th request of all, counted from 0:
    /// the target has done the work, the client does not know.
    Answer {
        /// Which request.
        number: usize,
    },
}

/// What a [`LinkFault`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkAction {
    /// The connection is reset, on both sides.
    Reset,
    /// Nothing goes over the connection any more, in either direction, until one side gives up.
    Stall,
    /// All connections are reset and new ones are refused, until [`Link::back`].
    Gone,
}

/// How many bytes a link that breaks keeps on its side of a target that takes no more.
const LITTLE: usize = 128 << 10;

/// A TCP proxy that is as slow as it is told. Ends when dropped.
#[derive(Debug)]
pub struct Link {
    background: Background,
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: LinkOptions,
    pub(crate) pacer: Pacer,
    /// When what has been taken has passed and the way is free again: up, and down.
    pub(crate) free_at: [Mutex<Instant>; 2],
    door: Door,
    target: Mutex<SocketAddr>,
    state: Mutex<State>,
    lines: Mutex<Vec<Weak<Line>>>,
    /// Changes when all connections shall be reset.
    resets: watch::Sender<u64>,
    /// Whether connections stand still.
    pub(crate) stalled: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    chain: Chain,
    bytes_up: u64,
    bytes_down: u64,
    /// How many bytes have been allowed to go up, which is a little more than have gone.
    allowed: u64,
    /// Which of the options' faults have happened; those that happen again and again never do.
    done: Vec<bool>,
}

/// What one connection is to the link.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) shared: Arc<Shared>,
    number: u64,
    /// When its handshake is over.
    pub(crate) open: Instant,
    talk: Mutex<Talk>,
    /// Whether this connection stands still, by a fault.
    pub(crate) stalled: watch::Sender<bool>,
}

/// What has been said on one connection.
#[derive(Debug)]
struct Talk {
    requests: Scanner,
    answers: Scanner,
    /// The requests that were sent, in their order, and how many of them are answered.
    sent: Vec<usize>,
    answered: usize,
    /// How many of its bytes have been allowed to go up.
    allowed: u64,
}

impl Link {
    /// Starts a link to `target` on a free port of the loopback interface.
    #[must_use]
    pub fn start(target: SocketAddr, options: LinkOptions) -> Link {
        let background = Background::new("link");
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let start = Instant::now();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                chain: Chain::new(start),
                bytes_up: 0,
                bytes_down: 0,
                allowed: 0,
                done: vec![false; options.faults.len()],
            }),
            door: Door::new(listener.local_addr().expect("it is bound")),
            options,
            pacer: Pacer::start(),
            free_at: [Mutex::new(start), Mutex::new(start)],
            target: Mutex::new(target),
            lines: Mutex::default(),
            resets: watch::Sender::new(0),
            stalled: watch::Sender::new(false),
        });
        let of_task = Arc::clone(&shared);
        background.handle().spawn(async move {
            let of_lines = Arc::clone(&of_task);
            let take = move |stream| Shared::take(&of_lines, stream);
            of_task.door.keep(listener, take).await;
        });
        Link { background, shared }
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.door.address()
    }

    /// What has been seen up to now.
    #[must_use]
    pub fn report(&self) -> Report {
        let state = self.shared.state.lock().unwrap();
        state.chain.report(state.bytes_up, state.bytes_down)
    }

    /// Sends new connections to another target.
    pub fn point_at(&self, target: SocketAddr) {
        *self.shared.target.lock().unwrap() = target;
    }

    /// Resets all connections; new ones are welcome. Done when nothing goes over the old ones.
    pub fn reset_all(&self) {
        let shared = Arc::clone(&self.shared);
        self.background.wait(async move { shared.reset_and_wait().await });
    }

    /// Resets all connections and refuses new ones. Done when that is so.
    pub fn gone(&self) {
        let shared = Arc::clone(&self.shared);
        self.background.wait(async move {
            shared.door.close().await;
            shared.reset_and_wait().await;
        });
    }

    /// Takes connections again, on the same port.
    pub fn back(&self) {
        let shared = Arc::clone(&self.shared);
        self.background.wait(async move { shared.door.open().await });
    }

    /// Holds all bytes back, or lets them go again.
    pub fn stall(&self, is_stalled: bool) {
        self.shared.stalled.send_replace(is_stalled);
    }
}

impl Shared {
    fn take(shared: &Arc<Shared>, client: TcpStream) {
        let now = Instant::now();
        let open = now + shared.options.round_trip;
        let number = shared.state.lock().unwrap().chain.connect(now, open);
        let line = Arc::new(Line {
            shared: Arc::clone(shared),
            number,
            open,
            talk: Mutex::new(Talk {
                requests: Scanner::of_requests(),
                answers: Scanner::of_answers(),
                sent: Vec::new(),
                answered: 0,
                allowed: 0,
            }),
            stalled: watch::Sender::new(false),
        });
        let mut lines = shared.lines.lock().unwrap();
        lines.retain(|line| line.strong_count() > 0);
        lines.push(Arc::downgrade(&line));
        let resets = shared.resets.subscribe();
        tokio::spawn(line.run(client, resets));
    }

    fn reset_all(&self) {
        self.resets.send_modify(|count| *count += 1);
    }

    async fn reset_and_wait(&self) {
        let lines = self.lines.lock().unwrap().clone();
        self.reset_all();
        while lines.iter().any(|line| line.strong_count() > 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Line {
    async fn run(self: Arc<Line>, client: TcpStream, mut resets: watch::Receiver<u64>) {
        let _ = client.set_nodelay(true);
        let address = *self.shared.target.lock().unwrap();
        let target = match TcpStream::connect(address).await {
            Ok(target) => Arc::new(target),
            Err(_) => {
                let _ = client.set_zero_linger();
                return;
            }
        };
        let _ = target.set_nodelay(true);
        if !self.shared.options.faults.is_empty() {
            // What a target has been handed is lost in a reset where it still lies on this side.
            let _ = SockRef::from(&*target).set_send_buffer_size(LITTLE);
        }
        let client = Arc::new(client);
        let up = pump::run(&self, Direction::Up, &client, &target);
        let down = pump::run(&self, Direction::Down, &target, &client);
        let is_reset = tokio::select! {
            _ = resets.changed() => true,
            ended = async { tokio::try_join!(up, down) } => ended.is_err(),
        };
        if is_reset {
            let _ = client.set_zero_linger();
            let _ = target.set_zero_linger();
        }
    }

    /// The client has sent these bytes.
    pub(crate) fn sent(&self, bytes: &[u8], now: Instant) {
        let mut talk = self.talk.lock().unwrap();
        let talk = &mut *talk;
        let mut state = self.shared.state.lock().unwrap();
        for event in talk.requests.feed(bytes) {
            match event {
                Event::Request { method, path } => {
                    talk.answers.expect_answer(&method);
                    talk.sent.push(state.chain.send(now, self.number, &method, &path));
                }
                Event::Body => {
                    if let Some(request) = talk.sent.last() {
                        state.chain.send_body(*request);
                    }
                }
                Event::Interim | Event::Answer { .. } => {}
            }
        }
    }

    /// The client has got these bytes.
    pub(crate) fn delivered(&self, bytes: &[u8]) {
        let mut talk = self.talk.lock().unwrap();
        let mut state = self.shared.state.lock().unwrap();
        state.bytes_down += bytes.len() as u64;
        for event in talk.answers.feed(bytes) {
            answer(&mut talk, &mut state, &event);
        }
    }

    /// The target has closed its side in good order.
    pub(crate) fn closed(&self) {
        let mut talk = self.talk.lock().unwrap();
        let mut state = self.shared.state.lock().unwrap();
        for event in talk.answers.close() {
            answer(&mut talk, &mut state, &event);
        }
    }

    /// Whether an answer's bytes may go to the client, or what happens instead.
    pub(crate) fn may_answer(&self) -> Result<(), LinkAction> {
        let talk = self.talk.lock().unwrap();
        let Some(request) = talk.sent.get(talk.answered).copied() else { return Ok(()) };
        let mut state = self.shared.state.lock().unwrap();
        let state = &mut *state;
        for (fault, done) in self.shared.options.faults.iter().zip(&mut state.done) {
            if matches!(fault.at, LinkPoint::Answer { number } if number == request) && !*done {
                *done = true;
                return Err(fault.action);
            }
        }
        Ok(())
    }

    /// How many of `wanted` bytes may go to the target now, and what happens after them.
    pub(crate) fn may_send(&self, wanted: u64) -> (u64, Option<LinkAction>) {
        let mut talk = self.talk.lock().unwrap();
        let mut state = self.shared.state.lock().unwrap();
        let state = &mut *state;
        let mut first: Option<(u64, usize)> = None;
        for (index, fault) in self.shared.options.faults.iter().enumerate() {
            let left = match fault.at {
                _ if state.done[index] => None,
                LinkPoint::Bytes(bytes) => bytes.checked_sub(state.allowed),
                LinkPoint::Every(bytes) => Some(bytes - state.allowed % bytes.max(1)),
                LinkPoint::Connection { number, bytes } if number == self.number => {
                    bytes.checked_sub(talk.allowed)
                }
                LinkPoint::Connection { .. } | LinkPoint::Answer { .. } => None,
            };
            if let Some(left) = left.filter(|left| *left <= wanted)
                && first.is_none_or(|(other, _)| left < other)
            {
                first = Some((left, index));
            }
        }
        let allowed = first.map_or(wanted, |(left, _)| left);
        state.allowed += allowed;
        talk.allowed += allowed;
        let action = first.map(|(_, index)| {
            let fault = &self.shared.options.faults[index];
            state.done[index] = !matches!(fault.at, LinkPoint::Every(_));
            fault.action
        });
        (allowed, action)
    }

    /// So many bytes have gone to the target.
    pub(crate) fn handed_on(&self, bytes: u64) {
        let talk = self.talk.lock().unwrap();
        let mut state = self.shared.state.lock().unwrap();
        state.bytes_up += bytes;
        if let Some(request) = talk.sent.get(talk.answered) {
            state.chain.carry(*request, bytes);
        }
    }

    /// Does what a fault says; done when the connection is to be reset.
    pub(crate) async fn suffer(&self, action: LinkAction, from: &TcpStream) -> Broken {
        match action {
            LinkAction::Reset => {}
            LinkAction::Gone => {
                self.shared.door.close().await;
                self.shared.reset_all();
            }
            LinkAction::Stall => {
                self.stalled.send_replace(true);
                hung_up(from).await;
            }
        }
        Broken
    }
}

/// The connection is to be reset.
#[derive(Debug)]
pub(crate) struct Broken;

fn answer(talk: &mut Talk, state: &mut State, event: &Event) {
    let Some(request) = talk.sent.get(talk.answered).copied() else { return };
    match event {
        Event::Interim => state.chain.tell_to_continue(request),
        Event::Answer { status } => {
            state.chain.answer(request, *status);
            talk.answered += 1;
        }
        Event::Request { .. } | Event::Body => {}
    }
}
