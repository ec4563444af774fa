//! Request files: an image by its root and the files that its content lies in, as build systems
//! know it that never make a layout.
//!
//! ```json
//! {
//!   "version": 1,
//!   "root": {
//!     "mediaType": "application/vnd.oci.image.manifest.v1+json",
//!     "digest": "sha256:6c3c…",
//!     "size": 1234
//!   },
//!   "blobs": {
//!     "sha256:6c3c…": "manifest.json",
//!     "sha256:44136f…": "config.json",
//!     "sha256:9834…": "../layers/base.tar.gz"
//!   },
//!   "repositories": ["registry.example.com/team/app"],
//!   "tags": ["v1.2.3", "latest"]
//! }
//! ```
//!
//! - `version`: 1. A file of another version is refused, and so is a field that is not known: what
//!   it says might have kept a tag from being moved.
//! - `root`: the descriptor of the manifest or index that is pushed.
//! - `blobs`: where content lies, by its digest: layers, configs, and manifests too. A path is
//!   taken from the folder that the request file is in. A file that is not there is no error as
//!   long as the registry has its content.
//! - `repositories`, may be left out: where to push to, unless `--repository` says so.
//! - `tags`, may be left out: the tags to set, after those that `--tag` and `--tag-file` name.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use windlass_oci::{Descriptor, Digest, Repository, Tag};
use windlass_source::FilesStore;

use crate::problem::Problem;

/// An image by files, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The manifest or index that is pushed.
    pub(crate) root: Descriptor,
    /// Where its content lies.
    pub(crate) files: FilesStore,
    /// Where to push to, where the command line says nothing.
    pub(crate) repositories: Vec<Repository>,
    /// The tags to set, after those of the command line.
    pub(crate) tags: Vec<Tag>,
}

/// An index of a thousand images of a hundred layers each.
const LARGEST: u64 = 32 << 20;
const VERSION: u64 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(rename = "version")]
    _version: u64,
    root: Descriptor,
    #[serde(deserialize_with = "digests")]
    blobs: HashMap<Digest, PathBuf>,
    #[serde(default, deserialize_with = "texts")]
    repositories: Vec<Repository>,
    #[serde(default, deserialize_with = "texts")]
    tags: Vec<Tag>,
}

/// Looked at first, so that a newer file is not blamed for its newer fields.
#[derive(Deserialize)]
struct Version {
    version: u64,
}

impl Request {
    /// Reads a request file. The files that it names are not looked at.
    pub(crate) fn read(file: &Path) -> Result<Request, Problem> {
        let shown = file.display();
        let mut bytes = Vec::new();
        File::open(file)
            .and_then(|open| open.take(LARGEST + 1).read_to_end(&mut bytes))
            .map_err(|error| Problem::usage(format!("cannot read the request {shown}: {error}")))?;
        if bytes.len() as u64 > LARGEST {
            return Err(Problem::usage(format!("{shown} has more than {LARGEST} bytes")));
        }
        let folder = file.parent().unwrap_or(Path::new(""));
        Request::parse(&bytes, folder)
            .map_err(|problem| Problem::usage(format!("cannot understand {shown}: {problem}")))
    }

    fn parse(bytes: &[u8], folder: &Path) -> Result<Request, String> {
        let Version { version } = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if version != VERSION {
            return Err(format!("it is a request of version {version}; known is {VERSION}"));
        }
        let document: Document = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let Document { root, blobs, repositories, tags, .. } = document;
        let files = blobs.into_iter().map(|(digest, path)| (digest, folder.join(path))).collect();
        Ok(Request { root, files, repositories, tags })
    }
}

fn digests<'de, D: Deserializer<'de>>(from: D) -> Result<HashMap<Digest, PathBuf>, D::Error> {
    let named: HashMap<String, PathBuf> = HashMap::deserialize(from)?;
    let parse = |(digest, path): (String, _)| Ok((parse_text(&digest)?, path));
    named.into_iter().map(parse).collect()
}

fn texts<'de, D: Deserializer<'de>, T: FromStr<Err: std::fmt::Display>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    Vec::<String>::deserialize(from)?.iter().map(|text| parse_text(text)).collect()
}

fn parse_text<T: FromStr<Err: std::fmt::Display>, E: serde::de::Error>(text: &str) -> Result<T, E> {
    text.parse().map_err(E::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use windlass_source::Store as _;

    fn whole() -> Value {
        json!({
            "version": 1,
            "root": {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": Digest::sha256(b"manifest").as_str(),
                "size": 8,
            },
            "blobs": { Digest::sha256(b"manifest").as_str(): "blobs/manifest.json" },
            "repositories": ["registry.example.com/team/app"],
            "tags": ["v1", "latest"],
        })
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Value), expected: Result<(), &str>) {
        let mut document = whole();
        change(&mut document);
        let parsed = Request::parse(document.to_string().as_bytes(), Path::new(""));
        match (parsed, expected) {
            (Ok(_), Ok(())) => {}
            (Err(problem), Err(words)) => assert!(problem.contains(words), "{problem}"),
            (parsed, expected) => panic!("{parsed:?}, not {expected:?}"),
        }
    }

    #[test]
    fn the_example_of_the_documentation_is_one() {
        let page = include_str!("../../../docs/request.md");
        let example = page.split("```json").nth(1).unwrap().split("```").next().unwrap();
        Request::parse(example.as_bytes(), Path::new("")).unwrap();
    }

    #[test]
    fn what_a_request_may_say() {
        check(|_| {}, Ok(()));
        check(
            |document| {
                document.as_object_mut().unwrap().remove("repositories");
                document.as_object_mut().unwrap().remove("tags");
            },
            Ok(()),
        );
        check(|document| document["version"] = json!(2), Err("version 2; known is 1"));
        check(
            |document| {
                document["version"] = json!(2);
                document["platforms"] = json!([]);
            },
            Err("version 2; known is 1"),
        );
        check(|document| document["tagPolicy"] = json!("create"), Err("unknown field `tagPolicy`"));
        check(|document| document["version"] = json!("1"), Err("invalid type"));
        check(|document| document["root"] = json!("sha256:00"), Err("invalid type"));
        check(|document| document["tags"] = json!(["a b"]), Err("tag \"a b\" is malformed"));
        check(|document| document["repositories"] = json!(["app"]), Err("registry's host"));
        check(|document| document["blobs"] = json!({"sha256:1": "x"}), Err("sha256:1"));
        check(|document| *document = json!("text"), Err("invalid type"));
    }

    #[tokio::test]
    async fn paths_begin_at_the_folder_of_the_request() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("blobs")).unwrap();
        std::fs::write(folder.path().join("blobs/manifest.json"), "manifest").unwrap();
        let file = folder.path().join("request.json");
        std::fs::write(&file, whole().to_string()).unwrap();
        let request = Request::read(&file).unwrap();
        assert_eq!(request.files.get(&request.root).await.unwrap().unwrap().size(), 8);
        assert_eq!(request.repositories, ["registry.example.com/team/app".parse().unwrap()]);
        assert_eq!(request.tags, ["v1".parse().unwrap(), "latest".parse().unwrap()]);
    }
}
