//! `windlass build layout`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use windlass_oci::{Descriptor, Digest, MediaType};
use windlass_testkit::ImageBuilder;

use crate::harness::{Ended, Root, archive, digest, gzip};

const OUT: &str = "bazel-out/bin/app/image";

/// A folder with an image of a layer on a base of two, all in their own places.
fn built() -> Root {
    let root = Root::new();
    let base = ImageBuilder::new(1).layers(2, 1000).build();
    base.write_directory(&root.path("external/base/layout")).unwrap();
    root.import("base", &root.path("external/base/layout"), None).succeeded();
    root.layer("app/one.tar.gz", &gzip(&archive("one", b"1")));
    root.image(
        "image",
        &json!({
            "base": { "manifest": "base.manifest.json", "config": "base.config.json" },
            "platform": null,
            "layers": ["app/one.tar.gz.json", "app/one.tar.gz.json"],
        }),
    )
    .succeeded();
    root
}

fn layout(root: &Root, fields: &Value) -> Ended {
    let mut spec = json!({
        "target": "//app:image",
        "output": OUT,
        "root": "image.descriptor.json",
        // The base's own manifest is not a part of the image.
        "documents": ["image.manifest.json", "image.config.json", "base.manifest.json"],
        "blobs": [{ "descriptor": "app/one.tar.gz.json", "file": "app/one.tar.gz" }],
        "layouts": ["external/base/layout"],
        "links": true,
    });
    for (key, value) in fields.as_object().unwrap() {
        spec[key] = value.clone();
    }
    let _ = fs::remove_dir_all(root.path(OUT));
    fs::create_dir_all(root.path(OUT)).unwrap();
    root.run_spec("layout", &spec)
}

/// The blobs of the layout, with where they link to; each has the content of its name.
fn blobs(out: &Path) -> Vec<(String, Option<PathBuf>)> {
    let mut blobs = Vec::new();
    for entry in fs::read_dir(out.join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert_eq!(digest(&bytes), format!("sha256:{}", path.file_name().unwrap().display()));
        blobs.push((digest(&bytes), fs::read_link(path).ok()));
    }
    blobs.sort();
    blobs
}

/// All that the image's manifest reaches, sorted.
fn reached(root: &Root) -> Vec<String> {
    let manifest = root.json("image.manifest.json");
    let text = |value: &Value| value["digest"].as_str().unwrap().to_owned();
    let mut all: Vec<_> = manifest["layers"].as_array().unwrap().iter().map(text).collect();
    all.extend([text(&manifest["config"]), text(&root.json("image.descriptor.json"))]);
    all.sort();
    all.dedup();
    all
}

#[test]
fn blobs_are_links_to_where_they_lie_and_nothing_else_is_there() {
    let root = built();
    layout(&root, &json!({})).succeeded();
    let out = root.path(OUT);
    let blobs = blobs(&out);
    let digests: Vec<_> = blobs.iter().map(|(digest, _)| digest.clone()).collect();
    assert_eq!(digests, reached(&root));
    let manifest = root.json("image.manifest.json");
    let link_of = |digest: &Value| {
        let blob = blobs.iter().find(|(other, _)| digest == other).unwrap();
        blob.1.clone().map(|link| link.to_str().unwrap().to_owned())
    };
    let base = manifest["layers"][0]["digest"].clone();
    let hex = base.as_str().unwrap().strip_prefix("sha256:").unwrap();
    let up = "../../../../../../";
    let expected = format!("{up}external/base/layout/blobs/sha256/{hex}");
    assert_eq!(link_of(&base), Some(expected));
    let ours = &manifest["layers"][2]["digest"];
    assert_eq!(link_of(ours), Some(format!("{up}app/one.tar.gz")));
    assert_eq!(link_of(&manifest["config"]["digest"]), None);

    assert_eq!(root.text(&format!("{OUT}/oci-layout")), r#"{"imageLayoutVersion":"1.0.0"}"#);
    let descriptor = root.json("image.descriptor.json");
    let entry = json!({
        "mediaType": descriptor["mediaType"],
        "digest": descriptor["digest"],
        "size": descriptor["size"],
        "annotations": { "org.opencontainers.image.ref.name": "latest" },
    });
    assert_eq!(
        root.json(&format!("{OUT}/index.json")),
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry],
        }),
    );
    // What was written is what can be read.
    root.import("again", &out, None).succeeded();
    assert_eq!(root.read("again.manifest.json"), root.read("image.manifest.json"));
}

#[test]
fn copies_need_nothing_else() {
    let root = built();
    layout(&root, &json!({ "links": false })).succeeded();
    fs::remove_dir_all(root.path("external")).unwrap();
    fs::remove_dir_all(root.path("app")).unwrap();
    let blobs = blobs(&root.path(OUT));
    assert!(blobs.iter().all(|(_, link)| link.is_none()));
    let digests: Vec<_> = blobs.into_iter().map(|(digest, _)| digest).collect();
    assert_eq!(digests, reached(&root));
}

#[test]
fn an_index_brings_its_images() {
    let root = built();
    let child = json!({ "descriptor": "image.descriptor.json", "target": "//app:image" });
    let outputs = json!({
        "manifest": "index.manifest.json",
        "descriptor": "index.descriptor.json",
        "digest": "index.digest",
    });
    let spec = json!({
        "target": "//app:index", "images": [child], "annotations": null, "outputs": outputs,
    });
    root.run_spec("index", &spec).succeeded();
    layout(
        &root,
        &json!({
            "root": "index.descriptor.json",
            "documents": ["index.manifest.json", "image.manifest.json", "image.config.json"],
        }),
    )
    .succeeded();
    let mut expected = reached(&root);
    expected.push(digest(&root.read("index.manifest.json")));
    expected.sort();
    let digests: Vec<_> = blobs(&root.path(OUT)).into_iter().map(|(digest, _)| digest).collect();
    assert_eq!(digests, expected);
}

#[test]
fn a_blob_that_is_nowhere_is_left_out_with_a_warning() {
    let root = built();
    let base = root.json("base.manifest.json")["layers"][1]["digest"].as_str().unwrap().to_owned();
    let digest: Digest = base.parse().unwrap();
    fs::remove_file(root.path("external/base/layout/blobs/sha256").join(digest.hex())).unwrap();
    layout(&root, &json!({})).warned(&format!(
        "warning: //app:image: {base} is in no file and no layout: it is left out\n"
    ));
    assert_eq!(blobs(&root.path(OUT)).len(), reached(&root).len() - 1);
}

#[test]
fn what_should_be_there_and_is_not_is_no_sparse_layout() {
    let root = built();
    let base = root.json("base.manifest.json")["layers"][1]["digest"].as_str().unwrap().to_owned();
    let digest: Digest = base.parse().unwrap();
    let blob = root.path("external/base/layout/blobs/sha256").join(digest.hex());
    fs::remove_file(&blob).unwrap();
    std::os::unix::fs::symlink("../../../gone", &blob).unwrap();
    let words = format!("error: //app:image: {base} should be in external/base/layout/blobs/");
    layout(&root, &json!({})).failed(3, &words);
    let root = built();
    fs::remove_file(root.path("app/one.tar.gz")).unwrap();
    layout(&root, &json!({})).failed(3, "should be in app/one.tar.gz, and is not");
}

#[test]
fn what_is_not_what_it_should_be_is_refused() {
    let root = built();
    root.write("app/one.tar.gz", "another size");
    layout(&root, &json!({})).failed(3, "error: //app:image: app/one.tar.gz is ");
    layout(&root, &json!({ "documents": [] }))
        .failed(3, "error: //app:image: the image's root manifest sha256:");
    layout(&root, &json!({ "documents": ["gone"] })).failed(3, "cannot read the document gone: ");
    let layer = Descriptor::of(MediaType::OCI_LAYER, b"");
    root.write("layer.descriptor.json", json!(layer).to_string());
    layout(&root, &json!({ "root": "layer.descriptor.json" })).failed(3, "which is no manifest's");
    layout(&root, &json!({ "link": true })).failed(2, "unknown field `link`");
    let root = built();
    root.write("taken", "");
    let spec = json!({ "output": "taken" });
    layout(&root, &spec).failed(1, "error: //app:image: cannot write taken/blobs/sha256/");
}
