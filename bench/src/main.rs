//! Measures Windlass and other pushers side by side: the same images, the same registry, the same
//! link, in the same minutes. `docs/performance.md` tells what comes out, and how to run it again.

mod args;
mod case;
mod client;
mod compare;
mod floor;
mod growth;
mod login;
mod many;
mod program;
mod report;
mod run;
mod sample;
mod server;
mod stand;
mod startup;
mod stopwatch;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;

use crate::args::Args;
use crate::report::Report;

fn main() -> ExitCode {
    if stopwatch::is_wanted() {
        return stopwatch::serve();
    }
    match bench(&args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(args: &Args) -> Result<()> {
    if args.list {
        write!(std::io::stdout(), "{}", run::list())?;
        return Ok(());
    }
    let report = match &args.from {
        Some(file) => Report::read(file)?,
        None => run::all(args)?,
    };
    write!(std::io::stdout(), "{}", report::text::of(&report))?;
    if let Some(file) = &args.json {
        report.write(file)?;
    }
    if let Some(folder) = &args.svg {
        report::svg::write(&report, folder)?;
    }
    Ok(())
}
