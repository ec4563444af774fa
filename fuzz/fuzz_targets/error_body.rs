//! Bodies of error answers: whatever a registry sends becomes one short line for a terminal.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass_oci::ErrorBody;

fuzz_target!(|bytes: &[u8]| {
    let body = ErrorBody::parse(bytes);
    let line = body.to_string();
    assert!(!line.chars().any(char::is_control));
    assert!(line.chars().count() < 7_000);
    assert!(!body.is_empty() || line.is_empty());
});
