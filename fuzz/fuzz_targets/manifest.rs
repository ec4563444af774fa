//! Manifests, indexes and descriptors as layouts hold them and registries send them: read or
//! refused, and never changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass_oci::{Descriptor, MediaType, RawManifest};

fuzz_target!(|bytes: &[u8]| {
    for media_type in [MediaType::OCI_MANIFEST, MediaType::OCI_INDEX, MediaType::DOCKER_MANIFEST] {
        let raw = RawManifest::new(media_type.clone(), bytes.to_vec().into());
        assert_eq!(raw.bytes(), bytes);
        if let Ok(manifest) = raw.view() {
            assert!(manifest.media_type().is_none_or(|inner| *inner == media_type));
            for child in manifest.children().chain(manifest.subject()) {
                check(child);
            }
        }
    }
    if let Ok(descriptor) = serde_json::from_slice::<Descriptor>(bytes) {
        check(&descriptor);
        let text = serde_json::to_vec(&descriptor).expect("a descriptor can be written");
        let again: Descriptor = serde_json::from_slice(&text).expect("and read again");
        assert_eq!(again, descriptor);
    }
});

fn check(descriptor: &Descriptor) {
    if let Some(Ok(data)) = descriptor.inline() {
        assert_eq!(data.len() as u64, descriptor.size);
        assert!(descriptor.digest.matches(&data));
    }
}
