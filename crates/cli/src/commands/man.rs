//! `windlass man`.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::args::{Cli, ManArgs};
use crate::commands::Context;
use crate::exit_code::Exit;
use crate::problem::Problem;

pub(crate) fn run(args: &ManArgs, context: &Context) -> Result<Exit, Problem> {
    match &args.out {
        Some(folder) => write_all(folder).map_err(|error| {
            Problem::other(format!("cannot write pages into {}: {error}", folder.display()))
        })?,
        None => {
            let mut page = Vec::new();
            let rendered = Man::new(Cli::command()).render(&mut page);
            rendered.map_err(|error| Problem::other(error.to_string()))?;
            context.output.print_raw(&page)?;
        }
    }
    Ok(Exit::Success)
}

/// One page for the command and one for each command below it.
fn write_all(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(Cli::command(), folder)
}
