//! Images by request files.

use std::fs;

use serde_json::{Value, json};
use windlass_testkit::{Image, ImageBuilder, Layout, TestRegistry};

use crate::harness::push;

/// A request for `image`, in a folder beside its layout, by paths from there.
fn request(image: &Image, layout: &Layout, name: &str, more: &Value) -> String {
    let folder = layout.beside().join("requests");
    fs::create_dir_all(&folder).unwrap();
    let root = image.root();
    let place = |digest: &str| format!("../layout/blobs/{}", digest.replace(':', "/"));
    let blobs: serde_json::Map<_, _> = image
        .parts()
        .iter()
        .map(|part| part.descriptor.digest.to_string())
        .map(|digest| (digest.clone(), Value::from(place(&digest))))
        .collect();
    let mut document = json!({
        "version": 1,
        "root": {
            "mediaType": root.media_type.as_str(),
            "digest": root.digest.as_str(),
            "size": root.size,
        },
        "blobs": blobs,
    });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let file = folder.join(name);
    fs::write(&file, document.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn images_are_pushed_by_their_requests_in_one_run() {
    let registry = TestRegistry::plain();
    let [one, two] = [51, 52].map(|seed| ImageBuilder::new(seed).layers(2, 10_000).build());
    let (in_one, in_two) = (one.directory(), two.directory());
    let to = |name: &str| format!("{}/{name}", registry.host());
    let first = request(
        &one,
        &in_one,
        "one.json",
        &json!({ "repositories": [to("one"), to("also")], "tags": ["v1"] }),
    );
    let second = request(&two, &in_two, "two.json", &json!({ "repositories": [to("two")] }));
    let typed = ["--request", &first, "--request", &second, "-t", "latest", "--output", "json"];
    let ran = push(typed).ends_with(0);
    let receipts = ran.documents();
    assert_eq!(receipts.len(), 2);
    assert_eq!(receipts[0]["repositories"][1]["repository"], to("also").as_str());
    assert_eq!(receipts[1]["image"]["digest"], two.digest().as_str());
    for (repository, tag, image) in [
        ("one", "latest", &one),
        ("one", "v1", &one),
        ("also", "v1", &one),
        ("two", "latest", &two),
    ] {
        assert!(registry.has_image(repository, image));
        assert_eq!(registry.tag(repository, tag).as_ref(), Some(image.digest()));
    }
    assert_eq!(registry.tag("two", "v1"), None);
}

#[test]
fn the_command_lines_repository_takes_the_place_of_the_requests() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(53).layers(1, 1_000).build();
    let layout = image.directory();
    let elsewhere = json!({ "repositories": ["elsewhere.invalid/app"], "tags": ["v1"] });
    let file = request(&image, &layout, "request.json", &elsewhere);
    let repository = format!("{}/app", registry.host());
    let ran = push(["--request", &file, "-r", &repository]).ends_with(0);
    assert_eq!(ran.stdout, format!("{repository}@{}\n", image.digest()));
}

#[test]
fn a_file_that_is_gone_is_no_matter_where_the_registry_has_it() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(54).layers(2, 10_000).build();
    let layout = image.directory();
    let repository = format!("{}/app", registry.host());
    let file = request(&image, &layout, "request.json", &json!({ "repositories": [repository] }));
    let gone = &image.blobs()[1].digest;
    fs::remove_file(layout.blob(gone)).unwrap();
    push(["--request", &file]).ends_with(3).says(gone.as_str());
    registry.seed_blob("app", &image.bytes(gone));
    push(["--request", &file]).ends_with(0);
}

#[test]
fn a_request_that_is_not_understood_sends_nothing() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(55).layers(1, 1_000).build();
    let layout = image.directory();
    let to = format!("{}/app", registry.host());
    let check = |name: &str, more: &Value, words: &str| {
        let file = request(&image, &layout, name, more);
        push(["--request", &file]).ends_with(2).says(&file).says(words);
    };
    check("newer.json", &json!({ "version": 2, "repositories": [to] }), "version 2; known is 1");
    check("field.json", &json!({ "repositories": [to], "tagPolicy": "create" }), "tagPolicy");
    check("tag.json", &json!({ "repositories": [to], "tags": ["a b"] }), "\"a b\" is malformed");
    check("nowhere.json", &json!({}), "--repository HOST/NAME");
    let file = request(&image, &layout, "request.json", &json!({ "name": "app" }));
    let typed = ["--request", &file, "-t", "a b", "-r", &to];
    push(typed).ends_with(2).says("tag \"a b\" is malformed");
    let ran = push(["--request", &file, "image", "-r", &to]).ends_with(2);
    ran.says("unexpected argument \"image\": the image is that of app");
    let ran = push(["--request", &file, "ghcr.io/app:v1"]).ends_with(2);
    ran.says(&format!("write windlass push --request {file} -r ghcr.io/app -t v1"));
    let ran = push(["--request", &file, "me:hunter2@ghcr.io/app"]).ends_with(2);
    ran.never_says("hunter2");
    let ran = push(["--request", &file, "-r", &to, "--manifest", "v1"]).ends_with(2);
    ran.says("--manifest chooses an image of a layout; app has none");
    assert!(registry.log().is_empty());
}
