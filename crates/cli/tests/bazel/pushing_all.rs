//! Many images in one run.

use std::fs;

use windlass_testkit::{Call, TestRegistry, on};

use crate::harness::{Workspace, workspace};

const TARGET: &str = "//tests/pushes:push";

/// A registry that the pushes of `//tests/pushes` go to.
fn registry(workspace: &Workspace) -> TestRegistry {
    let registry = TestRegistry::plain();
    let file = workspace.folder().join("tests/pushes/registry.bzl");
    fs::write(file, format!("REGISTRY = \"{}\"\n", registry.host())).unwrap();
    registry
}

#[test]
fn many_images_go_in_one_run_a_shared_layer_once_and_all_tags_last() {
    let Some(workspace) = workspace() else { return };
    let registry = registry(&workspace);
    let ran = workspace.push(&[], TARGET, &["-t", "all"]).ends_with(0);
    assert_eq!(ran.stdout.lines().count(), 3);

    let log = registry.log();
    let first_tag = log.iter().position(|logged| logged.call == Call::TagPut).unwrap();
    let wrote = |call| matches!(call, Call::UploadPut | Call::UploadMount | Call::ManifestPut);
    assert!(log[first_tag..].iter().all(|logged| !wrote(logged.call)));
    let set: Vec<_> =
        registry.tags_set().iter().map(|set| format!("{}:{}", set.repository, set.tag)).collect();
    let expected = ["one", "two", "three"].iter().flat_map(|name| {
        [format!("{name}:all"), format!("{name}:{name}-1"), format!("{name}:{name}-2")]
    });
    assert_eq!(set, expected.collect::<Vec<_>>());

    let layer = fs::metadata(workspace.bin("service/app_layer.tar")).unwrap().len();
    assert!(registry.bytes_uploaded() < 2 * layer, "{} of {layer}", registry.bytes_uploaded());
}

#[test]
fn the_first_failure_names_its_target_and_stops_every_tag_after_it() {
    let Some(workspace) = workspace() else { return };
    let registry = registry(&workspace);
    registry.fault(on(Call::TagPut).tag("two-1").refuse(400, "TAG_INVALID", "immutable"));
    let ran = workspace.push(&[], TARGET, &[]).ends_with(5);
    ran.says("//tests/pushes:push_two").says("immutable");
    let set: Vec<_> = registry.tags_set().iter().map(|set| set.tag.to_string()).collect();
    assert_eq!(set, ["one-1", "one-2"]);
    let asked = registry.calls(Call::TagPut);
    assert_eq!(asked.last().unwrap().reference.as_deref(), Some("two-1"));
}
