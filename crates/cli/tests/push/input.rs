//! What is typed wrong is refused before anything is sent: exit code 2, the input, and what would
//! be right.

use std::fs;

use windlass_testkit::{ImageBuilder, TestRegistry};

use crate::harness::{push, run, windlass};

#[test]
fn what_is_typed_wrong_is_shown_with_what_would_be_right() {
    #[track_caller]
    fn check(typed: &str, words: &str) {
        let ran = push(typed.split_whitespace()).ends_with(2).says("error: ").says(words);
        assert_eq!(ran.stdout, "");
    }
    check("image -r ghcr.io/team/app:v1", "write ghcr.io/team/app and give the tag by itself");
    check("image -r ghcr.io/app@sha256:00", "the digest comes from the image");
    check("image -r ghcr.io/Team/app", "upper case");
    check("image -r ghcr.io", "write HOST/NAME, such as ghcr.io/app");
    check("image -r app", "docker.io/app");
    check("image -r https://ghcr.io/app", "write ghcr.io/app");
    check("image -r ghcr.io/app -t v1/v2", "tag \"v1/v2\" is malformed");
    check("image -r ghcr.io/app -t ghcr.io/app:v1", "is malformed");
    check("image -r ghcr.io/app -t *", "tag \"*\" is malformed");
    check("image -r ghcr.io/app -t -x", "tag \"-x\" is malformed");
    check("image -r ghcr.io/app --tag --dry-run", "tag \"--dry-run\" is malformed");
    check("image -r -x", "\"-x\"");
    check("image", "no repository to push to");
    check("image ghcr.io/app:v1", "windlass push IMAGE -r ghcr.io/app -t v1");
    check("ghcr.io/app:v1", "windlass push IMAGE -r ghcr.io/app -t v1");
    check("image localhost:5000/app", "windlass push IMAGE -r localhost:5000/app");
    check("", "<IMAGE>");
    check("-r ghcr.io/app", "<IMAGE>");
    check("image -r ghcr.io/app --retry-for 5", "write it as 90s, 5m, 1h30m or 500ms");
    check("image -r ghcr.io/app --chunk-size 5MB", "512K, 64M or 1G");
    check("image -r ghcr.io/app --jobs 0", "\"0\" is no number from 1 to 64");
    check("image -r ghcr.io/app --jobs x", "\"x\" is no number from 1 to 64");
    check("image -r ghcr.io/app --manifest sha256:", "too short for a digest");
    check("image -r ghcr.io/app --expect-tag v1", "TAG=none");
    check("image -r ghcr.io/app --tag-policy keep", "move, create");
    check("image -r ghcr.io/app --cert c.pem", "--key");
    check("image -r ghcr.io/app --tag-file /none/such", "/none/such: ");
    check("image -r ghcr.io/app --receipt /none/such/file", "/none/such/file: ");
    check("image -r ghcr.io/app -q -v", "cannot be used with");
    check("image -r ghcr.io/app --rolback", "--rollback");
    check("--request /none/such", "/none/such: ");
}

#[test]
fn a_password_in_a_repository_is_shown_nowhere() {
    for typed in ["me:hunter2@ghcr.io/app", "https://me:hunter2@ghcr.io/app"] {
        let ran = push(["image", "-r", typed]).ends_with(2).says("write ghcr.io/app");
        assert!(!ran.stderr.contains("hunter2"), "{}", ran.stderr);
        push(["image", typed]).ends_with(2).never_says("hunter2");
    }
    let typed = ["image", "-r", "a.io/x", "--plain-http", "me:hunter2@a.io"];
    push(typed).ends_with(2).never_says("hunter2");
}

#[test]
fn files_that_are_no_certificates_are_refused_before_anything_is_asked() {
    let ca = windlass_testkit::TestCa::new();
    let certificate = ca.pem_file();
    let key = ca.client_identity("me").key;
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let repository = "registry.invalid/app";
    let cases = [
        vec!["--cacert", key],
        vec!["--cert", key, "--key", key],
        vec!["--cert", certificate, "--key", certificate],
        vec!["--cacert", "/none/such.pem"],
    ];
    for case in cases {
        let typed = ["image", "-r", repository].into_iter().chain(case.iter().copied());
        push(typed).ends_with(2).says(case[case.len() - 1]);
    }
}

#[test]
fn a_bad_line_of_a_tag_file_is_named_and_nothing_is_sent() {
    let image = ImageBuilder::new(31).layers(1, 1_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let file = layout.beside().join("tags.txt");
    fs::write(&file, "v1\r\n\r\nlatest!\r\n").unwrap();
    let repository = format!("{}/app", registry.host());
    let (path, file) = (layout.path().to_str().unwrap(), file.to_str().unwrap());
    let ran = push([path, "-r", &repository, "--tag-file", file]).ends_with(2);
    ran.says(&format!("{file}:3: tag \"latest!\" is malformed"));
    assert!(registry.log().is_empty());
}

#[test]
fn help_and_version_are_no_errors_and_unknown_commands_are() {
    let say = |arguments: &[&str]| run(windlass().args(arguments));
    assert!(say(&["--version"]).ends_with(0).stdout.starts_with("windlass "));
    let help = say(&["push", "--help"]).ends_with(0).stdout;
    assert!(help.contains("Exit status:"), "{help}");
    assert!(help.contains("docs/request.md"), "{help}");
    let page = say(&["man"]).ends_with(0).stdout;
    assert!(page.contains("docs/request.md"), "{page}");
    // What would do nothing is not offered.
    for command in ["completions", "man", "demo", "serve"] {
        let help = say(&[command, "--help"]).ends_with(0).stdout;
        assert!(!help.contains("--output") && !help.contains("--progress"), "{help}");
        say(&[command, "--output", "json"]).ends_with(2);
    }
    for command in ["completions", "man"] {
        say(&[command, "--quiet"]).ends_with(2).says("--quiet");
    }
    say(&["pusch"]).ends_with(2).says("'push'");
    say(&[]).ends_with(2);
}

#[test]
fn pages_and_completions_are_made_from_the_same_words() {
    let say = |arguments: &[&str]| run(windlass().args(arguments)).ends_with(0);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = say(&["completions", shell]).stdout;
        assert!(script.contains("tag-policy"), "{shell}");
    }
    assert!(say(&["man"]).stdout.contains(".TH windlass 1"));
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    say(&["man", "--out", pages.to_str().unwrap()]);
    let page = fs::read_to_string(pages.join("windlass-push.1")).unwrap();
    assert!(page.contains("tag\\-policy"), "{page}");
    assert!(pages.join("windlass.1").exists());
}
