//! How far a look at an image in a registry has come: one bar on a terminal, now and then a line
//! elsewhere.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use indicatif::ProgressBar;
use windlass_push::{Depth, Looked};

use super::Shown;
use super::bars::{ALL, TICK, style};
use super::lines::SILENCE;
use crate::output::Output;
use crate::words;

/// Shows it until it is finished.
pub(crate) struct Looking {
    view: Mutex<View>,
    depth: Depth,
    output: Output,
}

enum View {
    Bar(ProgressBar),
    Lines {
        /// When something was said last.
        said: Instant,
    },
    Nothing,
}

/// What is asked for, and not read, has no bytes that move.
const ASKED: &str = "{bar:16} asked for {pos} of {len}, {eta} left";

impl Looking {
    /// Shows it in this way.
    pub(crate) fn new(shown: Shown, depth: Depth, output: &Output) -> Looking {
        let view = match shown {
            Shown::Bars => {
                let template = if depth == Depth::Bytes { ALL } else { ASKED };
                let bar = ProgressBar::new(0).with_style(style(template));
                let bar = output.bars().add(bar);
                bar.enable_steady_tick(TICK);
                View::Bar(bar)
            }
            Shown::Lines => View::Lines { said: Instant::now() },
            Shown::Nothing => View::Nothing,
        };
        Looking { view: Mutex::new(view), depth, output: output.clone() }
    }

    /// It has come so far.
    pub(crate) fn show(&self, looked: Looked) {
        let line = {
            let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *view {
                View::Bar(bar) => {
                    self.move_bar(bar, &looked);
                    None
                }
                View::Lines { said } => next_line(said, Instant::now(), self.depth, &looked),
                View::Nothing => None,
            }
        };
        if let Some(line) = line {
            self.output.note(&line);
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        if let View::Bar(bar) = &*view {
            bar.finish_and_clear();
        }
        *view = View::Nothing;
    }

    fn move_bar(&self, bar: &ProgressBar, looked: &Looked) {
        let Looked { done, known, read, bytes } = *looked;
        let (position, length) = match self.depth {
            Depth::Bytes => (read, bytes),
            Depth::Sizes => (done, known),
        };
        bar.set_length(length);
        bar.set_position(position);
        bar.set_message(format!("part {done}/{known}"));
    }
}

/// A line after a long silence, which systems that run builds take for death.
fn next_line(said: &mut Instant, now: Instant, depth: Depth, looked: &Looked) -> Option<String> {
    if now.duration_since(*said) < SILENCE {
        return None;
    }
    *said = now;
    let Looked { done, known, read, bytes } = *looked;
    Some(match depth {
        Depth::Bytes => {
            let percent = (read.saturating_mul(100) / bytes.max(1)).min(100);
            let (read, bytes) = (words::bytes(read), words::bytes(bytes));
            format!("read {read} of {bytes} ({percent}%)")
        }
        Depth::Sizes => format!("asked for {done} of {known}"),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use indicatif::ProgressStyle;

    use super::*;

    #[test]
    fn templates_are_understood() {
        assert!(ProgressStyle::with_template(ASKED).is_ok());
    }

    #[test]
    fn a_long_look_is_not_silent_and_a_short_one_is() {
        let start = Instant::now();
        let mut said = start;
        let looked = Looked { done: 3, known: 8, read: 512, bytes: 2048 };
        let mut check = |seconds: u64, depth: Depth, expected: Option<&str>| {
            let now = start + Duration::from_secs(seconds);
            let line = next_line(&mut said, now, depth, &looked);
            assert_eq!(line.as_deref(), expected, "{seconds}");
        };
        check(9, Depth::Bytes, None);
        check(10, Depth::Bytes, Some("read 512 B of 2.0 KiB (25%)"));
        check(11, Depth::Bytes, None);
        check(25, Depth::Sizes, Some("asked for 3 of 8"));
        check(26, Depth::Sizes, None);
    }
}
