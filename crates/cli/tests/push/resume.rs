//! The command killed in the middle of a push, and run again.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use windlass_testkit::{
    Call, Image, ImageBuilder, Layer, Layout, Link, LinkAction, LinkFault, LinkOptions, LinkPoint,
    TestRegistry, on,
};

use crate::harness::{Run, run, windlass};

pub(crate) fn image() -> Image {
    ImageBuilder::new(71).layer(Layer::sparse(16 << 20)).build()
}

pub(crate) fn command(layout: &Layout, host: &str, more: &[&str]) -> Command {
    let mut command = windlass();
    command.arg("push").arg(layout.path()).args(["-t", "v1", "-r", &format!("{host}/app")]);
    command.args(more).args(["--output", "json"]);
    command
}

pub(crate) fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub(crate) fn signal(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

pub(crate) fn wait_until(what: impl Fn() -> bool) {
    while !what() {
        sleep(Duration::from_millis(2));
    }
}

pub(crate) fn is_large(head: &windlass_testkit::Head) -> bool {
    let length = head.headers.get("content-length").and_then(|length| length.to_str().ok());
    length.is_some_and(|length| length.parse::<u64>().unwrap() > 100_000)
}

pub(crate) fn blobs(ran: &Run) -> serde_json::Value {
    let receipt: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    receipt["repositories"][0]["blobs"].clone()
}

/// What the only upload's session is remembered by.
fn session(state: &Path) -> String {
    let files = fs::read_dir(state.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let [session] = files
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("upload-"))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    fs::read_to_string(session).unwrap()
}

#[test]
fn a_push_that_was_killed_is_gone_on_with() {
    let (image, home) = (image(), tempfile::tempdir().unwrap());
    for (kill, state) in [("-KILL", None), ("-TERM", Some("state"))] {
        let (registry, layout) = (TestRegistry::plain(), image.directory());
        let state_dir = state.map(|name| home.path().join(name));
        let more: Vec<&str> = match &state_dir {
            Some(path) => vec!["--state-dir", path.to_str().unwrap()],
            None => Vec::new(),
        };
        let command = || {
            let mut command = command(&layout, &registry.host(), &more);
            command.env("HOME", home.path());
            command
        };
        let bytes = 5_000_000;
        registry.fault(on(Call::UploadPut).matching(is_large).once().stall_after(bytes));
        let child = start(&mut command());
        wait_until(|| {
            let log = registry.log();
            log.iter().any(|seen| seen.fault == Some("stall") && seen.received >= bytes)
        });
        signal(&child, kill);
        let ran: Run = child.wait_with_output().unwrap().into();
        registry.heal();
        let default = home.path().join(".local/state/windlass");
        let session = session(state_dir.as_deref().unwrap_or(&default));
        let ran_again: Run = run(&mut command()).ends_with(0);
        assert_eq!(blobs(&ran_again)["resumed"], 1, "{kill}");
        assert!(registry.has_image("app", &image));
        assert_eq!(registry.calls(Call::UploadGet).len(), 1);
        // It is a secret which session it was.
        let (_, id) = session.split_once("uploads/").unwrap();
        let id = &id[..36];
        for said in [&ran.stdout, &ran.stderr, &ran_again.stdout, &ran_again.stderr] {
            assert!(!said.contains(id), "{said}");
        }
        assert!(registry.bytes_uploaded() <= (16 << 20) + (1 << 20));
    }
}

#[test]
fn cut_again_and_again_and_killed_each_time_it_sends_what_it_must() {
    let (image, state) = (image(), tempfile::tempdir().unwrap());
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let cut = LinkFault { at: LinkPoint::Every(2 << 20), action: LinkAction::Stall };
    let options = LinkOptions { faults: vec![cut], ..LinkOptions::default() };
    let link = Link::start(registry.address(), options);
    let more = ["--state-dir", state.path().to_str().unwrap()];
    let mut processes = 0;
    loop {
        processes += 1;
        let mut child = start(&mut command(&layout, &link.address().to_string(), &more));
        let mut before = u64::MAX;
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            // Where nothing has moved for a while, nothing moves any more.
            let arrived = link.report().bytes_up;
            if arrived == before && arrived >= processes * (2 << 20) - 4096 {
                break None;
            }
            before = arrived;
            sleep(Duration::from_millis(150));
        };
        match ended {
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            Some(status) => {
                assert_eq!(status.code(), Some(0));
                break;
            }
        }
        assert!(processes < 16, "no end to it");
    }
    assert!(processes > 7, "{processes}");
    assert!(registry.has_image("app", &image));
    let (arrived, size) = (registry.bytes_uploaded(), 16 << 20);
    assert!(arrived <= size * 105 / 100, "{arrived} of {size}");
}

#[test]
fn without_a_journal_nothing_is_kept_and_the_session_is_cancelled() {
    let (image, home) = (image(), tempfile::tempdir().unwrap());
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    registry.fault(on(Call::UploadPut).matching(is_large).once().stall_after(1_000_000));
    let mut no_resume = command(&layout, &registry.host(), &["--no-resume"]);
    let child = start(no_resume.env("HOME", home.path()));
    wait_until(|| registry.log().iter().any(|seen| seen.fault == Some("stall")));
    signal(&child, "-TERM");
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    assert!(!registry.calls(Call::UploadDelete).is_empty());
    registry.heal();
    // Neither is there one without a home, and nobody hears of that.
    let ran = run(command(&layout, &registry.host(), &["-v"]).env_remove("HOME")).ends_with(0);
    ran.never_says("journal");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}
