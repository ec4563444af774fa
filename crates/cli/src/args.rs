//! What was typed. No I/O, no environment: what it means is told in [`settings`](crate::settings).

mod auth;
mod build;
mod completions;
mod connection;
mod demo;
mod flags;
mod inspect;
mod man;
mod push;
mod serve;
mod verify;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use windlass_oci::ReferenceError;

pub(crate) use auth::{AuthArgs, AuthCheckArgs, AuthCommand};
pub(crate) use build::{BuildArgs, BuildStep, ImportArgs, LayerArgs};
pub(crate) use completions::CompletionsArgs;
pub(crate) use connection::ConnectionArgs;
pub(crate) use demo::DemoArgs;
pub(crate) use flags::check_flags;
use flags::parse_with_flags;
pub(crate) use inspect::InspectArgs;
pub(crate) use man::ManArgs;
pub(crate) use push::{ExpectedTag, PushArgs, TagPolicyArg};
pub(crate) use serve::ServeArgs;
pub(crate) use verify::{Place, VerifyArgs};

/// Hauls container images into registries, and never tags one that is not completely there.
#[derive(Debug, Parser)]
#[command(name = "windlass", version, max_term_width = 100)]
#[command(after_long_help = "\
The format of request files (push --request) is in docs/request.md of Windlass's repository.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Push(Box<PushArgs>),
    Serve(ServeArgs),
    Inspect(InspectArgs),
    Verify(Box<VerifyArgs>),
    Auth(AuthArgs),
    Demo(DemoArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
    #[command(hide = true)]
    Build(BuildArgs),
}

impl Cli {
    /// What `typed` says, the program's name first.
    pub(crate) fn parse_typed(typed: &[OsString]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(typed).map_err(without_secrets)
    }

    /// The same, with the flags that request files bring before it.
    pub(crate) fn parse_with_flags(
        typed: &[OsString],
        flags: &[String],
    ) -> Result<Cli, clap::Error> {
        parse_with_flags(typed, flags).map_err(without_secrets)
    }
}

/// Clap shows what was typed, which may have a password in it.
fn without_secrets(said: clap::Error) -> clap::Error {
    let source = std::error::Error::source(&said).and_then(|source| source.downcast_ref());
    match source {
        Some(login @ ReferenceError::HasLogin { .. }) => {
            Cli::command().error(ErrorKind::ValueValidation, login)
        }
        _ => said,
    }
}

/// How the command speaks, whatever it does.
#[derive(Args, Debug)]
pub(crate) struct CommonArgs {
    /// Whether to use colors [env: NO_COLOR turns them off]
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    #[arg(help_heading = "Output")]
    pub(crate) color: When,
}

/// What standard output is for, in commands whose result a program may read.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct FormArgs {
    /// What goes to standard output: lines for people, or JSON
    #[arg(long, value_name = "FORM", default_value = "text", help_heading = "Output")]
    pub(crate) output: Form,
}

/// How much is said, in commands that can say more.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct VerbosityArgs {
    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Output")]
    pub(crate) quiet: bool,

    /// Tell about credentials, retries, warnings and requests too
    #[arg(short, long, action = ArgAction::Count, help_heading = "Output")]
    pub(crate) verbose: u8,
}

impl Command {
    /// What standard output is for.
    pub(crate) fn form(&self) -> Form {
        match self {
            Command::Push(args) => args.form.output,
            Command::Inspect(args) => args.form.output,
            Command::Verify(args) => args.form.output,
            Command::Auth(AuthArgs { command: AuthCommand::Check(args) }) => args.form.output,
            Command::Serve(_)
            | Command::Demo(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Build(_) => Form::Text,
        }
    }

    /// How much is said.
    pub(crate) fn verbosity(&self) -> VerbosityArgs {
        match self {
            Command::Push(args) => args.verbosity,
            Command::Inspect(args) => args.verbosity,
            Command::Verify(args) => args.verbosity,
            Command::Auth(AuthArgs { command: AuthCommand::Check(args) }) => args.verbosity,
            Command::Serve(args) => args.verbosity,
            Command::Demo(args) => VerbosityArgs { quiet: args.quiet, verbose: 0 },
            Command::Completions(_) | Command::Man(_) | Command::Build(_) => {
                VerbosityArgs::default()
            }
        }
    }
}

/// What standard output is for. Its values explain themselves; clap would make the comment of each a
/// paragraph of the help.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    #[default]
    Text,
    Json,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressKind {
    #[default]
    Auto,
    Bar,
    Lines,
    None,
}

/// Whether to do something that a terminal may or may not like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    #[default]
    Auto,
    Always,
    Never,
}
