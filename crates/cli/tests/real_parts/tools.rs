//! Running other programs: each must succeed, and what it said is shown where it does not.

use std::path::Path;
use std::process::Command;

use crate::registries::{Address, PASSWORD, USERNAME};

/// The command under test, with nothing of this machine's settings.
pub(crate) fn windlass() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home-without-anything");
    command.env("HOME", home);
    command
}

/// Runs `program` with the arguments that `prepare` gives it; its standard output.
#[track_caller]
pub(crate) fn run(program: &str, prepare: impl FnOnce(&mut Command) -> &mut Command) -> String {
    let mut command = Command::new(program);
    prepare(&mut command);
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{program} cannot be started: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Pulls an image with skopeo into a layout.
#[track_caller]
pub(crate) fn pull(
    registry: &Address,
    name: &str,
    tag: &str,
    layout: &Path,
    options: impl FnOnce(&mut Command) -> &mut Command,
) {
    run("skopeo", |skopeo| {
        skopeo.args(["--insecure-policy", "copy", "--quiet", "--preserve-digests"]);
        options(skopeo);
        match &registry.authority {
            Some(authority) => {
                // It takes a folder, and of that only what is called so.
                let trusted = tempfile::tempdir_in(layout.parent().unwrap()).unwrap().keep();
                std::fs::copy(authority, trusted.join("ca.crt")).unwrap();
                skopeo.arg("--src-cert-dir").arg(trusted);
                skopeo.arg(format!("--src-creds={USERNAME}:{PASSWORD}"));
            }
            None => {
                skopeo.arg("--src-tls-verify=false");
            }
        }
        skopeo.arg(format!("docker://{}/{name}:{tag}", registry.host));
        skopeo.arg(format!("oci:{}:{tag}", layout.display()))
    });
}
