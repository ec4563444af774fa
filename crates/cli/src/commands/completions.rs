//! `windlass completions`.

use clap::CommandFactory as _;

use crate::args::{Cli, CompletionsArgs};
use crate::commands::Context;
use crate::exit_code::Exit;
use crate::problem::Problem;

pub(crate) fn run(args: &CompletionsArgs, context: &Context) -> Result<Exit, Problem> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "windlass", &mut script);
    context.output.print_raw(&script)?;
    Ok(Exit::Success)
}
