//! Credentials, and the chain they come from.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use windlass_oci::{Registry, Repository};

use super::{CredentialError, Secret};

/// What proves who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password.
    Basic {
        /// The name.
        username: String,
        /// The password, or what stands in its place.
        password: Secret,
    },
    /// A refresh token, which a token server exchanges for tokens.
    IdentityToken {
        /// The name it was given out for, where that is known.
        username: Option<String>,
        /// The token.
        token: Secret,
    },
    /// A token that the registry itself takes, as it is.
    RegistryToken(Secret),
}

/// A credential and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The credential.
    pub credential: Credential,
    /// Where it comes from.
    pub origin: Origin,
    /// From when on the provider has to be asked again, where that is known.
    pub expires: Option<Instant>,
}

/// Where a credential comes from, in words for people: a file and the entry in it, a helper, an
/// option. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin(Arc<str>);

/// One place where credentials come from.
///
/// It is asked for a credential when a registry wants one, and not again until that ran out or
/// was refused.
#[async_trait]
pub trait CredentialProvider: fmt::Debug + Send + Sync {
    /// The credential for `repository`, or `None` where it has none.
    ///
    /// `refused` is what was given for it before and did not do. Whoever makes credentials makes
    /// another now; whoever has but one gives it again.
    ///
    /// # Errors
    ///
    /// Where there may be a credential that cannot be got at: a file that cannot be read, a helper
    /// that fails. To have none is no error.
    async fn credential(
        &self,
        repository: &Repository,
        refused: Option<&Found>,
    ) -> Result<Option<Found>, CredentialError>;
}

/// Several providers as one: the first that has a credential gives it.
#[derive(Debug, Default)]
pub struct CredentialChain(pub Vec<Arc<dyn CredentialProvider>>);

/// A credential that was typed or set, for one registry alone.
#[derive(Debug)]
pub struct FixedCredential {
    /// The registry it is for. No other gets to see it.
    pub registry: Registry,
    /// The credential.
    pub credential: Credential,
    /// Where it comes from.
    pub origin: Origin,
}

#[async_trait]
impl CredentialProvider for CredentialChain {
    async fn credential(
        &self,
        repository: &Repository,
        refused: Option<&Found>,
    ) -> Result<Option<Found>, CredentialError> {
        for provider in &self.0 {
            if let Some(found) = provider.credential(repository, refused).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl CredentialProvider for FixedCredential {
    async fn credential(
        &self,
        repository: &Repository,
        _refused: Option<&Found>,
    ) -> Result<Option<Found>, CredentialError> {
        Ok((*repository.registry() == self.registry).then(|| Found {
            credential: self.credential.clone(),
            origin: self.origin.clone(),
            expires: None,
        }))
    }
}

impl Credential {
    /// A name and a password.
    #[must_use]
    pub fn basic(username: impl Into<String>, password: impl Into<Secret>) -> Credential {
        Credential::Basic { username: username.into(), password: password.into() }
    }

    /// What kind it is, for people.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Credential::Basic { .. } => "password",
            Credential::IdentityToken { .. } => "identity token",
            Credential::RegistryToken(_) => "registry token",
        }
    }

    /// The name in it, where there is one.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        match self {
            Credential::Basic { username, .. } => Some(username),
            Credential::IdentityToken { username, .. } => username.as_deref(),
            Credential::RegistryToken(_) => None,
        }
    }

    /// What of it nobody may see.
    #[cfg(test)]
    pub(super) fn secret(&self) -> &Secret {
        match self {
            Credential::Basic { password: secret, .. }
            | Credential::IdentityToken { token: secret, .. }
            | Credential::RegistryToken(secret) => secret,
        }
    }
}

impl Origin {
    /// Takes the words.
    #[must_use]
    pub fn new(words: &str) -> Origin {
        Origin(words.into())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// `Basic …`, RFC 7617.
pub(super) fn basic_header(username: &str, password: &Secret) -> HeaderValue {
    let pair = Secret::new(format!("{username}:{}", password.expose()));
    sensitive(&Secret::new(format!("Basic {}", STANDARD.encode(pair.expose()))))
}

/// `Bearer …`, RFC 6750 §2.1. `None` where the token cannot stand in a header.
pub(super) fn bearer_header(token: &Secret) -> Option<HeaderValue> {
    let text = Secret::new(format!("Bearer {}", token.expose()));
    let valid = !token.is_empty() && token.expose().bytes().all(|byte| byte.is_ascii_graphic());
    valid.then(|| sensitive(&text))
}

/// A header of ASCII letters, digits and signs.
fn sensitive(text: &Secret) -> HeaderValue {
    let mut value =
        HeaderValue::from_str(text.expose()).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Empty;

    #[async_trait]
    impl CredentialProvider for Empty {
        async fn credential(
            &self,
            _: &Repository,
            _: Option<&Found>,
        ) -> Result<Option<Found>, CredentialError> {
            Ok(None)
        }
    }

    fn fixed(registry: &str, username: &str) -> Arc<dyn CredentialProvider> {
        Arc::new(FixedCredential {
            registry: registry.parse().unwrap(),
            credential: Credential::basic(username, "hunter2"),
            origin: Origin::new("--username"),
        })
    }

    #[tokio::test]
    async fn the_first_that_has_one_gives_it() {
        let chain = CredentialChain(vec![
            Arc::new(Empty),
            fixed("ghcr.io", "one"),
            fixed("ghcr.io", "two"),
            fixed("quay.io", "three"),
        ]);
        let ask = async |repository: &str| {
            let repository = repository.parse().unwrap();
            let found = chain.credential(&repository, None).await.unwrap();
            found.and_then(|found| found.credential.username().map(str::to_owned))
        };
        assert_eq!(ask("ghcr.io/a").await.as_deref(), Some("one"));
        assert_eq!(ask("quay.io/a").await.as_deref(), Some("three"));
        assert_eq!(ask("other.io/a").await, None);
    }

    #[test]
    fn headers_are_marked_as_secret() {
        let basic = basic_header("AWS", &"pa:ss".into());
        assert_eq!(basic.to_str().unwrap(), "Basic QVdTOnBhOnNz");
        let bearer = bearer_header(&"abc.def".into()).unwrap();
        assert_eq!(bearer.to_str().unwrap(), "Bearer abc.def");
        assert!(basic.is_sensitive() && bearer.is_sensitive());
        assert_eq!(bearer_header(&"a\nb".into()), None);
        assert_eq!(bearer_header(&"".into()), None);
    }
}
