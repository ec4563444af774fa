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
mod launcher;
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
mod text_file;
mod words;

use std::process::ExitCode;

use crate::args::Cli;
use crate::exit_code::Exit;
use crate::settings::Environment;

fn main() -> ExitCode {
    let environment = Environment::of_process();
    let typed = launcher::unfold(std::env::args_os().collect(), &environment);
    let exit = Cli::parse_typed(&typed).and_then(|cli| commands::run(cli, &typed, environment));
    exit.unwrap_or_else(|said| {
        // Nobody is left to hear that the terminal is gone.
        let _ = said.print();
        if said.use_stderr() { Exit::Usage } else { Exit::Success }
    })
    .into()
}
