//! What was typed means this, here and now: the only place that reads the environment.

mod environment;
mod push;
mod registries;
mod registry_data;

use std::io::{IsTerminal as _, stderr};

pub(crate) use environment::Environment;
pub(crate) use push::{ImagePlace, ImageSettings, PushSettings};
pub(crate) use registries::{Load, pusher_options};
pub(crate) use registry_data::registry_data;

use crate::args::{CommonArgs, When};
use crate::output::{Output, Verbosity};

impl Output {
    /// As was asked for, on this terminal.
    pub(crate) fn from_args(args: &CommonArgs, environment: &Environment) -> Output {
        let verbosity = match (args.quiet, args.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, _) => Verbosity::Verbose,
        };
        let color = match args.color {
            When::Always => true,
            When::Never => false,
            When::Auto => environment.text("NO_COLOR").is_none() && stderr().is_terminal(),
        };
        Output::new(args.output, verbosity, color)
    }
}
