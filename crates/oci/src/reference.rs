//! Where images live: registries, repositories, tags. Distribution-spec, §"Pulling manifests".
//!
//! Written by hand: the grammar is small, and a compiled regular expression would cost more time
//! than the rest of the command's start.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use crate::{Digest, DigestError};

/// A registry: a host, with a port where one was given. Cheap to clone.
///
/// Docker Hub has several spellings (`docker.io`, `index.docker.io`, `registry-1.docker.io`); all
/// are read as `docker.io`, whose API is at [another host](Registry::endpoint).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Registry(Arc<str>);

/// The name of a repository within its registry: `library/alpine`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Arc<str>);

/// A repository: a registry and a name, neither tag nor digest. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    registry: Registry,
    name: RepositoryName,
}

/// A tag: 1 to 128 letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`. Cheap to
/// clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

/// What a manifest is asked for by.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// Its name.
    Tag(Tag),
    /// The digest of its bytes.
    Digest(Digest),
}

/// Why a text is none of the above. The message shows the text and says what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The repository has a tag in it.
    #[error(
        "repository {input:?} has the tag {tag:?} in it; write {rest} and give the tag by itself"
    )]
    HasTag {
        /// The whole text.
        input: String,
        /// The tag.
        tag: String,
        /// The text without it.
        rest: String,
    },
    /// The repository has a digest in it.
    #[error(
        "repository {input:?} has a digest in it; write {rest}: the digest comes from the image"
    )]
    HasDigest {
        /// The whole text.
        input: String,
        /// The text before the digest.
        rest: String,
    },
    /// The repository has a user's name in it, and perhaps a password.
    #[error(
        "repository …@{rest:?} has a login in it; write {rest} and log in by itself (WINDLASS_USERNAME and WINDLASS_PASSWORD, or docker login)"
    )]
    HasLogin {
        /// The text behind the login.
        rest: String,
    },
    /// The repository is a URL.
    #[error("repository {input:?} is a URL; write {rest}")]
    HasScheme {
        /// The whole text.
        input: String,
        /// The text without the scheme.
        rest: String,
    },
    /// There is a host and nothing behind it.
    #[error(
        "repository {0:?} names a registry but no repository in it; write HOST/NAME, such as {0}/app"
    )]
    NoName(String),
    /// There is no host in front.
    #[error(
        "repository {0:?} does not begin with a registry's host; write HOST/NAME, such as docker.io/{0}"
    )]
    NoHost(String),
    /// The host is malformed.
    #[error("registry {0:?} is no host: {1}")]
    BadHost(String, &'static str),
    /// The name is malformed.
    #[error("repository name {name:?} is malformed: {problem}")]
    BadName {
        /// The name, without its registry.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Host and name are longer than clients and registries take.
    #[error("repository {input:?} has {length} characters; at most 255 are allowed")]
    TooLong {
        /// The whole text.
        input: String,
        /// Its length.
        length: usize,
    },
    /// The tag is malformed.
    #[error("tag {tag:?} is malformed: {problem}")]
    BadTag {
        /// The tag.
        tag: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The digest is malformed.
    #[error(transparent)]
    BadDigest(#[from] DigestError),
}

/// The most characters that `host[:port]/name` may have.
const LONGEST_REPOSITORY: usize = 255;
const LONGEST_TAG: usize = 128;
const DOCKER_HUB: &str = "docker.io";

impl Registry {
    /// Host and port as a person writes them: `ghcr.io`, `localhost:5000`, `[::1]:5000`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Host and port of its API. The same as [`as_str`](Self::as_str) but for Docker Hub.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        if self.is_docker_hub() { "registry-1.docker.io" } else { &self.0 }
    }

    /// The host alone; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        split_port(&self.0).0.trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, where one was written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        split_port(&self.0).1.and_then(|port| port.parse().ok())
    }

    /// Whether this is Docker Hub, under whatever name.
    #[must_use]
    pub fn is_docker_hub(&self) -> bool {
        &*self.0 == DOCKER_HUB
    }

    /// Whether it is on this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl RepositoryName {
    /// As it stands in a URL between `/v2/` and `/manifests/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Repository {
    /// A repository of `registry`.
    pub fn new(registry: Registry, name: RepositoryName) -> Result<Repository, ReferenceError> {
        let repository = Repository { registry, name };
        let length = repository.registry.0.len() + 1 + repository.name.0.len();
        if length > LONGEST_REPOSITORY {
            return Err(ReferenceError::TooLong { input: repository.to_string(), length });
        }
        Ok(repository)
    }

    /// The registry it is in.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Its name there.
    #[must_use]
    pub fn name(&self) -> &RepositoryName {
        &self.name
    }
}

impl Tag {
    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Registry {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Registry, ReferenceError> {
        let bad = |problem| ReferenceError::BadHost(shorten(text), problem);
        if let Some(rest) = behind_login(text) {
            return Err(ReferenceError::HasLogin { rest: shorten(rest) });
        }
        if text.contains("://") {
            return Err(bad("it is a URL; write the host alone"));
        }
        let (host, port) = split_port(text);
        if port.is_some_and(|port| !is_port(port)) {
            return Err(bad("a port is a number from 1 to 65535"));
        }
        if let Some(address) = host.strip_prefix('[') {
            let inner = address.strip_suffix(']').ok_or_else(|| bad("its `[` has no `]`"))?;
            inner.parse::<Ipv6Addr>().map_err(|_| bad("what is in brackets is no IPv6 address"))?;
        } else {
            check_domain(host).map_err(bad)?;
        }
        let lower = text.to_ascii_lowercase();
        Ok(match lower.as_str() {
            "index.docker.io" | "registry-1.docker.io" | "registry.hub.docker.com" => {
                Registry(DOCKER_HUB.into())
            }
            other => Registry(other.into()),
        })
    }
}

impl FromStr for RepositoryName {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<RepositoryName, ReferenceError> {
        match check_name(text) {
            Ok(()) => Ok(RepositoryName(text.into())),
            Err(problem) => Err(ReferenceError::BadName { name: shorten(text), problem }),
        }
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Repository, ReferenceError> {
        let input = || text.to_owned();
        // What stands before an `@` may be a password: it is shown nowhere.
        if let Some(rest) = behind_login(text) {
            return Err(ReferenceError::HasLogin { rest: shorten(rest) });
        }
        if let Some((_, rest)) = text.split_once("://") {
            return Err(ReferenceError::HasScheme { input: input(), rest: rest.to_owned() });
        }
        if let Some((rest, _)) = text.split_once('@') {
            return Err(ReferenceError::HasDigest { input: input(), rest: rest.to_owned() });
        }
        let Some((host, name)) = text.split_once('/') else {
            if text.is_empty() {
                return Err(ReferenceError::BadHost(String::new(), "it is empty"));
            }
            return Err(if looks_like_host(text) {
                ReferenceError::NoName(input())
            } else {
                ReferenceError::NoHost(input())
            });
        };
        if host.is_empty() {
            return Err(ReferenceError::BadHost(String::new(), "it is empty"));
        }
        if !looks_like_host(host) {
            return Err(ReferenceError::NoHost(input()));
        }
        if let Some((rest, tag)) = name.rsplit_once(':') {
            let (tag, rest) = (tag.to_owned(), format!("{host}/{rest}"));
            return Err(ReferenceError::HasTag { input: input(), tag, rest });
        }
        let registry: Registry = host.parse()?;
        if name.is_empty() {
            return Err(ReferenceError::NoName(host.to_owned()));
        }
        let official = registry.is_docker_hub() && !name.contains('/');
        let name = if official { format!("library/{name}").parse() } else { name.parse() }?;
        Repository::new(registry, name)
    }
}

impl FromStr for Tag {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Tag, ReferenceError> {
        match check_tag(text) {
            Ok(()) => Ok(Tag(text.into())),
            // Each character that is no letter is shown by up to ten.
            Err(problem) => {
                let most = if text.contains(char::is_control) { 10 } else { LONGEST_TAG + 12 };
                Err(ReferenceError::BadTag { tag: shorten_to(text, most), problem })
            }
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Reference, ReferenceError> {
        // A tag cannot hold a colon, a digest must.
        if text.contains(':') {
            Ok(Reference::Digest(text.parse()?))
        } else {
            Ok(Reference::Tag(text.parse()?))
        }
    }
}

impl Reference {
    /// As it stands in a URL behind `/manifests/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Reference::Tag(tag) => tag.as_str(),
            Reference::Digest(digest) => digest.as_str(),
        }
    }
}

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Reference {
        Reference::Tag(tag)
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Reference {
        Reference::Digest(digest)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.name)
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! text_is_itself {
    ($($type:ty),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

text_is_itself!(Registry, RepositoryName, Tag, Reference);

/// What stands behind a login, where there is one: behind the last `@` but that of a digest.
fn behind_login(text: &str) -> Option<&str> {
    let is_digest = |text: &str| {
        let algorithm = text.split(':').next().unwrap_or_default();
        matches!(algorithm, "sha256" | "sha384" | "sha512") && !text.contains(['/', '.'])
    };
    let (before, after) = text.rsplit_once('@')?;
    match is_digest(after) {
        true => before.rsplit_once('@').map(|(_, rest)| rest),
        false => Some(after),
    }
}

/// Splits `host:port`; the colons of an IPv6 address in brackets are no port.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rfind(':') {
        Some(colon) if !text[colon..].contains(']') => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    }
}

/// Digits only: `u16` alone would take a `+` in front, which no URL does.
fn is_port(text: &str) -> bool {
    let digits = text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && matches!(text.parse::<u16>(), Ok(1..))
}

/// Docker's rule, which all clients share: what stands before the first `/` is a host where it
/// has a dot or a port or is `localhost`, otherwise it is part of a name.
fn looks_like_host(text: &str) -> bool {
    text.contains(['.', ':', '[']) || text.eq_ignore_ascii_case("localhost")
}

fn check_domain(host: &str) -> Result<(), &'static str> {
    if host.is_empty() {
        return Err("it is empty");
    }
    for label in host.split('.') {
        if label.is_empty() {
            return Err("it has an empty part between dots");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err("a part of it begins or ends with `-`");
        }
        if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err("it may hold letters, digits, `-` and `.` only");
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    for component in name.split('/') {
        check_component(component)?;
    }
    Ok(())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn check_component(component: &str) -> Result<(), String> {
    if component.is_empty() {
        return Err("it has an empty part between slashes".to_owned());
    }
    if let Some(upper) = component.chars().find(char::is_ascii_uppercase) {
        return Err(format!("{upper:?} is upper case; a repository is lower case throughout"));
    }
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_separator = |byte: u8| matches!(byte, b'.' | b'_' | b'-');
    if let Some(other) =
        component.chars().find(|c| !u8::try_from(*c).is_ok_and(|b| is_word(b) || is_separator(b)))
    {
        return Err(format!(
            "{other:?} is not allowed; it takes lower-case letters, digits, `.`, `_`, `-` and `/`"
        ));
    }
    let bytes = component.as_bytes();
    if is_separator(bytes[0]) || is_separator(bytes[bytes.len() - 1]) {
        return Err(format!("{component:?} begins or ends with a separator"));
    }
    let mut runs = component.split(|c: char| !is_separator(c as u8)).filter(|run| !run.is_empty());
    match runs.find(|run| !matches!(*run, "." | "_" | "__") && run.bytes().any(|b| b != b'-')) {
        Some(run) => Err(format!("{run:?} does not separate words; `.`, `_`, `__` and `-` do")),
        None => Ok(()),
    }
}

fn check_tag(tag: &str) -> Result<(), String> {
    if tag.is_empty() {
        return Err("it is empty".to_owned());
    }
    let length = tag.chars().count();
    if length > LONGEST_TAG {
        return Err(format!("it has {length} characters, at most {LONGEST_TAG} are allowed"));
    }
    if tag.starts_with(['.', '-']) {
        return Err("it begins with `.` or `-`".to_owned());
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    match tag.chars().find(|c| !is_allowed(*c)) {
        Some(other) => {
            Err(format!("{other:?} is not allowed; it takes letters, digits, `_`, `.` and `-`"))
        }
        None => Ok(()),
    }
}

fn shorten(text: &str) -> String {
    shorten_to(text, LONGEST_TAG + 12)
}

fn shorten_to(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
