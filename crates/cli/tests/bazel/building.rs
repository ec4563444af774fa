//! What is built again when, and that it is the same everywhere.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::contents;
use crate::harness::{Workspace, run, workspace};

/// All files below a folder by their path, links followed.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

#[test]
fn two_builds_from_nothing_give_the_same_bytes() {
    let Some(workspace) = workspace() else { return };
    let targets = ["//:image", "//:app_image", "//service:image", "//service:index"];
    let [one, two] = ["shared", "second"].map(|root| {
        workspace.build_in(root, &targets).ends_with(0);
        let bin = workspace.bin_in(root);
        ["image", "app_image", "service/image", "service/index"]
            .map(|place| files(&bin.join(place)))
    });
    assert!(one.iter().all(|layout| layout.len() >= 4));
    assert!(one == two);
    workspace.forget("second");
}

#[test]
fn nothing_runs_again_where_nothing_has_changed() {
    let Some(workspace) = workspace() else { return };
    let targets = ["//service:index", "//service:push", "//:push_all"];
    workspace.build(targets).ends_with(0);
    let again = workspace.build(targets).ends_with(0);
    again.says("INFO: 1 process: 1 internal.");
}

#[test]
fn a_layer_that_changed_is_read_again_and_no_other() {
    let Some(workspace) = workspace() else { return };
    for number in 0..20 {
        write_layer(&workspace, number, "as it was");
    }
    let targets = ["//tests/many:image", "//tests/many:push"];
    let ran = actions(&workspace, &targets);
    assert_eq!(ran.iter().filter(|mnemonic| *mnemonic == "OciLayer").count(), 20);
    write_layer(&workspace, 7, "as it is now");
    let assembly = ["OciImage", "OciLayer", "OciLayout", "OciPushRequest"];
    assert_eq!(actions(&workspace, &targets), assembly);

    write_layer(&workspace, 7, "as it is at last");
    let for_a_push = ["OciImage", "OciLayer", "OciPushRequest"];
    assert_eq!(actions(&workspace, &targets[1..]), for_a_push);
}

fn write_layer(workspace: &Workspace, number: u32, words: &str) {
    let file = workspace.folder().join(format!("tests/many/layer-{number}.tar"));
    write_archive(&file, &format!("file-{number}"), words);
}

/// An archive of one file.
fn write_archive(to: &Path, name: &str, words: &str) {
    let mut archive = tar::Builder::new(fs::File::create(to).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_size(words.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, words.as_bytes()).unwrap();
    archive.finish().unwrap();
}

/// The mnemonics of all actions that a build has run, sorted.
fn actions(workspace: &Workspace, targets: &[&str]) -> Vec<String> {
    let scratch = workspace.scratch();
    let log = scratch.path().join("executed.json");
    let flag = format!("--execution_log_json_file={}", log.display());
    workspace.build([&[&*flag], targets].concat()).ends_with(0);
    let log = fs::read(log).unwrap();
    let documents = serde_json::Deserializer::from_slice(&log).into_iter::<Value>();
    let mut mnemonics: Vec<_> =
        documents.map(|spawn| spawn.unwrap()["mnemonic"].as_str().unwrap().to_owned()).collect();
    mnemonics.sort();
    mnemonics
}

#[test]
fn an_archive_is_read_once_for_all_images_it_is_in() {
    let Some(workspace) = workspace() else { return };
    workspace.bazel(["clean"]).output().unwrap();
    let targets = ["//tests/many:shared", "//tests/many:shared_too"];
    let ran = actions(&workspace, &targets);
    assert_eq!(ran.iter().filter(|mnemonic| *mnemonic == "OciLayer").count(), 1, "{ran:?}");
}

#[test]
fn no_action_runs_a_shell() {
    let Some(workspace) = workspace() else { return };
    let targets =
        "//:image + //:app_image + //:push + //:push_all + //service:image + //service:index";
    let mut aquery = workspace.bazel(["aquery", "--output=jsonproto", targets]);
    let told: Value = serde_json::from_str(&run(&mut aquery).ends_with(0).stdout).unwrap();
    let mut ours = 0;
    for action in told["actions"].as_array().unwrap() {
        // What Bazel does itself has no command line.
        let Some(arguments) = action["arguments"].as_array() else { continue };
        let program = arguments[0].as_str().unwrap();
        assert!(program.ends_with("/windlass"), "{action}");
        ours += 1;
    }
    assert!(ours >= 12, "{ours}");
}

#[test]
fn a_layer_is_what_it_holds_and_not_what_it_is_called() {
    let Some(workspace) = workspace() else { return };
    let folder = workspace.folder().join("tests/kinds");
    let packed = |program: &str, name: &str| {
        let output = Command::new(program).arg("-c").arg(folder.join("plain")).output().unwrap();
        fs::write(folder.join(name), output.stdout).unwrap();
    };
    write_archive(&folder.join("plain"), "file", "in all of them");
    packed("gzip", "gzipped.tar");
    packed("zstd", "zstandard.tar.gz");
    workspace.build(["//tests/kinds:image"]).ends_with(0);
    let contents = contents::of_layout(&workspace.bin("tests/kinds/image"));
    let layers = contents.images[0].manifest["layers"].as_array().unwrap();
    let kinds: Vec<_> = layers.iter().map(|layer| layer["mediaType"].as_str().unwrap()).collect();
    let expected = ["tar", "tar+gzip", "tar+zstd"];
    assert_eq!(kinds, expected.map(|kind| format!("application/vnd.oci.image.layer.v1.{kind}")));
}
