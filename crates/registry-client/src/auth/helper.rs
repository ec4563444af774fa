//! Credential helpers: programs that keep or make credentials, one question a process.
//!
//! Protocol: <https://github.com/docker/docker-credential-helpers#development>.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use windlass_oci::Registry;
use zeroize::Zeroizing;

use super::docker_config::from_pair;
use super::{Credential, CredentialError, HelperProblem, Secret};

/// How helpers are found and run.
#[derive(Clone, Debug)]
pub struct Helpers {
    /// The directories they are looked for in; where there are none, the system looks in its own
    /// way.
    pub directories: Vec<PathBuf>,
    /// How long one may take. Some open a window and wait for a person.
    pub limit: Duration,
}

impl Default for Helpers {
    fn default() -> Helpers {
        Helpers { directories: Vec::new(), limit: Duration::from_secs(30) }
    }
}

/// The most that is read of what a helper says.
const LONGEST_ANSWER: u64 = 256 * 1024;

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username", default)]
    username: String,
    #[serde(rename = "Secret")]
    secret: Option<Secret>,
}

/// What came of running it.
struct Ended {
    status: ExitStatus,
    stdout: Zeroizing<Vec<u8>>,
    stderr: Vec<u8>,
}

impl Helpers {
    /// Asks `docker-credential-NAME` for the credential of `registry`; `None` where it has none.
    ///
    /// # Errors
    ///
    /// [`CredentialError::Helper`], with the helper's own words.
    pub(super) async fn get(
        &self,
        name: &str,
        registry: &Registry,
    ) -> Result<Option<Credential>, CredentialError> {
        let server = server_of(registry);
        let answer = match tokio::time::timeout(self.limit, self.run(name, server)).await {
            Ok(ended) => ended.and_then(|ended| understand(&ended)),
            Err(_) => Err(HelperProblem::Hangs(self.limit)),
        };
        answer.map_err(|problem| CredentialError::Helper {
            helper: program(name),
            server: server.to_owned(),
            problem,
        })
    }

    async fn run(&self, name: &str, server: &str) -> Result<Ended, HelperProblem> {
        let broken = |error: io::Error| HelperProblem::Io(error.to_string());
        // The name comes from a file; it names a helper and must not lead to any other program.
        if name.is_empty() || name.contains(['/', '\\', ':', '\0']) || name.starts_with('.') {
            return Err(HelperProblem::BadName);
        }
        let mut child = self.spawn(&program(name))?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let ask = async {
            if let Some(mut stdin) = stdin {
                // One that does not read its question has its reasons; its answer tells them.
                let _ = stdin.write_all(server.as_bytes()).await;
                let _ = stdin.shutdown().await;
            }
        };
        let ((), stdout, stderr) = tokio::join!(ask, read(stdout), read(stderr));
        let (stdout, stderr) = (Zeroizing::new(stdout.map_err(broken)?), stderr.map_err(broken)?);
        if stdout.len() as u64 > LONGEST_ANSWER || stderr.len() as u64 > LONGEST_ANSWER {
            return Err(HelperProblem::Malformed(format!(
                "it is longer than {LONGEST_ANSWER} bytes"
            )));
        }
        let status = child.wait().await.map_err(broken)?;
        Ok(Ended { status, stdout, stderr })
    }

    /// Starts it; it is killed when it is dropped.
    fn spawn(&self, program: &str) -> Result<Child, HelperProblem> {
        for candidate in self.candidates(program) {
            let child = Command::new(candidate)
                .arg("get")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn();
            match child {
                Ok(child) => return Ok(child),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(HelperProblem::Io(error.to_string())),
            }
        }
        Err(HelperProblem::NotFound)
    }

    fn candidates(&self, program: &str) -> Vec<OsString> {
        // Windows adds `.exe` by itself and nothing else.
        let endings: &[&str] = if cfg!(windows) { &[".exe", ".cmd"] } else { &[""] };
        let names = endings.iter().map(|ending| format!("{program}{ending}"));
        if self.directories.is_empty() {
            return names.map(OsString::from).collect();
        }
        let names: Vec<String> = names.collect();
        let in_directory =
            |directory: &PathBuf| names.iter().map(|name| directory.join(name)).collect::<Vec<_>>();
        let paths = self.directories.iter().flat_map(in_directory);
        paths.filter(|path| path.is_file()).map(PathBuf::into_os_string).collect()
    }
}

/// The program of a helper's name.
pub(super) fn program(name: &str) -> String {
    let shown: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    format!("docker-credential-{shown}")
}

/// What docker calls a registry when it talks to helpers.
fn server_of(registry: &Registry) -> &str {
    if registry.is_docker_hub() { "https://index.docker.io/v1/" } else { registry.as_str() }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(LONGEST_ANSWER + 1).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn understand(ended: &Ended) -> Result<Option<Credential>, HelperProblem> {
    const NONE: &str = "credentials not found in native keychain";
    if !ended.status.success() {
        let words = first_line(&ended.stdout)
            // Errors come on stdout by the protocol. What looks like an answer may be one.
            .filter(|line| !line.starts_with('{') && !line.contains("\"Secret\""));
        if words.as_deref() == Some(NONE) {
            return Ok(None);
        }
        let words = first_line(&ended.stderr).or(words);
        return Err(HelperProblem::Failed { status: ended.status.to_string(), words });
    }
    let answer: Answer = serde_json::from_slice(&ended.stdout).map_err(|error| {
        // The error itself would show what stands there.
        HelperProblem::Malformed(format!(
            "no JSON of a credential, at line {}, column {}",
            error.line(),
            error.column()
        ))
    })?;
    let secret = answer.secret.unwrap_or_else(|| Secret::from(""));
    if answer.username.is_empty() && secret.is_empty() {
        return Ok(None);
    }
    Ok(Some(from_pair(answer.username, secret)))
}

/// The first line with something in it, printable and not too long.
fn first_line(bytes: &[u8]) -> Option<String> {
    const LONGEST: usize = 300;
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().filter(|c| !c.is_control()).take(LONGEST).collect())
}

#[cfg(test)]
#[cfg(unix)]
pub(super) mod tests {
    use super::*;
    use std::path::Path;

    /// Lays a helper into `directory`. The file is written by another process: one that this
    /// process has open for writing while another test forks cannot be executed.
    pub(in super::super) fn lay(directory: &Path, name: &str, script: &str) {
        let path = directory.join(program(name));
        let written = std::process::Command::new("sh")
            .args(["-c", r#"printf '%s\n' "$2" > "$1" && chmod 755 "$1""#, "sh"])
            .arg(&path)
            .arg(format!("#!/bin/sh\n{script}"))
            .status()
            .unwrap();
        assert!(written.success());
    }

    async fn ask(script: &str, registry: &str) -> Result<Option<Credential>, String> {
        let directory = tempfile::tempdir().unwrap();
        lay(directory.path(), "test", script);
        let helpers = Helpers {
            directories: vec![PathBuf::from("/nowhere"), directory.path().to_owned()],
            ..Helpers::default()
        };
        let answer = helpers.get("test", &registry.parse().unwrap()).await;
        answer.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_helper_gives_a_credential_for_the_server_it_is_asked_for() {
        let script = r#"[ "$1" = get ] || exit 9
            printf '{"ServerURL":"x","Username":"AWS","Secret":"for %s"}' "$(cat)""#;
        assert_eq!(
            ask(script, "r.io:5000").await,
            Ok(Some(Credential::basic("AWS", "for r.io:5000")))
        );
        assert_eq!(
            ask(script, "docker.io").await,
            Ok(Some(Credential::basic("AWS", "for https://index.docker.io/v1/")))
        );
    }

    #[tokio::test]
    async fn a_token_user_has_an_identity_token() {
        assert_eq!(
            ask(r#"echo '{"Username":"<token>","Secret":"it"}'"#, "r.io").await,
            Ok(Some(Credential::IdentityToken { username: None, token: "it".into() }))
        );
    }

    #[tokio::test]
    async fn a_helper_may_have_nothing() {
        let not_found = "echo 'credentials not found in native keychain'; exit 1";
        assert_eq!(ask(not_found, "r.io").await, Ok(None));
        assert_eq!(ask(r#"echo '{"Username":"","Secret":""}'"#, "r.io").await, Ok(None));
    }

    #[tokio::test]
    async fn a_failure_is_shown_in_the_helpers_own_words() {
        #[track_caller]
        fn check(answer: Result<Option<Credential>, String>, expected: &str) {
            let problem = answer.unwrap_err();
            assert_eq!(problem, format!("docker-credential-test, asked for r.io, {expected}"));
        }
        check(
            ask("echo; echo ' no AWS region set '; echo more; exit 3", "r.io").await,
            "failed (exit status: 3): no AWS region set",
        );
        check(
            ask("echo out; echo 'pass is locked' >&2; exit 1", "r.io").await,
            "failed (exit status: 1): pass is locked",
        );
        check(ask("exit 1", "r.io").await, "failed (exit status: 1)");
        check(
            ask(r#"echo '{"Username":"u","Secret":"hunter2"}'; exit 1"#, "r.io").await,
            "failed (exit status: 1)",
        );
        check(
            ask("echo hunter2", "r.io").await,
            "gave an answer that is no credential: no JSON of a credential, at line 1, column 1",
        );
        check(
            ask("yes", "r.io").await,
            "gave an answer that is no credential: it is longer than 262144 bytes",
        );
    }

    #[tokio::test]
    async fn a_helper_that_hangs_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        lay(directory.path(), "test", "exec sleep 600");
        let helpers = Helpers {
            directories: vec![directory.path().to_owned()],
            limit: Duration::from_millis(200),
        };
        let error = helpers.get("test", &"r.io".parse().unwrap()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "docker-credential-test, asked for r.io, did not answer within 200ms"
        );
    }

    #[tokio::test]
    async fn a_name_leads_to_helpers_alone() {
        #[track_caller]
        fn check(answer: Result<Option<Credential>, CredentialError>, expected: &HelperProblem) {
            match answer.unwrap_err() {
                CredentialError::Helper { problem, .. } => assert_eq!(problem, *expected),
                other => panic!("{other}"),
            }
        }
        let helpers = Helpers::default();
        let registry = "r.io".parse().unwrap();
        for name in ["", "../evil", "a/b", "a\\b", "..", "c:evil", "a\0b"] {
            check(helpers.get(name, &registry).await, &HelperProblem::BadName);
        }
        check(helpers.get("no-such-one", &registry).await, &HelperProblem::NotFound);
    }
}
