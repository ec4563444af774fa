//! Tells which credential is used, and where it was found, when one is wanted.

use async_trait::async_trait;
use windlass_oci::Repository;
use windlass_registry_client::auth::{CredentialChain, CredentialError, CredentialProvider, Found};

use crate::output::Output;

/// A chain of providers, and whoever wants to hear what it gives. Secrets are not told.
#[derive(Debug)]
pub(crate) struct Told {
    chain: CredentialChain,
    output: Output,
}

impl Told {
    /// Tells `output` what `chain` gives.
    pub(crate) fn new(chain: CredentialChain, output: Output) -> Told {
        Told { chain, output }
    }
}

#[async_trait]
impl CredentialProvider for Told {
    async fn credential(
        &self,
        repository: &Repository,
        refused: Option<&Found>,
    ) -> Result<Option<Found>, CredentialError> {
        let found = self.chain.credential(repository, refused).await?;
        self.output.detail(&match &found {
            Some(Found { credential, origin, .. }) => {
                let name = credential.username();
                let of = name.map(|name| format!(" of {name:?}")).unwrap_or_default();
                format!("login: {repository}: {}{of}, from {origin}", credential.kind())
            }
            None => format!("login: {repository}: no credential found"),
        });
        Ok(found)
    }
}
