//! An image as a tree of lines: what names what, of which kind, how large, and what is missing.

use std::collections::{BTreeMap, HashSet};

use windlass_image::Graph;
use windlass_oci::{Descriptor, Digest, Manifest, MediaType};

use super::report::{annotations, artifact_type};
use crate::words;

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// What fits a terminal of 80 columns.
    Short,
    /// All of it.
    Full,
}

/// The least that is shown of a digest.
const SHORTEST_DIGEST: usize = 12;
/// How many annotations of one thing are shown.
const ANNOTATIONS: usize = 3;
/// How long a line of an annotation may be.
const LINE: usize = 79;
/// How long a media type may be.
const LONGEST_TYPE: usize = 24;

/// The lines. What is named more than once is laid open where it is named first.
pub(super) fn tree(graph: &Graph, detail: Detail) -> Vec<String> {
    let mut tree = Tree {
        graph,
        detail,
        digits: digits(digests(graph).map(Digest::hex)),
        seen: HashSet::new(),
        lines: Vec::new(),
    };
    tree.manifest(&graph.root().raw.descriptor(), &Place::root(), "image");
    lay_out(&tree.lines)
}

struct Tree<'a> {
    graph: &'a Graph,
    detail: Detail,
    /// How many characters of a digest tell it from all others.
    digits: usize,
    seen: HashSet<Digest>,
    lines: Vec<Line>,
}

enum Line {
    Row { branch: String, label: String, kind: String, digest: String, size: String, note: String },
    Text(String),
}

/// Where something hangs in the tree: what is drawn before it, and before what is below it.
struct Place {
    branch: String,
    below: String,
}

impl Place {
    fn root() -> Place {
        Place { branch: String::new(), below: String::new() }
    }

    fn child(&self, is_last: bool) -> Place {
        let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        Place { branch: format!("{}{branch}", self.below), below: format!("{}{below}", self.below) }
    }
}

impl<'a> Tree<'a> {
    fn manifest(&mut self, descriptor: &Descriptor, place: &Place, label: &str) {
        let content = self.graph.manifest(&descriptor.digest).and_then(|node| node.content.clone());
        let is_new = self.seen.insert(descriptor.digest.clone());
        let note = match &content {
            None => "missing here",
            Some(_) if !is_new => "as above",
            Some(_) => "",
        };
        self.row(descriptor, place, label, note);
        let Some(content) = content.filter(|_| is_new) else { return };

        let children: Vec<_> = content.view.children().collect();
        let text = format!("{}{}", place.below, if children.is_empty() { "   " } else { "│  " });
        if let Some(artifact_type) = artifact_type(&content.view) {
            self.text(&text, "artifact type", artifact_type);
        }
        if let Some(subject) = content.view.subject() {
            let (kind, digest) = (self.kind(&subject.media_type), self.digest(&subject.digest));
            self.text(&text, "subject", &format!("{kind} {digest}"));
        }
        self.annotations(&text, &descriptor.annotations);
        self.annotations(&text, annotations(&content.view));

        let is_index = matches!(content.view, Manifest::Index(_));
        for (number, child) in children.iter().enumerate() {
            let place = place.child(number + 1 == children.len());
            if is_index && child.media_type.is_manifest() {
                self.manifest(child, &place, &name(child));
            } else {
                let label = match (is_index, number) {
                    (true, _) => "entry",
                    (false, 0) => "config",
                    (false, _) => "layer",
                };
                self.blob(child, &place, label);
            }
        }
    }

    fn blob(&mut self, descriptor: &Descriptor, place: &Place, label: &str) {
        let is_new = self.seen.insert(descriptor.digest.clone());
        let note = match self.graph.blob(&descriptor.digest) {
            // Not part of the graph: it is left out.
            None => "not distributable",
            Some(node) if node.source.is_none() => "missing here",
            Some(_) if !is_new => "as above",
            Some(_) => "",
        };
        self.row(descriptor, place, label, note);
    }

    fn row(&mut self, descriptor: &Descriptor, place: &Place, label: &str, note: &str) {
        self.lines.push(Line::Row {
            branch: place.branch.clone(),
            label: label.to_owned(),
            kind: self.kind(&descriptor.media_type),
            digest: self.digest(&descriptor.digest),
            size: words::bytes(descriptor.size),
            note: note.to_owned(),
        });
    }

    fn annotations(&mut self, branch: &str, annotations: &BTreeMap<String, String>) {
        let shown = if self.detail == Detail::Full { annotations.len() } else { ANNOTATIONS };
        for (key, value) in annotations.iter().take(shown) {
            self.text(branch, key, value);
        }
        let left = annotations.len().saturating_sub(shown);
        if left > 0 {
            let more = words::count(left as u64, "more annotation");
            self.lines.push(Line::Text(format!("{branch}{more}, told with -v")));
        }
    }

    fn text(&mut self, branch: &str, key: &str, value: &str) {
        let line = format!("{branch}{}: {}", printable(key), printable(value));
        self.lines.push(Line::Text(self.cut(&line, LINE)));
    }

    fn kind(&self, media_type: &MediaType) -> String {
        self.cut(&short_type(media_type), LONGEST_TYPE)
    }

    fn digest(&self, digest: &Digest) -> String {
        match self.detail {
            Detail::Full => digest.to_string(),
            Detail::Short => digest.hex()[..self.digits.min(digest.hex().len())].to_owned(),
        }
    }

    fn cut(&self, text: &str, longest: usize) -> String {
        if self.detail == Detail::Full || text.chars().count() <= longest {
            return text.to_owned();
        }
        let kept: String = text.chars().take(longest - 1).collect();
        format!("{kept}…")
    }
}

/// What an index's entry is called.
fn name(descriptor: &Descriptor) -> String {
    // BuildKit's attestations have a platform too, which says unknown.
    let kind = descriptor.annotations.get("vnd.docker.reference.type");
    match (kind.map(String::as_str), &descriptor.platform) {
        (Some("attestation-manifest"), _) => "attestation".to_owned(),
        (_, Some(platform)) => printable(&platform.to_string()),
        (_, None) if descriptor.media_type.is_index() => "index".to_owned(),
        (_, None) => "manifest".to_owned(),
    }
}

/// What is worth reading of a media type.
fn short_type(media_type: &MediaType) -> String {
    let text = media_type.as_str();
    let known = [
        (MediaType::OCI_INDEX, "oci index"),
        (MediaType::OCI_MANIFEST, "oci manifest"),
        (MediaType::OCI_CONFIG, "oci config"),
        (MediaType::OCI_EMPTY, "empty"),
        (MediaType::DOCKER_INDEX, "docker index"),
        (MediaType::DOCKER_MANIFEST, "docker manifest"),
        (MediaType::DOCKER_CONFIG, "docker config"),
        (MediaType::DOCKER_LAYER_GZIP, "docker tar+gzip"),
    ];
    if let Some((_, name)) = known.iter().find(|(known, _)| known == media_type) {
        return (*name).to_owned();
    }
    let layers = [
        "application/vnd.oci.image.layer.v1.",
        "application/vnd.oci.image.layer.nondistributable.v1.",
        "application/vnd.docker.image.rootfs.foreign.diff.",
        "application/",
    ];
    let short = layers.iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
    printable(short)
}

/// What an image says of itself shall neither break a line nor steer the terminal.
fn printable(text: &str) -> String {
    let escaped = |character: char| match character.is_control() {
        true => character.escape_default().collect(),
        false => String::from(character),
    };
    text.chars().map(escaped).collect()
}

/// The digests of all that is in `graph`.
fn digests(graph: &Graph) -> impl Iterator<Item = &Digest> {
    let manifests = graph.manifests().iter().map(|node| &node.descriptor.digest);
    let blobs = graph.blobs().iter().map(|node| &node.descriptor.digest);
    let skipped = graph.skipped().iter().map(|descriptor| &descriptor.digest);
    manifests.chain(blobs).chain(skipped)
}

/// How many characters tell all of `digests` apart.
fn digits<'a>(digests: impl Iterator<Item = &'a str>) -> usize {
    let mut digests: Vec<_> = digests.collect();
    digests.sort_unstable();
    digests.dedup();
    let needed = digests.windows(2).map(|pair| 1 + common_prefix(pair[0], pair[1])).max();
    needed.unwrap_or_default().max(SHORTEST_DIGEST)
}

fn common_prefix(one: &str, two: &str) -> usize {
    one.bytes().zip(two.bytes()).take_while(|(one, two)| one == two).count()
}

/// Sets the rows in columns.
fn lay_out(lines: &[Line]) -> Vec<String> {
    let width = |text: &str| text.chars().count();
    let (mut names, mut kinds, mut digests, mut sizes) = (0, 0, 0, 0);
    for line in lines {
        if let Line::Row { branch, label, kind, digest, size, .. } = line {
            names = names.max(width(branch) + width(label));
            kinds = kinds.max(width(kind));
            digests = digests.max(width(digest));
            sizes = sizes.max(width(size));
        }
    }
    let line = |line: &Line| match line {
        Line::Text(text) => text.clone(),
        Line::Row { branch, label, kind, digest, size, note } => {
            let name = format!("{branch}{label}");
            let row =
                format!("{name:names$}  {kind:kinds$}  {digest:digests$}  {size:>sizes$}  {note}");
            row.trim_end().to_owned()
        }
    };
    lines.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_as_long_as_it_takes_to_tell_them_apart() {
        let check = |all: &[&str], expected| assert_eq!(digits(all.iter().copied()), expected);
        check(&[], 12);
        check(&["0123456789abcdef"], 12);
        check(&["0123456789abcdef", "0123456789abcdef"], 12);
        check(&["0123456789abcdef", "1123456789abcdef"], 12);
        check(&["0123456789abcdef", "ffff", "0123456789ab0def"], 13);
        check(&["0123456789abcdef", "0123456789abcde0"], 16);
    }

    #[test]
    fn media_types_are_shortened_to_what_is_worth_reading() {
        let check = |text: &str, expected: &str| {
            assert_eq!(short_type(&MediaType::new(text)), expected);
        };
        check("application/vnd.oci.image.layer.v1.tar", "tar");
        check("application/vnd.oci.image.layer.v1.tar+zstd", "tar+zstd");
        check("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "tar+gzip");
        check("application/vnd.docker.image.rootfs.diff.tar.gzip", "docker tar+gzip");
        check("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "tar.gzip");
        check("application/vnd.in-toto+json", "vnd.in-toto+json");
        check("text/plain", "text/plain");
        check("", "");
        check("a\u{7}b", "a\\u{7}b");
    }
}
