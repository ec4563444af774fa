//! Who we are, to whom: challenges, tokens, and where credentials come from.
//!
//! An [`Authenticator`] is the login at one registry. It learns from the first 401 what the
//! registry wants ([token authentication] or Basic), or recalls it, asks a [`CredentialProvider`] who we are, and
//! gives requests what they carry.
//!
//! Secrets are in [`Secret`]s, which show nothing of themselves, and in headers that are marked
//! as sensitive. They go to the registry, to the token server that it names if that may be
//! trusted with them, and nowhere else.
//!
//! [token authentication]: https://distribution.github.io/distribution/spec/auth/token/

mod authenticator;
mod authorization;
mod challenge;
mod config_files;
mod credential;
mod docker_config;
mod error;
mod helper;
mod known;
mod realm;
mod scope;
mod secret;
mod single_flight;
#[cfg(test)]
mod tests;
mod token;
mod token_client;

pub use authenticator::{AuthOptions, Authenticator, Description, Identity, Login};
pub use authorization::Authorization;
pub use config_files::{ConfigFiles, ConfigPlaces};
pub use credential::{
    Credential, CredentialChain, CredentialProvider, FixedCredential, Found, Origin,
};
pub use error::{AuthError, AuthFailure, CredentialError, HelperProblem, Refusal};
pub use helper::Helpers;
pub use scope::{Scope, Scopes};
pub use secret::Secret;
pub use token::Realm;
