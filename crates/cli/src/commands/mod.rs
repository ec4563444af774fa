//! The commands, each in its file: takes its arguments and the [`Context`], does its work, tells
//! how the process ends.

mod auth_check;
mod build;
mod completions;
mod demo;
mod inspect;
mod man;
mod push;
mod serve;
mod verify;

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::args::{AuthCommand, Cli, Command};
use crate::exit_code::Exit;
use crate::output::Output;
use crate::problem::Problem;
use crate::request::Requests;
use crate::settings::Environment;

/// What every command has: a mouth, and an environment.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// Where everything that is said goes through.
    pub(crate) output: Output,
    /// The variables of the process.
    pub(crate) environment: Environment,
}

/// Does what was asked for, and tells what went wrong. An error where the flags that request files
/// bring cannot be together with what was `typed`.
pub(crate) fn run(
    cli: Cli,
    typed: &[OsString],
    environment: Environment,
) -> Result<Exit, clap::Error> {
    let requests = match &cli.command {
        Command::Push(args) => Requests::read(&args.requests, &environment),
        _ => Ok(Requests::default()),
    };
    // Flags may say how things are said, so they come before anything is.
    let cli = match &requests {
        Ok(Requests { flags, .. }) if !flags.is_empty() => Cli::parse_with_flags(typed, flags)?,
        _ => cli,
    };
    let output = Output::from_args(&cli, &environment);
    let context = Context { output, environment };
    let ended = match &cli.command {
        Command::Push(args) => {
            requests.and_then(|requests| client(push::run(args, &requests.images, &context)))
        }
        Command::Serve(args) => server(serve::run(args, &context)),
        Command::Inspect(args) => client(inspect::run(args, &context)),
        Command::Verify(args) => client(verify::run(args, &context)),
        Command::Auth(args) => match &args.command {
            AuthCommand::Check(args) => client(auth_check::run(args, &context)),
        },
        Command::Demo(args) => server(demo::run(args, &context)),
        Command::Completions(args) => completions::run(args, &context),
        Command::Man(args) => man::run(args, &context),
        Command::Build(args) => client(build::run(args, &context)),
    };
    Ok(ended.unwrap_or_else(|problem| {
        context.output.problem(&problem);
        problem.exit
    }))
}

/// Runs a command that waits for others most of the time: one thread is enough, and quick to start.
fn client(work: impl Future<Output = Result<Exit, Problem>>) -> Result<Exit, Problem> {
    run_in(Builder::new_current_thread(), work)
}

/// Runs a command that works for many at once.
fn server(work: impl Future<Output = Result<Exit, Problem>>) -> Result<Exit, Problem> {
    run_in(Builder::new_multi_thread(), work)
}

fn run_in(
    mut builder: Builder,
    work: impl Future<Output = Result<Exit, Problem>>,
) -> Result<Exit, Problem> {
    let failed = |error: io::Error| Problem::other(format!("cannot start: {error}"));
    let runtime: Runtime = builder.enable_all().build().map_err(failed)?;
    let ended = runtime.block_on(work);
    // A thread that still reads a file on a dead network drive must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}
