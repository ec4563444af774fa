//! What moves, while it moves: bars on a terminal, a line for each blob elsewhere.

mod bars;
mod lines;
mod looking;
mod tally;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use windlass_push::{Event, Reporter};

use crate::output::Output;
use bars::Bars;
use lines::Lines;
pub(crate) use looking::Looking;
use tally::Tally;

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Bars.
    Bars,
    /// A line for each blob.
    Lines,
    /// Not at all.
    Nothing,
}

/// Shows a push's progress until it is finished or dropped.
pub(crate) struct Progress {
    state: Mutex<State>,
    output: Output,
}

struct State {
    tally: Tally,
    view: View,
}

enum View {
    Bars(Bars),
    Lines(Lines),
    Nothing,
}

impl Progress {
    /// Shows it in this way, and says where things go if there are `several` repositories.
    pub(crate) fn new(shown: Shown, several: bool, output: &Output) -> Arc<Progress> {
        let view = match shown {
            Shown::Bars => View::Bars(Bars::new(output.bars())),
            Shown::Lines => View::Lines(Lines::new(several, Instant::now())),
            Shown::Nothing => View::Nothing,
        };
        let state = State { tally: Tally::default(), view };
        Arc::new(Progress { state: Mutex::new(state), output: output.clone() })
    }

    /// The bytes that were planned to be sent to a repository.
    pub(crate) fn bytes_to_send(&self, repository: &str) -> u64 {
        self.state.lock().map_or(0, |state| state.tally.planned_bytes(repository))
    }

    /// Takes bars away and says what lines had no turn yet.
    pub(crate) fn finish(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { tally, view } = &mut *state;
        match view {
            View::Bars(bars) => bars.finish(),
            View::Lines(lines) => {
                if let Some(line) = lines.finish(tally) {
                    self.output.note(&line);
                }
            }
            View::Nothing => {}
        }
        *view = View::Nothing;
    }
}

impl Reporter for Progress {
    fn report(&self, event: Event<'_>) {
        let line = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let State { tally, view } = &mut *state;
            tally.note(&event);
            match view {
                View::Bars(bars) => bars.show(&event, tally),
                View::Lines(lines) => lines.next(&event, tally, Instant::now()),
                View::Nothing => None,
            }
        };
        if let Some(line) = line {
            self.output.note(&line);
        }
    }
}
