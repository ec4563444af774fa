//! `windlass build index`: several images as one.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use windlass_image::{AssembledIndex, Note, assemble_index};
use windlass_oci::Descriptor;

use super::spec::{of_target, read_json, write, write_descriptor};
use super::values::Pairs;
use crate::output::Output;
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    target: String,
    images: Vec<Child>,
    annotations: Option<Pairs>,
    outputs: Outputs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Child {
    descriptor: PathBuf,
    target: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outputs {
    manifest: PathBuf,
    descriptor: PathBuf,
    digest: PathBuf,
}

pub(crate) fn run(spec: &Path, output: &Output) -> Result<(), Problem> {
    let spec: Spec = read_json(spec, "the spec")?;
    let target = spec.target.clone();
    build(spec, output).map_err(of_target(&target))
}

fn build(spec: Spec, output: &Output) -> Result<(), Problem> {
    let Spec { target, images: children, annotations, outputs } = spec;
    if children.is_empty() {
        return Err(Problem::usage("an index needs at least one image"));
    }
    let read = |child: &Child| read_json::<Descriptor>(&child.descriptor, "the image's descriptor");
    let images = children.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let annotations = Pairs::make_all(annotations, "annotations", Note::new)?;
    let index = assemble_index(&images, &annotations).map_err(|place| {
        let child = &children[place].target;
        Problem::usage(format!(
            "{child} is an index; an index of indexes is not made, list its images instead"
        ))
    })?;
    for warning in warnings(&index, &children, &images) {
        output.warn(&format!("{target}: {warning}"));
    }
    write(&outputs.manifest, index.manifest.bytes())?;
    write_descriptor(&outputs.descriptor, &outputs.digest, &index.manifest.descriptor())
}

fn warnings(index: &AssembledIndex, children: &[Child], images: &[Descriptor]) -> Vec<String> {
    let repeated = index.repeated.iter().map(|&(first, second)| {
        let (first, second) = (&children[first].target, &children[second].target);
        match first == second {
            true => format!("{first} comes several times as the same image: it is entered once"),
            false => format!("{first} and {second} are the same image: it is entered once"),
        }
    });
    let hidden = index.hidden.iter().filter_map(|&(first, second)| {
        let platform = images[first].platform.as_ref()?;
        let (first, second) = (&children[first].target, &children[second].target);
        Some(format!("{first} and {second} are both for {platform}: clients choose {first}"))
    });
    repeated.chain(hidden).collect()
}
