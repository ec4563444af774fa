//! One push by the command as it is run, over a link that lags and counts.

use std::process::Command;
use std::time::Duration;

use windlass_testkit::{Client, Image, Link, LinkOptions, Report, TestRegistry};

use crate::counted::{Counted, compare, wrong};

/// How long the link's round trip is, one try after the other.
///
/// What is sent while no answer is back yet counts as sent at once, so the answers must not be back
/// before the machine has come to send. A busy machine can only make a chain look longer than it is, so
/// one that is longer than expected over a short link is looked at again over a longer one; a chain
/// that has truly grown is longer over every link.
const ROUND_TRIPS: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(80), Duration::from_millis(320)];

/// What a busy machine may change; how many requests there are it may not.
const BY_TIME: [&str; 2] = ["round trips", "connections"];

/// What is pushed, and what is there before.
pub(crate) struct Case {
    image: Image,
    tags: Vec<String>,
    before: Option<(Image, Vec<String>)>,
    drift: u64,
}

impl Case {
    /// To a registry that has nothing.
    pub(crate) fn fresh(image: &Image, tags: &[impl AsRef<str>]) -> Case {
        Case { image: image.clone(), tags: owned(tags), before: None, drift: 0 }
    }

    /// To one that got this before, from somebody else.
    pub(crate) fn after(self, image: &Image, tags: &[impl AsRef<str>]) -> Case {
        Case { before: Some((image.clone(), owned(tags))), ..self }
    }

    /// It is so many steps one after another of so many uploads beside each other that those drift
    /// apart, and the chain may look that much longer than it is.
    pub(crate) fn drifting(self, drift: u64) -> Case {
        Case { drift, ..self }
    }

    /// What a link sees of it.
    #[track_caller]
    fn push(&self, round_trip: Duration) -> Report {
        let registry = TestRegistry::plain();
        if let Some((image, tags)) = &self.before {
            let mut client = Client::new(registry.address());
            client.push("app", image, &tags[0]);
            for tag in &tags[1..] {
                assert_eq!(client.put_manifest("app", tag, image, image.digest()).unwrap(), 201);
            }
        }
        let options = LinkOptions { round_trip, ..LinkOptions::default() };
        let link = Link::start(registry.address(), options);
        self.run(&link);
        assert!(registry.has_image("app", &self.image), "the image is not complete");
        for tag in &self.tags {
            assert_eq!(registry.tag("app", tag).as_ref(), Some(self.image.digest()), "tag {tag}");
        }
        link.report()
    }

    /// Runs the command with nothing of this machine's settings, and no memory of an earlier push.
    #[track_caller]
    fn run(&self, link: &Link) {
        let layout = self.image.directory();
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.env_clear().env("HOME", layout.beside());
        command.arg("push").arg(layout.path()).args(["-r", &format!("{}/app", link.address())]);
        command.arg("--state-dir").arg(layout.beside().join("state"));
        for tag in &self.tags {
            command.args(["-t", tag]);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Pushes, and compares all that was counted: each method of which there was one, and the rest.
#[track_caller]
pub(crate) fn check(case: &Case, expected: &[(&str, u64)]) {
    let drift = |what| if what == "round trips" { case.drift } else { 0 };
    let expected = expected.iter().map(|&(what, count)| (what, count..=count + drift(what)));
    let expected: Vec<_> = expected.collect();
    let mut tries = ROUND_TRIPS.into_iter().peekable();
    while let Some(round_trip) = tries.next() {
        let report = case.push(round_trip);
        let counted = counted(&report);
        let wrong = wrong(&counted, &expected);
        let is_by_time = wrong.iter().all(|(what, _)| BY_TIME.contains(&what.as_str()));
        if wrong.is_empty() {
            return;
        }
        if !is_by_time || tries.peek().is_none() {
            compare(&counted, &expected, &told(&report));
        }
    }
}

fn counted(report: &Report) -> Counted {
    let mut counted = Counted::new();
    let mut writes = 0;
    for seen in &report.requests {
        *counted.entry(seen.method.clone()).or_default() += 1;
        writes += u64::from(!matches!(seen.method.as_str(), "HEAD" | "GET"));
    }
    counted.insert("writes".to_owned(), writes);
    counted.insert("round trips".to_owned(), u64::from(report.round_trips));
    counted.insert("connections".to_owned(), report.connections);
    counted
}

/// Each request, for whoever looks for the one that is new.
fn told(report: &Report) -> String {
    let mut told = "depth connection request\n".to_owned();
    for seen in &report.requests {
        told += &format!("{:5} {:10} {} {}\n", seen.depth, seen.connection, seen.method, seen.path);
    }
    told
}

fn owned(tags: &[impl AsRef<str>]) -> Vec<String> {
    tags.iter().map(|tag| tag.as_ref().to_owned()).collect()
}
