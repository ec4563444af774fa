//! How each client is told to push an image and to tag it.

use std::path::Path;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::stopwatch::Invocation;

/// Who pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Client {
    /// Windlass.
    #[value(skip)]
    Windlass,
    /// `oras cp`, with all tags at once.
    Oras,
    /// `regctl image copy`, once for each tag.
    Regctl,
    /// As rules_oci drives it: `crane push` by digest, then `crane tag` once for each tag.
    Crane,
    /// `skopeo copy`, once for each tag.
    Skopeo,
}

/// What is to be pushed, where from and where to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand<'a> {
    pub(crate) layout: &'a Path,
    pub(crate) digest: &'a str,
    /// `127.0.0.1:5000`
    pub(crate) host: &'a str,
    pub(crate) repository: &'a str,
    pub(crate) tags: &'a [String],
    /// A folder of its own, empty before the first push.
    pub(crate) home: &'a Path,
    /// The file with the certificate of who vouches for the registry; plain HTTP where `None`.
    pub(crate) authority: Option<&'a Path>,
}

impl Client {
    /// All but Windlass.
    pub(crate) const PEERS: [Client; 4] =
        [Client::Oras, Client::Regctl, Client::Crane, Client::Skopeo];

    /// The name of its program.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Client::Windlass => "windlass",
            Client::Oras => "oras",
            Client::Regctl => "regctl",
            Client::Crane => "crane",
            Client::Skopeo => "skopeo",
        }
    }

    /// What makes it say its version.
    pub(crate) fn version_args(self) -> &'static [&'static str] {
        match self {
            Client::Windlass | Client::Skopeo => &["--version"],
            Client::Oras | Client::Crane => &["version"],
            Client::Regctl => &["version", "--format", "{{.VCSTag}}"],
        }
    }

    /// What is run, one after another, for an errand.
    pub(crate) fn commands(self, program: &Path, errand: &Errand<'_>) -> Vec<Invocation> {
        let command = |args: Vec<String>| Invocation {
            program: program.to_owned(),
            args,
            env: environment(errand),
        };
        let steps = match self {
            Client::Windlass => vec![windlass(errand)],
            Client::Oras => vec![oras(errand)],
            Client::Regctl => errand.tags.iter().map(|tag| regctl(errand, tag)).collect(),
            Client::Crane => crane(errand),
            Client::Skopeo => errand.tags.iter().map(|tag| skopeo(errand, tag)).collect(),
        };
        steps.into_iter().map(command).collect()
    }
}

fn environment(errand: &Errand<'_>) -> Vec<(String, String)> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut env =
        vec![("PATH".to_owned(), path), ("HOME".to_owned(), errand.home.display().to_string())];
    if let Some(file) = errand.authority {
        env.push(("SSL_CERT_FILE".to_owned(), file.display().to_string()));
    }
    env
}

fn windlass(errand: &Errand<'_>) -> Vec<String> {
    let mut args = words(&["push", &errand.layout(), "--repository", &errand.name()]);
    for tag in errand.tags {
        args.extend(words(&["--tag", tag]));
    }
    args
}

fn oras(errand: &Errand<'_>) -> Vec<String> {
    let mut args = words(&["cp", "--no-tty", "--from-oci-layout"]);
    if errand.authority.is_none() {
        args.push("--to-plain-http".to_owned());
    }
    args.push(format!("{}@{}", errand.layout(), errand.digest));
    args.push(format!("{}:{}", errand.name(), errand.tags.join(",")));
    args
}

fn regctl(errand: &Errand<'_>, tag: &str) -> Vec<String> {
    let mut args = Vec::new();
    if errand.authority.is_none() {
        args.extend(words(&["--host", &format!("reg={},tls=disabled", errand.host)]));
    }
    let from = format!("ocidir://{}@{}", errand.layout(), errand.digest);
    args.extend(words(&["image", "copy", &from, &format!("{}:{tag}", errand.name())]));
    args
}

fn crane(errand: &Errand<'_>) -> Vec<Vec<String>> {
    let image = format!("{}@{}", errand.name(), errand.digest);
    let mut steps = vec![words(&["push", &errand.layout(), &image])];
    steps.extend(errand.tags.iter().map(|tag| words(&["tag", &image, tag])));
    steps
}

fn skopeo(errand: &Errand<'_>, tag: &str) -> Vec<String> {
    let mut args = words(&["copy", "--quiet", "--insecure-policy", "--preserve-digests", "--all"]);
    if errand.authority.is_none() {
        args.push("--dest-tls-verify=false".to_owned());
    }
    args.push(format!("oci:{}", errand.layout()));
    args.push(format!("docker://{}:{tag}", errand.name()));
    args
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

impl Errand<'_> {
    fn layout(&self) -> String {
        self.layout.display().to_string()
    }

    fn name(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(client: Client, authority: Option<&str>, expected: &[&str]) {
        let tags = ["a".to_owned(), "b".to_owned()];
        let errand = Errand {
            layout: Path::new("/l"),
            digest: "sha256:1",
            host: "127.0.0.1:1",
            repository: "app",
            tags: &tags,
            home: Path::new("/h"),
            authority: authority.map(Path::new),
        };
        let commands = client.commands(Path::new("/bin/it"), &errand);
        let lines: Vec<_> = commands.iter().map(|command| command.args.join(" ")).collect();
        assert_eq!(lines, expected);
        let named = commands.iter().all(|command| {
            let file = command.env.iter().find(|(name, _)| name == "SSL_CERT_FILE");
            file.map(|(_, file)| file.as_str()) == authority
        });
        assert!(named, "{commands:?}");
    }

    #[test]
    fn each_client_is_told_in_its_own_words() {
        check(Client::Windlass, None, &["push /l --repository 127.0.0.1:1/app --tag a --tag b"]);
        check(
            Client::Oras,
            None,
            &["cp --no-tty --from-oci-layout --to-plain-http /l@sha256:1 127.0.0.1:1/app:a,b"],
        );
        check(
            Client::Regctl,
            Some("/ca"),
            &[
                "image copy ocidir:///l@sha256:1 127.0.0.1:1/app:a",
                "image copy ocidir:///l@sha256:1 127.0.0.1:1/app:b",
            ],
        );
        check(
            Client::Crane,
            None,
            &[
                "push /l 127.0.0.1:1/app@sha256:1",
                "tag 127.0.0.1:1/app@sha256:1 a",
                "tag 127.0.0.1:1/app@sha256:1 b",
            ],
        );
        check(
            Client::Skopeo,
            Some("/ca"),
            &[
                "copy --quiet --insecure-policy --preserve-digests --all oci:/l docker://127.0.0.1:1/app:a",
                "copy --quiet --insecure-policy --preserve-digests --all oci:/l docker://127.0.0.1:1/app:b",
            ],
        );
    }
}
