//! What several of these tests do.

use std::time::{Duration, Instant};

use windlass_testkit::{Client, Modes, Rule, TestOptions, TestRegistry};

pub(crate) const OCTETS: [(&str, &str); 1] = [("Content-Type", "application/octet-stream")];

pub(crate) fn with(rule: Rule) -> (TestRegistry, Client) {
    let registry = TestRegistry::start(TestOptions { faults: vec![rule], ..Default::default() });
    let client = Client::new(registry.address());
    (registry, client)
}

pub(crate) fn with_modes(modes: Modes) -> (TestRegistry, Client) {
    let registry = TestRegistry::start(TestOptions { modes, ..TestOptions::default() });
    let client = Client::new(registry.address());
    (registry, client)
}

pub(crate) fn session(client: &mut Client) -> String {
    let started = client.send("POST", "/v2/a/blobs/uploads/", &[], b"").unwrap();
    assert_eq!(started.status, 202);
    started.location()
}

/// Sends `sent` of a PATCH's body and hangs up, or waits for the server to do so.
pub(crate) fn break_off(client: &mut Client, location: &str, sent: &[u8], length: u64) {
    client.begin("PATCH", location, &OCTETS, length).unwrap();
    client.write(sent).unwrap();
    client.hang_up();
}

/// What a status request says, when the registry has noticed the end of the connection before.
pub(crate) fn status_of(client: &mut Client, location: &str, wanted: impl Fn(u16, &str) -> bool) {
    let start = Instant::now();
    loop {
        let got = client.get(location).unwrap();
        if wanted(got.status, got.header("range")) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{got:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn until_received(registry: &TestRegistry, bytes: u64) {
    let start = Instant::now();
    while registry.bytes_uploaded() < bytes {
        assert!(start.elapsed() < Duration::from_secs(10), "the bytes do not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}
