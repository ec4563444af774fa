//! The executable of a push target, wherever it is started.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use windlass_testkit::{Auth, TestOptions, TestRegistry};

use crate::harness::{Run, WINDLASS, run, workspace};

const TARGET: &str = "//tests/launcher:push";
const PLACE: &str = "tests/launcher/push";

/// Starts a program with nothing in its environment, and that in a folder.
fn start(program: impl AsRef<Path>, folder: impl AsRef<Path>, typed: &[&str]) -> Run {
    let mut command = Command::new(program.as_ref());
    command.env_clear().env("PATH", "/nonexistent").current_dir(folder).args(typed);
    run(&mut command)
}

/// Checks that a push works in a registry of its own.
#[track_caller]
fn check(start: impl FnOnce(&[&str]) -> Run) {
    let registry = TestRegistry::plain();
    let repository = format!("{}/app", registry.host());
    let ran = start(&["-r", &repository, "-t", "typed"]).ends_with(0);
    let set: Vec<_> = registry.tags_set().iter().map(|set| set.tag.to_string()).collect();
    assert_eq!(set, ["typed", "launched"], "{}", ran.stderr);
    assert!(registry.bytes_uploaded() > 0);
}

#[test]
fn a_push_is_started_from_anywhere_with_nothing_in_path() {
    let Some(workspace) = workspace() else { return };
    workspace.build([TARGET]).ends_with(0);
    let (bin, place) = (workspace.bin(""), workspace.bin(PLACE));
    check(|typed| workspace.push(&[], TARGET, typed));
    check(|typed| start(&place, "/", typed));
    check(|typed| start(format!("./{PLACE}"), &bin, typed));
    check(|typed| start("./push", place.parent().unwrap(), typed));
    check(|typed| start(format!("bazel-bin/{PLACE}"), workspace.folder(), typed));

    // With the runfiles of another program in its environment.
    let other = workspace.scratch();
    check(|typed| {
        let mut command = Command::new(&place);
        command.env_clear().current_dir("/").env("RUNFILES_DIR", other.path());
        run(command.env("RUNFILES_MANIFEST_FILE", other.path().join("MANIFEST")).args(typed))
    });

    // By a link to it, and as PATH has it.
    let scratch = workspace.scratch();
    let link = scratch.path().join("release");
    std::os::unix::fs::symlink(&place, &link).unwrap();
    check(|typed| start(&link, "/", typed));
    check(|typed| {
        let mut command = Command::new(&place);
        command.env_clear().env("PATH", scratch.path()).current_dir("/").arg0("release");
        run(command.args(typed))
    });
}

#[test]
fn a_push_needs_no_links_in_its_runfiles() {
    let Some(workspace) = workspace() else { return };
    for flags in [&["--nobuild_runfile_links"][..], &["--noenable_runfiles"]] {
        // Links that are there from an earlier build would be found.
        let runfiles = workspace.bin(&format!("{PLACE}.runfiles"));
        let _ = fs::remove_dir_all(runfiles);
        check(|typed| workspace.push(flags, TARGET, typed));
        workspace.build([flags, &[TARGET]].concat()).ends_with(0);
        check(|typed| start(workspace.bin(PLACE), "/", typed));
    }
}

#[test]
fn a_push_is_started_by_a_test() {
    let Some(workspace) = workspace() else { return };
    let registry = TestRegistry::plain();
    let environment = format!("--test_env=REGISTRY={}", registry.host());
    run(&mut workspace.bazel([
        "test",
        "--test_output=errors",
        &environment,
        "//tests/launcher:from_runfiles_test",
        "//service:push_test",
    ]))
    .ends_with(0);
    let repositories: Vec<_> =
        registry.tags_set().iter().map(|set| set.repository.to_string()).collect();
    assert_eq!(repositories, ["from-runfiles", "from-the-root"]);
}

#[test]
fn a_test_that_pushes_is_given_a_login() {
    let Some(workspace) = workspace() else { return };
    let (user, password) = ("hauler", "a long-ish passphrase");
    let auth = Auth::Basic { user: user.to_owned(), password: password.to_owned() };
    let registry = TestRegistry::start(TestOptions { auth, ..TestOptions::default() });
    let scratch = workspace.scratch();
    let folder = scratch.path().display();
    let settings = json!({"auths": {registry.host(): {"username": user, "password": password}}});
    fs::write(scratch.path().join("config.json"), settings.to_string()).unwrap();

    let test = |flags: &[&str]| {
        let environment = format!("--test_env=REGISTRY={}", registry.host());
        let mut bazel = workspace.bazel(["test", "--test_output=errors", &environment]);
        bazel.env("WINDLASS_USERNAME", user).env("WINDLASS_PASSWORD", password);
        run(bazel.args(flags).arg("//tests/launcher:from_runfiles_test"))
    };
    // Bazel's own number for a test that failed.
    test(&[]).ends_with(3);
    assert!(registry.tags_set().is_empty());
    // A folder below /tmp is not there in the sandbox, unless it is told so.
    let mount = format!("--sandbox_add_mount_pair={folder}");
    test(&[&format!("--test_env=DOCKER_CONFIG={folder}"), &mount]).ends_with(0);
    assert_eq!(registry.tags_set().len(), 2);
    let password = ["--test_env=WINDLASS_USERNAME", "--test_env=WINDLASS_PASSWORD"];
    test(&password).ends_with(0);
}

#[test]
fn a_request_is_pushed_without_its_target() {
    let Some(workspace) = workspace() else { return };
    // Where nothing else has been built: all that it names comes with it.
    workspace.build_in("requested", &["--output_groups=request", TARGET]).ends_with(0);
    let request = workspace.bin_in("requested").join(format!("{PLACE}.request.json"));
    let request = request.to_str().unwrap();
    check(|typed| start(WINDLASS, "/", &[&["push", "--request", request], typed].concat()));
    workspace.forget("requested");
}

#[test]
fn a_push_is_packed_and_started_where_it_was_not_built() {
    let Some(workspace) = workspace() else { return };
    workspace.build_in("packed", &[TARGET]).ends_with(0);
    let bin = workspace.bin_in("packed").join("tests/launcher");
    let (scratch, elsewhere) = (workspace.scratch(), workspace.scratch());
    let archive = scratch.path().join("push.tar");
    // As docs/bazel.md has it.
    let mut tar = Command::new("tar");
    tar.arg("-chf").arg(&archive).arg("-C").arg(&bin);
    run(tar.args(["push", "push.request.json", "push.runfiles"])).ends_with(0);
    // Nothing of where it was built is there.
    workspace.forget("packed");
    let mut tar = Command::new("tar");
    run(tar.arg("-xf").arg(&archive).arg("-C").arg(elsewhere.path())).ends_with(0);
    check(|typed| start(elsewhere.path().join("push"), "/", typed));
}

#[test]
fn a_path_that_is_typed_begins_where_the_user_stands() {
    let Some(workspace) = workspace() else { return };
    let registry = TestRegistry::plain();
    let repository = format!("{}/app", registry.host());
    let folder = workspace.folder().join("service");
    fs::write(folder.join("more-tags.txt"), "from-here\n").unwrap();
    let typed = ["-r", &repository, "--tag-file", "more-tags.txt", "--receipt", "receipt.json"];
    let mut command = workspace.bazel(["run", TARGET, "--"]);
    run(command.args(typed).current_dir(&folder)).ends_with(0);
    let set: Vec<_> = registry.tags_set().iter().map(|set| set.tag.to_string()).collect();
    assert_eq!(set, ["from-here", "launched"]);
    assert!(folder.join("receipt.json").is_file());
}

#[test]
fn the_tool_is_this_machines_whatever_is_built_for() {
    let Some(workspace) = workspace() else { return };
    let flags = ["--platforms=//platforms:linux_arm64"];
    check(|typed| workspace.push(&flags, TARGET, typed));
}
