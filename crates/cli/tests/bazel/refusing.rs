//! What is wrong with a BUILD file or a file, and is told before anything is sent.

use windlass_testkit::TestRegistry;

use crate::harness::{Workspace, workspace};

/// Builds what must not be built.
#[track_caller]
fn check(workspace: &Workspace, target: &str, words: &[&str]) {
    let label = format!("//tests/errors:{target}");
    let mut ran = workspace.build([&label]).ends_with(1).says(&label);
    for part in words {
        ran = ran.says(part);
    }
}

#[test]
fn what_a_build_file_alone_tells_is_refused_when_it_is_read() {
    let Some(workspace) = workspace() else { return };
    let check = |target, words| {
        check(&workspace, target, words);
        let nothing = workspace.build(["--nobuild", &format!("//tests/errors:{target}")]);
        nothing.ends_with(1);
    };
    check("two_tag_attributes", &["image_tags", "remote_tags"]);
    check("tag_in_repository", &["repository", "registry.example.com:5000/shop/app:v1"]);
    check("digest_in_repository", &["repository", "registry.example.com/app@sha256:0000"]);
    check("two_repositories", &["repository and repository_file"]);
    check("no_image", &["image = //service:page"]);
    check("os_beside_base", &["os beside base"]);
    check("bad_tag_in_a_list", &["tag \"a b\" is malformed: it has \" \""]);
    check("host_without_name", &["registry.example.com:5000", "HOST/NAME"]);
    check("archive_as_base", &["base = //tests/errors:layout.tar", "layout directory"]);
    check("folder_as_layer", &["image is a folder; a layer is an archive"]);
    check("index_of_indexes", &["//:app_image", "is an index"]);
    check("flags_that_differ", &["//:push", "//tests/errors:other_flags"]);
}

#[test]
fn what_takes_a_look_into_files_is_refused_by_the_action() {
    let Some(workspace) = workspace() else { return };
    check(&workspace, "unknown_flag", &["--frobnicate"]);
    check(&workspace, "no_such_repository", &["registry.example.com/UPPER"]);
    check(&workspace, "no_archive", &["tests/errors/tags.txt", "is no archive"]);
    check(&workspace, "bad_env", &["tests/errors/tags.txt:2"]);
}

#[test]
fn a_file_of_tags_is_read_before_anything_is_sent() {
    let Some(workspace) = workspace() else { return };
    let registry = TestRegistry::plain();
    let repository = format!("{}/app", registry.host());
    let ran = workspace.push(&[], "//tests/errors:bad_tag", &["-r", &repository]);
    ran.ends_with(2).says("tests/errors/tags.txt:4").says("not a tag");
    assert!(registry.log().is_empty());
}

#[test]
fn a_push_that_goes_nowhere_says_so() {
    let Some(workspace) = workspace() else { return };
    let ran = workspace.push(&[], "//tests/errors:no_repository", &[]);
    ran.ends_with(2).says("//tests/errors:no_repository").says("--repository");
}

#[test]
fn images_that_are_the_same_are_entered_once_and_named() {
    let Some(workspace) = workspace() else { return };
    let ran = workspace.build(["//tests/errors:twins"]).ends_with(0);
    ran.says("//tests/errors:twin ").says("//tests/errors:twin_again");
    let index = crate::contents::of_layout(&workspace.bin("tests/errors/twins"));
    assert_eq!(index.root["manifests"].as_array().unwrap().len(), 1);
}
