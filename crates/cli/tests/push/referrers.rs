//! Signatures and the like, from the image's layout and from others.

use windlass_testkit::{Image, ImageBuilder, Layout, TestRegistry};

use crate::harness::push;

fn about(subject: &Image, kind: &str) -> Image {
    let builder = ImageBuilder::new(7).empty_config().artifact_type(kind);
    builder.layers(1, 500).subject(subject.root()).build()
}

#[test]
fn what_refers_to_the_image_goes_with_it() {
    let image = ImageBuilder::new(1).layers(1, 1_000).build();
    let (signature, bill) = (about(&image, "a/signature"), about(&image, "a/bill"));
    let layout = Layout::directory(&[(&image, None), (&signature, None)]);
    let bills = Layout::archive(&[(&bill, None)]);
    let registry = TestRegistry::plain();
    let repository = format!("{}/app", registry.host());
    let path = layout.path().to_str().unwrap();
    let typed = [path, "-r", &repository, "-t", "v1"];
    let more = ["--referrer", bills.path().to_str().unwrap()];

    let dry = push([&typed[..], &more, &["--dry-run"]].concat()).ends_with(0);
    dry.says("put 1 manifest, put 2 referrers");
    assert!(!registry.has_manifest("app", signature.digest()));

    let ran = push([&typed[..], &more, &["--output", "json"]].concat()).ends_with(0);
    assert!(registry.has_image("app", &image));
    assert!(registry.has_image("app", &signature) && registry.has_image("app", &bill));
    let told = &ran.documents()[0]["repositories"][0]["referrers"];
    assert_eq!(told[0]["digest"], signature.digest().as_str());
    assert_eq!(told[0]["subject"], image.digest().as_str());
    assert_eq!(told[1]["artifactType"], "a/bill");
    assert_eq!(told[1]["status"], "uploaded");
    assert_eq!(told[1]["listedBy"], "api");
    push([&typed[..], &more].concat()).ends_with(0).says("all of it was there already");
}

#[test]
fn a_layout_of_which_nothing_refers_to_the_image_is_refused() {
    let image = ImageBuilder::new(1).layers(1, 1_000).build();
    let layout = image.directory();
    let stranger = about(&ImageBuilder::new(2).build(), "a/signature").directory();
    let registry = TestRegistry::plain();
    let repository = format!("{}/app", registry.host());
    let (path, other) = (layout.path().to_str().unwrap(), stranger.path().to_str().unwrap());
    let ran = push([path, "-r", &repository, "--referrer", other]).ends_with(2);
    ran.says("refers to what is pushed").says("hint: ");
    assert!(registry.log().is_empty());
}
