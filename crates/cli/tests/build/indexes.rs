//! `windlass build index`.

use serde_json::{Value, json};

use crate::harness::{Ended, Root, digest};

/// A folder with an image for each of these architectures.
fn images(architectures: &[&str]) -> Root {
    let root = Root::new();
    for architecture in architectures {
        let platform = json!({ "os": "linux", "architecture": architecture, "variant": null });
        root.image(architecture, &json!({ "platform": platform })).succeeded();
    }
    root
}

fn index(root: &Root, names: &[&str], annotations: &Value) -> Ended {
    let child = |name: &&str| json!({ "descriptor": format!("{name}.descriptor.json"), "target": format!("//app:{name}") });
    let images: Vec<_> = names.iter().map(child).collect();
    let spec = json!({
        "target": "//app:index",
        "images": images,
        "annotations": annotations,
        "outputs": {
            "manifest": "index.manifest.json",
            "descriptor": "index.descriptor.json",
            "digest": "index.digest",
        },
    });
    root.run_spec("index", &spec)
}

#[test]
fn images_are_entered_in_order_with_their_platforms() {
    let root = images(&["s390x", "amd64"]);
    index(&root, &["s390x", "amd64"], &json!({ "values": [["b", "2"], ["a", "1"]] })).succeeded();
    let entries = ["s390x", "amd64"].map(|name| root.json(&format!("{name}.descriptor.json")));
    assert_eq!(entries[0]["platform"], json!({ "os": "linux", "architecture": "s390x" }));
    assert_eq!(
        root.json("index.manifest.json"),
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": entries,
            "annotations": { "a": "1", "b": "2" },
        }),
    );
    let bytes = root.read("index.manifest.json");
    let expected = json!({
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": digest(&bytes),
        "size": bytes.len(),
    });
    assert_eq!(root.json("index.descriptor.json"), expected);
    assert_eq!(root.text("index.digest"), format!("{}\n", digest(&bytes)));
}

#[test]
fn an_image_that_comes_again_is_entered_once() {
    let root = images(&["amd64"]);
    let copy = root.read("amd64.descriptor.json");
    root.write("other.descriptor.json", copy);
    index(&root, &["amd64", "other", "amd64"], &Value::Null).warned(
        "warning: //app:index: //app:amd64 and //app:other are the same image: it is entered once\n\
         warning: //app:index: //app:amd64 comes several times as the same image: it is entered \
         once\n",
    );
    assert_eq!(root.json("index.manifest.json")["manifests"].as_array().unwrap().len(), 1);
}

#[test]
fn an_image_that_nobody_would_get_is_warned_of() {
    let root = images(&["amd64"]);
    root.image(
        "debug",
        &json!({
            "platform": { "os": "linux", "architecture": "amd64", "variant": null },
            "user": "root",
        }),
    )
    .succeeded();
    index(&root, &["amd64", "debug"], &Value::Null).warned(
        "warning: //app:index: //app:amd64 and //app:debug are both for linux/amd64: clients \
         choose //app:amd64\n",
    );
    assert_eq!(root.json("index.manifest.json")["manifests"].as_array().unwrap().len(), 2);
}

#[test]
fn an_index_of_nothing_or_of_indexes_is_refused() {
    let root = images(&["amd64"]);
    index(&root, &["amd64"], &Value::Null).succeeded();
    index(&root, &["amd64", "index"], &Value::Null).failed(
        2,
        "error: //app:index: //app:index is an index; an index of indexes is not made, list its \
         images instead",
    );
    index(&root, &[], &Value::Null).failed(2, "//app:index: an index needs at least one image");
    let bad = json!({ "values": [["", "x"]] });
    index(&root, &["amd64"], &bad).failed(2, "//app:index: annotations: a key is empty");
    root.write("bad.descriptor.json", "{}");
    let words = "cannot understand the image's descriptor bad.descriptor.json: missing field";
    index(&root, &["bad"], &Value::Null).failed(2, words);
}
