//! What was typed means this, here and now: the only place that reads the environment.

mod environment;
mod push;
mod registries;
mod registry_data;
mod state_dir;
mod system;

use std::io::{IsTerminal as _, stderr};

pub(crate) use environment::Environment;
pub(crate) use push::{ImagePlace, ImageSettings, PushSettings};
pub(crate) use registries::{Load, pusher_options};
pub(crate) use registry_data::registry_data;

use crate::args::{Cli, ProgressKind, VerbosityArgs, When};
use crate::output::{Output, Verbosity};
use crate::progress::Shown;

impl Output {
    /// As was asked for, on this terminal.
    pub(crate) fn from_args(cli: &Cli, environment: &Environment) -> Output {
        let VerbosityArgs { quiet, verbose } = cli.command.verbosity();
        let verbosity = match (quiet, verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, _) => Verbosity::Verbose,
        };
        let color = match cli.common.color {
            When::Always => true,
            When::Never => false,
            When::Auto => environment.text("NO_COLOR").is_none() && stderr().is_terminal(),
        };
        Output::new(cli.command.form(), verbosity, color)
    }
}

impl Shown {
    /// As was asked for, on this terminal.
    pub(crate) fn from_args(
        kind: ProgressKind,
        verbosity: &VerbosityArgs,
        environment: &Environment,
    ) -> Shown {
        match verbosity.quiet {
            true => Shown::Nothing,
            false => shown(kind, environment, stderr().is_terminal()),
        }
    }
}

fn shown(kind: ProgressKind, environment: &Environment, is_terminal: bool) -> Shown {
    let is_dumb = environment.text("TERM").is_some_and(|term| term == "dumb");
    // Some systems that run builds lend a terminal, and keep all that is drawn on it.
    let is_watched = environment.text("CI").is_none_or(|ci| ci == "false");
    match kind {
        ProgressKind::None => Shown::Nothing,
        ProgressKind::Bar if is_terminal => Shown::Bars,
        ProgressKind::Auto if is_terminal && !is_dumb && is_watched => Shown::Bars,
        // Without a terminal there is nothing to draw on.
        ProgressKind::Auto | ProgressKind::Bar | ProgressKind::Lines => Shown::Lines,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_for_people_at_terminals() {
        #[track_caller]
        fn check<const N: usize>(
            kind: ProgressKind,
            set: [(&str, &str); N],
            is_terminal: bool,
            expected: Shown,
        ) {
            assert_eq!(shown(kind, &Environment::from(set), is_terminal), expected, "{set:?}");
        }
        check(ProgressKind::Auto, [], true, Shown::Bars);
        check(ProgressKind::Auto, [], false, Shown::Lines);
        check(ProgressKind::Auto, [("CI", "true")], true, Shown::Lines);
        check(ProgressKind::Auto, [("CI", "false")], true, Shown::Bars);
        check(ProgressKind::Auto, [("TERM", "dumb")], true, Shown::Lines);
        check(ProgressKind::Bar, [("CI", "true")], true, Shown::Bars);
        check(ProgressKind::Bar, [], false, Shown::Lines);
        check(ProgressKind::Lines, [], true, Shown::Lines);
        check(ProgressKind::None, [], true, Shown::Nothing);
    }
}
