//! `windlass verify`: whether all of an image is at a registry.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use windlass_image::Layout;
use windlass_oci::{Digest, Reference, Repository};
use windlass_push::{Depth, Flaw, FlawProblem, Pusher, Verification, verify};

use crate::args::{Form, Place, VerifyArgs};
use crate::commands::Context;
use crate::exit_code::Exit;
use crate::problem::Problem;
use crate::progress::{Looking, Shown};
use crate::settings::{Load, pusher_options};
use crate::signals::Stop;
use crate::words;

/// So many flaws are told one by one to people.
const FEW: usize = 20;

pub(crate) async fn run(args: &VerifyArgs, context: &Context) -> Result<Exit, Problem> {
    let Context { output, environment } = context;
    let stop = Stop::listen();
    let Place { repository, reference } = &args.place;
    let expected = image_digest(args).await?;
    let root = match (reference, &expected) {
        (Some(reference), _) => reference.clone(),
        (None, Some(digest)) => Reference::Digest(digest.clone()),
        (None, None) => {
            let message = format!("nothing says which image of {repository} is meant");
            let hint =
                format!("write {repository}:TAG or {repository}@DIGEST, or an IMAGE after it");
            return Err(Problem::usage(message).hint(hint));
        }
    };
    let hosts = BTreeSet::from([repository.registry().clone()]);
    let options = pusher_options(&args.connection, Load::default(), &hosts, environment, output)?;
    let client = Pusher::new(options).client(repository.registry()).repository(repository.clone());
    let depth = if args.deep { Depth::Bytes } else { Depth::Sizes };
    let shown = Shown::from_args(args.progress, &args.verbosity, environment);
    let looking = Looking::new(shown, depth, output);
    let watcher = |looked| looking.show(looked);
    let found = tokio::select! {
        found = verify(&client, &root, expected.as_ref(), depth, &watcher) => found,
        interrupt = stop.clone().wait() => {
            looking.finish();
            return Err(stop.names_exit(Problem::interrupted(interrupt)));
        }
    };
    looking.finish();
    let found = found.map_err(|failure| Problem::from(&failure))?;
    let is_whole = found.flaws.is_empty();
    match (output.form(), &found.digest) {
        (Form::Json, _) => {
            output.print(&to_json(repository, &root, args.deep, &found).to_string())?;
        }
        (Form::Text, Some(digest)) if is_whole => {
            output.note(&summary(repository, args.deep, &found));
            output.print(&format!("{repository}@{digest}"))?;
        }
        _ => {}
    }
    if is_whole {
        return Ok(Exit::Success);
    }
    Err(problem(repository, &root, &found))
}

/// The digest of the image that is to be there.
async fn image_digest(args: &VerifyArgs) -> Result<Option<Digest>, Problem> {
    let Some(path) = &args.image else { return Ok(None) };
    let layout = Layout::open(path).await?;
    Ok(Some(layout.image(args.manifest.as_deref()).await?.digest))
}

fn summary(repository: &Repository, is_deep: bool, found: &Verification) -> String {
    let manifests = words::count(found.manifests, "manifest");
    let blobs = words::count(found.blobs, "blob");
    let bytes = words::bytes(found.bytes);
    let how = if is_deep { ", every byte read and hashed" } else { "" };
    format!("all of it is in {repository}: {manifests}, {blobs}, {bytes}{how}")
}

fn problem(repository: &Repository, root: &Reference, found: &Verification) -> Problem {
    let separator = if matches!(root, Reference::Tag(_)) { ':' } else { '@' };
    let name = format!("{repository}{separator}{root}");
    let is_other = |flaw: &Flaw| matches!(flaw.problem, FlawProblem::OtherImage { .. });
    let sends = "`windlass push --verify` with the image sends what is missing";
    let (said, hint) = match found.flaws.as_slice() {
        [flaw] if is_other(flaw) => {
            ("is another image", "`windlass push` with this image moves the tag")
        }
        [Flaw { kind: "tag", problem: FlawProblem::Missing, .. }] => ("is not there", sends),
        _ => ("is not whole", sends),
    };
    let mut lines: Vec<_> = found.flaws.iter().take(FEW).map(ToString::to_string).collect();
    if found.flaws.len() > FEW {
        let more = (found.flaws.len() - FEW) as u64;
        lines.push(format!("and {} more (--output json lists all)", words::count(more, "problem")));
    }
    let message = format!("{name} {said}:\n{}", lines.join("\n"));
    Problem { exit: Exit::Image, ..Problem::other(message).hint(hint) }
}

fn to_json(
    repository: &Repository,
    root: &Reference,
    is_deep: bool,
    found: &Verification,
) -> Value {
    let flaw = |flaw: &Flaw| {
        let (problem, expected, actual) = match &flaw.problem {
            FlawProblem::Missing => ("missing", Value::Null, Value::Null),
            FlawProblem::OtherImage { expected } => {
                ("other-image", json!(expected), json!(found.digest))
            }
            FlawProblem::Size { expected, found } => ("size", json!(expected), json!(found)),
            FlawProblem::Digest { found } => ("digest", json!(flaw.digest), json!(found)),
            FlawProblem::Odd(_) => ("odd", Value::Null, Value::Null),
        };
        json!({
            "kind": flaw.kind,
            "digest": flaw.digest,
            "problem": problem,
            "expected": expected,
            "found": actual,
            "message": flaw.to_string(),
        })
    };
    json!({
        "version": 1,
        "outcome": if found.flaws.is_empty() { "whole" } else { "flawed" },
        "repository": repository.to_string(),
        "reference": root.to_string(),
        "digest": found.digest,
        "deep": is_deep,
        "manifests": found.manifests,
        "blobs": found.blobs,
        "bytes": found.bytes,
        "flaws": found.flaws.iter().map(flaw).collect::<Vec<_>>(),
    })
}
