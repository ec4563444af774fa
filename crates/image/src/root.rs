//! The roots of a layout, and the choice of one.

use std::fmt;

use windlass_oci::{Descriptor, Digest};

/// How many characters of a digest are enough to choose by.
const SHORTEST_PREFIX: usize = 7;

/// The annotations that name a root, by those who write layouts: image-spec's own, and the whole
/// reference that containerd and BuildKit write.
const NAMES: [&str; 2] = ["org.opencontainers.image.ref.name", "io.containerd.image.name"];

/// An entry of a layout's `index.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The entry.
    pub descriptor: Descriptor,
    /// What it is called, by the annotation `org.opencontainers.image.ref.name` or
    /// `io.containerd.image.name`.
    pub name: Option<String>,
}

/// Roots to choose from, one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots(pub Vec<Root>);

/// Why no root is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoChoice {
    /// None is there, or none is what the selector says.
    Nothing,
    /// More than one is.
    Several,
}

impl Root {
    pub(crate) fn new(descriptor: Descriptor) -> Root {
        let name = NAMES.iter().find_map(|name| descriptor.annotations.get(*name)).cloned();
        Root { descriptor, name }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        NAMES.iter().filter_map(|name| self.descriptor.annotations.get(*name)).map(String::as_str)
    }
}

/// The one root that `selector` means: its digest, its name, or the unambiguous beginning of its
/// digest. Without a selector the only one. Several entries of one digest are one root.
pub(crate) fn choose<'a>(roots: &'a [Root], selector: Option<&str>) -> Result<&'a Root, NoChoice> {
    let Some(selector) = selector else { return only(roots.iter()) };
    let by_digest = |root: &&Root| root.descriptor.digest.as_str() == selector;
    let by_name = |root: &&Root| root.names().any(|name| name == selector);
    let by_prefix = |root: &&Root| begins_with(&root.descriptor.digest, selector);
    only(roots.iter().filter(by_digest))
        .or_else(|none| none.next(|| only(roots.iter().filter(by_name))))
        .or_else(|none| none.next(|| only(roots.iter().filter(by_prefix))))
}

impl NoChoice {
    /// Tries the `next` way where the last one found nothing.
    fn next<'a>(
        self,
        next: impl FnOnce() -> Result<&'a Root, NoChoice>,
    ) -> Result<&'a Root, NoChoice> {
        match self {
            NoChoice::Nothing => next(),
            NoChoice::Several => Err(self),
        }
    }
}

fn only<'a>(mut roots: impl Iterator<Item = &'a Root>) -> Result<&'a Root, NoChoice> {
    let first = roots.next().ok_or(NoChoice::Nothing)?;
    match roots.all(|root| root.descriptor.digest == first.descriptor.digest) {
        true => Ok(first),
        false => Err(NoChoice::Several),
    }
}

/// Whether `prefix`, with or without the algorithm, begins `digest` and says enough of it.
fn begins_with(digest: &Digest, prefix: &str) -> bool {
    let hex = match prefix.split_once(':') {
        Some((algorithm, hex)) if algorithm == digest.algorithm().name() => hex,
        Some(_) => return false,
        None => prefix,
    };
    hex.len() >= SHORTEST_PREFIX && digest.hex().starts_with(hex)
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.descriptor.digest)?;
        let mut names: Vec<&str> = self.names().collect();
        names.dedup();
        for name in names {
            write!(f, " {name}")?;
        }
        match &self.descriptor.platform {
            Some(platform) => write!(f, " ({platform})"),
            None if self.descriptor.media_type.is_index() => f.write_str(" (index)"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for root in &self.0 {
            write!(f, "\n  {root}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use windlass_oci::MediaType;

    use super::*;

    fn root(content: &str, names: &[(&str, &str)]) -> Root {
        let mut descriptor = Descriptor::of(MediaType::OCI_MANIFEST, content.as_bytes());
        descriptor.annotations =
            names.iter().map(|(key, name)| ((*key).to_owned(), (*name).to_owned())).collect();
        Root::new(descriptor)
    }

    fn roots() -> Vec<Root> {
        let [short, whole] = NAMES;
        vec![
            root("a", &[(short, "latest"), (whole, "docker.io/library/a:latest")]),
            root("b", &[(short, "latest"), (whole, "docker.io/library/b:latest")]),
            root("b", &[(short, "v1")]),
            // The beginning of what stands for "a" and "b".
            root("c", &[(short, "ca97811")]),
            root("d", &[]),
        ]
    }

    #[track_caller]
    fn check(selector: &str, expected: Result<&str, NoChoice>) {
        let roots = roots();
        let chosen = choose(&roots, Some(selector)).map(|root| &root.descriptor.digest);
        let expected = expected.map(|content| Digest::sha256(content.as_bytes()));
        assert_eq!(chosen.cloned(), expected, "{selector}");
    }

    #[test]
    fn a_selector_is_a_digest_a_name_or_the_beginning_of_a_digest() {
        check(Digest::sha256(b"b").as_str(), Ok("b"));
        check(Digest::sha256(b"z").as_str(), Err(NoChoice::Nothing));
        check("v1", Ok("b"));
        check("docker.io/library/a:latest", Ok("a"));
        check("latest", Err(NoChoice::Several));
        check("ca97811", Ok("c"));
        check("ca978112", Ok("a"));
        check("sha256:ca97811", Ok("a"));
        check("sha512:ca97811", Err(NoChoice::Nothing));
        check("3e23e81", Ok("b"));
        check("3e23e8", Err(NoChoice::Nothing));
        check("sha256:3e23e8", Err(NoChoice::Nothing));
        check("", Err(NoChoice::Nothing));
        check("sha256:", Err(NoChoice::Nothing));
        check("nothing", Err(NoChoice::Nothing));
    }

    #[test]
    fn without_a_selector_the_only_digest_is_chosen() {
        let roots = roots();
        let check = |roots: &[Root], expected: Result<&str, NoChoice>| {
            let chosen = choose(roots, None).map(|root| root.descriptor.digest.clone());
            assert_eq!(chosen, expected.map(|content| Digest::sha256(content.as_bytes())));
        };
        check(&[], Err(NoChoice::Nothing));
        check(&roots[..1], Ok("a"));
        check(&roots[..2], Err(NoChoice::Several));
        check(&roots[1..3], Ok("b"));
    }

    #[test]
    fn roots_are_listed_with_all_that_tells_them_apart() {
        let mut roots = roots();
        roots[4].descriptor.platform =
            serde_json::from_str(r#"{"os":"linux","architecture":"arm","variant":"v7"}"#).unwrap();
        roots[2].descriptor.media_type = MediaType::OCI_INDEX;
        let text = Roots(roots.clone()).to_string();
        let line = |root: &Root, rest: &str| format!("\n  {}{rest}", root.descriptor.digest);
        assert!(text.contains(&line(&roots[0], " latest docker.io/library/a:latest")), "{text}");
        assert!(text.contains(&line(&roots[2], " v1 (index)")), "{text}");
        assert!(text.contains(&line(&roots[4], " (linux/arm/v7)")), "{text}");
    }
}
