//! Talks with token servers: a credential in, a token out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use http::header::RETRY_AFTER;
use windlass_oci::{ErrorBody, Registry, Repository};

use super::token::{self, Dialect, Grant, Granted, LARGEST_ANSWER, TokenServer};
use super::{AuthError, Credential, Found, Refusal, Scopes, Secret};
use crate::http::{Http, HttpError};

/// Asks token servers, and remembers how they want to be asked.
#[derive(Debug)]
pub(super) struct TokenClient {
    http: Http,
    registry: Registry,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// The dialect in which a server answered with a token, where it was not the first tried.
    dialects: HashMap<TokenServer, Dialect>,
    /// What a server gave to be asked with instead of the credential of that number.
    refresh: HashMap<(TokenServer, u64), Secret>,
}

/// A credential with the number it goes by.
pub(super) type Numbered<'a> = Option<(u64, &'a Found)>;

impl TokenClient {
    pub(super) fn new(http: Http, registry: Registry) -> TokenClient {
        TokenClient { http, registry, memory: Mutex::default() }
    }

    /// Asks `server` for a token for `scopes`, in every dialect that it may speak.
    pub(super) async fn ask(
        &self,
        server: &TokenServer,
        repository: &Repository,
        scopes: &Scopes,
        credential: Numbered<'_>,
    ) -> Result<Granted, AuthError> {
        let key = credential.map(|(number, _)| (server.clone(), number));
        let kept = key.as_ref().and_then(|key| self.memory().refresh.get(key).cloned());
        let mut result = None;
        if let Some(token) = kept {
            let grant = Grant::Refresh { username: None, token };
            let asked = self.ask_with(server, repository, scopes, credential, &grant).await;
            // It may have run out before the credential does.
            if matches!(asked, Err(AuthError::Refused(_))) {
                if let Some(key) = &key {
                    self.memory().refresh.remove(key);
                }
            } else {
                result = Some(asked);
            }
        }
        let granted = match result {
            Some(result) => result?,
            None => {
                let grant = grant_of(credential);
                self.ask_with(server, repository, scopes, credential, &grant).await?
            }
        };
        if let (Some(key), Some(refresh)) = (key, &granted.refresh) {
            self.memory().refresh.insert(key, refresh.clone());
        }
        Ok(granted)
    }

    async fn ask_with(
        &self,
        server: &TokenServer,
        repository: &Repository,
        scopes: &Scopes,
        credential: Numbered<'_>,
        grant: &Grant,
    ) -> Result<Granted, AuthError> {
        let mut order = Dialect::order(grant);
        if self.memory().dialects.get(server) == Some(&order[1]) {
            order.reverse();
        }
        let refuse = |(status, words): (StatusCode, ErrorBody)| {
            AuthError::Refused(Arc::new(Refusal {
                host: server.host().to_owned(),
                registry: self.registry.clone(),
                repository: repository.clone(),
                scopes: scopes.clone(),
                origin: credential.map(|(_, found)| found.origin.clone()),
                status,
                words,
            }))
        };
        let first = match self.send(server, order[0], grant, scopes).await? {
            Ok(granted) => return Ok(granted),
            Err(refusal) if order[0].is_foreign(grant, refusal.0) => refusal,
            Err(refusal) => return Err(refuse(refusal)),
        };
        match self.send(server, order[1], grant, scopes).await? {
            Ok(granted) => {
                self.memory().dialects.insert(server.clone(), order[1]);
                Ok(granted)
            }
            // Of two refusals the telling one is that of the dialect which is spoken, and of two
            // that may be spoken that of the one the credential is made for.
            Err(second) if matches!(first.0.as_u16(), 404 | 405) => Err(refuse(second)),
            Err(_) => Err(refuse(first)),
        }
    }

    /// Sends one request. The inner result is the server's yes or no.
    async fn send(
        &self,
        server: &TokenServer,
        dialect: Dialect,
        grant: &Grant,
        scopes: &Scopes,
    ) -> Result<Result<Granted, (StatusCode, ErrorBody)>, AuthError> {
        let (host, registry) = (server.host().to_owned(), self.registry.clone());
        let unreachable = |error: HttpError| AuthError::Unreachable {
            host: host.clone(),
            registry: registry.clone(),
            error: Arc::new(error),
        };
        let no_token = |problem: &'static str| AuthError::NoToken {
            host: host.clone(),
            registry: registry.clone(),
            problem,
        };
        let request = server.request(dialect, grant, scopes, self.registry.as_str());
        let answer = self.http.send(request).await.map_err(unreachable)?;
        let status = answer.status;
        if status.is_success() {
            let body = match answer.bytes(LARGEST_ANSWER).await {
                Ok(body) => body,
                Err(HttpError::TooLarge(_)) => return Err(no_token("it is larger than 1 MiB")),
                Err(error) => return Err(unreachable(error)),
            };
            return token::read(&body).map(Ok).map_err(no_token);
        }
        let retry_after = answer.headers.get(RETRY_AFTER).cloned();
        let words = words(&answer.prefix(ErrorBody::LIMIT).await, grant);
        if status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429) {
            let words = Box::new(words);
            return Err(AuthError::Busy { host, registry, status, retry_after, words });
        }
        Ok(Err((status, words)))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn grant_of(credential: Numbered<'_>) -> Grant {
    match credential.map(|(_, found)| &found.credential) {
        Some(Credential::Basic { username, password }) => {
            Grant::Password { username: username.clone(), password: password.clone() }
        }
        Some(Credential::IdentityToken { username, token }) => {
            Grant::Refresh { username: username.clone(), token: token.clone() }
        }
        // A registry token is no matter of the token server's.
        Some(Credential::RegistryToken(_)) | None => Grant::Anonymous,
    }
}

/// What a server says of its no, without what it may repeat of the credential.
fn words(body: &[u8], grant: &Grant) -> ErrorBody {
    match grant {
        Grant::Anonymous => ErrorBody::parse(body),
        Grant::Password { password: secret, .. } | Grant::Refresh { token: secret, .. } => {
            ErrorBody::parse(secret.scrub(&String::from_utf8_lossy(body)).as_bytes())
        }
    }
}
