//! Holds the shape of the house: arrows between crates run down only, and each kind of outside
//! thing (TLS, HTTP, the terminal, the environment) is known in one place.
#![expect(clippy::unwrap_used, reason = "a test's helpers may stop at the first surprise too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const TESTKIT: &str = "windlass-testkit";
const BENCH: &str = "windlass-bench";

/// Each crate, and the crates of this workspace that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("windlass-oci", &[]),
    ("windlass-source", &["windlass-oci"]),
    ("windlass-image", &["windlass-oci", "windlass-source"]),
    ("windlass-registry-client", &["windlass-oci", "windlass-source"]),
    (
        "windlass-push",
        &["windlass-oci", "windlass-source", "windlass-image", "windlass-registry-client"],
    ),
    ("windlass-registry", &["windlass-oci"]),
    (
        "windlass",
        &[
            "windlass-oci",
            "windlass-source",
            "windlass-image",
            "windlass-registry-client",
            "windlass-push",
            "windlass-registry",
        ],
    ),
    (TESTKIT, &["windlass-oci", "windlass-source", "windlass-registry"]),
    // No product either, but a program for those who want to know.
    (BENCH, &["windlass-oci", "windlass-source", "windlass-image", TESTKIT]),
];

/// Outside crates that only some of ours may know. The testkit may know all of them.
const KNOWN_ONLY_BY: &[(&[&str], &[&str])] = &[
    (&["clap"], &["windlass", BENCH]),
    (&["clap_complete", "clap_mangen", "indicatif"], &["windlass"]),
    (
        &["http", "http-body", "http-body-util", "hyper", "hyper-util"],
        &["windlass-registry-client", "windlass-registry"],
    ),
    (&["axum"], &["windlass-registry"]),
    (&["rustls", "tokio-rustls", "rustls-platform-verifier"], &["windlass-registry-client"]),
    (&["regex"], &[]),
];

/// Words of code that no library may hold outside its tests, and why.
const NOT_IN_LIBRARIES: &[(&str, &str)] = &[
    ("println!", "a library does not print"),
    ("eprintln!", "a library does not print"),
    ("env::", "a library does not read the environment"),
    ("process::exit", "a library does not end the process"),
    ("static mut", "a library has no global state"),
];

#[test]
fn arrows_between_crates_run_down_only() {
    let packages = packages();
    let found: BTreeSet<_> = packages.iter().map(|package| package.name.as_str()).collect();
    let listed: BTreeSet<_> = MAY_USE.iter().map(|(name, _)| *name).collect();
    assert_eq!(found, listed, "every crate has its line in MAY_USE");
    for (name, may_use) in MAY_USE {
        let package = packages.iter().find(|package| package.name == *name).unwrap();
        for used in package.uses.iter().filter(|used| listed.contains(used.name.as_str())) {
            let for_tests = used.is_dev && used.name == TESTKIT;
            assert!(
                for_tests || may_use.contains(&used.name.as_str()),
                "{name} uses {}, which is not below it",
                used.name
            );
        }
    }
}

#[test]
fn terminal_http_and_tls_are_each_known_in_one_place() {
    for package in packages().iter().filter(|package| package.name != TESTKIT) {
        for (outside, known_by) in KNOWN_ONLY_BY {
            for used in package.uses.iter().filter(|used| !used.is_dev) {
                assert!(
                    !outside.contains(&used.name.as_str())
                        || known_by.contains(&package.name.as_str()),
                    "{} uses {}, which only {known_by:?} may know",
                    package.name,
                    used.name
                );
            }
        }
    }
}

#[test]
fn one_file_knows_the_crates_of_tls() {
    let package = package("windlass-registry-client");
    for file in rust_files(&package.source) {
        let code = product_code(&file);
        let names_tls =
            ["rustls::", "tokio_rustls", "rustls_platform_verifier", "rustls_pki_types"]
                .iter()
                .any(|name| code.contains(name));
        let is_tls = file.strip_prefix(&package.source).unwrap() == Path::new("http/tls.rs");
        assert!(is_tls || !names_tls, "{} names a crate of TLS", file.display());
    }
}

#[test]
fn libraries_neither_print_nor_read_the_environment() {
    let libraries = packages();
    let programs = [TESTKIT, BENCH, "windlass"];
    let libraries = libraries.iter().filter(|p| !programs.contains(&p.name.as_str()));
    for file in libraries.flat_map(|library| rust_files(&library.source)) {
        let code = product_code(&file);
        for (word, why) in NOT_IN_LIBRARIES {
            assert!(!code.contains(word), "{} has `{word}`: {why}", file.display());
        }
    }
}

#[test]
fn every_crate_is_under_the_workspaces_lints() {
    // They forbid `unsafe`, which no attribute can lift again.
    let root = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    assert!(root.contains("unsafe_code = \"forbid\""));
    for package in packages() {
        let manifest = fs::read_to_string(&package.manifest).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{} is not", package.name);
    }
}

struct Package {
    name: String,
    manifest: PathBuf,
    source: PathBuf,
    uses: Vec<Use>,
}

struct Use {
    name: String,
    is_dev: bool,
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version=1"])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let read_use = |used: &Value| Use { name: text(&used["name"]), is_dev: used["kind"] == "dev" };
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let manifest = PathBuf::from(text(&package["manifest_path"]));
            Package {
                name: text(&package["name"]),
                source: manifest.with_file_name("src"),
                manifest,
                uses: package["dependencies"].as_array().unwrap().iter().map(read_use).collect(),
            }
        })
        .collect()
}

fn package(name: &str) -> Package {
    packages().into_iter().find(|package| package.name == name).unwrap()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The code of a file without comments and without the tests at its end. A file named for its
/// tests is nothing but tests.
fn product_code(file: &Path) -> String {
    if file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests") {
        return String::new();
    }
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    code.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}
