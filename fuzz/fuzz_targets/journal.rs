//! Records of the journal, whatever has become of them: one is read as it was written, or not at all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass_oci::Digest;

// The parser is nobody's interface; it is taken in as it stands.
#[path = "../../crates/push/src/journal/key.rs"]
#[expect(dead_code, reason = "only the parser is fuzzed")]
mod key;
#[path = "../../crates/push/src/journal/record.rs"]
mod record;

use key::Key;
use record::{Host, Image, Upload, parse, render};

const NOW: u64 = 1_790_000_000;

fuzz_target!(|bytes: &[u8]| {
    let (repository, digest) = ("host.io/app".parse().expect("a repository"), Digest::sha256(b"x"));
    let upload = Key::upload(&repository, &digest);
    if let Ok(found) = parse::<Upload>(bytes, &upload, NOW) {
        assert!(parse(&render(&upload, NOW, &found), &upload, NOW) == Ok(found));
    }
    // The bytes as they come, and as the value of a whole record: what has the right checksum may
    // still be nonsense.
    let host = Key::host(repository.registry());
    let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    let _ = parse::<Host>(&render(&host, NOW, &value), &host, NOW);
    let _ = parse::<Upload>(&render(&upload, NOW, &value), &upload, NOW);
    let image = Key::image(&repository, &digest);
    let _ = parse::<Image>(bytes, &image, NOW);
});
