//! `windlass demo`: a registry, an image, a push and the proof that it arrived, in one go.
//!
//! Everything is told from what was measured: receipts, bytes that came back, what the registry
//! had at the moment a tag was set. What cannot be shown is a failure.

mod image;
mod kept;
mod pull;
mod relay;
mod scene;
mod server;
mod story;
mod witness;

use std::path::Path;

use tempfile::TempDir;
use windlass_push::{Failure, Interrupt};

use crate::args::DemoArgs;
use crate::commands::Context;
use crate::exit_code::Exit;
use crate::output::{Output, Verbosity};
use crate::problem::Problem;
use crate::signals::Stop;

use scene::Scene;
use server::Server;

pub(crate) async fn run(args: &DemoArgs, context: &Context) -> Result<Exit, Problem> {
    let stop = Stop::listen();
    let output = &context.output;
    let folder = tempfile::Builder::new().prefix("windlass-demo-").tempdir();
    let folder = folder
        .map_err(|error| Problem::other(format!("cannot make a temporary folder: {error}")))?;
    let played = in_folder(args, output, folder.path(), stop).await;
    tidy_up(args, output, folder);
    played?;
    if !args.keep {
        tell(output, &story::by_hand())?;
    }
    Ok(Exit::Success)
}

/// Plays it with everything in `folder`, into which nothing writes any more when this ends.
async fn in_folder(
    args: &DemoArgs,
    output: &Output,
    folder: &Path,
    stop: Stop,
) -> Result<(), Problem> {
    let server = Server::start(&folder.join("registry")).await?;
    let played = play(args, output, folder, &server, stop).await;
    server.stop().await;
    played
}

async fn play(
    args: &DemoArgs,
    output: &Output,
    folder: &Path,
    server: &Server,
    stop: Stop,
) -> Result<(), Problem> {
    tell(output, &story::registry(server.address(), folder))?;
    // Not to be stopped in its middle: it writes into the folder on a thread of its own.
    let scene = Scene::set(args, output, folder, server).await?;
    tokio::select! {
        played = scene.play() => played?,
        interrupt = stop.clone().wait() => return Err(stop.names_exit(interrupted(interrupt))),
    }
    if args.keep {
        // Nobody finds it who is not told, however little is wanted to be heard.
        let lines = story::kept_running(server.address(), scene.image(), folder);
        lines.iter().try_for_each(|line| output.print(line))?;
        stop.wait().await;
    }
    Ok(())
}

/// Tells a step; with `--quiet` the exit code tells all.
fn tell(output: &Output, lines: &[String]) -> Result<(), Problem> {
    if output.verbosity() == Verbosity::Quiet {
        return Ok(());
    }
    lines.iter().try_for_each(|line| output.print(line))
}

fn interrupted(interrupt: Interrupt) -> Problem {
    Problem { hint: None, ..Problem::from(&Failure::Interrupted(interrupt)) }
}

fn tidy_up(args: &DemoArgs, output: &Output, folder: TempDir) {
    let path = folder.path().to_owned();
    if args.keep {
        let _ = folder.keep();
        output.note(&format!("what there was is still in {}", path.display()));
    } else if let Err(error) = folder.close() {
        output.warn(&format!("cannot remove {}: {error}", path.display()));
    }
}
