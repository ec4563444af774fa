//! What a push that does not work tells: exit code, words, receipt.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::thread;

use serde_json::Value;
use windlass_testkit::{Call, Gate, ImageBuilder, IndexBuilder, Layer, Layout, TestRegistry, on};

use crate::harness::push;

#[test]
fn every_kind_of_failure_has_its_exit_code() {
    let image = ImageBuilder::new(21).layers(1, 1_000).build();
    let layout = image.directory();
    let check = |rule, code: i32, words: &str| {
        let registry = TestRegistry::plain();
        let rule = registry.fault(rule);
        let repository = format!("{}/app", registry.host());
        let path = layout.path().to_str().unwrap();
        let typed = [path, "-r", &repository, "-t", "v1", "--retry-for", "300ms"];
        let ran = push(typed).ends_with(code).says("error: ").says(words);
        assert!(rule.fired() > 0);
        assert_eq!(ran.stdout, "");
        assert!(registry.tags_set().is_empty());
    };
    check(on(Call::UploadPost).refuse(403, "DENIED", "not yours"), 4, "not yours");
    check(on(Call::TagPut).refuse(400, "TAG_INVALID", "tag is immutable"), 5, "tags: v1 failed");
    check(on(Call::TagPut).answer(401), 4, "401");
    check(on(Call::UploadPost).answer(503), 6, "503");
    check(on(Call::TagPut).answer(503), 6, "503");
    check(on(Call::ManifestPut).refuse(400, "MANIFEST_INVALID", "no"), 7, "MANIFEST_INVALID");
}

#[test]
fn a_registry_that_is_not_there_is_given_up_on() {
    let image = ImageBuilder::new(22).layers(1, 1_000).build();
    let layout = image.directory();
    let path = layout.path().to_str().unwrap();
    let ran = push([path, "-r", "127.0.0.1:1/app", "--retry-for", "200ms"]).ends_with(6);
    ran.says("connection refused").says("hint: ");
}

#[test]
fn an_image_that_is_broken_or_not_there_sends_nothing_and_leaves_no_old_receipt() {
    let image = ImageBuilder::new(23).layers(1, 1_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let repository = format!("{}/app", registry.host());
    let receipt = layout.beside().join("receipt.json");
    let check = |path: &str, words: &str| {
        fs::write(&receipt, "of the last run").unwrap();
        let typed = [path, "-r", &repository, "--receipt", receipt.to_str().unwrap()];
        push(typed).ends_with(3).says(words);
        let written: Value = serde_json::from_slice(&fs::read(&receipt).unwrap()).unwrap();
        assert_eq!(written["outcome"], "failed");
        assert_eq!(written["error"]["class"], "image");
        assert_eq!(written["repositories"], serde_json::json!([]));
    };
    check("/none/such", "/none/such");
    let config = &image.blobs()[0].digest;
    fs::write(layout.blob(config), "{}").unwrap();
    check(layout.path().to_str().unwrap(), config.as_str());
    assert!(registry.log().is_empty());
}

#[test]
fn a_layout_of_several_images_wants_to_be_told_which() {
    let [one, two] = [24, 25].map(|seed| ImageBuilder::new(seed).layers(1, 1_000).build());
    let layout = Layout::directory(&[(&one, Some("one")), (&two, Some("two"))]);
    let registry = TestRegistry::plain();
    let repository = format!("{}/app", registry.host());
    let path = layout.path().to_str().unwrap();
    let ran = push([path, "-r", &repository]).ends_with(2);
    let ran = ran.says(one.digest().as_str()).says(two.digest().as_str());
    ran.says("hint: choose one with --manifest");
    push([path, "-r", &repository, "--manifest", "three"]).ends_with(2).says("\"three\"");
    assert!(registry.log().is_empty());
    let ran = push([path, "-r", &repository, "--manifest", "two"]).ends_with(0);
    assert_eq!(ran.stdout, format!("{repository}@{}\n", two.digest()));
}

#[test]
fn a_failure_tells_which_tags_are_set_and_the_receipt_too() {
    let image = ImageBuilder::new(26).layers(1, 1_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    registry.fault(on(Call::TagPut).tag("v2").refuse(403, "DENIED", "tag v2 is immutable"));
    let repository = format!("{}/app", registry.host());
    let receipt = layout.beside().join("receipt.json");
    let (path, receipt_path) = (layout.path().to_str().unwrap(), receipt.to_str().unwrap());
    let typed = ["-t", "v1", "-t", "v2", "-t", "latest", "--output", "json"];
    let all = [&[path, "-r", &repository, "--receipt", receipt_path][..], &typed].concat();
    let ran = push(all).ends_with(5).says("error: ").says("tag v2 is immutable");
    let ran = ran.says("tags: v1 created, v2 failed, latest skipped");
    assert_eq!(fs::read_to_string(receipt).unwrap(), ran.stdout);
    let [told] = <[_; 1]>::try_from(ran.documents()).unwrap();
    assert_eq!(told["outcome"], "failed");
    assert_eq!(told["error"]["class"], "tag");
    assert!(told["error"]["message"].as_str().unwrap().contains("immutable"));
    let tags = &told["repositories"][0]["tags"];
    let statuses: Vec<_> = (0..3).map(|place| tags[place]["status"].clone()).collect();
    assert_eq!(statuses, ["created", "failed", "skipped"]);
    assert!(tags[1]["error"].is_string());
}

#[test]
fn a_tag_that_may_not_move_is_found_before_anything_is_sent() {
    let [image, old] = [27, 28].map(|seed| ImageBuilder::new(seed).layers(1, 1_000).build());
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    registry.seed("app", &old, Some("v1"));
    let repository = format!("{}/app", registry.host());
    let path = layout.path().to_str().unwrap();
    let to_v1 = [path, "-r", &repository, "-t", "v1"];
    let check = |more: &[&str], code: i32| {
        let ran = push([&to_v1[..], more].concat()).ends_with(code);
        if code != 0 {
            assert_eq!(registry.tag("app", "v1").as_ref(), Some(old.digest()), "{}", ran.stderr);
            assert!(registry.calls(Call::UploadPost).is_empty());
        }
    };
    check(&["--tag-policy", "create"], 5);
    check(&["--expect-tag", "v1=none"], 5);
    check(&["--expect-tag", &format!("v1={}", image.blobs()[0].digest)], 5);
    check(&["--expect-tag", &format!("v1={}", old.digest())], 0);
    assert_eq!(registry.tag("app", "v1").as_ref(), Some(image.digest()));
    check(&["--tag-policy", "create"], 0);
}

#[test]
fn a_sparse_image_is_pushed_where_the_registry_has_the_rest() {
    let whole = ImageBuilder::new(29).layers(2, 10_000).build();
    let absent = whole.blobs()[1].digest.clone();
    let layout = IndexBuilder::new().child(None, &whole).build().without(&absent).directory();
    let registry = TestRegistry::plain();
    let repository = format!("{}/app", registry.host());
    let path = layout.path().to_str().unwrap();
    push([path, "-r", &repository]).ends_with(3).says(absent.as_str());
    registry.seed_blob("app", &whole.bytes(&absent));
    push([path, "-r", &repository]).ends_with(0);
}

#[test]
fn a_file_that_changes_while_it_is_sent_is_named_and_no_tag_is_set() {
    let size = 16 << 20;
    let check = |change: &dyn Fn(&mut fs::File), words: &str| {
        let image = ImageBuilder::new(7).layer(Layer::sparse(size)).build();
        let (registry, layout) = (TestRegistry::plain(), image.directory());
        let layer = image.blobs().into_iter().max_by_key(|blob| blob.size).unwrap();
        // What the sockets take of the body has been read by then, and much has not.
        let gate = Gate::new();
        registry.fault(on(Call::UploadPut).digest(&layer.digest).hold_before(&gate));
        let (repository, path) = (format!("{}/app", registry.host()), layout.path().to_owned());
        let pushing = thread::spawn(move || {
            push([path.to_str().unwrap(), "-r", &repository, "-t", "v1", "--no-resume"])
        });
        gate.block_for(1);
        let path = layout.blob(&layer.digest);
        change(&mut fs::File::options().write(true).open(&path).unwrap());
        gate.open();
        let ran = pushing.join().unwrap().ends_with(3).says(words);
        ran.says(path.to_str().unwrap());
        assert!(registry.tags_set().is_empty());
    };
    check(&|file| file.set_len(size - 1).unwrap(), "has changed while");
    // Where the size stays, only the digest tells.
    let other_end = |file: &mut fs::File| {
        file.seek(SeekFrom::Start(size - 1)).unwrap();
        file.write_all(b"x").unwrap();
    };
    check(&other_end, "has the digest");
}
