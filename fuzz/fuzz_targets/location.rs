//! Upload locations: signed, relative, absurd. Whatever comes out is a URL with a host, and what
//! stood in an absolute one stands there still.
#![no_main]

use http::{HeaderValue, Uri};
use libfuzzer_sys::fuzz_target;
use windlass_registry_client::http::location::{resolve, with_query};

fuzz_target!(|location: &[u8]| {
    let base: Uri =
        "https://registry.example.com:5000/v2/a/blobs/uploads/?x=1".parse().expect("a URL");
    let Ok(value) = HeaderValue::from_bytes(location) else { return };
    let Ok(uri) = resolve(&base, &value) else { return };
    assert!(uri.host().is_some());
    assert!(uri.scheme_str().is_some());
    if location.starts_with(b"/") && !location.starts_with(b"//") {
        assert_eq!(uri.authority(), base.authority());
        assert_eq!(uri.scheme(), base.scheme());
    }
    let digest = "digest=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    if let Ok(with) = with_query(&uri, digest) {
        assert_eq!(with.authority(), uri.authority());
        assert_eq!(with.path(), uri.path());
        let query = with.query().expect("it has a query");
        assert!(query.ends_with(digest));
        assert!(query.starts_with(uri.query().unwrap_or_default()));
    }
});
