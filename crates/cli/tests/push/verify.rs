//! `windlass verify`, and `windlass push --verify`.

use windlass_testkit::{Call, ImageBuilder, TestRegistry, on};

use crate::harness::{push, run, windlass};

fn verify(arguments: &[&str]) -> crate::harness::Run {
    run(windlass().arg("verify").args(arguments))
}

#[test]
fn what_is_there_is_told_by_its_digest_and_what_is_missing_by_name() {
    let image = ImageBuilder::new(1).layers(2, 1_000).build();
    let layout = image.directory();
    let path = layout.path().to_str().unwrap();
    let registry = TestRegistry::plain();
    let repository = format!("{}/app", registry.host());
    let tagged = format!("{repository}:v1");
    verify(&[&tagged]).ends_with(3).says("is not there").says("tag is missing");
    push([path, "-r", &repository, "-t", "v1"]).ends_with(0);
    for place in [&[&tagged[..]][..], &[&tagged, path], &[&repository, path], &[&tagged, "--deep"]]
    {
        let ran = verify(place).ends_with(0).says("all of it is in");
        assert_eq!(ran.stdout, format!("{repository}@{}\n", image.digest()));
    }

    let missing = &image.blobs()[1].digest;
    let rule = registry.fault(on(Call::BlobHead).digest(missing).answer(404));
    let ran = verify(&[&tagged]).ends_with(3).says("is not whole");
    assert_eq!(ran.stdout, "");
    ran.says(&format!("blob {missing} is missing")).says("push --verify");
    let ran = verify(&[&tagged, "--output", "json"]).ends_with(3);
    let told = &ran.documents()[0];
    assert_eq!((&told["outcome"], &told["blobs"]), (&"flawed".into(), &3.into()));
    assert_eq!(told["flaws"][0]["digest"], missing.as_str());
    assert_eq!(told["flaws"][0]["problem"], "missing");
    assert_eq!(rule.fired(), 2);

    registry.heal();
    push([path, "-r", &repository, "-t", "v1", "--verify"]).ends_with(0).says(", verified");
}

#[test]
fn another_image_is_none_that_is_there() {
    let [image, other] = [1, 2].map(|seed| ImageBuilder::new(seed).layers(1, 1_000).build());
    let layout = other.directory();
    let registry = TestRegistry::plain();
    registry.seed("app", &image, Some("v1"));
    let tagged = format!("{}/app:v1", registry.host());
    let ran = verify(&[&tagged, layout.path().to_str().unwrap()]).ends_with(3);
    ran.says("is another image")
        .says(other.digest().as_str())
        .says(image.digest().as_str())
        .says("hint: `windlass push` with this image moves the tag");
}

#[test]
fn what_cannot_be_looked_at_has_the_exit_code_of_that() {
    let image = ImageBuilder::new(1).layers(1, 1_000).build();
    let registry = TestRegistry::plain();
    registry.seed("app", &image, Some("v1"));
    let repository = format!("{}/app", registry.host());
    let tagged = format!("{repository}:v1");
    verify(&[&repository]).ends_with(2).says("nothing says which image").says("hint: ");
    verify(&[&tagged, "/none/such"]).ends_with(3).says("/none/such");
    verify(&["127.0.0.1:1/app:v1", "--retry-for", "200ms"]).ends_with(6);
    registry.fault(on(Call::ManifestGet).refuse(403, "DENIED", "not yours"));
    verify(&[&tagged]).ends_with(4).says("not yours");
}
