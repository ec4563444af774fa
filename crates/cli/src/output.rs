//! Where everything that is said goes through: results to standard output, all else to standard
//! error, above the bars where there are any.

use std::io::{self, ErrorKind, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use indicatif::MultiProgress;

use crate::args::Form;
use crate::problem::Problem;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors alone.
    Quiet,
    /// What a person wants to know.
    Normal,
    /// What one wants to know who looks for the reason of something.
    Verbose,
}

/// Says things. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    form: Form,
    verbosity: Verbosity,
    color: bool,
    bars: MultiProgress,
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

impl Output {
    /// Speaks in this way.
    pub(crate) fn new(form: Form, verbosity: Verbosity, color: bool) -> Output {
        Output { form, verbosity, color, bars: MultiProgress::new() }
    }

    /// What standard output is for.
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// How much is said.
    pub(crate) fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Where bars are drawn, so that no line is printed through them.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// A line of the result, to standard output, and out at once.
    ///
    /// A reader that has gone away (`| head`) has got what it wanted. That nothing can be written
    /// otherwise (a full disk) is a problem: somebody waits for it.
    pub(crate) fn print(&self, line: &str) -> Result<(), Problem> {
        self.print_raw(format!("{line}\n").as_bytes())
    }

    /// Bytes of the result, as they are.
    pub(crate) fn print_raw(&self, bytes: &[u8]) -> Result<(), Problem> {
        let written = self.bars.suspend(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes)?;
            stdout.flush()
        });
        match written {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Problem::other(format!("cannot write to standard output: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Something a person wants to know; not with `--quiet`.
    pub(crate) fn note(&self, text: &str) {
        if self.verbosity >= Verbosity::Normal {
            self.say(text);
        }
    }

    /// Something for those who look for a reason; with `--verbose` alone.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbosity >= Verbosity::Verbose {
            self.say(text);
        }
    }

    /// Something that may be wrong; not with `--quiet`.
    pub(crate) fn warn(&self, text: &str) {
        if self.verbosity >= Verbosity::Normal {
            self.say(&format!("{WARNING}warning:{WARNING:#} {text}"));
        }
    }

    /// What went wrong, and what can be done.
    pub(crate) fn problem(&self, problem: &Problem) {
        self.say(&format!("{ERROR}error:{ERROR:#} {}", indented(&problem.message)));
        if let Some(hint) = &problem.hint {
            self.say(&format!("{HINT}hint:{HINT:#} {}", indented(hint)));
        }
        problem.details.iter().for_each(|detail| self.say(detail));
    }

    fn say(&self, text: &str) {
        let color = if self.color { ColorChoice::Always } else { ColorChoice::Never };
        self.bars.suspend(|| {
            let mut stderr = AutoStream::new(io::stderr().lock(), color);
            // There is no third place where it could be told.
            let _ = writeln!(stderr, "{text}").and_then(|()| stderr.flush());
        });
    }
}

/// Lines after the first stand below it, so that it is seen what belongs together.
fn indented(text: &str) -> String {
    let mut lines = text.lines();
    let mut all = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        all.push_str(if line.starts_with(' ') { "\n" } else { "\n  " });
        all.push_str(line);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_after_the_first_are_indented() {
        let check = |text: &str, expected: &str| assert_eq!(indented(text), expected);
        check("", "");
        check("one", "one");
        check("one\ntwo\nthree", "one\n  two\n  three");
        check("one\n    two", "one\n    two");
    }
}
