//! What a request carries, and what it is made of: a credential itself, or a token for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;

use super::credential::{basic_header, bearer_header};
use super::token::{self, NOBODY};
use super::{Credential, Found, Origin, Scopes};

/// What a request carries to prove that it may.
#[derive(Clone, Debug)]
pub struct Authorization {
    pub(super) header: HeaderValue,
    pub(super) basis: Basis,
    /// What it was to be good for.
    pub(super) scopes: Scopes,
    pub(super) lacks_scopes: bool,
    /// How many refusals in a row led to it.
    pub(super) refusals: u8,
}

/// What an authorization is made of.
#[derive(Clone, Debug)]
pub(super) enum Basis {
    Credential(Arc<Held>),
    Token(Token),
}

/// A credential in use.
#[derive(Debug)]
pub(super) struct Held {
    /// Tells it from those before and after it.
    pub(super) number: u64,
    pub(super) found: Found,
}

/// A token in use.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// Tells it from those before, whose numbers are lower.
    pub(super) number: u64,
    pub(super) header: HeaderValue,
    /// When it was asked for.
    pub(super) asked: Instant,
    pub(super) lifetime: Duration,
    /// Where the credential comes from that it was given for.
    pub(super) origin: Option<Origin>,
}

impl Authorization {
    /// The value of `Authorization`, marked as sensitive.
    #[must_use]
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }

    /// Whether it is a token of a token server, which has taken the credential behind it.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        matches!(self.basis, Basis::Token(_))
    }

    /// Where the credential behind it comes from; `None` for a token without one.
    #[must_use]
    pub fn origin(&self) -> Option<&Origin> {
        match &self.basis {
            Basis::Credential(held) => Some(&held.found.origin),
            Basis::Token(token) => token.origin.as_ref(),
        }
    }

    /// Whether it is known to lack some of what was asked for: that of a mount's source.
    #[must_use]
    pub fn lacks_scopes(&self) -> bool {
        self.lacks_scopes
    }

    /// How many refusals in a row led to it. A token that has lived for a while has done its
    /// work, and the next refusal is the first of another row.
    pub(super) fn refusals_at(&self, now: Instant) -> u8 {
        match &self.basis {
            Basis::Token(token) if now >= token.asked + token.lifetime / 2 => 0,
            _ => self.refusals,
        }
    }

    /// Whether it is a token that was asked for since `instant`.
    pub(super) fn is_fresh_since(&self, instant: Instant) -> bool {
        matches!(&self.basis, Basis::Token(token) if token.asked >= instant)
    }
}

impl Held {
    pub(super) fn is_registry_token(&self) -> bool {
        matches!(self.found.credential, Credential::RegistryToken(_))
    }

    /// The credential as it stands in a header; `None` where it cannot.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        match &self.found.credential {
            Credential::Basic { username, password } => Some(basic_header(username, password)),
            Credential::IdentityToken { username, token } => {
                Some(basic_header(username.as_deref().unwrap_or(NOBODY), token))
            }
            Credential::RegistryToken(token) => bearer_header(token),
        }
    }
}

impl Token {
    /// Whether it is good for a request that takes `needed` from `now` on.
    pub(super) fn lasts(&self, now: Instant, needed: Duration) -> bool {
        token::lasts(self.asked, self.lifetime, now, needed)
    }
}
