//! Numbers and dates in headers: `Retry-After`, and the `Range` of an upload.
#![no_main]

use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use windlass_registry_client::{received, retry_after};

fuzz_target!(|text: &str| {
    let now = SystemTime::UNIX_EPOCH;
    let pause = retry_after(text, now);
    if let Ok(seconds) = text.parse::<u32>()
        && !text.starts_with('+')
    {
        assert_eq!(pause.map(|pause| pause.as_secs()), Some(u64::from(seconds)));
    }
    if let Some(count) = received(text)
        && count > 1
    {
        assert_eq!(received(&format!("0-{}", count - 1)), Some(count));
    }
});
