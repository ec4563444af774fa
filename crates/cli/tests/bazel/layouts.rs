//! The layouts that are built, in the hands of tools that other people wrote.

use std::fs;
use std::path::Path;

use serde_json::json;
use windlass_testkit::{RealOptions, RealRegistry};

use crate::contents::{self, Contents};
use crate::harness::{WINDLASS, Workspace, run, workspace};

/// The images and indexes of the examples: label, place in `bazel-bin`, and what pushes it.
const LAYOUTS: [(&str, &str, Option<&str>); 4] = [
    ("//:image", "image", Some("//:push")),
    ("//:app_image", "app_image", Some("//:push_index")),
    ("//service:image", "service/image", None),
    ("//service:index", "service/index", Some("//service:push_for_test")),
];

#[test]
fn every_layout_is_right_to_the_byte_and_others_read_it() {
    let Some(workspace) = workspace() else { return };
    workspace.build(LAYOUTS.map(|(label, ..)| label)).ends_with(0);
    for (_, place, _) in LAYOUTS {
        let layout = workspace.bin(place);
        let built = contents::of_layout(&layout);
        let scratch = workspace.scratch();
        let copied = scratch.path().join("copied");
        skopeo(&workspace, &["--all"], &of(&layout), &of(&copied));
        assert_eq!(contents::of_layout(&copied).digest, built.digest);
        let mut inspect = workspace.command("skopeo");
        let raw = run(inspect.args(["inspect", "--raw", &of(&layout)])).ends_with(0).stdout;
        assert_eq!(format!("sha256:{}", contents::sha256(raw.as_bytes())), built.digest);
        // umoci knows Linux only.
        for image in built.images.iter().filter(|image| image.config["os"] == "linux") {
            unpack(&workspace, &layout, image);
        }
    }
}

/// Takes an image out of a layout and unpacks it with umoci.
fn unpack(workspace: &Workspace, layout: &Path, image: &contents::Image) {
    let scratch = workspace.scratch();
    let one = scratch.path().join("one");
    let architecture = contents::text(&image.config["architecture"]);
    let os = contents::text(&image.config["os"]);
    let choose = ["--override-os", &os, "--override-arch", &architecture];
    skopeo(workspace, &choose, &of(layout), &of(&one));
    let bundle = scratch.path().join("bundle");
    let mut umoci = workspace.command("umoci");
    umoci.args(["unpack", "--rootless", "--image", &format!("{}:latest", one.display())]);
    run(umoci.arg(&bundle)).ends_with(0);
    if image.archives.len() == 3 {
        let read = |path: &str| fs::read_to_string(bundle.join("rootfs").join(path)).unwrap();
        assert_eq!(read("etc/service.conf"), "listen = 8080\n");
        let page = if architecture == "arm64" { "arm64" } else { "here" };
        assert_eq!(read("srv/index.html"), format!("served from {page}\n"));
        assert!(read("etc/passwd").contains("service:x:1000"));
    }
}

#[test]
fn what_a_registry_serves_is_what_was_built() {
    let Some(workspace) = workspace() else { return };
    let registry = RealRegistry::start(&RealOptions::default()).unwrap();
    for (label, place, push) in LAYOUTS {
        workspace.build([label]).ends_with(0);
        let repository = format!("{}/{place}", registry.host());
        let typed = ["-r", &repository, "-t", "served"];
        match push {
            Some(push) => workspace.push(&[], push, &typed),
            None => {
                run(workspace.command(WINDLASS).arg("push").arg(workspace.bin(place)).args(typed))
            }
        }
        .ends_with(0);
        let built = contents::of_layout(&workspace.bin(place));
        assert_eq!(pull(&workspace, &format!("{repository}:served")).digest, built.digest);

        let digest = workspace.build([format!("{label}.digest")]).ends_with(0);
        let file = digest.stderr.split_whitespace().find(|word| word.ends_with(".sha256")).unwrap();
        let digest = fs::read_to_string(workspace.folder().join(file)).unwrap();
        assert_eq!(digest, format!("{}\n", built.digest));
    }
}

#[test]
fn an_index_of_platforms_has_an_image_for_each() {
    let Some(workspace) = workspace() else { return };
    let registry = RealRegistry::start(&RealOptions::default()).unwrap();
    let repository = format!("{}/service", registry.host());
    workspace.push(&[], "//service:push_for_test", &["-r", &repository]).ends_with(0);
    let index = pull(&workspace, &format!("{repository}:tested"));
    let [amd64, arm64] = index.images.as_slice() else { panic!("{index:?}") };
    assert_eq!(amd64.platform, json!({"os": "linux", "architecture": "amd64"}));
    assert_eq!(arm64.platform["architecture"], "arm64");
    let has = |image: &contents::Image, words: &str| {
        image.archives.iter().any(|archive| String::from_utf8_lossy(archive).contains(words))
    };
    assert!(has(amd64, "served from here") && !has(amd64, "served from arm64"));
    assert!(has(arm64, "served from arm64") && !has(arm64, "served from here"));
    // What does not depend on the platform is one blob.
    assert_eq!(amd64.manifest["layers"][2], arm64.manifest["layers"][2]);
}

#[test]
fn a_config_says_what_the_build_file_does() {
    let Some(workspace) = workspace() else { return };
    workspace.build(["//service:image"]).ends_with(0);
    let contents = contents::of_layout(&workspace.bin("service/image"));
    let [image] = contents.images.as_slice() else { panic!("{contents:?}") };
    assert_eq!(
        image.config["config"],
        json!({
            "User": "service",
            "ExposedPorts": {"8080/tcp": {}},
            "Env": ["PATH=/srv/bin:/usr/bin", "ROOT=/srv", "PAGE=/srv/index.html"],
            "Entrypoint": ["httpd", "-f"],
            "Cmd": ["--config=/etc/service.conf"],
            "Volumes": {"/var/lib/service": {}},
            "WorkingDir": "/srv",
            "Labels": {"org.opencontainers.image.source": "https://git.example.com/shop/service"},
        })
    );
    let annotations = json!({"org.opencontainers.image.title": "service"});
    assert_eq!(image.manifest["annotations"], annotations);
    assert_eq!(image.config["created"], "1970-01-01T00:00:00Z");
    assert_eq!(image.config["history"].as_array().unwrap().len(), 3);
    let layers = image.manifest["layers"].as_array().unwrap().iter();
    for (layer, ending) in layers.zip(["tar+gzip", "tar", "tar+gzip"]) {
        assert_eq!(layer["mediaType"], format!("application/vnd.oci.image.layer.v1.{ending}"));
    }
}

/// Pulls all of an image with skopeo.
pub(crate) fn pull(workspace: &Workspace, from: &str) -> Contents {
    let scratch = workspace.scratch();
    let to = scratch.path().join("pulled");
    let from = format!("docker://{from}");
    skopeo(workspace, &["--all", "--src-tls-verify=false"], &from, &of(&to));
    contents::of_layout(&to)
}

/// `skopeo copy`
pub(crate) fn skopeo(workspace: &Workspace, flags: &[&str], from: &str, to: &str) {
    let mut skopeo = workspace.command("skopeo");
    skopeo.args(["--insecure-policy", "copy", "--quiet", "--preserve-digests"]);
    run(skopeo.args(flags).args([from, to])).ends_with(0);
}

/// As skopeo names a layout.
pub(crate) fn of(layout: &Path) -> String {
    format!("oci:{}:latest", layout.display())
}
