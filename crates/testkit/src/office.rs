//! The work of a token server: who asks, what is granted, and what a token is good for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Body;
use base64::Engine as _;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Limited};
use serde_json::{Value, json};

use crate::body::RequestBody;
use crate::call::{Head, unescape};
use crate::scope::Scope;
use crate::server::{Handler, refuse};
use crate::token::{TokenOptions, TokenRequest, TokenShape};

/// Gives tokens and knows them again. Clones are the same office.
#[derive(Clone)]
pub(crate) struct Office(Arc<State>);

struct State {
    options: Mutex<TokenOptions>,
    given: Mutex<HashMap<String, Grant>>,
    requests: Mutex<Vec<TokenRequest>>,
}

struct Grant {
    scopes: Vec<Scope>,
    until: Instant,
}

/// Why a token does not open a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    Invalid,
    Insufficient,
}

impl Handler for Office {
    fn refusal(&self, _: &Head) -> Option<Response<Body>> {
        None
    }

    fn handle(
        &self,
        head: Head,
        request: Request<RequestBody>,
    ) -> BoxFuture<'static, Response<Body>> {
        let office = self.clone();
        Box::pin(async move { office.answer(&head, request.into_body()).await })
    }
}

impl Office {
    pub(crate) fn new(options: TokenOptions) -> Office {
        Office(Arc::new(State {
            options: Mutex::new(options),
            given: Mutex::default(),
            requests: Mutex::default(),
        }))
    }

    pub(crate) fn options(&self) -> TokenOptions {
        self.0.options.lock().unwrap().clone()
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut TokenOptions)) {
        change(&mut self.0.options.lock().unwrap());
    }

    pub(crate) fn revoke_all(&self) {
        self.0.given.lock().unwrap().clear();
    }

    pub(crate) fn requests(&self) -> Vec<TokenRequest> {
        self.0.requests.lock().unwrap().clone()
    }

    /// The answer to a request for a token.
    pub(crate) async fn answer(&self, head: &Head, body: RequestBody) -> Response<Body> {
        let body = Limited::new(body, 64 * 1024).collect().await;
        let body = body.map(Collected::to_bytes).unwrap_or_default();
        let asked = Asked::read(head, &body);
        let (user, result) = self.decide(head, &asked);
        let response = result.unwrap_or_else(|Refusal(status, words)| {
            refuse(StatusCode::from_u16(status).expect("a status"), "UNAUTHORIZED", words)
        });
        self.0.requests.lock().unwrap().push(TokenRequest {
            method: head.method.to_string(),
            scopes: asked.scopes(),
            service: asked.value("service"),
            user,
            grant: asked.value("grant_type"),
            status: response.status().as_u16(),
        });
        response
    }

    /// Whether a token opens the door to all of `needed`.
    pub(crate) fn check(&self, token: &str, needed: &[Scope]) -> Result<(), TokenError> {
        let given = self.0.given.lock().unwrap();
        match given.get(token) {
            Some(grant) if Instant::now() < grant.until => {
                let is_enough = needed.iter().all(|scope| scope.is_within(&grant.scopes));
                if is_enough { Ok(()) } else { Err(TokenError::Insufficient) }
            }
            _ => Err(TokenError::Invalid),
        }
    }

    /// Who asks, as far as it is said, and what is answered.
    fn decide(
        &self,
        head: &Head,
        asked: &Asked,
    ) -> (Option<String>, Result<Response<Body>, Refusal>) {
        let options = self.options();
        let is_post = head.method == Method::POST;
        let refused = if is_post { options.refuses_post } else { options.refuses_get };
        let who = if is_post { by_form(&options, asked) } else { by_header(&options, head) };
        let (user, is_known) = match who {
            Who::Nobody => (None, true),
            Who::Known(user) => (Some(user), true),
            Who::Unknown(user) => (Some(user), false),
        };
        if let Some(status) = refused {
            return (user, Err(Refusal(status, "this way of asking is not known here")));
        }
        if !is_known {
            return (user, Err(Refusal(401, "user or password are wrong")));
        }
        let granted = if user.is_some() { &options.granted } else { &options.anonymous };
        let scopes = asked.scopes();
        let scopes = scopes.iter().filter_map(|scope| Scope::parse(scope));
        let scopes: Vec<_> = scopes.map(|scope| scope.within(granted)).collect();
        let token = self.issue(user.as_deref().unwrap_or_default(), &scopes);
        let refresh = user.as_deref().filter(|_| asked.wants_refresh_token());
        let refresh = refresh.map(|user| self.issue_refresh_token(user));
        (user, Ok(written(&options, &token, refresh)))
    }

    /// A token for tokens, for `user`.
    fn issue_refresh_token(&self, user: &str) -> String {
        let token = format!("refresh-{:016x}", fastrand::u64(..));
        self.change(|options| options.refresh_tokens.push((token.clone(), user.to_owned())));
        token
    }

    /// A token for `user`.
    pub(crate) fn issue(&self, user: &str, scopes: &[Scope]) -> String {
        let TokenOptions { lifetime, backdated, signer, .. } = self.options();
        if let Some(signer) = signer {
            return signer.sign(user, scopes, SystemTime::now() - backdated, lifetime);
        }
        let mut given = self.0.given.lock().unwrap();
        let token = format!("token-{}-{:016x}", given.len(), fastrand::u64(..));
        let grant = Grant { scopes: scopes.to_vec(), until: Instant::now() + lifetime };
        given.insert(token.clone(), grant);
        token
    }
}

/// The fields of a request for a token.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn read(head: &Head, body: &[u8]) -> Asked {
        let body = String::from_utf8_lossy(body);
        let fields = match head.method {
            Method::POST => &*body,
            _ => head.path.split_once('?').map_or("", |(_, query)| query),
        };
        let fields = fields.split('&').filter_map(|pair| pair.split_once('='));
        Asked(fields.map(|(name, value)| (unescape(name), unescape(value))).collect())
    }

    fn value(&self, wanted: &str) -> Option<String> {
        self.0.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
    }

    /// A GET has one a field, a POST has them all in one.
    fn scopes(&self) -> Vec<String> {
        let scopes = self.0.iter().filter(|(name, _)| name == "scope");
        let scopes = scopes.flat_map(|(_, value)| value.split(' '));
        scopes.filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
    }

    fn wants_refresh_token(&self) -> bool {
        self.value("offline_token").as_deref() == Some("true")
            || self.value("access_type").as_deref() == Some("offline")
    }
}

/// A status, and why.
struct Refusal(u16, &'static str);

enum Who {
    Nobody,
    Known(String),
    Unknown(String),
}

fn by_header(options: &TokenOptions, head: &Head) -> Who {
    match credentials(head) {
        None => Who::Nobody,
        Some((user, password)) => known(options, user, &password),
    }
}

fn by_form(options: &TokenOptions, asked: &Asked) -> Who {
    match asked.value("grant_type").as_deref() {
        Some("refresh_token") => {
            let token = asked.value("refresh_token").unwrap_or_default();
            let found = options.refresh_tokens.iter().find(|(known, _)| *known == token);
            found.map_or(Who::Unknown(String::new()), |(_, user)| Who::Known(user.clone()))
        }
        _ => {
            let user = asked.value("username").unwrap_or_default();
            known(options, user, &asked.value("password").unwrap_or_default())
        }
    }
}

fn known(options: &TokenOptions, user: String, password: &str) -> Who {
    let is_known = options.users.iter().any(|(name, secret)| *name == user && secret == password);
    if is_known { Who::Known(user) } else { Who::Unknown(user) }
}

/// User and password of `Authorization: Basic`.
pub(crate) fn credentials(head: &Head) -> Option<(String, String)> {
    let value = head.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let encoded = value.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn written(options: &TokenOptions, token: &str, refresh: Option<String>) -> Response<Body> {
    let expires_in =
        options.claims_to_expire_in.map_or(json!(options.lifetime.as_secs()), Value::from);
    let body = match options.shape {
        TokenShape::Full | TokenShape::Huge => {
            let skew = Duration::from_secs(options.clock_skew_seconds.unsigned_abs());
            let now = SystemTime::now();
            let issued = if options.clock_skew_seconds < 0 { now - skew } else { now + skew };
            let mut body = json!({
                "token": token,
                "access_token": token,
                "expires_in": expires_in,
                "issued_at": rfc3339(issued),
            });
            if let Some(refresh) = refresh {
                body["refresh_token"] = Value::from(refresh);
            }
            if options.shape == TokenShape::Huge {
                body["padding"] = Value::from("x".repeat(1 << 20));
            }
            body.to_string()
        }
        TokenShape::TokenOnly => json!({"token": token}).to_string(),
        TokenShape::AccessTokenOnly => {
            json!({"access_token": token, "expires_in": expires_in}).to_string()
        }
        TokenShape::Html => "<html><body>Please sign in</body></html>".to_owned(),
        TokenShape::Nothing => "{}".to_owned(),
    };
    let response = Response::builder().header(CONTENT_TYPE, "application/json");
    response.body(body.into()).expect("a response")
}

/// `2026-11-24T12:00:00Z`
fn rfc3339(time: SystemTime) -> String {
    let date = httpdate::HttpDate::from(time).to_string();
    // Mon, 24 Nov 2026 12:00:00 GMT
    let words: Vec<_> = date.split(' ').collect();
    let months =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|month| *month == words[2]).expect("a month") + 1;
    format!("{}-{month:02}-{}T{}Z", words[3], words[1], words[4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_protocol_wants_them() {
        let check = |seconds, expected| {
            assert_eq!(rfc3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        };
        check(0, "1970-01-01T00:00:00Z");
        check(951_782_399, "2000-02-28T23:59:59Z");
        check(951_782_400, "2000-02-29T00:00:00Z");
        check(1_796_083_200, "2026-12-01T00:00:00Z");
    }
}
