//! Images by request files.

use std::fs;

use serde_json::{Value, json};
use windlass_testkit::{Call, Image, ImageBuilder, Layout, TestRegistry, on};

use crate::harness::push;

/// A request for `image`, in a folder beside its layout, by paths from there. Fields of `more` take
/// the place of its own, and those that are null are left out.
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
    for (field, value) in more.as_object().unwrap() {
        match value {
            Value::Null => document.as_object_mut().unwrap().remove(field),
            value => document.as_object_mut().unwrap().insert(field.clone(), value.clone()),
        };
    }
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
fn a_request_names_what_refers_to_its_image() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(61).layers(1, 1_000).build();
    let about = |subject: &Image| {
        let builder = ImageBuilder::new(62).empty_config().artifact_type("a/signature");
        builder.layers(1, 500).subject(subject.root()).build()
    };
    let signature = about(&image);
    let stranger = about(&ImageBuilder::new(63).build());
    let (layout, signed) = (image.directory(), signature.archive());
    let (other, to) = (stranger.directory(), format!("{}/app", registry.host()));
    let named = |path: &std::path::Path| json!({ "repositories": [to], "referrers": [path] });

    let file = request(&image, &layout, "stranger.json", &named(other.path()));
    push(["--request", &file, "-t", "v1"]).ends_with(2).says("refers to what is pushed");
    let file = request(&image, &layout, "none.json", &named("none/such".as_ref()));
    push(["--request", &file, "-t", "v1"]).ends_with(2).says("cannot find none/such");
    assert!(registry.log().is_empty());

    let file = request(&image, &layout, "signed.json", &named(signed.path()));
    push(["--request", &file, "-t", "v1"]).ends_with(0).says("1 referrer sent");
    assert!(registry.has_image("app", &image) && registry.has_image("app", &signature));
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

#[test]
fn tags_and_repositories_have_values_of_the_build_in_them() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(56).layers(1, 1_000).build();
    let layout = image.directory();
    let write = |name: &str, text: &str| {
        fs::create_dir_all(layout.beside().join("requests")).unwrap();
        fs::write(layout.beside().join("requests").join(name), text).unwrap();
    };
    write("repository", &format!("# where\r\n{}/{{{{STABLE_NAME}}}}\r\n", registry.host()));
    write("tags", "# all\n\nb-{{BUILD_TIMESTAMP}}\r\nlatest\n");
    write("stable.txt", "STABLE_NAME app\nBUILD_EMBED_LABEL \n");
    write("volatile.txt", "BUILD_TIMESTAMP 17\nFORMATTED_DATE 2026 Nov 25\n");
    let with = |more: &Value| {
        let mut all = json!({
            "name": "//app:push",
            "repository_file": "repository",
            "tags": ["{{STABLE_NAME}}"],
            "tag_files": ["tags"],
            "status_files": ["stable.txt", "volatile.txt"],
        });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request(&image, &layout, "request.json", &all)
    };
    let set = || registry.tags_set().iter().map(|set| set.tag.clone()).collect::<Vec<_>>();
    push(["--request", &with(&json!({}))]).ends_with(0);
    assert_eq!(set(), ["app", "b-17", "latest"]);
    // Nothing is kept of an earlier build.
    write("volatile.txt", "BUILD_TIMESTAMP 18\n");
    push(["--request", &with(&json!({}))]).ends_with(0);
    assert_eq!(registry.tag("app", "b-18").as_ref(), Some(image.digest()));

    let calls = registry.log().len();
    let check = |more: &Value, words: &[&str]| {
        let ran = push(["--request", &with(more)]).ends_with(2);
        words.iter().fold(ran, |ran, words| ran.says(words));
    };
    let repository = format!("{}/app", registry.host());
    let unstamped = json!({
        "status_files": null, "repository_file": null, "repositories": [repository],
    });
    check(&unstamped, &["tag \"{{STABLE_NAME}}\" of //app:push", "was not stamped", "--stamp"]);
    check(&json!({ "tags": ["{{NONE}}"] }), &["NONE", "it has BUILD_EMBED_LABEL, BUILD_TIME"]);
    check(&json!({ "tags": ["{{BUILD_EMBED_LABEL}}"] }), &["is empty", "--embed_label"]);
    write("tags", "v1\nv2 {{STABLE_NAME}}\n");
    check(&json!({}), &["tags:2: tag \"v2 {{STABLE_NAME}}\" of", "is \"v2 app\" with"]);
    write("repository", "a.io/x\na.io/y\n");
    check(&json!({}), &["repository:2: a second repository"]);
    write("repository", "# none\n");
    check(&json!({}), &["names no repository"]);
    write("repository", &repository);
    check(&json!({ "tag_files": ["gone"] }), &["cannot find gone of //app:push", "requests/gone"]);
    check(&json!({ "status_files": ["gone"] }), &["cannot find gone of //app:push"]);
    assert_eq!(registry.log().len(), calls);

    // What is typed takes the place of the file, which is not even read.
    let typed = with(&json!({ "repository_file": "gone", "tag_files": [] }));
    push(["--request", &typed, "-r", &repository]).ends_with(0);
}

#[test]
fn a_layout_may_be_what_a_request_pushes_or_where_the_rest_of_it_lies() {
    let registry = TestRegistry::plain();
    let image = ImageBuilder::new(57).layers(2, 1_000).build();
    let layout = image.directory();
    let to = |name: &str| format!("{}/{name}", registry.host());
    let whole = json!({
        "root": null, "blobs": null, "layout": "../layout", "repositories": [to("whole")],
    });
    push(["--request", &request(&image, &layout, "whole.json", &whole)]).ends_with(0);
    assert!(registry.has_image("whole", &image));
    let rest = json!({ "blobs": null, "layouts": ["../layout"], "repositories": [to("rest")] });
    push(["--request", &request(&image, &layout, "rest.json", &rest)]).ends_with(0);
    assert!(registry.has_image("rest", &image));
    let gone = json!({ "root": null, "blobs": null, "layout": "gone", "repositories": [to("x")] });
    let ran = push(["--request", &request(&image, &layout, "gone.json", &gone)]).ends_with(2);
    ran.says("cannot find gone of ");
}

#[test]
fn requests_of_requests_are_one_push_and_a_failure_names_its_image() {
    let registry = TestRegistry::plain();
    let [one, two] = [58, 59].map(|seed| ImageBuilder::new(seed).layers(1, 1_000).build());
    let (in_one, in_two) = (one.directory(), two.directory());
    let fields = |name: &str, more: &Value| {
        let mut fields = json!({
            "name": format!("//:{name}"),
            "repositories": [format!("{}/{name}", registry.host())],
            "tags": ["v1", "v2"],
        });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    let first = request(&one, &in_one, "one.json", &fields("one", &json!({})));
    let all = |paths: &[&str], more: &Value| {
        let mut fields =
            json!({ "name": "//:all", "root": null, "blobs": null, "requests": paths });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request(&one, &in_one, "all.json", &fields)
    };
    let second = request(&two, &in_two, "two.json", &fields("two", &json!({})));
    let flags = json!({ "flags": ["--output", "json"] });
    let ran = push(["--request", &all(&[&first, &second], &flags), "-t", "latest"]).ends_with(0);
    let names: Vec<_> = ran.documents().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["//:one", "//:two"]);
    let set: Vec<_> = registry.tags_set().into_iter().map(|set| set.tag).collect();
    assert_eq!(set, ["latest", "v1", "v2", "latest", "v1", "v2"]);

    registry.fault(on(Call::TagPut).repository("one").tag("w2").refuse(403, "DENIED", "no"));
    let tags = json!({ "tags": ["w1", "w2"] });
    let first = request(&one, &in_one, "one.json", &fields("one", &tags));
    let second = request(&two, &in_two, "two.json", &fields("two", &tags));
    let ran = push(["--request", &all(&[&first, &second], &json!({}))]).ends_with(5);
    let ran =
        ran.says("error: //:one: ").says("tags of //:one in ").says(": w1 created, w2 failed");
    ran.says("tags of //:two in ").says(": w1 skipped, w2 skipped");
    assert_eq!(registry.tag("two", "w1"), None);

    // So does a plan that is refused, and an image that cannot be read.
    registry.seed("two", &one, Some("v9"));
    let both = ["--request", &first, "--request", &second, "-t", "v9", "--tag-policy", "create"];
    push(both).ends_with(5).says("error: //:two: tag v9 of ");
    fs::remove_file(in_two.blob(two.digest())).unwrap();
    push(&both[..6]).ends_with(3).says("error: //:two: ");
}

#[test]
fn requests_that_are_no_one_push_are_refused() {
    let image = ImageBuilder::new(60).layers(1, 1_000).build();
    let layout = image.directory();
    let to = json!(["localhost:1/app"]);
    let one = |name: &str, flags: &[&str]| {
        let fields = json!({ "name": name, "repositories": to, "flags": flags });
        request(&image, &layout, &format!("{name}.json"), &fields)
    };
    let all = |name: &str, paths: &[&str]| {
        let fields = json!({ "name": name, "root": null, "blobs": null, "requests": paths });
        request(&image, &layout, &format!("{name}.json"), &fields)
    };
    let (plain, create) = (one("plain", &[]), one("create", &["--tag-policy", "create"]));
    let words = "the flags of plain and create are not the same: none; --tag-policy create";
    push(["--request", &plain, "--request", &create]).ends_with(2).says(words);
    push(["--request", &all("both", &[&plain, &create])]).ends_with(2).says(words);
    let nested = all("nested", &[&all("inner", &[&plain])]);
    let ran = push(["--request", &nested]).ends_with(2);
    ran.says("inner, one of the requests of nested, has requests itself");
    push(["--request", &all("gone", &["none.json"])]).ends_with(2).says("cannot find none.json");
    let broken = one("broken", &["--tag-polcy", "create"]);
    push(["--request", &broken]).ends_with(2).says(&broken).says("a similar one is --tag-policy");
}
