//! What other tools make of the same cuts.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use windlass_testkit::{LinkAction, RealOptions, RealRegistry};

use crate::MIB;
use crate::course::{Course, Serve, breaking};

/// How long a tool may take.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
#[ignore = "takes crane, oras, regctl and skopeo in PATH; prints, and asserts nothing of them"]
fn what_other_tools_send() {
    println!("| tool | registry | cut every | ended | sent / size |\n|---|---|---|---|---|");
    for tool in ["windlass", "crane", "oras", "regctl", "skopeo"] {
        let one = Course::new(&[256 * MIB]);
        let serve = Serve::start();
        tell(tool, &one, "windlass serve", serve.address(), 10);
        let eight = Course::new(&[32 * MIB; 8]);
        if let Some(registry) = RealRegistry::start(&RealOptions::default()) {
            tell(tool, &eight, "docker-registry", registry.address(), 40);
        }
    }
}

/// Lets a tool push, and prints a line of the table.
fn tell(tool: &str, course: &Course, name: &str, registry: SocketAddr, every: u64) {
    let link = breaking(registry, every * MIB, LinkAction::Reset);
    let ended = if tool == "windlass" {
        course.push(&link).status.to_string()
    } else {
        let mut command = Command::new(tool);
        let (layout, to) = (course.layout.path().display(), link.address());
        match tool {
            "crane" => command.arg("push").arg(layout.to_string()).arg(format!("{to}/app:v1")),
            "oras" => command
                .args(["cp", "--from-oci-layout", "--to-plain-http"])
                .arg(format!("{layout}@{}", course.digest()))
                .arg(format!("{to}/app:v1")),
            "regctl" => command
                .args(["--host", &format!("reg={to},tls=disabled"), "image", "copy"])
                .arg(format!("ocidir://{layout}@{}", course.digest()))
                .arg(format!("{to}/app:v1")),
            _ => command
                .args(["copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false"])
                .arg("--preserve-digests")
                .arg(format!("oci:{layout}"))
                .arg(format!("docker://{to}/app:v1")),
        };
        match end_of(&mut command) {
            Some(ended) => ended,
            None => {
                println!("| {tool} | | | not here | |");
                return;
            }
        }
    };
    let (sent, size) = (link.report().bytes_up as f64, course.size() as f64);
    println!("| {tool} | {name} | {every} MiB | {ended} | {:.3} |", sent / size);
}

/// How it ended, within a limit; `None` where there is no such tool.
fn end_of(command: &mut Command) -> Option<String> {
    let output = tempfile::tempfile().unwrap();
    command.stdout(output.try_clone().unwrap()).stderr(output);
    let mut child = command.spawn().ok()?;
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status.to_string());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    Some(format!("killed after {LIMIT:?}"))
}
