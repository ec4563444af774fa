//! What a 401 asks for: any header comes to a challenge or to none, and a realm that is accepted
//! leads to no place where a credential must not go.
#![no_main]

use std::net::Ipv4Addr;

use http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use libfuzzer_sys::fuzz_target;
use windlass_oci::Registry;
use windlass_registry_client::auth::Scopes;

// The parsers are nobody's interface; they are taken in as they stand.
#[path = "../../crates/registry-client/src/auth/challenge.rs"]
mod challenge;
#[path = "../../crates/registry-client/src/auth/realm.rs"]
mod realm;

use challenge::{Asked, Challenge};

fuzz_target!(|text: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in text.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    match challenge::choose(&headers) {
        Asked::Nothing | Asked::For(Challenge::Basic) => {}
        Asked::Unknown(schemes) => {
            assert!(schemes.iter().all(|scheme| scheme.bytes().all(|b| b.is_ascii_graphic())));
        }
        Asked::For(Challenge::Bearer(bearer)) => {
            assert!(!bearer.realm.is_empty());
            assert_eq!(Scopes::parse(&bearer.scopes.to_string()), bearer.scopes);
            let registry: Registry = "registry.example.com".parse().expect("it is a host");
            if let Ok(uri) = realm::check(&bearer.realm, &registry, false) {
                assert_eq!(uri.scheme_str(), Some("https"));
                let host = uri.host().expect("it has a host");
                if let Ok(address) = host.parse::<Ipv4Addr>() {
                    assert!(!address.is_link_local() && !address.is_private(), "{uri}");
                    assert!(!address.is_loopback() && !address.is_unspecified(), "{uri}");
                }
                assert!(!uri.authority().is_some_and(|authority| authority.as_str().contains('@')));
            }
        }
    }
});
