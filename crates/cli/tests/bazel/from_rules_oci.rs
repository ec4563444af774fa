//! BUILD files that were written for rules_oci, after its documentation, with another `load` line.

use std::path::Path;

use serde_json::{Value, json};
use windlass_testkit::{RealOptions, RealRegistry};

use crate::contents;
use crate::harness::{WINDLASS, Workspace, run, workspace};
use crate::layouts::pull;

/// The project, and in it the base that its `oci_pull` would have fetched.
fn project() -> Workspace {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bazel/workspaces/from_rules_oci");
    let toolchain = format!("windlass.toolchain(path = {WINDLASS:?})");
    let project = Workspace::copy_of(&folder, &toolchain);
    let umoci = |arguments: &[&str]| {
        run(project.command("umoci").args(arguments)).ends_with(0);
    };
    let image = "base/layout:latest";
    umoci(&["init", "--layout", "base/layout"]);
    umoci(&["new", "--image", image]);
    umoci(&["insert", "--rootless", "--image", image, "app/app.txt", "/etc/base.txt"]);
    umoci(&["config", "--image", image, "--config.env", "PATH=/usr/bin", "--config.cmd", "old"]);
    project
}

#[test]
fn build_files_of_rules_oci_build_and_push_with_another_load() {
    // The other workspace's Bazel has to wait for this one.
    let Some(_turn) = workspace() else { return };
    let project = project();
    project.build(["--embed_label=v7", "//..."]).ends_with(0);

    let image = contents::of_layout(&project.bin("app/image"));
    assert_eq!(image.images[0].archives.len(), 3);
    let config = &image.images[0].config["config"];
    let env = ["PATH=/srv/bin:/usr/bin", "HOME=/srv", "CACHE=/srv/cache"];
    assert_eq!(config["Env"], json!(env));
    assert_eq!(
        (&config["Entrypoint"], &config["Cmd"]),
        (&json!(["/srv/app"]), &json!(["--verbose"]))
    );
    assert_eq!(config["ExposedPorts"], json!({ "8080/tcp": {}, "9090": {} }));
    assert_eq!(config["Labels"]["org.opencontainers.image.title"], "The shop");
    let digest = std::fs::read_to_string(project.bin("app/image.json.sha256")).unwrap();
    assert_eq!(digest.trim_end(), image.digest);
    let index = contents::of_layout(&project.bin("app/index"));
    let platforms: Vec<&Value> = index.images.iter().map(|one| &one.platform).collect();
    let linux = |architecture| json!({ "os": "linux", "architecture": architecture });
    assert_eq!(platforms, [&linux("amd64"), &linux("arm64")]);
    let config = &index.images[0].config["config"];
    assert_eq!(config["Env"], json!(["HOME=/srv", "DATA=/srv/data"]));
    assert_eq!(config["Entrypoint"], json!(["/srv/app", "--serve"]));
    assert_eq!(config["Cmd"], json!(["--port", "8080"]));

    let registry = RealRegistry::start(&RealOptions::default()).unwrap();
    let repository = format!("{}/shop", registry.host());
    let push = |target: &str, tag: &str, expected: &str| {
        let flags = ["--stamp", "--embed_label=v7"];
        project.push(&flags, target, &["-r", &repository]).ends_with(0);
        assert_eq!(pull(&project, &format!("{repository}:{tag}")).digest, expected);
    };
    push("//app:push", "v7", &image.digest);
    push("//app:push_by_file", "stable", &image.digest);
    push("//app:push_index", "nightly", &index.digest);
}
