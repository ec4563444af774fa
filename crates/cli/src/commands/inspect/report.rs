//! What an image is made of, in lists and numbers: for JSON, and for the lines below the tree.

use std::collections::BTreeMap;

use serde::Serialize;
use windlass_image::{BlobRole, Graph, ManifestNode};
use windlass_oci::{Descriptor, Digest, Manifest, MediaType, Platform};

use crate::words;

/// The version of the JSON: fields may be added, none changes its meaning.
pub(super) const VERSION: u32 = 1;

/// Of blobs up to this size the digests are checked when a graph is read, and of all configs.
const LARGEST_READ: u64 = 1 << 20;

/// What an image is made of.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report<'a> {
    version: u32,
    /// Of the root.
    digest: &'a Digest,
    media_type: &'a MediaType,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a Descriptor>,
    /// Each once, children first, the root last.
    manifests: Vec<ManifestReport<'a>>,
    /// Each once, in the order in which they are named.
    blobs: Vec<BlobReport<'a>>,
    /// Non-distributable layers, which stay where they are.
    skipped: &'a [Descriptor],
    total: Count,
    /// What is not here of it.
    missing: Count,
    /// Blobs that are here and too large to be read through.
    #[serde(skip)]
    unread: u64,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ManifestReport<'a> {
    digest: &'a Digest,
    media_type: &'a MediaType,
    size: u64,
    present: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'a Platform>,
    #[serde(skip_serializing_if = "Option::is_none")]
    artifact_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a BTreeMap<String, String>>,
    /// What it names, by digest.
    manifests: &'a [Digest],
    blobs: &'a [Digest],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BlobReport<'a> {
    digest: &'a Digest,
    media_type: &'a MediaType,
    size: u64,
    present: bool,
    role: &'static str,
}

/// So many, each digest counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Count {
    manifests: u64,
    blobs: u64,
    bytes: u64,
}

impl<'a> Report<'a> {
    pub(super) fn new(graph: &'a Graph) -> Report<'a> {
        let (mut total, mut missing) = (Count::default(), Count::default());
        let mut unread = 0;
        for node in graph.manifests() {
            total.add_manifest(node.descriptor.size);
            if node.content.is_none() {
                missing.add_manifest(node.descriptor.size);
            }
        }
        for node in graph.blobs() {
            total.add_blob(node.descriptor.size);
            if node.source.is_none() {
                missing.add_blob(node.descriptor.size);
            } else if node.descriptor.size > LARGEST_READ && !matches!(node.role, BlobRole::Config)
            {
                unread += 1;
            }
        }
        let blobs = graph.blobs().iter().map(|node| BlobReport {
            digest: &node.descriptor.digest,
            media_type: &node.descriptor.media_type,
            size: node.descriptor.size,
            present: node.source.is_some(),
            role: role(node.role),
        });
        let root = graph.root();
        Report {
            version: VERSION,
            digest: root.raw.digest(),
            media_type: root.raw.media_type(),
            size: root.raw.size(),
            subject: root.view.subject(),
            manifests: graph.manifests().iter().map(manifest).collect(),
            blobs: blobs.collect(),
            skipped: graph.skipped(),
            total,
            missing,
            unread,
            warnings: graph.warnings().iter().map(ToString::to_string).collect(),
        }
    }

    /// The lines below the tree.
    pub(super) fn summary(&self) -> Vec<String> {
        let mut lines =
            vec![format!("digest   {}", self.digest), format!("total    {}", self.total.words())];
        if self.missing != Count::default() {
            let missing = self.missing.words();
            lines.push(format!("missing  {missing}; fine where the registry has it"));
        }
        let of = match self.missing == Count::default() {
            true => "",
            false => " of what is here",
        };
        lines.push(match self.unread {
            0 => format!("checked  all sizes and digests{of}"),
            unread => {
                let blobs = words::count(unread, "blob");
                format!("checked  all sizes{of}, and all digests but of {blobs} over 1 MiB")
            }
        });
        if !self.skipped.is_empty() {
            let bytes =
                self.skipped.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.size));
            let layers = words::count(self.skipped.len() as u64, "non-distributable layer");
            lines.push(format!("skipped  {layers}, {}", words::bytes(bytes)));
        }
        lines
    }
}

impl Count {
    fn add_manifest(&mut self, size: u64) {
        self.manifests += 1;
        self.bytes = self.bytes.saturating_add(size);
    }

    fn add_blob(&mut self, size: u64) {
        self.blobs += 1;
        self.bytes = self.bytes.saturating_add(size);
    }

    fn words(self) -> String {
        let parts = [(self.manifests, "manifest"), (self.blobs, "blob")];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let mut parts: Vec<_> = parts.map(|(count, noun)| words::count(count, noun)).collect();
        parts.push(words::bytes(self.bytes));
        parts.join(", ")
    }
}

fn manifest(node: &ManifestNode) -> ManifestReport<'_> {
    let descriptor = &node.descriptor;
    let content = node.content.as_deref();
    let view = content.map(|content| &content.view);
    ManifestReport {
        digest: &descriptor.digest,
        media_type: &descriptor.media_type,
        size: descriptor.size,
        present: content.is_some(),
        platform: descriptor.platform.as_ref(),
        artifact_type: view.and_then(artifact_type).or(descriptor.artifact_type.as_deref()),
        subject: view.and_then(Manifest::subject),
        annotations: view.map(annotations).filter(|annotations| !annotations.is_empty()),
        manifests: content.map_or(&[], |content| &content.manifests),
        blobs: content.map_or(&[], |content| &content.blobs),
    }
}

/// What a manifest says that it describes.
pub(super) fn artifact_type(manifest: &Manifest) -> Option<&str> {
    match manifest {
        Manifest::Image(image) => image.artifact_type.as_deref(),
        Manifest::Index(index) => index.artifact_type.as_deref(),
    }
}

/// A manifest's own annotations.
pub(super) fn annotations(manifest: &Manifest) -> &BTreeMap<String, String> {
    match manifest {
        Manifest::Image(image) => &image.annotations,
        Manifest::Index(index) => &index.annotations,
    }
}

fn role(role: BlobRole) -> &'static str {
    match role {
        BlobRole::Config => "config",
        BlobRole::Layer => "layer",
        BlobRole::Entry => "entry",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_words() {
        let check = |manifests, blobs, expected: &str| {
            assert_eq!(Count { manifests, blobs, bytes: 0 }.words(), expected);
        };
        check(1, 2, "1 manifest, 2 blobs, 0 B");
        check(2, 1, "2 manifests, 1 blob, 0 B");
        check(0, 1, "1 blob, 0 B");
        check(1, 0, "1 manifest, 0 B");
    }
}
