//! `windlass push`: reads images, has them pushed, and tells what became of it: in words, in a
//! receipt, and by the exit code.

mod images;
mod referrers;
mod summary;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use windlass_oci::Repository;
use windlass_push::{ErrorReceipt, Finished, Pusher, Receipt, RepositoryReceipt, VERSION};

use crate::args::{Form, PushArgs};
use crate::commands::Context;
use crate::exit_code::Exit;
use crate::output::Output;
use crate::problem::Problem;
use crate::progress::{Progress, Shown};
use crate::request::Request;
use crate::result_file::ResultFile;
use crate::settings::PushSettings;
use crate::signals::Stop;

pub(crate) async fn run(
    args: &PushArgs,
    requests: &[Request],
    context: &Context,
) -> Result<Exit, Problem> {
    let output = &context.output;
    let stop = Stop::listen();
    let settings = PushSettings::new(args, requests, &context.environment, output)?;
    let results = Results::prepare(&settings, output)?;
    results.drafts().for_each(|draft| stop.remove_at_second(draft));
    let jobs = tokio::select! {
        jobs = images::read(&settings, output) => jobs,
        interrupt = stop.clone().wait() => Err(Problem::interrupted(interrupt)),
    };
    let jobs = match jobs {
        Ok(jobs) => jobs,
        Err(problem) => return results.nothing_done(problem).map(|exit| stop.exit(exit)),
    };
    let pusher = Pusher::new(settings.pusher.clone());
    let repositories = || jobs.iter().flat_map(|job| &job.repositories);
    let several = repositories().collect::<BTreeSet<_>>().len() > 1;
    let shown = Shown::from_args(args.progress, &args.verbosity, &context.environment);
    let progress = Progress::new(shown, several, output);
    let stopped = async {
        let interrupt = stop.clone().wait().await;
        // Nothing moves any more, and a second signal would leave half a bar behind.
        progress.finish();
        interrupt
    };
    let finished = match settings.dry_run {
        true => pusher.plan_only(&jobs, progress.clone(), stopped).await,
        false => pusher.push_all(&jobs, progress.clone(), stopped).await,
    };
    progress.finish();
    for registry in repositories().map(Repository::registry).collect::<BTreeSet<_>>() {
        output.detail(&match pusher.client(registry).scheme() {
            Some("http") => format!("{registry}: over plain HTTP"),
            Some(_) => format!("{registry}: over HTTPS"),
            None => format!("{registry}: no answer over HTTPS or HTTP"),
        });
    }
    results.deliver(finished, &progress).map(|exit| stop.exit(exit))
}

/// Where results go.
struct Results<'a> {
    receipt: Option<ResultFile>,
    image_refs: Option<ResultFile>,
    dry_run: bool,
    output: &'a Output,
}

impl<'a> Results<'a> {
    /// Finds out now that a file cannot be written.
    fn prepare(settings: &PushSettings, output: &'a Output) -> Result<Results<'a>, Problem> {
        let PushSettings { receipt, image_refs, dry_run, .. } = settings;
        let prepare = |path: &PathBuf| ResultFile::prepare(path);
        Ok(Results {
            receipt: receipt.as_ref().map(prepare).transpose()?,
            // What was not pushed has no reference to be pulled by.
            image_refs: image_refs.as_ref().filter(|_| !dry_run).map(prepare).transpose()?,
            dry_run: *dry_run,
            output,
        })
    }

    /// What is to go where the process ends at once.
    fn drafts(&self) -> impl Iterator<Item = PathBuf> {
        [&self.receipt, &self.image_refs].into_iter().flatten().filter_map(ResultFile::draft)
    }

    /// No image was read, so there is none that a receipt could tell of; but that of the last run
    /// must not stay in its place.
    fn nothing_done(self, problem: Problem) -> Result<Exit, Problem> {
        let Some(class) = problem.exit.class() else { return Err(problem) };
        let (message, hint) = (problem.message.clone(), problem.hint.clone());
        let error = ErrorReceipt { class, message, hint };
        let receipt = json!({
            "version": VERSION, "outcome": "failed", "image": Value::Null, "repositories": [],
            "error": error,
        });
        self.output.problem(&problem);
        let output = self.output;
        let written = self.write_and_print(&[receipt.to_string()], &[], &[]);
        Ok(output.worst(problem.exit, written))
    }

    fn deliver(self, finished: Finished, progress: &Progress) -> Result<Exit, Problem> {
        let (output, dry_run) = (self.output, self.dry_run);
        let Finished { receipts, failure, failed } = finished;
        let repositories = || receipts.iter().flat_map(|receipt| &receipt.repositories);
        // Where there is one image, its name tells nothing.
        let name_of = |receipt: &Receipt| receipt.name.clone().filter(|_| receipts.len() > 1);
        let named = || {
            receipts.iter().flat_map(|receipt| {
                receipt.repositories.iter().map(move |one| (name_of(receipt), one))
            })
        };
        let warnings: BTreeSet<_> = repositories().flat_map(|one| &one.warnings).collect();
        warnings.into_iter().for_each(|warning| output.warn(warning));
        for one in repositories() {
            output.detail(&summary::requests(one));
        }
        let exit = match &failure {
            None => {
                if output.form() == Form::Text {
                    let lines = named().flat_map(|(name, one)| match dry_run {
                        true => {
                            let bytes = progress.bytes_to_send(&one.repository);
                            summary::plan(name.as_deref(), one, bytes)
                        }
                        false => summary::success(name.as_deref(), one),
                    });
                    lines.for_each(|line| output.note(&line));
                }
                Exit::Success
            }
            Some(failure) => {
                let several = repositories().count() > 1;
                let tags =
                    named().filter_map(|(name, one)| summary::tags(name.as_deref(), one, several));
                let words = failure.to_string();
                let back = repositories().flat_map(|one| summary::not_put_back(one, &words));
                let details = tags.chain(back).collect();
                let problem = Problem { details, ..Problem::from(failure) };
                let of_whom = failed.iter().filter_map(|&place| name_of(receipts.get(place)?));
                let problem = match of_whom.collect::<Vec<_>>().join(", ") {
                    none if none.is_empty() => problem,
                    names => problem.of(&names),
                };
                output.problem(&problem);
                problem.exit
            }
        };
        let documents: Vec<String> = receipts.iter().map(to_json).collect::<Result<_, _>>()?;
        let references: Vec<String> = match failure {
            None => repositories().map(reference).collect(),
            Some(_) => Vec::new(),
        };
        let written = self.write_and_print(&documents, &references, &references);
        Ok(output.worst(exit, written))
    }

    /// Files first: whoever reads the last line of standard output finds them there.
    fn write_and_print(
        self,
        documents: &[String],
        references: &[String],
        lines: &[String],
    ) -> Result<(), Problem> {
        let receipt = self.receipt.map_or(Ok(()), |file| file.write(documents));
        let image_refs = match self.image_refs {
            Some(file) if !references.is_empty() => file.write(references),
            _ => Ok(()),
        };
        let lines = match self.output.form() {
            Form::Text => lines,
            Form::Json => documents,
        };
        let printed = lines.iter().try_for_each(|line| self.output.print(line));
        receipt.and(image_refs).and(printed)
    }
}

impl Output {
    /// What the process ends with where the results could not all be delivered: the push's own
    /// failure counts more.
    fn worst(&self, exit: Exit, delivered: Result<(), Problem>) -> Exit {
        match delivered {
            Ok(()) => exit,
            Err(problem) => {
                self.problem(&problem);
                if exit == Exit::Success { problem.exit } else { exit }
            }
        }
    }
}

fn to_json(receipt: &Receipt) -> Result<String, Problem> {
    serde_json::to_string(receipt)
        .map_err(|error| Problem::other(format!("cannot write the receipt as JSON: {error}")))
}

fn reference(one: &RepositoryReceipt) -> String {
    format!("{}@{}", one.repository, one.digest)
}
