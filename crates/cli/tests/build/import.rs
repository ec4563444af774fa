//! `windlass build import`.

use serde_json::json;
use windlass_oci::{Descriptor, MediaType};
use windlass_testkit::{ImageBuilder, IndexBuilder, Layout};

use crate::harness::Root;

#[test]
fn an_image_is_taken_byte_for_byte() {
    let root = Root::new();
    let image = ImageBuilder::new(1).layers(2, 1000).build();
    let (directory, archive) = (image.directory(), image.archive());
    for layout in [directory.path(), archive.path()] {
        // There is no choice, so none is looked for.
        for platform in [None, Some("linux/s390x")] {
            root.import("base", layout, platform).succeeded();
            assert_eq!(root.read("base.manifest.json"), image.bytes(image.digest()));
            let config = &image.blobs()[2];
            assert_eq!(root.read("base.config.json"), image.bytes(&config.digest));
            assert_eq!(root.text("base.digest"), format!("{}\n", image.digest()));
            let mut expected = json!(image.root());
            expected["platform"] = json!({ "os": "linux", "architecture": "amd64" });
            assert_eq!(root.json("base.descriptor.json"), expected);
        }
    }
}

#[test]
fn a_platform_chooses_an_image_of_an_index() {
    let root = Root::new();
    let platforms = ["linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8"];
    let image = ImageBuilder::new(1).layers(1, 1000).platforms(&platforms).build();
    let layout = image.directory();
    let check = |wanted: &str, expected: &str| {
        root.import("base", layout.path(), Some(wanted)).succeeded();
        let config = root.json("base.config.json");
        let words = ["os", "architecture", "variant"].map(|key| config[key].as_str().unwrap_or(""));
        assert_eq!(words.join("/").trim_end_matches('/'), expected);
        let manifests = image.manifests();
        let taken = root.json("base.descriptor.json")["digest"].clone();
        assert!(manifests.iter().any(|manifest| json!(manifest.digest) == taken));
    };
    check("linux/amd64", "linux/amd64");
    check("linux/arm", "linux/arm/v6");
    check("linux/arm/v7", "linux/arm/v7");
    check("linux/arm64", "linux/arm64/v8");

    let path = layout.path().display();
    let list = "\n    linux/amd64\n    linux/arm/v6\n    linux/arm/v7\n    linux/arm64/v8\n";
    let list = list.replace("    ", "  ");
    root.import("other", layout.path(), Some("linux/s390x")).failed(
        2,
        &format!(
            "error: //base:base: {path}: no image is for linux/s390x; there are images for:{list}"
        ),
    );
    let several = format!("{path}: there are several images, and no platform says which is meant:");
    root.import("other", layout.path(), None).failed(2, &several);
    root.import("other", layout.path(), Some("linux")).failed(2, "--platform: \"linux\" is no");
    assert!(!root.path("other.manifest.json").exists());
}

#[test]
fn what_is_kept_beside_images_is_not_chosen() {
    let root = Root::new();
    let image = |seed| ImageBuilder::new(seed).layers(1, 100).build();
    let signature = ImageBuilder::new(3).empty_config().build();
    let index = IndexBuilder::new()
        .child(Some("unknown/unknown"), &image(1))
        .child(None, &signature)
        .child(None, &image(2))
        .build();
    let layout = index.directory();
    for platform in [None, Some("linux/amd64")] {
        root.import("base", layout.path(), platform).succeeded();
        assert_eq!(root.text("base.digest"), format!("{}\n", image(2).digest()));
    }
    root.import("base", signature.directory().path(), None).failed(3, "there is no image in it");
}

#[test]
fn images_may_lie_beside_each_other_or_in_an_index_of_indexes() {
    let root = Root::new();
    let image = |platform: &str| ImageBuilder::new(1).platforms(&[platform]).build();
    let (amd, arm) = (image("linux/amd64"), image("linux/arm64"));
    let beside = Layout::directory(&[(&amd, Some("a")), (&arm, Some("b")), (&arm, Some("c"))]);
    let nested = IndexBuilder::new().child(None, &amd).child(None, &arm).build();
    for layout in [&beside, &nested.directory()] {
        for (platform, image) in [("linux/amd64", &amd), ("linux/arm64", &arm)] {
            root.import("base", layout.path(), Some(platform)).succeeded();
            let taken = root.json("base.descriptor.json")["digest"].clone();
            assert_eq!(taken, json!(image.manifests()[0].digest));
        }
    }
}

#[test]
fn a_layout_may_lack_layers_and_nothing_else() {
    let root = Root::new();
    let image = ImageBuilder::new(1).layers(2, 1000).build();
    let blobs = image.blobs();
    let sparse = image.clone().without(&blobs[0].digest).without(&blobs[1].digest);
    root.import("base", sparse.directory().path(), None).succeeded();
    let without_config = image.clone().without(&blobs[2].digest).directory();
    let words = format!("the config of the image {} is not there", image.digest());
    root.import("base", without_config.path(), None).failed(3, &words);
    let index = ImageBuilder::new(1).platforms(&["linux/amd64"]).build();
    let child = index.manifests()[0].clone();
    let words = format!("the manifest of the image {} is not there", child.digest);
    root.import("base", index.without(&child.digest).directory().path(), None).failed(3, &words);

    let corrupt = image.directory();
    std::fs::write(corrupt.blob(&blobs[2].digest), vec![b'x'; 10]).unwrap();
    root.import("base", corrupt.path(), None).failed(3, "is cut short: it has 10 bytes");
    std::fs::remove_file(corrupt.path().join("index.json")).unwrap();
    root.import("base", corrupt.path(), None).failed(3, "is no OCI image layout");
    let root_only = Descriptor::of(MediaType::OCI_MANIFEST, b"gone");
    let index = json!({ "manifests": [root_only] }).to_string();
    std::fs::write(corrupt.path().join("index.json"), index).unwrap();
    root.import("base", corrupt.path(), None).failed(3, "is not there");
}
