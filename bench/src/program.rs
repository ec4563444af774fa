//! Which programs are here, and of which version.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// A program that is here.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// As it says itself: `0.20.7`.
    pub(crate) version: String,
}

/// Looks for `name` in `folder`, then in PATH; `None` where it is not, or does not run.
pub(crate) fn find(folder: &Path, name: &str, version_args: &[&str]) -> Option<Program> {
    let aside = std::path::absolute(folder.join(name)).ok()?;
    let path = if aside.is_file() { aside } else { in_path(name)? };
    let output = Command::new(&path).args(version_args).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let version = version(&String::from_utf8_lossy(&output.stdout))?;
    Some(Program { path, version })
}

/// Windlass as it is released, built by cargo where no program is given.
pub(crate) fn windlass(given: Option<&Path>) -> Result<Program> {
    let path = match given {
        Some(path) => std::path::absolute(path)?,
        None => build()?,
    };
    let output = Command::new(&path).arg("--version").output();
    let output = output.with_context(|| format!("running {}", path.display()))?;
    let version = version(&String::from_utf8_lossy(&output.stdout));
    Ok(Program { path, version: version.context("windlass says no version")? })
}

fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--package", "windlass"])
        .status()
        .context("running cargo to build windlass; --windlass names one that is built")?;
    if !built.success() {
        bail!("windlass was not built");
    }
    // Beside this program, which cargo has put into the same folder.
    let itself = std::env::current_exe()?;
    Ok(itself.with_file_name("windlass"))
}

fn in_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The first word that looks like a version.
fn version(said: &str) -> Option<String> {
    let word = said.split_whitespace().find_map(|word| {
        let number = word.strip_prefix('v').unwrap_or(word);
        let is_version = number.starts_with(|c: char| c.is_ascii_digit()) && number.contains('.');
        is_version.then(|| number.split('+').next().unwrap_or(number).to_owned())
    });
    // Go programs that nobody stamped say so.
    word.or_else(|| said.contains("(devel)").then(|| "devel".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(said: &str, expected: Option<&str>) {
        assert_eq!(version(said).as_deref(), expected);
    }

    #[test]
    fn versions_are_found_in_what_programs_say() {
        check("windlass 0.1.0\n", Some("0.1.0"));
        check("v0.20.7", Some("0.20.7"));
        check("skopeo version 1.9.3", Some("1.9.3"));
        check("Version:        1.3.3+unknown\nGo version: go1.26\n", Some("1.3.3"));
        check("docker-registry github.com/docker/distribution 2.8.2+ds1", Some("2.8.2"));
        check("nothing of the kind", None);
    }
}
