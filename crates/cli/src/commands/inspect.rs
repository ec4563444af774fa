//! `windlass inspect`: what an image is made of.

mod report;
mod tree;

use serde_json::json;
use windlass_image::{Graph, GraphError, GraphOptions, Layout};

use crate::args::{Form, InspectArgs};
use crate::commands::Context;
use crate::exit_code::Exit;
use crate::output::Verbosity;
use crate::problem::Problem;

use report::Report;
use tree::{Detail, tree};

pub(crate) async fn run(args: &InspectArgs, context: &Context) -> Result<Exit, Problem> {
    let output = &context.output;
    let layout = Layout::open(&args.image).await?;
    let root = layout.root(args.manifest.as_deref())?;
    let graph = match Graph::read(&root, &*layout.store(), &GraphOptions::default()).await {
        Ok(graph) => graph,
        Err(error) => {
            if output.form() == Form::Json {
                output.print(&problems(&error))?;
            }
            return Err(error.into());
        }
    };
    let report = Report::new(&graph);
    match output.form() {
        Form::Json => {
            let json = serde_json::to_string(&report);
            let json =
                json.map_err(|error| Problem::other(format!("cannot write JSON: {error}")))?;
            output.print(&json)?;
        }
        Form::Text => {
            let detail = match output.verbosity() {
                Verbosity::Verbose => Detail::Full,
                _ => Detail::Short,
            };
            let lines = tree(&graph, detail);
            output.print(
                &[lines.join("\n"), String::new(), report.summary().join("\n")].join("\n"),
            )?;
            graph.warnings().iter().for_each(|warning| output.warn(&warning.to_string()));
        }
    }
    Ok(Exit::Success)
}

/// What is wrong with an image, as JSON.
fn problems(error: &GraphError) -> String {
    let problems: Vec<_> = error.problems.iter().map(ToString::to_string).collect();
    json!({ "version": report::VERSION, "problems": problems }).to_string()
}
