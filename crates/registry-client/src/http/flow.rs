//! How far a request's body is: shared by the body, which the connection reads, and by the one
//! who waits for the answer.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use windlass_source::SourceError;

use super::{HttpConfig, HttpError};

/// The state of one body on its way.
#[derive(Debug)]
pub(super) struct Flow {
    length: u64,
    state: Mutex<State>,
    /// The `100 Continue` has come.
    invited: Notify,
    /// The last byte was handed to the socket.
    finished: Notify,
}

#[derive(Debug)]
struct State {
    gate: Gate,
    reader: Option<Waker>,
    sent: u64,
    moved: Instant,
    problem: Option<SourceError>,
}

#[derive(Debug, PartialEq)]
enum Gate {
    /// Not yet: the server has not said that it wants the body.
    Waiting,
    Open,
    /// Never again: the answer is here.
    Shut,
}

/// What an unfinished exchange is measured by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    stall: Duration,
    answer: Duration,
    head: Duration,
}

impl Limits {
    pub(super) fn of(config: &HttpConfig) -> Limits {
        Limits {
            stall: config.stall_timeout,
            answer: config.answer_timeout,
            head: config.head_timeout,
        }
    }
}

impl Flow {
    /// Of a body of `length` bytes; `waiting` for [`open`](Flow::open) before the first is read.
    pub(super) fn new(length: u64, waiting: bool) -> Flow {
        Flow {
            length,
            state: Mutex::new(State {
                gate: if waiting { Gate::Waiting } else { Gate::Open },
                reader: None,
                sent: 0,
                moved: Instant::now(),
                problem: None,
            }),
            invited: Notify::new(),
            finished: Notify::new(),
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// How many bytes were handed to the socket.
    pub(super) fn sent(&self) -> u64 {
        self.state().sent
    }

    /// Whether all of them were.
    pub(super) fn is_finished(&self) -> bool {
        self.sent() == self.length
    }

    /// The server asks for the body.
    pub(super) fn invite(&self) {
        self.invited.notify_one();
    }

    /// Waits until the server asks for the body.
    pub(super) async fn invited(&self) {
        self.invited.notified().await;
    }

    /// Lets the body be read.
    pub(super) fn open(&self) {
        let mut state = self.state();
        state.gate = Gate::Open;
        state.moved = Instant::now();
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Lets no further byte of the body be read.
    pub(super) fn shut(&self) {
        self.state().gate = Gate::Shut;
    }

    /// Ready when the body may be read.
    pub(super) fn poll_open(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.gate == Gate::Open {
            return Poll::Ready(());
        }
        state.reader = Some(context.waker().clone());
        Poll::Pending
    }

    /// `count` bytes were handed to the socket.
    pub(super) fn moved(&self, count: u64) {
        let mut state = self.state();
        state.sent += count;
        state.moved = Instant::now();
        if state.sent == self.length {
            self.finished.notify_one();
        }
    }

    /// The body cannot be read.
    pub(super) fn fail(&self, problem: SourceError) {
        self.state().problem = Some(problem);
    }

    /// Why the body could not be read, where it could not.
    pub(super) fn take_problem(&self) -> Option<SourceError> {
        self.state().problem.take()
    }

    /// Waits until the exchange has been still for too long, and says for which reason.
    pub(super) async fn overdue(&self, limits: Limits) -> HttpError {
        loop {
            let (deadline, error) = self.deadline(limits);
            if deadline <= Instant::now() {
                return error;
            }
            // The end of the body changes the deadline; its movements are seen at the deadline.
            let _ = timeout_at(deadline, self.finished.notified()).await;
        }
    }

    fn deadline(&self, limits: Limits) -> (Instant, HttpError) {
        let state = self.state();
        let (limit, error) = if self.length == 0 {
            (limits.head, HttpError::AnswerTimeout(limits.head))
        } else if state.sent == self.length {
            (limits.answer, HttpError::AnswerTimeout(limits.answer))
        } else {
            (limits.stall, HttpError::Stalled(limits.stall))
        };
        (state.moved + limit, error)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
