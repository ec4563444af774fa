//! The `index.json` of layouts, by many builders: read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass_image::parse_index;

fuzz_target!(|bytes: &[u8]| match parse_index(bytes) {
    Ok(roots) => {
        for root in roots {
            let _ = format!("{root:?}");
        }
    }
    Err(problem) => assert!(!problem.is_empty()),
});
