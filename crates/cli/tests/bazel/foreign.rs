//! Layout directories that other tools have written, to push as they are and to build upon.

use std::fs;
use std::path::Path;

use windlass_testkit::{RealOptions, RealRegistry};

use crate::contents::{self, Contents};
use crate::harness::{Workspace, run, workspace};
use crate::layouts::{of, pull, skopeo};

/// Has umoci and skopeo write the image in `//tests/foreign`, of one file.
fn write_image(workspace: &Workspace, words: &str) -> Contents {
    write_image_to(workspace, &workspace.folder().join("tests/foreign/image"), words)
}

/// Has umoci and skopeo write an image of one file.
pub(crate) fn write_image_to(workspace: &Workspace, to: &Path, words: &str) -> Contents {
    let scratch = workspace.scratch();
    let layout = scratch.path().join("by-umoci");
    let image = format!("{}:latest", layout.display());
    let file = scratch.path().join("file");
    fs::write(&file, words).unwrap();
    let umoci = |arguments: &[&str]| {
        run(workspace.command("umoci").args(arguments)).ends_with(0);
    };
    umoci(&["init", "--layout", layout.to_str().unwrap()]);
    umoci(&["new", "--image", &image]);
    umoci(&["insert", "--rootless", "--image", &image, file.to_str().unwrap(), "/file"]);
    umoci(&["config", "--image", &image, "--config.env", "PATH=/usr/bin"]);
    umoci(&["config", "--image", &image, "--config.cmd", "sh", "--author", "somebody else"]);
    copy(workspace, &["--all"], &of(&layout), to)
}

/// Has skopeo write the index in `//tests/foreign`: what a registry has of one of the examples.
fn write_index(workspace: &Workspace, registry: &RealRegistry) -> Contents {
    let repository = format!("{}/service", registry.host());
    workspace.push(&[], "//service:push_for_test", &["-r", &repository]).ends_with(0);
    let to = workspace.folder().join("tests/foreign/index");
    let from = format!("docker://{repository}:tested");
    copy(workspace, &["--all", "--src-tls-verify=false"], &from, &to)
}

fn copy(workspace: &Workspace, flags: &[&str], from: &str, to: &Path) -> Contents {
    let _ = fs::remove_dir_all(to);
    skopeo(workspace, flags, from, &of(to));
    contents::of_layout(to)
}

/// Pushes to a registry and pulls again.
fn round_trip(workspace: &Workspace, registry: &RealRegistry, target: &str) -> Contents {
    let repository = format!("{}/foreign/{target}", registry.host());
    let label = format!("//tests/foreign:{target}");
    workspace.push(&[], &label, &["-r", &repository, "-t", "v1"]).ends_with(0);
    pull(workspace, &format!("{repository}:v1"))
}

#[test]
fn a_layout_is_pushed_as_it_is_and_as_it_is_now() {
    let Some(workspace) = workspace() else { return };
    let registry = RealRegistry::start(&RealOptions::default()).unwrap();
    let (image, index) = (write_image(&workspace, "as it was"), write_index(&workspace, &registry));
    assert_eq!(round_trip(&workspace, &registry, "push_image").digest, image.digest);
    assert_eq!(round_trip(&workspace, &registry, "push_index").digest, index.digest);

    // Bazel does not see that a folder of the source tree has changed, but a push looks for itself.
    let changed = write_image(&workspace, "as it is");
    assert_ne!(changed.digest, image.digest);
    assert_eq!(round_trip(&workspace, &registry, "push_image").digest, changed.digest);
}

#[test]
fn an_image_stands_on_a_layout() {
    let Some(workspace) = workspace() else { return };
    let registry = RealRegistry::start(&RealOptions::default()).unwrap();
    let base = &write_image(&workspace, "as it stays").images[0];
    let on_image = round_trip(&workspace, &registry, "push_on_image");
    let [image] = on_image.images.as_slice() else { panic!("{on_image:?}") };
    assert_eq!(image.archives.len(), base.archives.len() + 1);
    assert_eq!(image.archives[..base.archives.len()], base.archives);
    assert_eq!(image.config["author"], "somebody else");
    assert_eq!(image.config["config"]["Cmd"], base.config["config"]["Cmd"]);
    assert_eq!(image.config["config"]["Env"][1], "ON=/usr/bin:top");

    workspace.build(["//tests/foreign:on_image"]).ends_with(0);
    let built = contents::of_layout(&workspace.bin("tests/foreign/on_image"));
    assert_eq!(built.digest, on_image.digest);
}

#[test]
fn each_platform_stands_on_its_own_image_of_a_layout() {
    let Some(workspace) = workspace() else { return };
    let registry = RealRegistry::start(&RealOptions::default()).unwrap();
    let bases = write_index(&workspace, &registry).images;
    let all = round_trip(&workspace, &registry, "push_all_platforms").images;
    assert_eq!(all.len(), 2);
    for (image, base) in all.iter().zip(&bases) {
        assert_eq!(image.platform, base.platform);
        assert_eq!(image.archives[..3], base.archives);
        assert_eq!(image.archives[3], base.archives[1]);
    }
}

#[test]
fn a_layout_of_links_is_pushed_and_built_upon() {
    let Some(workspace) = workspace() else { return };
    let registry = RealRegistry::start(&RealOptions::default()).unwrap();
    workspace.build(["//service:index", "//tests/foreign:on_folder"]).ends_with(0);
    let index = contents::of_layout(&workspace.bin("service/index"));
    assert_eq!(round_trip(&workspace, &registry, "push_folder").digest, index.digest);
    let built = contents::of_layout(&workspace.bin("tests/foreign/on_folder"));
    assert_eq!(round_trip(&workspace, &registry, "push_on_folder").digest, built.digest);
    let (image, base) = (&built.images[0], &index.images[0]);
    assert_eq!(image.archives[..3], base.archives);
}
