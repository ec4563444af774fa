//! Credentials that `docker login`, `podman login` and CI systems have laid down.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use windlass_oci::{Registry, Repository};
use zeroize::Zeroizing;

use super::docker_config::{DockerConfig, Layout, Place};
use super::helper;
use super::single_flight::Flights;
use super::{Credential, CredentialError, CredentialProvider, Found, Helpers, Origin, Secret};

/// Where such files are: what a command finds in its environment. What is `None` is not set.
#[derive(Clone, Debug, Default)]
pub struct ConfigPlaces {
    /// `DOCKER_AUTH_CONFIG`: not a path, but all that would stand in the file. Looked at before
    /// any file.
    pub docker_auth_config: Option<Secret>,
    /// `REGISTRY_AUTH_FILE`: where it is set no other file counts, and it must be there.
    pub registry_auth_file: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<PathBuf>,
    /// The user's number, on Linux alone: without `XDG_RUNTIME_DIR` podman has its file in
    /// `/run/containers/NUMBER` there.
    pub user_id: Option<u32>,
    /// `XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<PathBuf>,
    /// `DOCKER_CONFIG`, a directory.
    pub docker_config_dir: Option<PathBuf>,
    /// The user's own directory: `HOME`, on Windows `USERPROFILE`.
    pub home: Option<PathBuf>,
}

/// A provider of what stands in the files of docker and podman, and of what the helpers give that
/// are named there.
///
/// Files are read whenever a credential is asked for, so that a new login takes the place of one
/// that was refused. What a helper gave is kept until it is refused.
#[derive(Debug)]
pub struct ConfigFiles {
    places: ConfigPlaces,
    helpers: Helpers,
    given: Flights<(String, Registry), Option<Credential>, CredentialError>,
}

/// A file that may be there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Candidate {
    path: PathBuf,
    layout: Layout,
    must_exist: bool,
}

/// Nobody has as many logins.
const LARGEST_FILE: u64 = 4 * 1024 * 1024;

impl ConfigFiles {
    /// Looks in these places, and runs helpers in this way.
    #[must_use]
    pub fn new(places: ConfigPlaces, helpers: Helpers) -> ConfigFiles {
        ConfigFiles { places, helpers, given: Flights::default() }
    }

    /// The first credential that a place of `config` has.
    async fn look(
        &self,
        config: &DockerConfig,
        origin: &str,
        repository: &Repository,
        refused: Option<&Found>,
    ) -> Result<Option<Found>, CredentialError> {
        for place in config.places(repository) {
            let found = match place {
                Place::Entry { key, credential } => {
                    let credential = credential.map_err(|problem| CredentialError::Malformed {
                        origin: format!("the entry {key:?} in {origin}"),
                        problem: problem.to_owned(),
                    })?;
                    Some((credential, format!("{origin}, entry {key:?}")))
                }
                Place::Helper(name) => {
                    let credential = self.ask(&name, repository.registry(), refused).await?;
                    let origin = || format!("{}, named in {origin}", helper::program(&name));
                    credential.map(|credential| (credential, origin()))
                }
            };
            if let Some((credential, origin)) = found {
                let origin = Origin::new(&origin);
                return Ok(Some(Found { credential, origin, expires: None }));
            }
        }
        Ok(None)
    }

    /// Asks a helper, once for all repositories of a registry.
    async fn ask(
        &self,
        name: &str,
        registry: &Registry,
        refused: Option<&Found>,
    ) -> Result<Option<Credential>, CredentialError> {
        let flight = self.given.of((name.to_owned(), registry.clone()));
        let is_good = |given: &Option<Credential>| match (given, refused) {
            (Some(given), Some(refused)) => *given != refused.credential,
            _ => true,
        };
        flight.get(is_good, self.helpers.get(name, registry)).await
    }
}

#[async_trait]
impl CredentialProvider for ConfigFiles {
    async fn credential(
        &self,
        repository: &Repository,
        refused: Option<&Found>,
    ) -> Result<Option<Found>, CredentialError> {
        if let Some(text) = &self.places.docker_auth_config {
            let origin = "DOCKER_AUTH_CONFIG";
            let config = parse(text.expose().as_bytes(), Layout::Config, origin)?;
            if let Some(found) = self.look(&config, origin, repository, refused).await? {
                return Ok(Some(found));
            }
        }
        for candidate in self.places.candidates() {
            let Some(config) = load(candidate.clone()).await? else {
                continue;
            };
            let origin = candidate.path.display().to_string();
            if let Some(found) = self.look(&config, &origin, repository, refused).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

impl ConfigPlaces {
    /// The files, in podman's order, which ends with docker's:
    /// <https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>.
    fn candidates(&self) -> Vec<Candidate> {
        let candidate =
            |path: PathBuf| Candidate { path, layout: Layout::Config, must_exist: false };
        if let Some(path) = &self.registry_auth_file {
            return vec![Candidate { must_exist: true, ..candidate(path.clone()) }];
        }
        let in_home = |name: &str| self.home.as_ref().map(|home| home.join(name));
        let podman = |directory: PathBuf| directory.join("containers").join("auth.json");
        let runtime = match (&self.xdg_runtime_dir, self.user_id) {
            (Some(directory), _) => Some(podman(directory.clone())),
            (None, Some(user)) => {
                Some(Path::new("/run/containers").join(user.to_string()).join("auth.json"))
            }
            (None, None) => None,
        };
        let config = self.xdg_config_home.clone().or_else(|| in_home(".config")).map(podman);
        let docker = self.docker_config_dir.clone().or_else(|| in_home(".docker"));
        let docker = docker.map(|directory| directory.join("config.json"));
        let legacy = in_home(".dockercfg")
            .map(|path| Candidate { layout: Layout::Legacy, ..candidate(path) });
        [runtime, config, docker].into_iter().flatten().map(candidate).chain(legacy).collect()
    }
}

/// Reads a file; `None` where it is not there and need not be.
async fn load(candidate: Candidate) -> Result<Option<DockerConfig>, CredentialError> {
    let Candidate { path, layout, must_exist } = candidate;
    let unreadable = |problem: String| CredentialError::Unreadable { path: path.clone(), problem };
    let read = {
        let path = path.clone();
        // The home of a user may be on a network.
        tokio::task::spawn_blocking(move || {
            let mut bytes = Zeroizing::new(Vec::new());
            File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
            Ok::<_, std::io::Error>(bytes)
        })
    };
    let bytes = match read.await.map_err(|error| unreadable(error.to_string()))? {
        Ok(bytes) => bytes,
        // A home of `/dev/null`, as services have it, is no directory.
        Err(error)
            if !must_exist
                && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(error) => {
            let named = if must_exist { "REGISTRY_AUTH_FILE names it, and " } else { "" };
            return Err(unreadable(format!("{named}{error}")));
        }
    };
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(unreadable(format!("it is larger than {LARGEST_FILE} bytes")));
    }
    parse(&bytes, layout, &path.display().to_string()).map(Some)
}

fn parse(bytes: &[u8], layout: Layout, origin: &str) -> Result<DockerConfig, CredentialError> {
    DockerConfig::parse(bytes, layout)
        .map_err(|problem| CredentialError::Malformed { origin: origin.to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    /// A home, and a way to lay files into it.
    struct Home(tempfile::TempDir);

    impl Home {
        fn new() -> Home {
            Home(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn lay(&self, name: &str, content: &str) {
            let path = self.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }

        fn lay_login(&self, name: &str, key: &str, username: &str) {
            self.lay(name, &login(key, username));
        }

        fn places(&self) -> ConfigPlaces {
            ConfigPlaces { home: Some(self.0.path().to_owned()), ..ConfigPlaces::default() }
        }

        /// Whom the files say we are at `repository`, and which of them says so.
        async fn ask(&self, places: ConfigPlaces, repository: &str) -> Result<String, String> {
            let files = ConfigFiles::new(places, Helpers::default());
            let found = files.credential(&repository.parse().unwrap(), None).await;
            let home = format!("{}/", self.0.path().display());
            match found {
                Ok(None) => Ok("nobody".to_owned()),
                Ok(Some(found)) => Ok(format!(
                    "{} by {}",
                    found.credential.username().unwrap_or("-"),
                    found.origin.to_string().replace(&home, "")
                )),
                Err(error) => Err(error.to_string().replace(&home, "")),
            }
        }
    }

    fn login(key: &str, username: &str) -> String {
        let auth = STANDARD.encode(format!("{username}:hunter2"));
        format!(r#"{{"auths":{{"{key}":{{"auth":"{auth}"}}}}}}"#)
    }

    #[test]
    fn files_in_podmans_order() {
        #[track_caller]
        fn check(places: &ConfigPlaces, expected: &[&str]) {
            let got = places.candidates().into_iter().map(|candidate| candidate.path);
            assert_eq!(
                got.collect::<Vec<_>>(),
                expected.iter().map(PathBuf::from).collect::<Vec<_>>()
            );
        }
        let home = ConfigPlaces { home: Some("/h".into()), ..ConfigPlaces::default() };
        let own = ["/h/.config/containers/auth.json", "/h/.docker/config.json", "/h/.dockercfg"];
        check(&ConfigPlaces::default(), &[]);
        check(&home, &own);
        check(
            &ConfigPlaces { user_id: Some(7), ..home.clone() },
            &["/run/containers/7/auth.json", own[0], own[1], own[2]],
        );
        let all = ConfigPlaces {
            xdg_runtime_dir: Some("/r".into()),
            user_id: Some(7),
            xdg_config_home: Some("/c".into()),
            docker_config_dir: Some("/d".into()),
            ..home
        };
        check(
            &all,
            &["/r/containers/auth.json", "/c/containers/auth.json", "/d/config.json", own[2]],
        );
        check(&ConfigPlaces { registry_auth_file: Some("/a".into()), ..all }, &["/a"]);
    }

    #[tokio::test]
    async fn what_one_file_has_not_the_next_may_have() {
        let home = Home::new();
        home.lay_login(".config/containers/auth.json", "q.io", "podman");
        home.lay_login(".docker/config.json", "r.io", "docker");
        home.lay(".dockercfg", r#"{"https://s.io/v1/":{"auth":"b2xkOnB3"}}"#);
        let ask = async |repository: &str| home.ask(home.places(), repository).await.unwrap();
        assert_eq!(ask("q.io/a").await, "podman by .config/containers/auth.json, entry \"q.io\"");
        assert_eq!(ask("r.io/a").await, "docker by .docker/config.json, entry \"r.io\"");
        assert_eq!(ask("s.io/a").await, "old by .dockercfg, entry \"https://s.io/v1/\"");
        assert_eq!(ask("t.io/a").await, "nobody");
    }

    #[tokio::test]
    async fn the_variable_comes_before_all_files() {
        let home = Home::new();
        home.lay_login(".docker/config.json", "r.io", "docker");
        let places =
            |text: String| ConfigPlaces { docker_auth_config: Some(text.into()), ..home.places() };
        let ask = async |text: String| home.ask(places(text), "r.io/a").await;
        assert_eq!(
            ask(login("r.io", "ci")).await.unwrap(),
            "ci by DOCKER_AUTH_CONFIG, entry \"r.io\""
        );
        assert!(ask(login("q.io", "ci")).await.unwrap().starts_with("docker by"));
        assert_eq!(
            ask("hunter2".to_owned()).await.unwrap_err(),
            "DOCKER_AUTH_CONFIG is malformed: no JSON, at line 1, column 1"
        );
    }

    #[tokio::test]
    async fn a_file_that_is_named_is_the_only_one_and_must_be_there() {
        let home = Home::new();
        home.lay_login(".docker/config.json", "r.io", "docker");
        home.lay_login("mine.json", "q.io", "mine");
        let places = |name: &str| ConfigPlaces {
            registry_auth_file: Some(home.path(name)),
            ..home.places()
        };
        assert_eq!(home.ask(places("mine.json"), "r.io/a").await.unwrap(), "nobody");
        assert!(home.ask(places("mine.json"), "q.io/a").await.unwrap().starts_with("mine by"));
        let error = home.ask(places("gone.json"), "q.io/a").await.unwrap_err();
        assert!(error.starts_with("cannot read gone.json: REGISTRY_AUTH_FILE names it"), "{error}");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_understood_is_an_error_without_its_content() {
        let home = Home::new();
        home.lay(".docker/config.json", "{\"auths\":\n{\"r.io\":\"hunter2\"}}");
        assert_eq!(
            home.ask(home.places(), "r.io/a").await.unwrap_err(),
            ".docker/config.json is malformed: a value of the wrong type, at line 2, column 17"
        );
        home.lay(".docker/config.json", r#"{"auths":{"r.io":{"auth":"hunter2!"}}}"#);
        assert_eq!(
            home.ask(home.places(), "r.io/a").await.unwrap_err(),
            "the entry \"r.io\" in .docker/config.json is malformed: its `auth` is no base64"
        );
        assert_eq!(home.ask(home.places(), "q.io/a").await.unwrap(), "nobody");
        home.lay(".config/containers/auth.json/x", "a directory where a file should be");
        let error = home.ask(home.places(), "r.io/a").await.unwrap_err();
        assert!(error.starts_with("cannot read .config/containers/auth.json: "), "{error}");
    }

    #[tokio::test]
    async fn a_home_that_is_no_directory_has_no_files() {
        let home = Home::new();
        home.lay("null", "");
        let places = ConfigPlaces { home: Some(home.path("null")), ..ConfigPlaces::default() };
        assert_eq!(home.ask(places, "r.io/a").await.unwrap(), "nobody");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_helper_is_asked_once_a_registry_and_again_when_it_was_refused() {
        let home = Home::new();
        home.lay(".docker/config.json", r#"{"credHelpers":{"r.io":"test"},"credsStore":"none"}"#);
        let count = home.path("count").display().to_string();
        let script = format!(
            r#"echo x >> '{count}'; printf '{{"Username":"u","Secret":"%s"}}' $(wc -l < '{count}')"#
        );
        helper::tests::lay(home.0.path(), "test", &script);
        let not_found = "echo 'credentials not found in native keychain'; exit 1";
        helper::tests::lay(home.0.path(), "none", not_found);
        let helpers = Helpers { directories: vec![home.0.path().to_owned()], ..Helpers::default() };
        let files = ConfigFiles::new(home.places(), helpers);
        let ask = async |repository: &str, refused: Option<&Found>| {
            files.credential(&repository.parse().unwrap(), refused).await.unwrap()
        };
        let first = ask("r.io/a", None).await.unwrap();
        assert_eq!(first.credential, Credential::basic("u", "1"));
        assert!(first.origin.to_string().starts_with("docker-credential-test, named in /"));
        assert_eq!(ask("r.io/b", None).await.unwrap().credential, first.credential);
        let second = ask("r.io/a", Some(&first)).await.unwrap();
        assert_eq!(second.credential, Credential::basic("u", "2"));
        assert_eq!(ask("r.io/b", Some(&first)).await.unwrap().credential, second.credential);
        assert_eq!(ask("q.io/a", None).await, None);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_helper_that_fails_is_an_error() {
        let home = Home::new();
        home.lay(".docker/config.json", r#"{"credsStore":"no-such-helper"}"#);
        assert_eq!(
            home.ask(home.places(), "r.io/a").await.unwrap_err(),
            "docker-credential-no-such-helper, asked for r.io, is not installed, or not in PATH"
        );
    }
}
