//! What a token server is sent and what it answers, without the sending.
//!
//! Two dialects: [GET](https://distribution.github.io/distribution/spec/auth/token/) and
//! [OAuth2's POST](https://distribution.github.io/distribution/spec/auth/oauth/).

use std::fmt::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde::Deserialize;
use serde_json::Value;

use super::credential::basic_header;
use super::{Scopes, Secret};
use crate::http::{Body, Request};

/// A token server, and the name under which it knows the registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TokenServer {
    /// Its URL.
    pub(super) realm: Uri,
    /// The registry's name there, where it has one.
    pub(super) service: Option<String>,
}

/// Where tokens for a registry are to be had: no secret, nor of use without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    /// The token server's URL: https, without a query.
    pub url: String,
    /// The registry's name there, where it has one.
    pub service: Option<String>,
}

/// What is exchanged for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// Nothing.
    Anonymous,
    /// A name and a password.
    Password { username: String, password: Secret },
    /// A refresh token.
    Refresh { username: Option<String>, token: Secret },
}

/// How a token is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// The query says for what, a Basic header says who.
    Get,
    /// A form says all of it.
    Post,
}

/// A token server's yes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Granted {
    pub(super) token: Secret,
    pub(super) lifetime: Duration,
    /// What to ask with the next time.
    pub(super) refresh: Option<Secret>,
}

/// The largest answer that is read. Tokens with many groups in them have some ten kilobytes.
pub(super) const LARGEST_ANSWER: usize = 1024 * 1024;

/// Of what is kept for another process, in bytes.
const LONGEST_REALM: usize = 2048;

/// What a token lives for that does not say, and the least that any does: "the token server
/// should never return a token with less than 60 seconds to live". It cannot be less, for then
/// every request would be two.
const SHORTEST_LIFE: Duration = Duration::from_secs(60);

/// Nothing lasts longer than a run; and it is an instant that can be reckoned with.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Azure's name for whoever shows a refresh token:
/// <https://learn.microsoft.com/azure/container-registry/container-registry-authentication>.
/// The name means nothing to others.
pub(super) const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

impl Dialect {
    /// In which order the dialects are tried.
    ///
    /// Every server knows GET, but for refresh tokens GET has no place of its own.
    pub(super) fn order(grant: &Grant) -> [Dialect; 2] {
        match grant {
            Grant::Anonymous | Grant::Password { .. } => [Dialect::Get, Dialect::Post],
            Grant::Refresh { .. } => [Dialect::Post, Dialect::Get],
        }
    }

    /// Whether an answer may mean that this dialect is not spoken, rather than no.
    ///
    /// To POST, Azure answers 400, Artifactory 401 and Google 404:
    /// <https://github.com/containerd/containerd/blob/v2.0.0/core/remotes/docker/authorizer.go#L320-L326>.
    pub(super) fn is_foreign(self, grant: &Grant, status: StatusCode) -> bool {
        match (self, grant, status.as_u16()) {
            (_, Grant::Anonymous, _) => false,
            (_, _, 404 | 405) => true,
            (Dialect::Post, _, 400 | 401) => true,
            _ => false,
        }
    }
}

impl TokenServer {
    /// Its host, with its port where that is written.
    pub(super) fn host(&self) -> &str {
        self.realm.authority().map_or("", |authority| authority.as_str())
    }

    /// As it is kept for another process, where it may be: a query may hold what was meant for one
    /// request.
    pub(super) fn to_realm(&self) -> Option<Realm> {
        let is_kept = self.realm.scheme() == Some(&Scheme::HTTPS) && self.realm.query().is_none();
        let realm = Realm { url: self.realm.to_string(), service: self.service.clone() };
        let length = realm.url.len() + realm.service.as_ref().map_or(0, String::len);
        (is_kept && length <= LONGEST_REALM).then_some(realm)
    }

    /// The request for a token. `registry` stands in for the service's name where that is a must.
    pub(super) fn request(
        &self,
        dialect: Dialect,
        grant: &Grant,
        scopes: &Scopes,
        registry: &str,
    ) -> Request {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        match dialect {
            Dialect::Get => {
                match grant {
                    Grant::Anonymous => None,
                    Grant::Password { username, password } => {
                        Some(basic_header(username, password))
                    }
                    Grant::Refresh { username, token } => {
                        Some(basic_header(username.as_deref().unwrap_or(NOBODY), token))
                    }
                }
                .map(|value| headers.insert(AUTHORIZATION, value));
                let uri = self.with_query(scopes);
                Request { method: Method::GET, uri, headers, body: Body::Empty }
            }
            Dialect::Post => {
                let form = HeaderValue::from_static("application/x-www-form-urlencoded");
                headers.insert(CONTENT_TYPE, form);
                let body = Body::Secret(self.form(grant, scopes, registry));
                Request { method: Method::POST, uri: self.realm.clone(), headers, body }
            }
        }
    }

    /// The realm may have a query of its own.
    fn with_query(&self, scopes: &Scopes) -> Uri {
        let service = self.service.iter().map(|service| ("service", service.clone()));
        let scopes = scopes.iter().map(|scope| ("scope", scope.to_string()));
        let mut query = String::new();
        for (key, value) in service.chain(scopes) {
            append(&mut query, key, &value);
        }
        let own = self.realm.query().unwrap_or_default();
        let between = if own.is_empty() || query.is_empty() { "" } else { "&" };
        let target = format!("{}?{own}{between}{query}", self.realm.path());
        let mut parts = self.realm.clone().into_parts();
        parts.path_and_query = target.parse().ok();
        Uri::from_parts(parts).unwrap_or_else(|_| self.realm.clone())
    }

    fn form(&self, grant: &Grant, scopes: &Scopes, registry: &str) -> Bytes {
        let mut form = String::new();
        match grant {
            Grant::Anonymous => append(&mut form, "grant_type", "password"),
            Grant::Password { username, password } => {
                append(&mut form, "grant_type", "password");
                append(&mut form, "username", username);
                append(&mut form, "password", password.expose());
            }
            Grant::Refresh { token, .. } => {
                append(&mut form, "grant_type", "refresh_token");
                append(&mut form, "refresh_token", token.expose());
            }
        }
        append(&mut form, "service", self.service.as_deref().unwrap_or(registry));
        append(&mut form, "client_id", "windlass");
        if !scopes.is_empty() {
            append(&mut form, "scope", &scopes.to_string());
        }
        form.into()
    }
}

/// Reads a yes. Tokens are opaque, and the server's clock is not ours: a token's life is counted
/// from when it was asked for, whatever `issued_at` says.
pub(super) fn read(body: &[u8]) -> Result<Granted, &'static str> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<Secret>,
        access_token: Option<Secret>,
        expires_in: Option<Value>,
        refresh_token: Option<Secret>,
    }
    let answer: Answer =
        serde_json::from_slice(body).map_err(|_| "it is not the JSON of a token")?;
    let filled = |secret: Option<Secret>| secret.filter(|secret| !secret.is_empty());
    let token = filled(answer.token).or(filled(answer.access_token));
    Ok(Granted {
        token: token.ok_or("it has neither `token` nor `access_token`")?,
        lifetime: lifetime(answer.expires_in.as_ref()),
        refresh: filled(answer.refresh_token),
    })
}

fn lifetime(expires_in: Option<&Value>) -> Duration {
    let seconds = match expires_in {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    let seconds = seconds.filter(|seconds| seconds.is_finite()).unwrap_or_default().max(0.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_LIFE).clamp(SHORTEST_LIFE, LONGEST_LIFE)
}

/// Whether a token that was asked for at `asked` and lives for `lifetime` is good for a request of
/// `needed` from `now` on.
///
/// A request may need longer than any token lives. It gets one that has half its life before it:
/// then at least not every such request fetches its own.
pub(super) fn lasts(asked: Instant, lifetime: Duration, now: Instant, needed: Duration) -> bool {
    let left = lifetime.saturating_sub(now.saturating_duration_since(asked));
    left > needed.min(lifetime / 2)
}

fn append(query: &mut String, key: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.push_str(key);
    query.push('=');
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                query.push(char::from(byte));
            }
            other => {
                // Writing to a string does not fail.
                let _ = write!(query, "%{other:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(realm: &str, service: Option<&str>) -> TokenServer {
        TokenServer { realm: realm.parse().unwrap(), service: service.map(str::to_owned) }
    }

    fn password() -> Grant {
        Grant::Password { username: "us er".to_owned(), password: "p&=w".into() }
    }

    fn refresh() -> Grant {
        Grant::Refresh { username: None, token: "r+t".into() }
    }

    fn mount() -> Scopes {
        Scopes::mount(&"to/app".parse().unwrap(), &"base".parse().unwrap())
    }

    #[test]
    fn a_query_repeats_the_scope_and_keeps_the_realms_own() {
        #[track_caller]
        fn check(realm: &str, service: Option<&str>, expected: &str) {
            let request =
                server(realm, service).request(Dialect::Get, &password(), &mount(), "r.io");
            assert_eq!(request.uri.to_string(), expected);
            assert_eq!(request.method, Method::GET);
            assert_eq!(request.headers[AUTHORIZATION], "Basic dXMgZXI6cCY9dw==");
            assert!(request.headers[AUTHORIZATION].is_sensitive());
        }
        let scopes = "scope=repository%3Ato%2Fapp%3Apull%2Cpush&scope=repository%3Abase%3Apull";
        check(
            "https://a.io/t",
            Some("my svc"),
            &format!("https://a.io/t?service=my%20svc&{scopes}"),
        );
        check("https://a.io/t", None, &format!("https://a.io/t?{scopes}"));
        check("https://a.io", None, &format!("https://a.io/?{scopes}"));
        check(
            "https://a.io/t?x=%2F&y",
            Some("s"),
            &format!("https://a.io/t?x=%2F&y&service=s&{scopes}"),
        );
    }

    #[test]
    fn a_form_has_the_scopes_once() {
        #[track_caller]
        fn check(service: Option<&str>, grant: &Grant, expected: &str) {
            let server = server("https://a.io/t?x=y", service);
            let request = server.request(Dialect::Post, grant, &mount(), "r.io");
            let Body::Secret(body) = request.body else { panic!("no bytes") };
            assert_eq!(request.uri.to_string(), "https://a.io/t?x=y");
            assert_eq!(request.headers.get(AUTHORIZATION), None);
            assert_eq!(
                std::str::from_utf8(&body).unwrap(),
                format!(
                    "{expected}&client_id=windlass&scope=repository%3Ato%2Fapp%3Apull%2Cpush%20repository%3Abase%3Apull"
                )
            );
        }
        check(
            Some("svc"),
            &password(),
            "grant_type=password&username=us%20er&password=p%26%3Dw&service=svc",
        );
        check(None, &refresh(), "grant_type=refresh_token&refresh_token=r%2Bt&service=r.io");
    }

    #[test]
    fn nobody_sends_no_credential() {
        let request = server("https://a.io/t", None).request(
            Dialect::Get,
            &Grant::Anonymous,
            &mount(),
            "r.io",
        );
        assert_eq!(request.headers.get(AUTHORIZATION), None);
    }

    #[test]
    fn another_dialect_is_tried_where_the_first_may_not_be_spoken() {
        #[track_caller]
        fn check(dialect: Dialect, grant: &Grant, foreign: &[u16]) {
            for status in [400, 401, 403, 404, 405, 429, 500] {
                let got = dialect.is_foreign(grant, StatusCode::from_u16(status).unwrap());
                assert_eq!(got, foreign.contains(&status), "{dialect:?} {status}");
            }
        }
        check(Dialect::Post, &refresh(), &[400, 401, 404, 405]);
        check(Dialect::Post, &password(), &[400, 401, 404, 405]);
        check(Dialect::Get, &password(), &[404, 405]);
        check(Dialect::Get, &Grant::Anonymous, &[]);
        assert_eq!(Dialect::order(&refresh())[0], Dialect::Post);
        assert_eq!(Dialect::order(&password())[0], Dialect::Get);
    }

    #[test]
    fn tokens_of_every_shape() {
        #[track_caller]
        fn check(body: &str, token: &str, seconds: u64, refresh: Option<&str>) {
            let granted = read(body.as_bytes()).unwrap();
            assert_eq!(granted.token.expose(), token);
            assert_eq!(granted.lifetime.as_secs(), seconds);
            assert_eq!(granted.refresh.as_ref().map(Secret::expose), refresh);
        }
        check(r#"{"token":"t"}"#, "t", 60, None);
        check(r#"{"access_token":"a"}"#, "a", 60, None);
        check(r#"{"token":"t","access_token":"t","expires_in":300}"#, "t", 300, None);
        check(r#"{"token":"","access_token":"a","expires_in":3600}"#, "a", 3600, None);
        check(r#"{"token":null,"access_token":"a","expires_in":null}"#, "a", 60, None);
        check(r#"{"token":"t","expires_in":0}"#, "t", 60, None);
        check(r#"{"token":"t","expires_in":10}"#, "t", 60, None);
        check(r#"{"token":"t","expires_in":-5}"#, "t", 60, None);
        check(r#"{"token":"t","expires_in":"900"}"#, "t", 900, None);
        check(r#"{"token":"t","expires_in":299.5}"#, "t", 299, None);
        check(r#"{"token":"t","expires_in":1e300}"#, "t", 86_400, None);
        check(r#"{"token":"t","expires_in":{}}"#, "t", 60, None);
        check(
            r#"{"token":"t","expires_in":300,"issued_at":"1999-01-01T00:00:00Z"}"#,
            "t",
            300,
            None,
        );
        check(r#"{"access_token":"a","refresh_token":"r","scope":"x"}"#, "a", 60, Some("r"));
    }

    #[test]
    fn what_has_no_token_is_none() {
        #[track_caller]
        fn check(body: &str, expected: &str) {
            assert_eq!(read(body.as_bytes()), Err(expected));
        }
        check("", "it is not the JSON of a token");
        check("<html>", "it is not the JSON of a token");
        check("[]", "it is not the JSON of a token");
        check(r#"{"token":5}"#, "it is not the JSON of a token");
        check("{}", "it has neither `token` nor `access_token`");
        check(r#"{"token":""}"#, "it has neither `token` nor `access_token`");
    }

    #[test]
    fn a_token_is_renewed_before_it_runs_out() {
        let asked = Instant::now();
        let check = |lifetime: u64, passed: u64, needed: u64, expected: bool| {
            let seconds = Duration::from_secs;
            assert_eq!(
                lasts(asked, seconds(lifetime), asked + seconds(passed), seconds(needed)),
                expected,
                "{lifetime} {passed} {needed}"
            );
        };
        check(300, 0, 10, true);
        check(300, 289, 10, true);
        check(300, 290, 10, false);
        check(300, 400, 10, false);
        check(300, 300, 0, false);
        // Longer than it lives: half its life.
        check(60, 0, 600, true);
        check(60, 29, 600, true);
        check(60, 30, 600, false);
    }
}
