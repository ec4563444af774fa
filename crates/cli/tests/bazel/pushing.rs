//! What the seed of the rules promises: first the image by its digest, then tags one by one; and after
//! the first failure nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use windlass_testkit::{
    Call, ImageBuilder, RealLogged, RealOptions, RealRegistry, Rule, TestRegistry, on, on_any,
};

use crate::harness::{Run, Workspace, workspace};

/// The targets of both examples and the tags in their files, in their order.
const EXAMPLES: [(&str, [&str; 2]); 2] =
    [("//:push", ["v1", "stable"]), ("//:push_index", ["1.2.3", "1.2"])];

#[test]
fn an_image_goes_by_its_digest_first_then_its_tags_follow_in_order() {
    let Some(workspace) = workspace() else { return };
    let registry = RealRegistry::start(&RealOptions::default()).unwrap();
    for (name, (target, file_tags)) in ["image", "group/app"].into_iter().zip(EXAMPLES) {
        let repository = format!("{}/{name}", registry.host());
        let typed = ["--tag", "latest", "--repository", &repository];
        let before = registry.log(0).len();
        let ran = workspace.push(&[], target, &typed).ends_with(0);
        let (_, digest) = ran.stdout.trim().split_once('@').unwrap();
        assert_eq!(ran.stdout, format!("{repository}@{digest}\n"));

        let put = manifests_put(&log_until(&registry, before, file_tags[1]));
        let expected = [digest, "latest", file_tags[0], file_tags[1]];
        assert!(put.ends_with(&expected.map(str::to_owned)), "{put:?}");
        let children = put.len() - expected.len();
        assert_eq!(children, if target == "//:push" { 0 } else { 3 });
        assert!(put[..children].iter().all(|reference| reference.starts_with("sha256:")));

        let before = registry.log(0).len();
        workspace.push(&[], target, &typed).ends_with(0);
        let log = log_until(&registry, before, file_tags[1]);
        assert!(log.iter().all(|logged| ["GET", "HEAD"].contains(&&*logged.method)), "{log:?}");
    }
}

/// What was asked after the first `before` requests, when all of it has been written down.
fn log_until(registry: &RealRegistry, before: usize, last: &str) -> Vec<RealLogged> {
    let start = Instant::now();
    loop {
        let log = registry.log(before).split_off(before);
        let end = format!("/manifests/{last}");
        if log.iter().any(|logged| logged.path.ends_with(&end)) {
            // Requests that go side by side are written down in any order.
            std::thread::sleep(Duration::from_millis(50));
            return registry.log(before).split_off(before);
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{log:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn manifests_put(log: &[RealLogged]) -> Vec<String> {
    let put = log.iter().filter(|logged| logged.method == "PUT");
    let paths = put.filter_map(|logged| logged.path.split_once("/manifests/"));
    paths.map(|(_, reference)| reference.to_owned()).collect()
}

#[test]
fn after_a_tag_that_failed_none_is_tried() {
    let Some(workspace) = workspace() else { return };
    // The second tag is one of the file's, then one of the command line's.
    for typed in [&["first"][..], &["first", "second"], &["first", "second", "third"]] {
        let check = |fault: fn(&str) -> Rule, code: i32, words: &str| {
            check_failure(&workspace, typed, fault, code, words);
        };
        let refused = |tag: &str| on(Call::TagPut).tag(tag).refuse(400, "TAG_INVALID", "immutable");
        check(refused, 5, "immutable");
        check(|tag| on(Call::TagPut).tag(tag).vanish(), 6, "");
        check(closed_from, 6, "");
    }
}

/// From this tag on every connection is closed as soon as something is asked.
fn closed_from(tag: &str) -> Rule {
    let path = format!("/manifests/{tag}");
    let begun = AtomicBool::new(false);
    let is_over = move |put: bool, asked: &str| {
        if put && asked.ends_with(&path) {
            begun.store(true, Ordering::SeqCst);
        }
        begun.load(Ordering::SeqCst)
    };
    on_any(&[])
        .matching(move |head| is_over(head.target.call == Call::TagPut, &head.path))
        .close_after(0)
}

fn check_failure(
    workspace: &Workspace,
    typed: &[&str],
    fault: fn(&str) -> Rule,
    code: i32,
    words: &str,
) {
    for (target, file_tags) in EXAMPLES {
        let tags = [typed, &file_tags].concat();
        let registry = TestRegistry::plain();
        let rule = registry.fault(fault(tags[1]));
        let repository = format!("{}/app", registry.host());
        let mut arguments = vec!["-r", &repository, "--retry-for", "1s"];
        arguments.extend(typed.iter().flat_map(|tag| ["-t", tag]));
        let ran = workspace.push(&[], target, &arguments).ends_with(code);
        assert!(rule.fired() > 0);

        let asked = registry.calls(Call::TagPut);
        let mut asked: Vec<_> = asked.iter().filter_map(|put| put.reference.as_deref()).collect();
        asked.dedup();
        assert_eq!(asked, tags[..2]);
        let set: Vec<_> = registry.tags_set().iter().map(|set| set.tag.to_string()).collect();
        assert_eq!(set, tags[..1]);
        let skipped: Vec<_> = tags[2..].iter().map(|tag| format!("{tag} skipped")).collect();
        let skipped = skipped.join(", ");
        let told = format!("tags: {} created, {} failed, {skipped}", tags[0], tags[1]);
        assert_eq!(ran.stdout, "");
        ran.says(words).says(told.as_str());
    }
}

#[test]
fn a_tag_is_one_tag_whatever_is_in_it() {
    let Some(workspace) = workspace() else { return };
    let registry = TestRegistry::plain();
    let repository = format!("{}/app", registry.host());
    let check = |typed: &[&str], words: &str| -> Run {
        let ran = workspace.push(&[], "//:push", &[&["-r", &repository], typed].concat());
        ran.ends_with(2).says(words)
    };
    check(&["--tag", "a b"], "\"a b\"");
    check(&["--tag", "*"], "\"*\"");
    check(&["--tag", "$HOME"], "\"$HOME\"");
    check(&["--tag", ""], "\"\"");
    check(&["--tag=-x"], "\"-x\"");
    check(&["--tag", "-x"], "-x");
    check(&["--tags", "x"], "--tags");
    assert!(registry.log().is_empty());
}

#[test]
fn several_repositories_have_the_image_before_one_has_a_tag() {
    let Some(workspace) = workspace() else { return };
    let registry = TestRegistry::plain();
    let [one, two] = ["one", "two"].map(|name| format!("{}/{name}", registry.host()));
    let ran = workspace.push(&[], "//:push", &["-r", &one, "-r", &two, "-t", "v0"]).ends_with(0);
    let told: Vec<_> = ran.stdout.lines().filter_map(|line| line.split_once('@')).collect();
    assert_eq!([told[0].0, told[1].0], [&*one, &*two]);
    let log = registry.log();
    let first_tag = log.iter().position(|logged| logged.call == Call::TagPut).unwrap();
    let last_root = log.iter().rposition(|logged| logged.call == Call::ManifestPut).unwrap();
    assert!(last_root < first_tag);
    let set: Vec<_> = registry.tags_set().iter().map(|set| set.tag.to_string()).collect();
    assert_eq!(set, ["v0", "v1", "stable", "v0", "v1", "stable"]);
}

#[test]
fn flags_of_a_build_file_hold_unless_others_are_typed() {
    let Some(workspace) = workspace() else { return };
    let old = ImageBuilder::new(91).layers(1, 1_000).build();
    let registry = TestRegistry::plain();
    registry.seed("app", &old, Some("launched"));
    let repository = format!("{}/app", registry.host());
    let push = |typed: &[&str]| {
        let typed = [&["-r", &repository], typed].concat();
        workspace.push(&[], "//tests/launcher:push", &typed)
    };
    push(&[]).ends_with(5).says("launched");
    assert_eq!(registry.tag("app", "launched").as_ref(), Some(old.digest()));
    push(&["--tag-policy", "move"]).ends_with(0);
    assert_ne!(registry.tag("app", "launched").as_ref(), Some(old.digest()));
}
