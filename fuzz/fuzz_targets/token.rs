//! What a token server answers: read or refused, with a life that can be counted.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use windlass_registry_client::auth::{CredentialError, Scopes, Secret};
use windlass_registry_client::http;

// The parser is nobody's interface; it is taken in as it stands.
#[path = "../../crates/registry-client/src/auth/credential.rs"]
#[expect(dead_code, reason = "only the parser is fuzzed")]
mod credential;
#[path = "../../crates/registry-client/src/auth/token.rs"]
#[expect(dead_code, reason = "only the parser is fuzzed")]
mod token;

fuzz_target!(|bytes: &[u8]| {
    let Ok(granted) = token::read(bytes) else { return };
    assert!(!granted.token.is_empty());
    assert!(granted.refresh.is_none_or(|refresh| !refresh.is_empty()));
    assert!(granted.lifetime > Duration::ZERO);
    let now = Instant::now();
    assert!(token::lasts(now, granted.lifetime, now, Duration::ZERO));
    assert!(now.checked_add(granted.lifetime).is_some());
});
