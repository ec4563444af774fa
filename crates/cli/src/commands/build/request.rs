//! `windlass build request`: writes the request file of a push.
//!
//! Layers are not looked at: their digests come from the descriptions that other steps wrote. What
//! can be known to be wrong without them fails the build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use windlass_oci::{Descriptor, Digest};

use super::spec;
use crate::problem::Problem;
use crate::request::Document;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    /// Who wants it, for messages.
    target: String,
    /// Where the request goes.
    output: PathBuf,
    /// The descriptor of what is pushed; none where `request` says what is.
    root: Option<PathBuf>,
    /// Manifests, configs and indexes.
    #[serde(default)]
    documents: Vec<PathBuf>,
    /// Layers.
    #[serde(default)]
    blobs: Vec<Blob>,
    /// All other fields of the request.
    request: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Blob {
    descriptor: PathBuf,
    file: PathBuf,
}

pub(crate) fn run(file: &Path) -> Result<(), Problem> {
    let spec: Spec = spec::read_json(file, "the spec")?;
    write(&spec).map_err(spec::of_target(&spec.target))
}

fn write(spec: &Spec) -> Result<(), Problem> {
    let mut request = spec.request.clone();
    if let Some(root) = &spec.root {
        let Descriptor { media_type, digest, size, .. } = spec::read_json(root, "the descriptor")?;
        let root = json!({ "mediaType": media_type, "digest": digest, "size": size });
        request.insert("root".to_owned(), root);
    }
    let mut blobs: BTreeMap<Digest, &PathBuf> = BTreeMap::new();
    for document in &spec.documents {
        let digest = Digest::sha256(&spec::read(document, "the document")?);
        blobs.entry(digest).or_insert(document);
    }
    for Blob { descriptor, file } in &spec.blobs {
        let Descriptor { digest, .. } = spec::read_json(descriptor, "the descriptor")?;
        blobs.entry(digest).or_insert(file);
    }
    if !blobs.is_empty() {
        request.insert("blobs".to_owned(), json!(blobs));
    }
    request.entry("version").or_insert(json!(1));
    let bytes = serde_json::to_vec_pretty(&request)
        .map_err(|error| Problem::other(format!("cannot write JSON: {error}")))?;
    Document::parse(&bytes).map_err(Problem::usage)?;
    spec::write(&spec.output, [&bytes[..], b"\n"].concat())
}
