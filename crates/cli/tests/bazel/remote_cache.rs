//! A cache that machines share.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use windlass_testkit::{Link, LinkOptions, TestRegistry};

use crate::harness::{run, workspace};

/// BuildStream's cache.
struct Cache {
    process: Child,
    address: SocketAddr,
}

impl Cache {
    fn start(folder: &Path) -> Cache {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let mut command = Command::new("buildbox-casd");
        command.arg("--bind").arg(address.to_string()).arg(folder.join("cache"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "{command:?} does not answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        Cache { process, address }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn another_machine_builds_nothing_that_a_cache_has() {
    let Some(workspace) = workspace() else { return };
    let scratch = workspace.scratch();
    let cache = Cache::start(scratch.path());
    let targets = [
        "//service:push_for_test",
        "//tests/foreign:push_folder",
        "//tests/foreign:push_on_folder",
    ];
    let first = format!("--remote_cache=grpc://{}", cache.address);
    workspace.build_in("first", &[&[&*first], &targets[..]].concat()).ends_with(0);

    // What comes down to the other machine is counted on its way.
    let link = Link::start(cache.address, LinkOptions::default());
    let second = format!("--remote_cache=grpc://{}", link.address());
    let log = scratch.path().join("executed.json");
    let registry = TestRegistry::plain();
    let mut came = 0;
    for (number, target) in targets.into_iter().enumerate() {
        let repository = format!("{}/{number}", registry.host());
        let mut bazel = workspace.bazel_in("second", ["run", "--symlink_prefix=/", &second]);
        bazel.arg("--remote_download_outputs=toplevel");
        bazel.arg(format!("--execution_log_json_file={}", log.display()));
        let ran = run(bazel.args([target, "--", "-r", &repository, "-t", "v1"])).ends_with(0);
        assert!(registry.tag(&number.to_string(), "v1").is_some(), "{}", ran.stderr);
        let spawns = fs::read(&log).unwrap();
        let spawns = serde_json::Deserializer::from_slice(&spawns).into_iter::<Value>();
        let spawns: Vec<_> = spawns.map(Result::unwrap).collect();
        // This cache forgets each folder that has folders in it, as a layout has: it wants to have them
        // one by one, and Bazel stores them as one tree.
        for spawn in spawns.iter().filter(|spawn| spawn["mnemonic"] != "OciLayout") {
            assert_eq!(spawn["cacheHit"], true, "{spawn}");
        }
        let layers = spawns.iter().filter(|spawn| spawn["mnemonic"] == "OciLayer").count();
        // Two layers of the service and one of its base, for two platforms.
        assert_eq!(layers, [6, 0, 1][number]);
        println!("{target}: {} bytes came down", link.report().bytes_down - came);
        came = link.report().bytes_down;
    }
    workspace.forget("first");
    workspace.forget("second");
}
