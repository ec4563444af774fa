//! What stands in a request file, and whether it can be meant.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use windlass_oci::{Descriptor, Digest, Repository, Tag};

use super::stamp::Template;
use crate::args;

/// What stands in a request file. No file that it names has been looked at.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// Who it is, for messages.
    pub(crate) name: Option<String>,
    /// Where its paths begin, from the folder that the file is in.
    pub(crate) folder: PathBuf,
    /// The folder of a runfiles tree below which its paths lie too.
    pub(crate) runfiles: Option<PathBuf>,
    /// What is pushed.
    pub(crate) content: Content,
    /// Layouts with what refers to the image.
    pub(crate) referrers: Vec<PathBuf>,
    /// Where to, where the command line says nothing.
    pub(crate) repositories: Vec<Template<Repository>>,
    /// The same, as a file.
    pub(crate) repository_file: Option<PathBuf>,
    /// The tags to set, after those of the command line.
    pub(crate) tags: Vec<Template<Tag>>,
    /// More of them.
    pub(crate) tag_files: Vec<PathBuf>,
    /// The build's status; empty where the build was not stamped.
    pub(crate) status_files: Vec<PathBuf>,
    /// Flags that go before the typed ones.
    pub(crate) flags: Vec<String>,
}

/// What is pushed.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// One image.
    Image(ImageContent),
    /// The images of other request files.
    Requests(Vec<PathBuf>),
}

/// An image, by the paths of the request.
#[derive(Clone, Debug)]
pub(crate) enum ImageContent {
    /// By its files.
    Files {
        /// The manifest or index that is pushed.
        root: Box<Descriptor>,
        /// Where content lies, by its digest.
        blobs: HashMap<Digest, PathBuf>,
        /// Directories where other content lies.
        layouts: Vec<PathBuf>,
    },
    /// By its layout.
    Layout(PathBuf),
}

const VERSION: u64 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(rename = "version")]
    _version: u64,
    name: Option<String>,
    #[serde(default)]
    folder: PathBuf,
    runfiles: Option<PathBuf>,
    root: Option<Box<Descriptor>>,
    #[serde(default, deserialize_with = "digests")]
    blobs: HashMap<Digest, PathBuf>,
    #[serde(default)]
    layouts: Vec<PathBuf>,
    layout: Option<PathBuf>,
    requests: Option<Vec<PathBuf>>,
    #[serde(default)]
    referrers: Vec<PathBuf>,
    #[serde(default, deserialize_with = "texts")]
    repositories: Vec<Template<Repository>>,
    repository_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "texts")]
    tags: Vec<Template<Tag>>,
    #[serde(default)]
    tag_files: Vec<PathBuf>,
    #[serde(default)]
    status_files: Vec<PathBuf>,
    #[serde(default)]
    flags: Vec<String>,
}

/// Looked at first, so that a newer file is not blamed for its newer fields.
#[derive(Deserialize)]
struct Version {
    version: u64,
}

impl Document {
    /// Reads what stands in a request file, or tells in words what is wrong with it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Document, String> {
        let Version { version } = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if version != VERSION {
            return Err(format!("it is a request of version {version}; known is {VERSION}"));
        }
        let written: Written = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        written.understand()
    }
}

impl Written {
    fn understand(self) -> Result<Document, String> {
        args::check_flags(&self.flags)?;
        if !self.repositories.is_empty() && self.repository_file.is_some() {
            return Err("it has both repositories and repository_file; one of them is meant".into());
        }
        let has_parts = !self.blobs.is_empty() || !self.layouts.is_empty();
        let has_more = !self.referrers.is_empty()
            || !self.repositories.is_empty()
            || self.repository_file.is_some()
            || !self.tags.is_empty()
            || !self.tag_files.is_empty();
        let content = match (self.root, self.layout, self.requests) {
            (Some(_), None, None) if !has_parts => {
                return Err("its root has no files: blobs, layouts or both are missing".into());
            }
            (Some(root), None, None) => {
                let (blobs, layouts) = (self.blobs, self.layouts);
                Content::Image(ImageContent::Files { root, blobs, layouts })
            }
            (None, Some(_), None) | (None, None, Some(_)) if has_parts => {
                return Err("blobs and layouts belong to a root, and it has none".into());
            }
            (None, Some(layout), None) => Content::Image(ImageContent::Layout(layout)),
            (None, None, Some(requests)) if requests.is_empty() => {
                return Err("its requests are an empty list: there is nothing to push".into());
            }
            (None, None, Some(_)) if has_more => {
                return Err(
                    "it has requests, which have repositories, tags and referrers of their own"
                        .into(),
                );
            }
            (None, None, Some(requests)) => Content::Requests(requests),
            (None, None, None) => {
                return Err("it has none of root, layout and requests: nothing to push".into());
            }
            _ => return Err("of root, layout and requests it has more than one".into()),
        };
        Ok(Document {
            name: self.name,
            folder: self.folder,
            runfiles: self.runfiles,
            content,
            referrers: self.referrers,
            repositories: self.repositories,
            repository_file: self.repository_file,
            tags: self.tags,
            tag_files: self.tag_files,
            status_files: self.status_files,
            flags: self.flags,
        })
    }
}

fn digests<'de, D: Deserializer<'de>>(from: D) -> Result<HashMap<Digest, PathBuf>, D::Error> {
    let named: HashMap<String, PathBuf> = HashMap::deserialize(from)?;
    let parse = |(digest, path): (String, _)| Ok((parse_text(&digest)?, path));
    named.into_iter().map(parse).collect()
}

fn texts<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<Vec<T>, D::Error> {
    Vec::<String>::deserialize(from)?.iter().map(|text| parse_text(text)).collect()
}

fn parse_text<T: FromStr<Err: Display>, E: serde::de::Error>(text: &str) -> Result<T, E> {
    text.parse().map_err(E::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

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
        match (Document::parse(document.to_string().as_bytes()), expected) {
            (Ok(_), Ok(())) => {}
            (Err(problem), Err(words)) => assert!(problem.contains(words), "{problem}"),
            (parsed, expected) => panic!("{parsed:?}, not {expected:?}"),
        }
    }

    fn without(document: &mut Value, fields: &[&str]) {
        for field in fields {
            document.as_object_mut().unwrap().remove(*field);
        }
    }

    #[test]
    fn the_examples_of_the_documentation_are_some() {
        let page = include_str!("../../../../docs/request.md");
        let examples: Vec<_> =
            page.split("```json").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(examples.len() > 1);
        for example in examples {
            if let Err(problem) = Document::parse(example.as_bytes()) {
                panic!("{problem} in {example}");
            }
        }
    }

    #[test]
    fn every_field_is_documented() {
        let page = include_str!("../../../../docs/request.md");
        let complaint = Document::parse(br#"{"version":1,"none":0}"#).unwrap_err();
        let fields: Vec<_> = complaint.split('`').skip(3).step_by(2).collect();
        assert!(fields.len() > 10, "{complaint}");
        for field in fields {
            assert!(page.contains(&format!("| `{field}` |")), "{field} is not in the table");
        }
    }

    #[test]
    fn what_a_request_may_say() {
        check(|_| {}, Ok(()));
        check(|document| without(document, &["repositories", "tags"]), Ok(()));
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

    #[test]
    fn what_is_pushed_is_one_thing() {
        let layout = |document: &mut Value| {
            without(document, &["root", "blobs"]);
            document["layout"] = json!("image");
        };
        let requests = |document: &mut Value| {
            without(document, &["root", "blobs", "repositories", "tags"]);
            document["requests"] = json!(["a.json"]);
        };
        check(layout, Ok(()));
        check(requests, Ok(()));
        check(|document| without(document, &["root", "blobs"]), Err("none of root, layout"));
        check(|document| document["layout"] = json!("image"), Err("more than one"));
        check(|document| document["requests"] = json!(["a.json"]), Err("more than one"));
        check(|document| without(document, &["blobs"]), Err("its root has no files"));
        let sparse = |document: &mut Value| {
            without(document, &["blobs"]);
            document["layouts"] = json!(["base"]);
        };
        check(sparse, Ok(()));
        let parts_alone = |document: &mut Value| {
            layout(document);
            document["layouts"] = json!(["base"]);
        };
        check(parts_alone, Err("belong to a root"));
        for (field, value) in [
            ("tags", json!(["v1"])),
            ("tag_files", json!(["tags"])),
            ("repositories", json!(["a.io/x"])),
            ("repository_file", json!("repository")),
            ("referrers", json!(["signature"])),
        ] {
            let tagged = |document: &mut Value| {
                requests(document);
                document[field] = value;
            };
            check(tagged, Err("of their own"));
        }
        let none = |document: &mut Value| {
            requests(document);
            document["requests"] = json!([]);
        };
        check(none, Err("empty list"));
    }

    #[test]
    fn places_are_named_once_and_may_be_stamped() {
        let both = |document: &mut Value| document["repository_file"] = json!("repository");
        check(both, Err("both repositories and repository_file"));
        check(|document| document["tags"] = json!(["{{BUILD_USER}}-1", "v1"]), Ok(()));
        check(|document| document["repositories"] = json!(["a.io/{{BUILD_USER}}"]), Ok(()));
        check(|document| document["tags"] = json!(["{BUILD_USER}"]), Err("is malformed"));
    }

    #[test]
    fn flags_are_those_of_a_push() {
        check(|document| document["flags"] = json!(["--tag-policy", "create"]), Ok(()));
        check(|document| document["flags"] = json!(["--tagpolicy"]), Err("--tagpolicy"));
    }
}
