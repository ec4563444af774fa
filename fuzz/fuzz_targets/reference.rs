//! Repositories, tags and references as people type them: what is parsed prints as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass_oci::{Reference, Registry, Repository, RepositoryName, Tag};

fuzz_target!(|text: &str| {
    if let Ok(repository) = text.parse::<Repository>() {
        let again: Repository = repository.to_string().parse().expect("prints as it is read");
        assert_eq!(again, repository);
        assert!(repository.to_string().len() <= 255);
    }
    if let Ok(registry) = text.parse::<Registry>() {
        let again: Registry = registry.as_str().parse().expect("prints as it is read");
        assert_eq!(again, registry);
        let endpoint: Registry = registry.endpoint().parse().expect("an endpoint is a host");
        assert_eq!(endpoint.port(), registry.port());
        let has_colon = registry.host().contains(':');
        assert_eq!(registry.as_str().starts_with('['), has_colon);
    }
    if let Ok(name) = text.parse::<RepositoryName>() {
        assert_eq!(name.as_str(), text);
        assert!(text.split('/').all(|part| !matches!(part, "" | "." | "..")));
    }
    if let Ok(tag) = text.parse::<Tag>() {
        assert_eq!(tag.as_str(), text);
        assert!((1..=128).contains(&text.len()) && !text.contains(['/', ':', '@', '?', '#', '%']));
    }
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.as_str(), text);
    }
});
