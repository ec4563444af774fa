//! A push that is told to stop.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use windlass_testkit::{Call, Gate, ImageBuilder, Layout, TestRegistry, on};

use crate::harness::{Run, windlass};

fn start(layout: &Layout, registry: &TestRegistry) -> Child {
    let mut command = windlass();
    if cfg!(target_os = "linux") {
        // Whoever runs the tests by nohup has SIGHUP ignored, and so have all that come of them.
        let of_its_own = command.get_program().to_owned();
        command = like(&command, "env");
        command.arg("--default-signal=HUP").arg(of_its_own);
    }
    command.arg("push").arg(layout.path()).args(["-t", "v1", "--receipt"]);
    command.arg(layout.beside().join("receipt.json"));
    command.arg("-r").arg(format!("{}/app", registry.host()));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Another program with the environment of `command`.
fn like(command: &Command, program: &str) -> Command {
    let mut other = Command::new(program);
    other.env_clear().stdin(Stdio::null());
    other.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    other
}

fn kill(child: &Child, signal: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

#[test]
fn a_signal_ends_the_push_well_and_the_receipt_tells() {
    let image = ImageBuilder::new(61).layers(2, 10_000).build();
    let check = |signal: &str, code: i32, class: &str| {
        let (registry, layout) = (TestRegistry::plain(), image.directory());
        let gate = Gate::new();
        registry.fault(on(Call::ManifestPut).hold_before(&gate));
        let child = start(&layout, &registry);
        gate.block_for(1);
        kill(&child, signal);
        let ran: Run = child.wait_with_output().unwrap().into();
        let ran = ran.ends_with(code).says("run again").says("tags: v1 skipped");
        assert_eq!(ran.stdout, "");
        let receipt = fs::read(layout.beside().join("receipt.json")).unwrap();
        let receipt: Value = serde_json::from_slice(&receipt).unwrap();
        assert_eq!(receipt["outcome"], "failed");
        assert_eq!(receipt["error"]["class"], class);
        assert_eq!(receipt["repositories"][0]["blobs"]["uploaded"], 3);
        gate.open();
        assert!(registry.tags_set().is_empty());
    };
    check("-INT", 130, "interrupted");
    check("-TERM", 143, "terminated");
    if cfg!(target_os = "linux") {
        check("-HUP", 129, "terminated");
    }
}

#[test]
fn a_second_signal_does_not_wait() {
    let image = ImageBuilder::new(62).layers(1, 200_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let gate = Gate::new();
    registry.fault(on(Call::UploadPut).hold_before(&gate));
    // The tidying up after the first is held up too.
    registry.fault(on(Call::UploadDelete).hold_before(&gate));
    let mut child = start(&layout, &registry);
    gate.block_for(1);
    kill(&child, "-INT");
    kill(&child, "-TERM");
    // Both may have come as one; then the first is dealt with, and this is the second.
    let code = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        kill(&child, "-TERM");
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    assert!(matches!(code, Some(130 | 143)), "{code:?}");
    gate.open();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_to_string(&mut said).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    assert!(registry.tags_set().is_empty());
    let left = fs::read_dir(layout.beside()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> =
        left.filter(|name| name.to_str().unwrap().starts_with(".windlass")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn progress_is_told_while_it_happens() {
    let image = ImageBuilder::new(63).layers(2, 10_000).build();
    let (registry, layout) = (TestRegistry::plain(), image.directory());
    let gate = Gate::new();
    registry.fault(on(Call::ManifestPut).hold_before(&gate));
    let mut child = start(&layout, &registry);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    for _ in 0..3 {
        let line = lines.next().unwrap().unwrap();
        assert!(line.starts_with("pushed blob "), "{line}");
    }
    gate.open();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
