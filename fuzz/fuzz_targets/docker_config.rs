//! Files of credentials, by many hands: read or refused, and no error shows what is in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass_oci::Repository;
use windlass_registry_client::auth::{Credential, Secret};

// The parser is nobody's interface; it is taken in as it stands.
#[path = "../../crates/registry-client/src/auth/docker_config.rs"]
mod docker_config;

use docker_config::{DockerConfig, Layout, Place};

fuzz_target!(|bytes: &[u8]| {
    for layout in [Layout::Config, Layout::Legacy] {
        let config = match DockerConfig::parse(bytes, layout) {
            Ok(config) => config,
            Err(problem) => {
                assert!(problem.len() < 100 && problem.contains(", at line "), "{problem}");
                continue;
            }
        };
        for repository in ["docker.io/library/alpine", "localhost:5000/a/b/c", "[::1]/a"] {
            let repository: Repository = repository.parse().expect("a repository");
            for place in config.places(&repository) {
                if let Place::Entry { credential: Ok(credential), .. } = place {
                    assert_eq!(format!("{credential:?}"), format!("{:?}", hollowed(&credential)));
                }
            }
        }
    }
});

/// The same with another secret. It must look the same.
fn hollowed(credential: &Credential) -> Credential {
    let none = || Secret::from("");
    match credential {
        Credential::Basic { username, .. } => Credential::basic(username.clone(), none()),
        Credential::IdentityToken { username, .. } => {
            Credential::IdentityToken { username: username.clone(), token: none() }
        }
        Credential::RegistryToken(_) => Credential::RegistryToken(none()),
    }
}
