//! A token before the registry has asked for one: from where it was had the last time.

use std::time::Duration;

use tokio::time::timeout;
use windlass_oci::Repository;

use super::super::authorization::Basis;
use super::super::realm;
use super::super::token::{Realm, TokenServer};
use super::super::{Authorization, Scopes};
use super::Authenticator;

/// How long a token may take that the registry has not asked for: where it names another server by
/// now, nobody may be there.
const LIMIT: Duration = Duration::from_secs(5);

impl Authenticator {
    /// Where tokens are to be had, to be [recalled](Self::recall) by another process: where one was
    /// had last, over TLS of a checked certificate, and so was the challenge that named it.
    #[must_use]
    pub fn realm(&self) -> Option<Realm> {
        let server = self.known().to_recall().cloned();
        server.filter(|server| self.is_sure(server)).and_then(|server| server.to_realm())
    }

    /// Takes over where tokens were to be had the last time. This counts only where nobody can
    /// pretend to be the registry, and where it might name the same now.
    pub fn recall(&self, realm: &Realm) {
        let Ok(url) = realm::check(&realm.url, &self.registry, false) else { return };
        let server = TokenServer { realm: url, service: realm.service.clone() };
        if self.is_sure(&server) && server.to_realm().is_some() {
            self.known().recall(server);
        }
    }

    /// As [`authorization`](Self::authorization), from what was [recalled](Self::recall). `None`
    /// where that is nothing, or has come to nothing: then it is forgotten, and the registry must say
    /// what it wants.
    pub async fn recalled(
        &self,
        repository: &Repository,
        scopes: &Scopes,
        needed_for: Duration,
    ) -> Option<Authorization> {
        let server = self.known().recalled().cloned()?;
        let authorization = self.ask_again(&server, repository, scopes, needed_for).await;
        self.known().try_recalled(&server, authorization.is_some());
        authorization
    }

    async fn ask_again(
        &self,
        server: &TokenServer,
        repository: &Repository,
        scopes: &Scopes,
        needed_for: Duration,
    ) -> Option<Authorization> {
        // Whoever looks this up has a limit of its own.
        let held = self.credential(repository, None).await.ok()?;
        if held.as_ref().is_some_and(|held| held.is_registry_token()) {
            return None;
        }
        let wanted = self.known().wanted_for(scopes);
        // With this credential alone: a no of whom the registry may not mean any more must not cost
        // the better one.
        let fetch = self.fetch_with(server, repository, &wanted, held.as_deref());
        let asked = self.token(server, &wanted, 0, needed_for, fetch);
        let token = timeout(LIMIT, asked).await.ok()?.ok()?;
        Some(self.carrying(token.header.clone(), Basis::Token(token), scopes))
    }

    /// Whether nobody can pretend to be the registry, nor `server`.
    fn is_sure(&self, server: &TokenServer) -> bool {
        let hosts = [self.registry.endpoint(), server.host()];
        !self.plain_http() && hosts.iter().all(|host| self.http.checks_certificate(host))
    }
}
