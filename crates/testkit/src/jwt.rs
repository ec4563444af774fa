//! Signed tokens for a real registry of distribution's kind, by its [token specification].
//!
//! [token specification]: https://github.com/distribution/distribution/blob/v3.0.0/docs/content/spec/auth/jwt.md

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::ExtendedKeyUsagePurpose;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::json;

use crate::scope::Scope;
use crate::tls::TestCa;
use crate::token::{ISSUER, SERVICE};

/// Signs tokens (ES256) with a key that its authority vouches for in each token.
pub struct Signer {
    ca: Arc<TestCa>,
    certificate: String,
    key: EcdsaKeyPair,
}

impl Signer {
    /// One whose certificate is signed by `ca`.
    #[must_use]
    pub fn new(ca: &Arc<TestCa>) -> Signer {
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let (certificate, key) = ca.sign(&["token-signer".to_owned()], usage, false);
        let key = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &key.serialize_der(),
            &SystemRandom::new(),
        );
        Signer {
            ca: Arc::clone(ca),
            certificate: STANDARD.encode(certificate.der()),
            key: key.expect("a key that was just made"),
        }
    }

    /// What a registry is given as `rootcertbundle`.
    #[must_use]
    pub fn root_certificate(&self) -> PathBuf {
        self.ca.pem_file()
    }

    /// A token for `user` that is good for `scopes`, from a moment on and for so long.
    #[must_use]
    pub fn sign(
        &self,
        user: &str,
        scopes: &[Scope],
        from: SystemTime,
        lifetime: Duration,
    ) -> String {
        let from = from.duration_since(SystemTime::UNIX_EPOCH).expect("a clock").as_secs();
        self.sign_at(user, scopes, from, from + lifetime.as_secs())
    }

    /// A token that is good between two moments, in seconds of Unix time.
    #[must_use]
    pub fn sign_at(&self, user: &str, scopes: &[Scope], from: u64, until: u64) -> String {
        let access: Vec<_> = scopes
            .iter()
            .map(|scope| {
                json!({"type": "repository", "name": scope.repository, "actions": scope.actions})
            })
            .collect();
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [self.certificate]});
        let claims = json!({
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "exp": until,
            "nbf": from,
            "iat": from,
            "jti": format!("{:016x}", fastrand::u64(..)),
            "access": access,
        });
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let signed = format!(
            "{}.{}",
            encode(header.to_string().as_bytes()),
            encode(claims.to_string().as_bytes())
        );
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        format!("{signed}.{}", encode(signature.expect("a signature").as_ref()))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("ca", &self.ca).finish_non_exhaustive()
    }
}
