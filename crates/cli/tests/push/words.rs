//! Colors, and what `--verbose` adds.

use windlass_testkit::{Call, ImageBuilder, TestRegistry, on};

use crate::harness::{push, run, windlass};

#[test]
fn colors_are_for_those_who_want_them() {
    let escape = "\u{1b}[";
    push(["image"]).ends_with(2).never_says(escape);
    push(["image", "--color", "always"]).ends_with(2).says(escape);
    let mut never = windlass();
    never.args(["push", "image", "--color", "never"]).env("NO_COLOR", "1");
    run(&mut never).ends_with(2).never_says(escape);
}

#[test]
fn verbose_tells_scheme_requests_and_what_was_done_again() {
    let image = ImageBuilder::new(71).layers(1, 1_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    registry.fault(on(Call::UploadPut).once().answer(503));
    let host = registry.host();
    let repository = format!("{host}/app");
    let path = layout.path().to_str().unwrap();
    let ran = push([path, "-r", &repository, "-v"]).ends_with(0);
    let ran = ran.says(&format!("{host}: over plain HTTP\n"));
    ran.says(" requests, 1 of them a retry").says("trying again in ").says("503");
}

#[test]
fn a_flag_that_names_no_registry_of_the_run_is_told() {
    let image = ImageBuilder::new(72).layers(1, 1_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let repository = format!("{}/app", registry.host());
    let path = layout.path().to_str().unwrap();
    let ran = push([path, "-r", &repository, "--plain-http", "other.example"]).ends_with(0);
    ran.says("warning: --plain-http other.example is no registry of this run");
}

#[test]
fn what_the_registry_warns_of_is_told() {
    let image = ImageBuilder::new(73).layers(1, 1_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let warning = "299 - \"this registry closes on Friday\"";
    registry.fault(on(Call::TagPut).with_header("warning", warning));
    let repository = format!("{}/app", registry.host());
    let path = layout.path().to_str().unwrap();
    let ran = push([path, "-r", &repository, "-t", "v1"]).ends_with(0);
    ran.says("warning: this registry closes on Friday");
}
