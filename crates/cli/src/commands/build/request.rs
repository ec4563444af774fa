//! `windlass build request`: writes the request file of a push.
//!
//! Layers are not looked at: their digests come from the descriptions that other steps wrote. What
//! can be known to be wrong without them fails the build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use windlass_oci::{Descriptor, Digest, Repository};

use super::spec;
use crate::problem::Problem;
use crate::request::{Document, Template};

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
    check_repositories(&request)?;
    let bytes = serde_json::to_vec_pretty(&request)
        .map_err(|error| Problem::other(format!("cannot write JSON: {error}")))?;
    Document::parse(&bytes).map_err(Problem::usage)?;
    spec::write(&spec.output, [&bytes[..], b"\n"].concat())
}

/// They stand in a BUILD file, so that a place in this document would tell its reader nothing.
fn check_repositories(request: &Map<String, Value>) -> Result<(), Problem> {
    let named = request.get("repositories").and_then(Value::as_array);
    for repository in named.into_iter().flatten().filter_map(Value::as_str) {
        let parsed: Result<Template<Repository>, _> = repository.parse();
        parsed.map_err(|error| Problem::usage(format!("repository = {repository:?}: {error}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MANIFEST: &str = "{}";

    /// Runs the step in a folder of its own, with these changes to its spec; gives what it wrote.
    fn run_with(change: impl FnOnce(&mut Value)) -> Result<String, Problem> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let descriptor = |name: &str, content: &str| {
            let descriptor = json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": Digest::sha256(content.as_bytes()),
                "size": content.len(),
                "platform": { "os": "linux", "architecture": "amd64" },
                "diffId": Digest::sha256(b"tar"),
            });
            fs::write(at(name), descriptor.to_string()).unwrap();
        };
        descriptor("root.json", MANIFEST);
        descriptor("layer.json", "layer");
        fs::write(at("manifest.json"), MANIFEST).unwrap();
        let mut spec = json!({
            "target": "//app:push",
            "output": at("push.request.json"),
            "root": at("root.json"),
            "documents": [at("manifest.json")],
            // The layer itself is not there.
            "blobs": [{ "descriptor": at("layer.json"), "file": "out/layer.tar.gz" }],
            "request": { "name": "//app:push", "tags": ["v1"], "flags": ["--verbose"] },
        });
        change(&mut spec);
        fs::write(at("spec.json"), spec.to_string()).unwrap();
        run(&at("spec.json"))?;
        let written = fs::read_to_string(at("push.request.json")).unwrap();
        Ok(written.replace(folder.path().to_str().unwrap(), "FOLDER"))
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut Value), words: &str) {
        let problem = run_with(change).unwrap_err();
        assert_eq!(problem.exit, crate::exit_code::Exit::Usage);
        assert!(problem.message.starts_with("//app:push: "), "{}", problem.message);
        assert!(problem.message.contains(words), "{}", problem.message);
    }

    #[test]
    fn it_lists_documents_by_their_content_and_layers_by_their_descriptions() {
        let written = run_with(|_| {}).unwrap();
        let request: Value = serde_json::from_str(&written).unwrap();
        let manifest = Digest::sha256(MANIFEST.as_bytes());
        let expected = json!({
            "version": 1,
            "name": "//app:push",
            "root": {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": manifest,
                "size": 2,
            },
            "blobs": {
                manifest.as_str(): "FOLDER/manifest.json",
                Digest::sha256(b"layer").as_str(): "out/layer.tar.gz",
            },
            "tags": ["v1"],
            "flags": ["--verbose"],
        });
        assert_eq!(request, expected);
        assert_eq!(run_with(|_| {}).unwrap(), written);
    }

    #[test]
    fn a_layout_and_other_requests_need_no_root() {
        for (field, value) in [("layout", json!("image")), ("requests", json!(["a.json"]))] {
            let written = run_with(|spec| {
                spec["root"] = Value::Null;
                spec["documents"] = json!([]);
                spec["blobs"] = json!([]);
                spec["request"] = json!({ field: value });
            });
            let request: Value = serde_json::from_str(&written.unwrap()).unwrap();
            assert_eq!(request, json!({ "version": 1, field: value }));
        }
    }

    #[test]
    fn what_can_be_known_to_be_wrong_fails_the_build() {
        let flags = |flags: Value| move |spec: &mut Value| spec["request"]["flags"] = flags;
        check_refused(flags(json!(["--tag-polcy", "create"])), "--tag-polcy");
        check_refused(flags(json!(["image"])), "\"image\" is no flag");
        check_refused(|spec| spec["request"]["tags"] = json!(["a b"]), "tag \"a b\" is malformed");
        let repositories = |spec: &mut Value| spec["request"]["repositories"] = json!(["a.io/X"]);
        check_refused(repositories, "repository = \"a.io/X\": ");
        check_refused(|spec| spec["root"] = Value::Null, "none of root, layout and requests");
        check_refused(|spec| spec["documents"] = json!(["/none/such"]), "/none/such: ");
        let unknown = run_with(|spec| spec["requests"] = json!({})).unwrap_err();
        assert!(unknown.message.contains("unknown field `requests`"), "{}", unknown.message);
    }
}
