//! `windlass demo`, from outside: it plays to its end, tells what it did, and leaves nothing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "whatever goes wrong shall end the test")]

use std::fs;
#[cfg(unix)]
use std::io::{BufRead as _, BufReader};
use std::path::Path;
#[cfg(unix)]
use std::process::Stdio;
use std::process::{Command, Output};

use windlass_testkit::{ImageBuilder, Layer};

/// `windlass demo` in a world without a home, whose temporary folder is `temporary`.
fn demo(temporary: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.env_clear().env("TMPDIR", temporary).env("TMP", temporary);
    command.arg("demo").args(arguments);
    command
}

/// Plays it; gives what it told.
#[track_caller]
fn play(temporary: &Path, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = demo(temporary, arguments).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success(), "{stdout}{stderr}");
    assert_eq!(stderr, "");
    assert_eq!(fs::read_dir(temporary).unwrap().count(), 0, "something is left");
    stdout
}

#[track_caller]
fn check_claims(told: &str, claims: &[&str]) {
    let mut rest = told;
    for claim in claims {
        let place = rest.find(claim).unwrap_or_else(|| panic!("{claim:?} is not next in {told}"));
        rest = &rest[place + claim.len()..];
    }
}

#[test]
fn quiet_leaves_the_exit_code_to_tell() {
    let temporary = tempfile::tempdir().unwrap();
    assert_eq!(play(temporary.path(), &["-q"]), "");
}

#[test]
fn it_shows_all_that_it_claims() {
    let temporary = tempfile::tempdir().unwrap();
    let told = play(temporary.path(), &[]);
    check_claims(
        &told,
        &[
            "1. started a registry on 127.0.0.1:",
            temporary.path().to_str().unwrap(),
            "2. made an image with this very program in it",
            "linux/amd64 and linux/arm64, 3 manifests, 4 blobs, ",
            "sha256:",
            "3. pushed it to 127.0.0.1:",
            "sent 4 blobs and 3 manifests, ",
            "the tags v1 and latest",
            "4. pulled it back by its tags v1 and latest, with plain GETs",
            "4 blobs and 3 manifests came back, ",
            "every digest is right",
            "5. pushed it again: 0 bytes sent, ",
            "6. pushed it to 127.0.0.1:",
            "the line broke when ",
            "the registry had kept ",
            " were sent again",
            "went on by itself",
            "every digest is right",
            "7. at each of the 3 moments a tag was set, the registry had the whole image",
            "windlass serve",
            "windlass push ./image --repository 127.0.0.1:5000/app --tag v1",
        ],
    );
    assert!(told.lines().count() < 30, "{told}");
}

#[test]
fn it_takes_images_of_all_sizes_and_kinds() {
    let temporary = tempfile::tempdir().unwrap();
    let tiny = ImageBuilder::new(1).empty_config().build();
    let large = ImageBuilder::new(2).layers(3, 5_000_000).build();
    let streamed = ImageBuilder::new(3).layer(Layer::sparse(40 << 20)).build();
    let docker = ImageBuilder::new(4)
        .docker()
        .layer(Layer::foreign(1000, "https://example.com/layer"))
        .platforms(&["linux/amd64", "linux/arm/v7"])
        .shared_layers(1, 100_000)
        .build();
    for (name, image) in
        [("tiny", tiny), ("large", large), ("streamed", streamed), ("docker", docker)]
    {
        let layout = image.directory();
        let told = play(temporary.path(), &[layout.path().to_str().unwrap()]);
        assert!(told.contains(image.digest().as_str()), "{name}: {told}");
        check_claims(&told, &["2. read the image in ", "5. pushed it again: 0 bytes sent", "7. "]);
    }
}

#[test]
fn an_image_that_is_not_all_there_ends_it() {
    let temporary = tempfile::tempdir().unwrap();
    let image = ImageBuilder::new(1).layers(2, 1000).build();
    let layer = image.blobs()[0].digest.clone();
    let layout = image.without(&layer).directory();
    let output = demo(temporary.path(), &[layout.path().to_str().unwrap()]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(stderr.contains(layer.as_str()), "{stderr}");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "something is left");
}

#[test]
fn what_is_no_image_ends_it() {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(temporary.path(), &["/nowhere"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8(output.stderr).unwrap().contains("/nowhere"));
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "something is left");
}

#[test]
#[cfg(unix)]
fn kept_it_goes_on_until_it_is_stopped_and_leaves_its_folder() {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = demo(temporary.path(), &["--keep"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let by_hand = lines.find(|line| line.trim_start().starts_with("windlass push ")).unwrap();
    let words: Vec<_> = by_hand.split_whitespace().collect();
    let (image, repository) = (Path::new(words[2]), words[4]);
    assert!(image.join("index.json").exists());
    let (host, _) = repository.split_once('/').unwrap();
    drop(std::net::TcpStream::connect(host).unwrap());

    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(image.join("index.json").exists());
    assert!(image.with_file_name("registry").exists());
}

#[test]
#[cfg(unix)]
fn interrupted_it_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    // Large enough to be still under way when the signal comes.
    let image = ImageBuilder::new(1).layer(Layer::sparse(200 << 20)).build();
    let layout = image.directory();
    let mut command = demo(temporary.path(), &[layout.path().to_str().unwrap()]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains(image.digest().as_str())));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "error: interrupted\n");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "something is left");
}
