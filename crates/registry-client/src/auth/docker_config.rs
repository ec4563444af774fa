//! The format of docker's `config.json`, podman's `auth.json` and GitLab's `DOCKER_AUTH_CONFIG`.
//!
//! They share one format; podman adds keys of namespaces and repositories
//! (<https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>), docker the
//! stores and helpers (<https://docs.docker.com/reference/cli/docker/login/#credential-stores>).

use std::collections::BTreeMap;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use windlass_oci::{Registry, Repository};
use zeroize::Zeroizing;

use super::{Credential, Secret};

/// What of such a file is about credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DockerConfig {
    auths: BTreeMap<String, Entry>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
}

/// Where the credential of a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In this entry, which has something in it.
    Entry {
        /// Its key, as it is written.
        key: String,
        /// What it says; what is wrong with it, where it says nothing that can be understood.
        credential: Result<Credential, &'static str>,
    },
    /// To be asked of a helper, by its name without `docker-credential-`.
    Helper(String),
}

/// How the file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// As everybody writes it.
    Config,
    /// As docker wrote `~/.dockercfg` before 1.7: the entries alone.
    Legacy,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    auths: Option<BTreeMap<String, Option<Entry>>>,
    #[serde(rename = "credHelpers")]
    helpers: Option<BTreeMap<String, Option<String>>>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
}

/// The username under which docker keeps identity tokens.
pub(super) const TOKEN_USER: &str = "<token>";

impl DockerConfig {
    /// Reads a file. The problem that is given tells the position and nothing that stands there.
    pub(super) fn parse(bytes: &[u8], layout: Layout) -> Result<DockerConfig, String> {
        // Windows' editors and shells begin files with a byte order mark.
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.trim_ascii().is_empty() {
            return Ok(DockerConfig::default());
        }
        let file = match layout {
            Layout::Config => serde_json::from_slice::<File>(bytes),
            Layout::Legacy => serde_json::from_slice(bytes)
                .map(|auths| File { auths: Some(auths), ..File::default() }),
        }
        .map_err(|error| describe(&error))?;
        Ok(DockerConfig {
            auths: present(file.auths),
            helpers: present(file.helpers),
            store: file.store.filter(|name| !name.is_empty()),
        })
    }

    /// Where to look for the credential of `repository`, first place first.
    ///
    /// An entry for the very repository, or for a namespace that it is in, is more particular than
    /// all that is said of its registry. Of what is said of the registry its helper comes first,
    /// then the store, then the entry, as docker has it.
    pub(super) fn places(&self, repository: &Repository) -> Vec<Place> {
        let registry = repository.registry();
        let entry = |wanted: &str| {
            // Of several spellings the plain one counts.
            let plain = self.auths.get_key_value(wanted);
            let others = self.auths.iter().filter(|(key, _)| normalized(key) == wanted);
            plain
                .into_iter()
                .chain(others)
                .find_map(|(key, entry)| Some((key.clone(), entry.credential()?)))
                .map(|(key, credential)| Place::Entry { key, credential })
        };
        let mut places = Vec::new();
        let mut path = repository.name().as_str();
        loop {
            places.extend(entry(&format!("{registry}/{path}")));
            match path.rsplit_once('/') {
                Some((parent, _)) => path = parent,
                None => break,
            }
        }
        let mut helpers = self.helpers.iter();
        match helpers.find(|(key, _)| normalized(key) == registry.as_str()) {
            // An empty name takes the registry out of the store's hands.
            Some((_, name)) if name.is_empty() => {}
            Some((_, name)) => places.push(Place::Helper(name.clone())),
            None => places.extend(self.store.clone().map(Place::Helper)),
        }
        places.extend(entry(registry.as_str()));
        places
    }
}

impl Entry {
    /// `None` where it is empty, as docker leaves it behind when a store keeps the credential.
    fn credential(&self) -> Option<Result<Credential, &'static str>> {
        let filled = |secret: &Option<Secret>| secret.clone().filter(|secret| !secret.is_empty());
        if let Some(token) = filled(&self.registrytoken) {
            return Some(Ok(Credential::RegistryToken(token)));
        }
        let pair = match filled(&self.auth) {
            Some(auth) => Some(decode(&auth)),
            None => self.username.clone().filter(|username| !username.is_empty()).map(|username| {
                Ok((username, self.password.clone().unwrap_or_else(|| Secret::from(""))))
            }),
        };
        if let Some(token) = filled(&self.identitytoken) {
            let username = pair.and_then(Result::ok).map(|(username, _)| username);
            let username = username.filter(|name| !name.is_empty() && name != TOKEN_USER);
            return Some(Ok(Credential::IdentityToken { username, token }));
        }
        match pair? {
            Ok((username, password)) if username.is_empty() && password.is_empty() => None,
            Ok((username, password)) => Some(Ok(from_pair(username, password))),
            Err(problem) => Some(Err(problem)),
        }
    }
}

/// A credential from a name and a secret, as stores keep them.
pub(super) fn from_pair(username: String, password: Secret) -> Credential {
    if username == TOKEN_USER {
        Credential::IdentityToken { username: None, token: password }
    } else {
        Credential::Basic { username, password }
    }
}

/// `user:password` in base64, with or without its padding.
fn decode(auth: &Secret) -> Result<(String, Secret), &'static str> {
    const TOLERANT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let bytes = TOLERANT.decode(auth.expose().trim()).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| "its `auth` is no base64")?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "its `auth` is no UTF-8")?;
    let (username, password) =
        text.split_once(':').ok_or("its `auth` is not `user:password` in base64")?;
    // Docker has padded passwords with zeros, and cuts them off again.
    Ok((username.to_owned(), Secret::from(password.trim_matches('\0'))))
}

/// The registry, or `registry/namespace…`, that a key is for.
///
/// Docker's keys are URLs at times, and the path of a URL means nothing
/// (`https://index.docker.io/v1/`). Podman's have no scheme, and their path is a namespace.
fn normalized(key: &str) -> String {
    let key = key.trim();
    let (rest, is_url) = match key.split_once("://") {
        Some((_, rest)) => (rest, true),
        None => (key, false),
    };
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = match host.parse::<Registry>() {
        Ok(registry) => registry.as_str().to_owned(),
        Err(_) => host.to_ascii_lowercase(),
    };
    match path.trim_end_matches('/') {
        "" | "v1" | "v2" => host,
        _ if is_url => host,
        path => format!("{host}/{path}"),
    }
}

fn present<T>(map: Option<BTreeMap<String, Option<T>>>) -> BTreeMap<String, T> {
    map.into_iter().flatten().filter_map(|(key, value)| Some((key, value?))).collect()
}

/// `serde_json` shows the value that it did not expect, which may be a password.
fn describe(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Syntax => "no JSON",
        Category::Eof => "JSON that ends too early",
        Category::Data => "a value of the wrong type",
        Category::Io => "not readable",
    };
    format!("{what}, at line {}, column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    /// Shows places with their secrets, as no other code does.
    fn show(places: &[Place]) -> String {
        let shown = places.iter().map(|place| match place {
            Place::Helper(name) => format!("helper {name}"),
            Place::Entry { key, credential: Err(problem) } => format!("{key}: {problem}"),
            Place::Entry { key, credential: Ok(credential) } => format!(
                "{key}: {} {} {}",
                credential.kind(),
                credential.username().unwrap_or("-"),
                credential.secret().expose()
            ),
        });
        shown.collect::<Vec<_>>().join("; ")
    }

    #[track_caller]
    fn check(json: &str, repository: &str, expected: &str) {
        let config = DockerConfig::parse(json.as_bytes(), Layout::Config).unwrap();
        assert_eq!(show(&config.places(&repository.parse().unwrap())), expected);
    }

    fn auths(keys: &[&str]) -> String {
        let entry = |key: &&str| {
            let auth = STANDARD.encode(format!("{key}:pw"));
            format!(r#""{key}":{{"auth":"{auth}"}}"#)
        };
        format!(r#"{{"auths":{{{}}}}}"#, keys.iter().map(entry).collect::<Vec<_>>().join(","))
    }

    #[test]
    fn entries_of_every_kind() {
        let check = |entry: &str, expected: &str| {
            check(&format!(r#"{{"auths":{{"r.io":{entry}}}}}"#), "r.io/a", expected);
        };
        check(r#"{"auth":"dXNlcjpwYXNz"}"#, "r.io: password user pass");
        check(r#"{"auth":" dXNlcjpwYXNz\n"}"#, "r.io: password user pass");
        check(r#"{"auth":"dXNlcjpwYTpzcw"}"#, "r.io: password user pa:ss");
        check(r#"{"auth":"dXNlcjpwAAA="}"#, "r.io: password user p");
        check(r#"{"auth":"PHRva2VuPjphYmM="}"#, "r.io: identity token - abc");
        check(r#"{"username":"u","password":"p"}"#, "r.io: password u p");
        check(r#"{"username":"<token>","password":"p"}"#, "r.io: identity token - p");
        check(r#"{"auth":"dXNlcjo=","identitytoken":"it"}"#, "r.io: identity token user it");
        check(r#"{"identitytoken":"it"}"#, "r.io: identity token - it");
        check(r#"{"auth":"dXNlcjpwYXNz","registrytoken":"rt"}"#, "r.io: registry token - rt");
        check(r#"{"email":"x@y"}"#, "");
        check(r#"{"auth":""}"#, "");
        check(r#"{"auth":"Og=="}"#, "");
        check(r#"{"auth":"OnB3"}"#, "r.io: password  pw");
        check("{}", "");
        check("null", "");
        check(r#"{"auth":"?"}"#, "r.io: its `auth` is no base64");
        check(r#"{"auth":"/w=="}"#, "r.io: its `auth` is no UTF-8");
        check(r#"{"auth":"dXNlcg=="}"#, "r.io: its `auth` is not `user:password` in base64");
    }

    #[test]
    fn keys_as_docker_and_podman_write_them() {
        let check = |key: &str, repository: &str, expected: bool| {
            let expected = if expected {
                let name = key.split_once(':').map_or(key, |(name, _)| name);
                format!("{key}: password {name} {}pw", &format!("{key}:")[name.len() + 1..])
            } else {
                String::new()
            };
            check(&auths(&[key]), repository, &expected);
        };
        check("https://index.docker.io/v1/", "docker.io/org/a", true);
        check("index.docker.io/v1", "docker.io/org/a", true);
        check("docker.io", "docker.io/org/a", true);
        check("registry-1.docker.io", "docker.io/org/a", true);
        check("docker.io/org", "docker.io/org/a", true);
        check("docker.io/library/a", "docker.io/a", true);
        check("https://r.io", "r.io/a", true);
        check("http://r.io/v2/", "r.io/a", true);
        check("https://r.io/anything", "r.io/a", true);
        check("R.io", "r.io/a", true);
        check("r.io:5000", "r.io:5000/a", true);
        check("r.io:5000", "r.io/a", false);
        check("r.io", "r.io:5000/a", false);
        check("r.io/ns", "r.io/ns/a", true);
        check("r.io/ns/", "r.io/ns/a", true);
        check("r.io/ns", "r.io/nsx/a", false);
        check("r.io/ns/a", "r.io/ns/a", true);
        check("r.io/ns/a/b", "r.io/ns/a", false);
        check("[::1]:5000", "[::1]:5000/a", true);
        check("other.io", "r.io/a", false);
    }

    #[test]
    fn the_most_particular_comes_first() {
        check(
            &auths(&["r.io", "r.io/ns", "r.io/ns/a", "r.io/other"]),
            "r.io/ns/a",
            "r.io/ns/a: password r.io/ns/a pw; r.io/ns: password r.io/ns pw; r.io: password r.io pw",
        );
        check(
            r#"{"auths":{"r.io":{"auth":"dXNlcjpwYXNz"},"https://r.io":{}},
                "credHelpers":{"https://r.io/":"one"},"credsStore":"two"}"#,
            "r.io/ns/a",
            "helper one; r.io: password user pass",
        );
        check(
            r#"{"auths":{"r.io":{"auth":"dXNlcjpwYXNz"}},"credHelpers":{"q.io":"one"},"credsStore":"two"}"#,
            "r.io/ns/a",
            "helper two; r.io: password user pass",
        );
        check(
            r#"{"auths":{"https://r.io":{"auth":"b2xkOnB3"},"r.io":{"auth":"dXNlcjpwYXNz"}}}"#,
            "r.io/a",
            "r.io: password user pass",
        );
        check(r#"{"credHelpers":{"r.io":""},"credsStore":"two"}"#, "r.io/a", "");
        check(r#"{"credHelpers":{"docker.io":"hub"}}"#, "docker.io/a", "helper hub");
        check(r#"{"credsStore":""}"#, "r.io/a", "");
    }

    #[test]
    fn other_settings_and_empty_files_do_not_matter() {
        let everything = r#"{"HttpHeaders":{"User-Agent":"x"},"psFormat":1,"auths":null,
            "credHelpers":null,"credsStore":null,"plugins":{"a":[]}}"#;
        check(everything, "r.io/a", "");
        check("\u{feff}{}", "r.io/a", "");
        check("", "r.io/a", "");
        check(" \n", "r.io/a", "");
    }

    #[test]
    fn the_oldest_layout_has_entries_alone() {
        let json = br#"{"https://index.docker.io/v1/":{"auth":"dXNlcjpwYXNz","email":"x@y"}}"#;
        let config = DockerConfig::parse(json, Layout::Legacy).unwrap();
        let places = config.places(&"docker.io/a".parse().unwrap());
        assert_eq!(show(&places), "https://index.docker.io/v1/: password user pass");
    }

    #[test]
    fn a_malformed_file_shows_the_position_and_not_what_stands_there() {
        #[track_caller]
        fn check(json: &str, expected: &str) {
            let problem = DockerConfig::parse(json.as_bytes(), Layout::Config).unwrap_err();
            assert_eq!(problem, expected);
        }
        check("hunter2", "no JSON, at line 1, column 1");
        check("{\n\"auths\": hunter2}", "no JSON, at line 2, column 10");
        check(r#"{"auths":"#, "JSON that ends too early, at line 1, column 9");
        check(r#"{"auths":"hunter2"}"#, "a value of the wrong type, at line 1, column 18");
        check(
            "{\"auths\":{\"r.io\":\n{\"identitytoken\":{\"x\":\"hunter2\"}}}}",
            "a value of the wrong type, at line 2, column 17",
        );
    }
}
