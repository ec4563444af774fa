//! The embedded registry's `Range` and `Content-Range`: what is asked for exists.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The parser is nobody's interface; it is taken in as it stands.
#[path = "../../crates/registry/src/range.rs"]
#[expect(dead_code, reason = "what writes ranges is not fuzzed")]
mod range;

use range::Asked;

fuzz_target!(|input: (u64, &str)| {
    let (size, header) = input;
    match range::asked(Some(header), size) {
        Asked::All | Asked::Nothing => {}
        Asked::Part(part) => assert!(part.start < part.end && part.end <= size),
    }
    if let Some(chunk) = range::chunk(header) {
        assert!(chunk.start < chunk.end);
    }
});
