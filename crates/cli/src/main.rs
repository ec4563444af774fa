//! `windlass`: hauls container images into registries, and never tags one that is not completely there.
//!
//! What was typed ([`args`]) becomes what it means ([`settings`]), and a command does it
//! ([`commands`]). Nothing but this crate knows the terminal and the environment.

mod args;
mod byte_size;
mod commands;
mod duration;
mod exit_code;
mod jobs;
mod login;
mod output;
mod problem;
mod progress;
mod request;
mod result_file;
mod retries;
mod selector;
mod settings;
mod signals;
mod tag_list;
mod words;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use windlass_oci::ReferenceError;

use crate::exit_code::Exit;

fn main() -> ExitCode {
    match args::Cli::try_parse() {
        Ok(cli) => commands::run(&cli),
        Err(said) => {
            let said = without_secrets(said);
            // Nobody is left to hear that the terminal is gone.
            let _ = said.print();
            if said.use_stderr() { Exit::Usage } else { Exit::Success }
        }
    }
    .into()
}

/// Clap shows what was typed, which may have a password in it.
fn without_secrets(said: clap::Error) -> clap::Error {
    let source = std::error::Error::source(&said).and_then(|source| source.downcast_ref());
    match source {
        Some(login @ ReferenceError::HasLogin { .. }) => {
            args::Cli::command().error(ErrorKind::ValueValidation, login)
        }
        _ => said,
    }
}
