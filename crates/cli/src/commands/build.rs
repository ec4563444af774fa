//! `windlass build`: the steps that the Bazel rules' actions consist of.

mod image;
mod import;
mod index;
mod layer;
mod layout;
mod request;
mod spec;
mod values;

use crate::args::{BuildArgs, BuildStep};
use crate::commands::Context;
use crate::exit_code::Exit;
use crate::problem::Problem;

pub(crate) async fn run(args: &BuildArgs, context: &Context) -> Result<Exit, Problem> {
    match &args.step {
        BuildStep::Layer(args) => layer::run(args)?,
        BuildStep::Import(args) => import::run(args).await?,
        BuildStep::Image(args) => image::run(&args.spec)?,
        BuildStep::Index(args) => index::run(&args.spec, &context.output)?,
        BuildStep::Layout(args) => layout::run(&args.spec, &context.output).await?,
        BuildStep::Request(args) => request::run(&args.spec)?,
    }
    Ok(Exit::Success)
}
