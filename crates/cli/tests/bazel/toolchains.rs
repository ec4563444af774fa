//! The ways to get a `windlass` for the rules, each in a workspace of its own. The shared one has it by
//! its path.

use std::fs;

use windlass_testkit::TestRegistry;

use crate::contents;
use crate::harness::{Run, WINDLASS, Workspace, run, source, workspace};

#[test]
fn a_tool_that_was_built_elsewhere_is_fetched_and_checked() {
    let Some(_turn) = workspace() else { return };
    let digest = contents::sha256(&fs::read(WINDLASS).unwrap());
    let workspace = Workspace::of_examples(&prebuilt("linux_amd64", &"0".repeat(64)));
    push(&workspace).ends_with(1).says("Checksum was").says(&digest);
    workspace.set_toolchain(&prebuilt("linux_amd64", &digest));
    push(&workspace).ends_with(0);
}

#[test]
fn a_tool_is_built_from_source_and_the_source_is_left_alone() {
    let Some(_turn) = workspace() else { return };
    let workspace = Workspace::of_examples("");
    let lock = source().join("Cargo.lock");
    let before = fs::metadata(&lock).unwrap().modified().unwrap();
    push(&workspace).ends_with(0);
    assert_eq!(fs::metadata(&lock).unwrap().modified().unwrap(), before);
}

#[test]
fn a_tool_that_cannot_be_had_is_told() {
    let Some(_turn) = workspace() else { return };
    let workspace = Workspace::of_examples("");
    let check = |line: &str, words: &str| {
        workspace.set_toolchain(line);
        push(&workspace).ends_with(1).says(words);
    };
    check("windlass.toolchain(path = \"/nonexistent/windlass\")", "there is no such file");
    check("windlass.toolchain()", "one of from_source, path and prebuilt");
    check(&prebuilt("windows_amd64", &"0".repeat(64)), "looked for: windows_amd64");
}

/// The line for the command under test as if it came from another place.
fn prebuilt(platform: &str, digest: &str) -> String {
    let url = format!("prebuilt = {{{platform:?}: \"file://{WINDLASS}\"}}");
    format!("windlass.toolchain({url}, sha256 = {{{platform:?}: {digest:?}}})")
}

/// Pushes an example; cargo may be used for that, at its fastest.
fn push(workspace: &Workspace) -> Run {
    let registry = TestRegistry::plain();
    let repository = format!("{}/app", registry.host());
    let mut bazel = workspace.bazel(["run", "--color=no", "--curses=no", "//:push"]);
    for (name, value) in [
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
        ("CARGO_PROFILE_RELEASE_LTO", "off"),
        ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ] {
        bazel.env(name, value);
    }
    // The home of a test has no cargo and no compiler.
    for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        let home = std::env::home_dir().unwrap().join(folder);
        bazel.env(name, std::env::var_os(name).unwrap_or(home.into()));
    }
    run(bazel.args(["--", "-r", &repository]))
}
