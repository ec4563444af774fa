//! Pushes over a link that is cut again and again: how many bytes arrive in all, by Windlass in one
//! process and in many, and by other tools.
//!
//! Bytes are counted where the link hands them to the registry, since a loopback socket swallows
//! megabytes that nobody reads. Cuts are resets.
//!
//! `-- --ignored --nocapture` lets other tools try too and prints what came of it.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's helpers may stop at the first surprise too, and one prints a table"
)]

mod course;
mod peers;

use std::process::Command;
use std::time::{Duration, Instant};

use windlass_testkit::{Link, LinkAction, LinkOptions, RealOptions, RealRegistry};

use course::{Course, Serve, breaking};

const MIB: u64 = 1 << 20;

#[test]
fn one_process_sends_at_most_a_twentieth_more_to_our_registry() {
    let course = Course::new(&[256 * MIB]);
    let serve = Serve::start();
    let link = breaking(serve.address(), 10 * MIB, LinkAction::Reset);
    course.push(&link).ends_with(0);
    course.is_all_there(serve.address());
    let cuts = link.report().bytes_up / (10 * MIB);
    assert!(cuts >= 25, "only {cuts} cuts");
    course.sent_at_most(&link, 105);
}

#[test]
fn so_do_many_processes_one_after_another() {
    let course = Course::new(&[256 * MIB]);
    let serve = Serve::start();
    let link = breaking(serve.address(), 10 * MIB, LinkAction::Gone);
    let mut processes = 0;
    loop {
        processes += 1;
        assert!(processes <= 30, "no end to it");
        // It has no patience with a network that has gone away.
        let ran = course.push_with(&link, &["--retry-for", "0s"]);
        if ran.status.code() == Some(0) {
            break;
        }
        ran.ends_with(6);
        link.back();
    }
    println!("{processes} processes");
    assert!(processes >= 26, "only {processes} processes");
    course.is_all_there(serve.address());
    course.sent_at_most(&link, 105);
}

#[test]
fn who_is_told_to_stop_in_mid_layer_tells_how_far_it_came_and_is_gone_on_with() {
    let course = Course::new(&[256 * MIB]);
    let serve = Serve::start();
    let rate = Some(64 * MIB);
    let link = Link::start(serve.address(), LinkOptions { rate, ..LinkOptions::default() });
    let receipt = course.layout.beside().join("receipt.json");
    let mut stopped =
        course.command(&link, &["--receipt", receipt.to_str().unwrap()]).spawn().unwrap();
    while link.report().bytes_up < 50 * MIB {
        assert_eq!(stopped.try_wait().unwrap(), None, "it has ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    let told = Instant::now();
    let pid = stopped.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let ended = loop {
        match stopped.try_wait().unwrap() {
            Some(ended) => break ended,
            None => assert!(told.elapsed() < Duration::from_secs(10), "it does not end"),
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    println!("it took {:?} to end", told.elapsed());
    assert_eq!(ended.code(), Some(143));
    let receipt: serde_json::Value =
        serde_json::from_slice(&std::fs::read(receipt).unwrap()).unwrap();
    assert_eq!(receipt["error"]["class"], "terminated");

    course.push(&link).ends_with(0);
    course.is_all_there(serve.address());
    course.sent_at_most(&link, 105);
}

/// Its sessions end when a body breaks, so what was under way begins anew, and nothing else.
#[test]
fn to_docker_registry_each_layer_that_is_finished_goes_once() {
    let Some(registry) = RealRegistry::start(&RealOptions::default()) else { return };
    let course = Course::new(&[32 * MIB; 8]);
    let link = breaking(registry.address(), 40 * MIB, LinkAction::Reset);
    course.push(&link).ends_with(0);
    course.is_all_there(registry.address());

    let log = registry.log(0);
    let counted = |method: &str, part: &str, status: std::ops::Range<u16>| {
        let seen = log.iter().filter(|it| it.method == method && it.path.contains(part));
        seen.filter(|it| status.contains(&it.status)).count()
    };
    // Where the number of bytes at a cut is met, a body breaks; one that breaks asks once.
    let cuts = link.report().bytes_up / (40 * MIB);
    let asked = counted("GET", "/blobs/uploads/", 100..600) as u64;
    println!("{cuts} cuts, {asked} questions, {} bytes", link.report().bytes_up);
    assert!(cuts >= 6, "only {cuts} cuts");
    // A cut that meets no body of a layer, which is rare, asks nothing.
    assert!((cuts - 1..=cuts).contains(&asked), "{asked} questions for {cuts} cuts");
    for layer in course.layers() {
        assert_eq!(counted("PUT", layer.hex(), 201..202), 1, "{layer}");
    }
    let begun = counted("POST", "/blobs/uploads/", 202..203) as u64;
    assert!(begun <= 9 + cuts, "{begun} sessions for {cuts} cuts");
}
