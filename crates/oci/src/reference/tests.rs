//! References as people write them, by table.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(text: &str, expected: Result<&str, &str>) {
    match (text.parse::<Repository>(), expected) {
        (Ok(got), Ok(expected)) => assert_eq!(got.to_string(), expected),
        (Err(got), Err(expected)) => {
            let got = got.to_string();
            assert!(got.contains(expected), "{got:?} lacks {expected:?}");
        }
        (got, _) => panic!("{text}: {got:?}, expected {expected:?}"),
    }
}

#[test]
fn repositories_as_people_write_them() {
    check("ghcr.io/org/app", Ok("ghcr.io/org/app"));
    check("localhost/app", Ok("localhost/app"));
    check("localhost:5000/a/b/c", Ok("localhost:5000/a/b/c"));
    check("127.0.0.1:5000/app", Ok("127.0.0.1:5000/app"));
    check("[::1]:5000/app", Ok("[::1]:5000/app"));
    check("[2001:db8::1]/app", Ok("[2001:db8::1]/app"));
    check("GHCR.io/org/app", Ok("ghcr.io/org/app"));
    check("index.docker.io/org/image", Ok("docker.io/org/image"));
    check("docker.io/image", Ok("docker.io/library/image"));
    check("registry-1.docker.io/org/image", Ok("docker.io/org/image"));
    check("host.io/a.b_c__d--e/f", Ok("host.io/a.b_c__d--e/f"));
}

#[test]
fn repositories_that_are_none_say_what_would_be_right() {
    check("ghcr.io/org/app:v1", Err("has the tag \"v1\" in it; write ghcr.io/org/app"));
    check("localhost:5000/app:v1", Err("write localhost:5000/app and"));
    check("ghcr.io/app@sha256:abc", Err("has a digest in it; write ghcr.io/app:"));
    check("https://ghcr.io/app", Err("write ghcr.io/app"));
    check("ghcr.io", Err("such as ghcr.io/app"));
    check("localhost:5000", Err("such as localhost:5000/app"));
    check("ghcr.io/", Err("such as ghcr.io/app"));
    check("org/app", Err("such as docker.io/org/app"));
    check("app", Err("does not begin with a registry's host"));
    check("", Err("it is empty"));
    check("/app", Err("it is empty"));
    check("ghcr.io/Org/app", Err("'O' is upper case"));
    check("ghcr.io/org//app", Err("empty part between slashes"));
    check("ghcr.io/org/app/", Err("empty part between slashes"));
    check("ghcr.io/-app", Err("begins or ends with a separator"));
    check("ghcr.io/a..b", Err("\"..\" does not separate"));
    check("ghcr.io/a___b", Err("\"___\" does not separate"));
    check("ghcr.io/a b", Err("' ' is not allowed"));
    check("ghcr.io/appé", Err("'é' is not allowed"));
    check("host.io:/app", Err("a port is a number"));
    check("host.io:0/app", Err("a port is a number"));
    check("host.io:65536/app", Err("a port is a number"));
    check("host.io:+80/app", Err("a port is a number"));
    check("-host.io/app", Err("begins or ends with `-`"));
    check("host_name.io/app", Err("letters, digits"));
    check("host..io/app", Err("empty part between dots"));
    check("[::1/app", Err("has no `]`"));
    check("[::zz]:5000/app", Err("no IPv6 address"));
}

#[test]
fn at_most_255_characters() {
    let name = |length: usize| format!("ghcr.io/{}", "a".repeat(length - "ghcr.io/".len()));
    check(&name(255), Ok(&name(255)));
    check(&name(256), Err("256 characters; at most 255"));
}

#[test]
fn registries_know_their_endpoint() {
    let check = |text: &str, host: &str, port: Option<u16>, endpoint: &str, loopback: bool| {
        let registry: Registry = text.parse().unwrap();
        assert_eq!(registry.host(), host);
        assert_eq!(registry.port(), port);
        assert_eq!(registry.endpoint(), endpoint);
        assert_eq!(registry.is_loopback(), loopback, "{text}");
    };
    check("index.docker.io", "docker.io", None, "registry-1.docker.io", false);
    check("localhost:5000", "localhost", Some(5000), "localhost:5000", true);
    check("127.3.2.1", "127.3.2.1", None, "127.3.2.1", true);
    check("[::1]:80", "::1", Some(80), "[::1]:80", true);
    check("10.0.0.1:80", "10.0.0.1", Some(80), "10.0.0.1:80", false);
    check("localhost.example.com", "localhost.example.com", None, "localhost.example.com", false);
}

#[test]
fn tags() {
    let check = |text: &str, expected: Option<&str>| match (text.parse::<Tag>(), expected) {
        (Ok(tag), None) => assert_eq!(tag.as_str(), text),
        (Err(error), Some(expected)) => {
            assert!(error.to_string().contains(expected), "{error}");
        }
        (got, _) => panic!("{text}: {got:?}"),
    };
    check("latest", None);
    check("v1.2.3-rc_1", None);
    check("_x", None);
    check(&"x".repeat(128), None);
    check(&"x".repeat(129), Some("129 characters"));
    check("", Some("is empty"));
    check(".x", Some("begins with"));
    check("-t", Some("begins with"));
    check("a/b", Some("'/' is not allowed"));
    check("a b", Some("' ' is not allowed"));
    check("a:b", Some("':' is not allowed"));
    check("ä", Some("'ä' is not allowed"));
    check(&"ä".repeat(128), Some("'ä' is not allowed"));
}

#[test]
fn references_are_tags_or_digests() {
    let digest = Digest::sha256(b"");
    assert_eq!(digest.as_str().parse(), Ok(Reference::Digest(digest)));
    assert!(matches!("v1".parse(), Ok(Reference::Tag(_))));
    assert!("md5:00".parse::<Reference>().is_err());
}

proptest! {
    #[test]
    fn what_is_parsed_is_parsed_again_as_the_same(text in "[a-zA-Z0-9._:/@+\\[\\]-]{0,80}") {
        if let Ok(repository) = text.parse::<Repository>() {
            let again: Repository = repository.to_string().parse().unwrap();
            prop_assert_eq!(again, repository);
        }
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,300}") {
        let _ = text.parse::<Repository>();
        let _ = text.parse::<Registry>();
        let _ = text.parse::<Reference>();
    }
}

#[test]
fn a_login_in_a_repository_is_refused_and_never_shown() {
    for text in [
        "me:hunter2@host.io/app",
        "https://me:hunter2@host.io/app",
        "hunter2@host.io/app",
        "https://me:hunter2@hunter2@host.io/app",
        "me:hunter2@host.io/app@sha256:00",
    ] {
        let error = text.parse::<Repository>().unwrap_err();
        assert!(error.to_string().contains("write host.io/app"), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    for text in ["me:hunter2@sha.io/app", "me:hunter2@sha256.io/app", "me:hunter2@host:80"] {
        let error = text.parse::<Repository>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
    let error = "me:hunter2@host.io".parse::<Registry>().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    let error = "http://host.io".parse::<Registry>().unwrap_err();
    assert!(error.to_string().contains("is a URL"), "{error}");
}
