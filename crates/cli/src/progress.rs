//! What moves, while it moves: bars on a terminal, a line for each blob elsewhere.

mod bars;
mod lines;
mod tally;

use std::io::{IsTerminal as _, stderr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use windlass_push::{Event, Reporter};

use crate::args::ProgressKind;
use crate::output::{Output, Verbosity};
use bars::Bars;
use lines::Lines;
use tally::Tally;

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
    /// Shows it in this way.
    pub(crate) fn new(kind: ProgressKind, output: &Output) -> Arc<Progress> {
        let view = match (kind, stderr().is_terminal()) {
            _ if output.verbosity() == Verbosity::Quiet => View::Nothing,
            (ProgressKind::None, _) => View::Nothing,
            (ProgressKind::Auto | ProgressKind::Bar, true) => View::Bars(Bars::new(output.bars())),
            (ProgressKind::Lines, _) | (ProgressKind::Auto | ProgressKind::Bar, false) => {
                View::Lines(Lines::new(Instant::now()))
            }
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
