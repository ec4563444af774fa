//! `windlass build layout`: an image as a layout directory, for tools that read nothing else.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use windlass_image::{Layer, LayoutParts, Placing, WriteLayoutError, write_layout};
use windlass_oci::Descriptor;

use super::spec::{bad_image, of_target, read_json, read_part};
use crate::output::Output;
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    target: String,
    output: PathBuf,
    root: PathBuf,
    documents: Vec<PathBuf>,
    blobs: Vec<Blob>,
    layouts: Vec<PathBuf>,
    links: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Blob {
    descriptor: PathBuf,
    file: PathBuf,
}

pub(crate) async fn run(spec: &Path, output: &Output) -> Result<(), Problem> {
    let spec: Spec = read_json(spec, "the spec")?;
    let target = &spec.target;
    let absent = build(&spec).await.map_err(of_target(target))?;
    for Descriptor { digest, .. } in absent {
        output.warn(&format!("{target}: {digest} is in no file and no layout: it is left out"));
    }
    Ok(())
}

async fn build(spec: &Spec) -> Result<Vec<Descriptor>, Problem> {
    let root: Descriptor = read_json(&spec.root, "the image's descriptor")?;
    let documents = spec.documents.iter().map(|file| Ok(read_part(file, "the document")?.into()));
    let documents = documents.collect::<Result<_, Problem>>()?;
    let mut files = HashMap::new();
    for Blob { descriptor, file } in &spec.blobs {
        let layer: Layer = read_json(descriptor, "the layer")?;
        files.insert(layer.digest, file.clone());
    }
    let parts = LayoutParts { documents, files, layouts: spec.layouts.clone() };
    let placing = if spec.links { Placing::Links } else { Placing::Copies };
    write_layout(&spec.output, &root, &parts, placing).await.map_err(|error| match error {
        WriteLayoutError::Io { .. } => Problem::other(error.to_string()),
        WriteLayoutError::Graph(_)
        | WriteLayoutError::Source(_)
        | WriteLayoutError::Gone { .. } => bad_image(error),
    })
}
