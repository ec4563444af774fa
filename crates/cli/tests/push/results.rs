//! What a push that works leaves behind: in the registry, on standard output, in files.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use windlass_testkit::{Call, ImageBuilder, IndexBuilder, Layout, TestRegistry, on};

use crate::harness::{push, windlass};

#[test]
fn an_image_is_pushed_with_its_tags_and_one_line_tells_where() {
    let image = ImageBuilder::new(1).layers(3, 100_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let repository = format!("{}/team/app", registry.host());
    let path = layout.path().to_str().unwrap();
    let ran = push([path, "-r", &repository, "-t", "v1", "-t", "latest"]).ends_with(0);
    assert_eq!(ran.stdout, format!("{repository}@{}\n", image.digest()));
    let ran = ran.says("  v1: created\n  latest: created\n").says("(4/4)");
    ran.says(&format!("pushed to {repository}: 4 blobs sent; "));
    assert!(registry.has_image("team/app", &image));
    let set: Vec<_> = registry.tags_set().iter().map(|set| set.tag.to_string()).collect();
    assert_eq!(set, ["v1", "latest"]);
}

#[test]
fn an_index_in_an_archive_is_pushed_whole() {
    let [one, two] = [2, 3].map(|seed| ImageBuilder::new(seed).layers(2, 50_000).build());
    let index =
        IndexBuilder::new().child(Some("linux/amd64"), &one).child(Some("linux/arm64"), &two);
    let (image, registry) = (index.build(), TestRegistry::plain());
    let archive = image.archive();
    let repository = format!("{}/app", registry.host());
    push([archive.path().to_str().unwrap(), "-r", &repository, "-t", "v1"]).ends_with(0);
    assert!(registry.has_image("app", &image));
    assert_eq!(registry.tag("app", "v1").as_ref(), Some(image.digest()));
}

#[test]
fn what_is_there_is_not_sent_again() {
    let image = ImageBuilder::new(4).layers(2, 100_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let repository = format!("{}/app", registry.host());
    let path = layout.path().to_str().unwrap();
    push([path, "-r", &repository, "-t", "v1"]).ends_with(0);
    let uploads = registry.calls(Call::UploadPost).len();
    let ran = push([path, "-r", &repository, "-t", "v1", "-t", "v2"]).ends_with(0);
    ran.says("  v1: unchanged\n  v2: created\n")
        .says("all of it was there already; ")
        .says(" sent for the tags in ");
    assert_eq!(registry.calls(Call::UploadPost).len(), uploads);
}

#[test]
fn tags_come_from_the_command_line_and_then_from_files() {
    let image = ImageBuilder::new(5).layers(1, 1_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let file = layout.beside().join("tags.txt");
    fs::write(&file, "# all of them\r\n\r\nv2\r\nv1\r\nlatest\r\n").unwrap();
    let repository = format!("{}/app", registry.host());
    let (path, file) = (layout.path().to_str().unwrap(), file.to_str().unwrap());
    let ran = push([path, "-r", &repository, "--tag-file", file, "-t", "v1"]).ends_with(0);
    ran.says("note: tag v1 was given more than once");
    let set: Vec<_> = registry.tags_set().iter().map(|set| set.tag.to_string()).collect();
    assert_eq!(set, ["v1", "v2", "latest"]);
}

#[test]
fn json_is_one_receipt_a_line_and_nothing_else_on_standard_output() {
    let image = ImageBuilder::new(6).layers(2, 10_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let repository = format!("{}/app", registry.host());
    let path = layout.path().to_str().unwrap();
    let ran = push([path, "-r", &repository, "-t", "v1", "--output", "json"]).ends_with(0);
    let [receipt] = <[_; 1]>::try_from(ran.documents()).unwrap();
    let there = &receipt["repositories"][0];
    assert_eq!(receipt["version"], 1);
    assert_eq!(receipt["outcome"], "pushed");
    let root = image.root();
    let expected = json!({
        "digest": root.digest.as_str(), "mediaType": root.media_type.as_str(), "size": root.size,
    });
    assert_eq!(receipt["image"], expected);
    assert_eq!(there["repository"], repository.as_str());
    assert_eq!(there["digest"], image.digest().as_str());
    let blobs = json!({ "total": 3, "present": 0, "mounted": 0, "uploaded": 3, "resumed": 0 });
    assert_eq!(there["blobs"], blobs);
    assert_eq!(there["manifests"], json!({ "total": 1, "present": 0, "uploaded": 1 }));
    assert_eq!(there["tags"], json!([{ "tag": "v1", "status": "created", "before": null }]));
    assert_eq!(there["requests"], registry.log().len());
    assert_eq!(there["retries"], 0);
    assert_eq!(there["warnings"], json!([]));
    assert!(there["bytes"]["sent"].as_u64() >= there["bytes"]["total"].as_u64());
    assert!(there["seconds"].is_f64());
    assert!(receipt.get("error").is_none());
}

/// All fields of a document, those within fields too.
fn fields(document: &Value, found: &mut BTreeSet<String>) {
    match document {
        Value::Object(object) => {
            found.extend(object.keys().cloned());
            object.values().for_each(|value| fields(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

#[test]
fn every_field_of_a_receipt_is_explained_and_none_that_there_is_not() {
    let image = ImageBuilder::new(13).layers(1, 1_000).build();
    let referrer = ImageBuilder::new(14).empty_config().artifact_type("a/b").subject(image.root());
    let layout = Layout::directory(&[(&image, None), (&referrer.build(), None)]);
    let registry = TestRegistry::plain();
    registry.fault(on(Call::TagPut).tag("v2").refuse(400, "TAG_INVALID", "immutable"));
    let request = layout.beside().join("request.json");
    let repository = format!("{}/app", registry.host());
    let document = json!({
        "version": 1, "name": "the image", "layout": layout.path(), "repositories": [repository],
    });
    fs::write(&request, document.to_string()).unwrap();
    let typed = ["--request", request.to_str().unwrap(), "--verify", "--output", "json"];
    let typed = [&typed[..], &["--manifest", image.digest().as_str(), "-t", "v2"]].concat();
    let mut found = BTreeSet::new();
    for (more, code, outcome) in [(&["--dry-run"][..], 0, "planned"), (&[], 5, "failed")] {
        let receipt = &push([&typed[..], more].concat()).ends_with(code).documents()[0];
        assert_eq!(receipt["outcome"], outcome);
        fields(receipt, &mut found);
    }

    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/receipt.md");
    let page = fs::read_to_string(page).unwrap();
    for field in &found {
        assert!(page.contains(&format!("`{field}`")), "docs/receipt.md does not explain {field}");
        assert!(page.contains(&format!("\"{field}\": ")), "its example does not have {field}");
    }
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    for (field, _) in rows {
        assert!(found.contains(field), "docs/receipt.md explains {field}, which there is not");
    }
}

#[test]
fn several_repositories_get_one_line_each_and_share_what_was_sent() {
    let image = ImageBuilder::new(7).layers(2, 100_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let [one, two] = ["one", "two"].map(|name| format!("{}/{name}", registry.host()));
    let refs = layout.beside().join("refs");
    let (path, refs_path) = (layout.path().to_str().unwrap(), refs.to_str().unwrap());
    let ran = push([path, "-r", &one, "-r", &two, "-r", &one, "--image-refs", refs_path]);
    let ran = ran.ends_with(0).says(&format!("repository {one} was given more than once"));
    let digest = image.digest();
    assert_eq!(ran.stdout, format!("{one}@{digest}\n{two}@{digest}\n"));
    assert_eq!(fs::read_to_string(refs).unwrap(), ran.stdout);
    assert!(registry.has_image("one", &image) && registry.has_image("two", &image));
    let sent: u64 = image.blobs().iter().map(|blob| blob.size).sum();
    assert_eq!(registry.bytes_uploaded(), sent);
}

#[test]
fn a_dry_run_asks_and_writes_nothing() {
    let image = ImageBuilder::new(8).layers(2, 10_000).build();
    let other = ImageBuilder::new(9).layers(1, 10_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    registry.seed("app", &other, Some("latest"));
    let repository = format!("{}/app", registry.host());
    let refs = layout.beside().join("refs");
    let (path, refs_path) = (layout.path().to_str().unwrap(), refs.to_str().unwrap());
    let typed = ["-t", "v1", "-t", "latest", "--dry-run", "--image-refs", refs_path];
    let ran = push([&[path, "-r", &repository][..], &typed].concat()).ends_with(0);
    let ran = ran.says("  v1: would be created\n  latest: would be moved from sha256:");
    ran.says("would send 3 blobs, ").says("put 1 manifest");
    assert!(!refs.exists());
    assert_eq!(registry.tag("app", "latest").as_ref(), Some(other.digest()));
    let asked = |call| registry.calls(call).len();
    let heads = asked(Call::ManifestHead) + asked(Call::BlobHead);
    assert!(heads > 0);
    assert_eq!(registry.log().len(), heads);
}

#[test]
fn quiet_says_nothing_and_standard_output_stays() {
    let image = ImageBuilder::new(10).layers(1, 1_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let repository = format!("{}/app", registry.host());
    let ran = push([layout.path().to_str().unwrap(), "-r", &repository, "-t", "v1", "-q"]);
    let ran = ran.ends_with(0);
    assert_eq!(ran.stderr, "");
    assert_eq!(ran.stdout, format!("{repository}@{}\n", image.digest()));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_behind_standard_output_is_no_success() {
    let image = ImageBuilder::new(11).layers(1, 1_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = windlass();
    command.arg("push").arg(layout.path()).arg("-r").arg(format!("{}/app", registry.host()));
    let ran: crate::harness::Run = command.stdout(full).output().unwrap().into();
    ran.ends_with(1).says("cannot write to standard output: ");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_at_the_receipt_is_told_when_all_is_pushed() {
    let image = ImageBuilder::new(11).layers(1, 1_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let repository = format!("{}/app", registry.host());
    let path = layout.path().to_str().unwrap();
    let typed = [path, "-r", &repository, "-t", "v1", "--receipt", "/dev/full"];
    push(typed).ends_with(1).says("cannot write /dev/full: ");
    assert_eq!(registry.tag("app", "v1").as_ref(), Some(image.digest()));
    // What went wrong with the push counts more.
    registry.fault(on(Call::TagPut).tag("v2").refuse(403, "DENIED", "no"));
    push([&typed[..], &["-t", "v2"]].concat()).ends_with(5).says("cannot write /dev/full: ");
}

#[test]
#[cfg(unix)]
fn a_reader_that_has_gone_away_is_no_failure() {
    let image = ImageBuilder::new(12).layers(1, 1_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = windlass();
    command.arg("push").arg(layout.path()).arg("-r").arg(format!("{}/app", registry.host()));
    let ran: crate::harness::Run = command.stdout(writer).output().unwrap().into();
    ran.ends_with(0).never_says("panicked");
}
