//! Values of the build's status in tags and repositories.

use std::fs;

use windlass_testkit::TestRegistry;

use crate::harness::{Workspace, workspace};

/// Pushes into a registry of its own; the tags that were set.
#[track_caller]
fn tags(workspace: &Workspace, flags: &[&str], target: &str) -> Vec<String> {
    let registry = TestRegistry::plain();
    let repository = format!("{}/app", registry.host());
    workspace.push(flags, target, &["-r", &repository]).ends_with(0);
    registry.tags_set().iter().map(|set| set.tag.to_string()).collect()
}

#[test]
fn a_volatile_value_is_that_of_the_run_though_nothing_is_built_again() {
    let Some(workspace) = workspace() else { return };
    let target = "//tests/stamped:push";
    let status = workspace.folder().join("tools/status.sh");
    let original = fs::read_to_string(&status).unwrap();
    let stamped = |time: u32| {
        // The time that Bazel gives by itself has seconds only.
        let lines = format!("{original}echo BUILD_RUN run-{time}\n");
        fs::write(&status, lines).unwrap();
        tags(&workspace, &["--stamp"], target)
    };
    let one = stamped(1);
    let again = stamped(2);
    assert_eq!(one.len(), 3, "{one:?}");
    assert_eq!((&*one[0], &*again[0]), ("run-1", "run-2"));
    assert_eq!(one[2], "commit-none");
    let number = one[1].strip_prefix("built-").unwrap();
    assert!(number.parse::<u64>().unwrap() > 1_700_000_000, "{number}");
    let nothing = workspace.build(["--stamp", target]).ends_with(0);
    nothing.says("INFO: 1 process: 1 internal.");
    fs::write(&status, original).unwrap();
}

#[test]
fn a_label_of_the_command_line_is_a_tag() {
    let Some(workspace) = workspace() else { return };
    let target = "//tests/stamped:labelled";
    assert_eq!(tags(&workspace, &["--stamp", "--embed_label=v1.2.3"], target), ["v1.2.3"]);
    let registry = TestRegistry::plain();
    let repository = format!("{}/app", registry.host());
    let ran = workspace.push(&["--stamp"], target, &["-r", &repository]).ends_with(2);
    ran.says("BUILD_EMBED_LABEL").says("--embed_label");
    assert!(registry.log().is_empty());
}

#[test]
fn a_value_that_is_not_there_is_told_before_anything_is_sent() {
    let Some(workspace) = workspace() else { return };
    let registry = TestRegistry::plain();
    let repository = format!("{}/app", registry.host());
    let push = |flags: &[&str], target: &str| {
        workspace.push(flags, target, &["-r", &repository]).ends_with(2).says(target)
    };
    push(&[], "//tests/stamped:push").says("{{BUILD_RUN}}").says("bazel run --stamp");
    let ran = push(&["--stamp"], "//tests/stamped:misspelt").says("BUILD_TIMESTAMPS");
    ran.says("BUILD_TIMESTAMP,").says("STABLE_GIT_COMMIT");
    assert!(registry.log().is_empty());
}

#[test]
fn a_repository_in_a_file_is_filled_in_too() {
    let Some(workspace) = workspace() else { return };
    let target = "//tests/stamped:push_to_file";
    let registry = TestRegistry::plain();
    let template = workspace.folder().join("tests/stamped/repository.txt");
    fs::write(template, format!("{}/by-{{{{BUILD_USER}}}}\n", registry.host())).unwrap();
    let ran = workspace.push(&[], target, &[]).ends_with(0);
    let (name, _) = ran.stdout.split_once('@').unwrap();
    let user = name.strip_prefix(&format!("{}/by-", registry.host())).unwrap();
    assert!(!user.is_empty() && !user.contains('{'), "{user}");
}

#[test]
fn a_repository_in_a_build_file_is_filled_in_too() {
    let Some(workspace) = workspace() else { return };
    let target = "//tests/stamped:push_to_commit";
    let registry = TestRegistry::plain();
    let file = workspace.folder().join("tests/stamped/registry.bzl");
    fs::write(file, format!("REGISTRY = \"{}\"\n", registry.host())).unwrap();
    let ran = workspace.push(&["--stamp"], target, &[]).ends_with(0);
    let (name, _) = ran.stdout.split_once('@').unwrap();
    assert_eq!(name, format!("{}/at-none", registry.host()));
    workspace.push(&[], target, &[]).ends_with(2).says("{{STABLE_GIT_COMMIT}}");
}
