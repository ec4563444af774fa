//! Digests as registries and layouts write them: what is parsed is text that a path can take.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass_oci::{Digest, DigestError};

fuzz_target!(|text: &str| match text.parse::<Digest>() {
    Ok(digest) => {
        assert_eq!(digest.as_str(), text);
        assert_eq!(digest.hex().len(), digest.algorithm().hex_length());
        assert!(digest.hex().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(digest.short().len(), 12);
        assert_eq!(text, format!("{}:{}", digest.algorithm(), digest.hex()));
    }
    Err(error) => {
        assert!(!error.to_string().chars().any(char::is_control));
        if let DigestError::UnknownAlgorithm { algorithm, .. } = error {
            assert!(text.starts_with(&algorithm));
        }
    }
});
