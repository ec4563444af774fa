//! Logins at registries whose token server is a real one, on a real socket.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use windlass_oci::Repository;

use super::*;
use crate::http::{Http, HttpConfig};

/// A request as a token server sees it.
#[derive(Clone, Debug, Default)]
struct Seen {
    method: String,
    target: String,
    authorization: Option<String>,
    form: String,
}

impl Seen {
    fn scopes(&self) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let text = if self.method == "POST" { &self.form } else { query };
        let scopes = text.split('&').filter_map(|pair| pair.strip_prefix("scope="));
        let decode = |text: &str| {
            text.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",").replace("%20", " ")
        };
        scopes.map(decode).collect()
    }
}

/// A status line's number, headers and a body.
type Reply = (u16, &'static str, String);

fn grant(token: impl std::fmt::Display) -> Reply {
    (200, "", format!(r#"{{"token":"{token}","expires_in":300}}"#))
}

fn refuse(status: u16) -> Reply {
    let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
    (status, "", body.to_owned())
}

/// A server that answers by a function of the request, and remembers what it saw.
struct Server {
    address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn start(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone(), log.clone()));
            }
        });
        Server { address, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The challenge of a registry whose token server this is.
    fn challenge(&self, scope: &str) -> HeaderMap {
        let address = self.address;
        challenge(&format!(
            r#"Bearer realm="http://{address}/token",service="registry.example",scope="{scope}""#
        ))
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: Arc<impl Fn(&Seen, usize) -> Reply>,
    log: Arc<Mutex<Vec<Seen>>>,
) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
        };
        let length = header("content-length").map_or(0, |length| length.parse().unwrap());
        while bytes.len() < length {
            stream.read_buf(&mut bytes).await.ok()?;
        }
        let mut line = head.split(' ');
        let seen = Seen {
            method: line.next()?.to_owned(),
            target: line.next()?.to_owned(),
            authorization: header("authorization").map(str::to_owned),
            form: String::from_utf8(bytes.drain(..length).collect()).unwrap(),
        };
        let index = {
            let mut log = log.lock().unwrap();
            log.push(seen.clone());
            log.len() - 1
        };
        let (status, headers, body) = answer(&seen, index);
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

fn challenge(value: &str) -> HeaderMap {
    HeaderMap::from_iter([(WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap())])
}

fn repository() -> Repository {
    "registry.example/org/app".parse().unwrap()
}

fn push() -> Scopes {
    Scopes::push(repository().name())
}

fn mount() -> Scopes {
    Scopes::mount(repository().name(), &"base/image".parse().unwrap())
}

/// A provider with these credentials: the first, and each time that one is refused the next.
#[derive(Debug)]
struct Purse {
    credentials: Vec<Credential>,
    asked: AtomicU32,
}

#[async_trait]
impl CredentialProvider for Purse {
    async fn credential(
        &self,
        _: &Repository,
        refused: Option<&Found>,
    ) -> Result<Option<Found>, CredentialError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let refused = refused.map(|found| &found.credential);
        let position = self.credentials.iter().position(|own| Some(own) == refused);
        let index = position.map_or(0, |position| position + 1);
        let credential = self.credentials.get(index).or(self.credentials.last()).cloned();
        let found =
            |credential| Found { credential, origin: Origin::new("a purse"), expires: None };
        Ok(credential.map(found))
    }
}

fn purse(credentials: impl IntoIterator<Item = Credential>) -> Arc<Purse> {
    let credentials = credentials.into_iter().collect();
    Arc::new(Purse { credentials, asked: AtomicU32::new(0) })
}

fn password() -> Credential {
    Credential::basic("user", "hunter2")
}

fn login(provider: Arc<dyn CredentialProvider>) -> Authenticator {
    let registry = repository().registry().clone();
    let http = Http::new(HttpConfig::default());
    Authenticator::new(http, registry, provider, AuthOptions::default())
}

fn carries(authorization: Option<&Authorization>) -> Option<&str> {
    authorization.map(|authorization| authorization.header().to_str().unwrap())
}

/// The first 401 of a request, then whatever becomes of it.
async fn first(login: &Authenticator, challenge: &HeaderMap, scopes: &Scopes) -> Authorization {
    login.refused(challenge, None, &repository(), scopes).await.unwrap().unwrap()
}

#[tokio::test]
async fn nothing_is_sent_and_nobody_asked_before_the_first_challenge() {
    let purse = purse([password()]);
    let login = login(purse.clone());
    let got = login.authorization(&repository(), &push(), Duration::ZERO).await.unwrap();
    assert!(got.is_none());
    assert_eq!(purse.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_token_is_fetched_by_get_and_kept() {
    let server = Server::start(|_, index| grant(format!("t{index}"))).await;
    let login = login(purse([password()]));
    let got = first(&login, &server.challenge("repository:org/app:pull"), &push()).await;
    assert_eq!(carries(Some(&got)), Some("Bearer t0"));
    assert_eq!(got.origin().unwrap().to_string(), "a purse");
    assert!(got.header().is_sensitive());

    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].method, "GET");
    assert!(seen[0].target.starts_with("/token?service=registry.example&scope="));
    assert_eq!(seen[0].scopes(), ["repository:org/app:pull,push"]);
    assert_eq!(seen[0].authorization.as_deref(), Some("Basic dXNlcjpodW50ZXIy"));

    for scopes in [push(), Scopes::pull(repository().name())] {
        let again = login.authorization(&repository(), &scopes, Duration::ZERO).await.unwrap();
        assert_eq!(carries(again.as_ref()), Some("Bearer t0"));
    }
    assert_eq!(server.count(), 1);
    let other: Repository = "registry.example/org/other".parse().unwrap();
    let scopes = Scopes::pull(other.name());
    let got = login.authorization(&other, &scopes, Duration::ZERO).await.unwrap();
    assert_eq!(carries(got.as_ref()), Some("Bearer t1"));
}

#[tokio::test]
async fn without_credentials_a_token_is_asked_for_all_the_same() {
    let server = Server::start(|_, _| grant("anonymous")).await;
    let login = login(purse([]));
    let got = first(&login, &server.challenge(""), &push()).await;
    assert_eq!(carries(Some(&got)), Some("Bearer anonymous"));
    assert_eq!(got.origin(), None);
    assert_eq!(server.seen()[0].authorization, None);
}

#[tokio::test]
async fn a_token_is_asked_for_once_by_many() {
    let server = Server::start(|_, index| grant(format!("t{index}"))).await;
    let purse = purse([password()]);
    let login = login(purse.clone());
    let challenge = server.challenge("");
    let (repository, push) = (repository(), push());
    let all = join_all((0..20).map(|_| login.refused(&challenge, None, &repository, &push))).await;
    let old: Vec<Authorization> = all.into_iter().map(|got| got.unwrap().unwrap()).collect();
    assert!(old.iter().all(|got| carries(Some(got)) == Some("Bearer t0")));
    assert_eq!(server.count(), 1);
    assert_eq!(purse.asked.load(Ordering::Relaxed), 1);

    // The same token turns bad for all of them at once, as `authorization` had given it.
    let old = login.authorization(&repository, &push, Duration::ZERO).await.unwrap();
    let again = || login.refused(&challenge, old.as_ref(), &repository, &push);
    let all = join_all((0..20).map(|_| again())).await;
    assert!(all.iter().all(|got| carries(got.as_ref().unwrap().as_ref()) == Some("Bearer t1")));
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_failure_is_one_for_all_who_waited() {
    let server = Server::start(|_, _| refuse(401)).await;
    let login = login(purse([]));
    let challenge = server.challenge("");
    let (repository, push) = (repository(), push());
    let all = join_all((0..20).map(|_| login.refused(&challenge, None, &repository, &push))).await;
    assert!(all.iter().all(Result::is_err));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_runs_out() {
    let server = Server::start(|_, index| grant(format!("t{index}"))).await;
    let (begin, seconds) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let clock = seconds.clone();
    let login = login(purse([password()]))
        .with_clock(move || begin + Duration::from_secs(clock.load(Ordering::Relaxed)));
    first(&login, &server.challenge(""), &push()).await;
    let at = async |now: u64, needed_for: u64| {
        seconds.store(now, Ordering::Relaxed);
        let needed_for = Duration::from_secs(needed_for);
        let got = login.authorization(&repository(), &push(), needed_for).await.unwrap();
        carries(got.as_ref()).unwrap().to_owned()
    };
    // It lives for 300 s, and must last 10 s beyond what is needed.
    assert_eq!(at(100, 0).await, "Bearer t0");
    assert_eq!(at(100, 189).await, "Bearer t0");
    assert_eq!(at(200, 100).await, "Bearer t1");
    assert_eq!(at(489, 0).await, "Bearer t1");
    assert_eq!(at(490, 0).await, "Bearer t2");
    // No token lives for an hour: half a life must do.
    assert_eq!(at(600, 3600).await, "Bearer t2");
    assert_eq!(at(640, 3600).await, "Bearer t3");
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn a_token_that_turns_bad_in_mid_push_is_replaced_once() {
    let server = Server::start(|_, index| grant(format!("t{index}"))).await;
    let login = login(purse([password()]));
    let challenge = server.challenge("repository:org/app:pull,push");
    first(&login, &challenge, &push()).await;
    let sent = login.authorization(&repository(), &push(), Duration::ZERO).await.unwrap();
    let next = login.refused(&challenge, sent.as_ref(), &repository(), &push()).await.unwrap();
    assert_eq!(carries(next.as_ref()), Some("Bearer t1"));
    let last = login.refused(&challenge, next.as_ref(), &repository(), &push()).await.unwrap();
    assert!(last.is_none(), "a second refusal is one");
    // Who comes late with the old one gets the new one, and no third is fetched.
    let late = login.refused(&challenge, sent.as_ref(), &repository(), &push()).await.unwrap();
    assert_eq!(carries(late.as_ref()), Some("Bearer t1"));
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn a_body_that_outlives_two_tokens_gets_a_third() {
    let server = Server::start(|_, index| grant(format!("t{index}"))).await;
    let (begin, seconds) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let clock = seconds.clone();
    let login = login(purse([password()]))
        .with_clock(move || begin + Duration::from_secs(clock.load(Ordering::Relaxed)));
    let challenge = server.challenge("repository:org/app:pull,push");
    let mut sent = Some(first(&login, &challenge, &push()).await);
    for (now, expected) in [(300, "Bearer t1"), (600, "Bearer t2"), (900, "Bearer t3")] {
        seconds.store(now, Ordering::Relaxed);
        sent = login.refused(&challenge, sent.as_ref(), &repository(), &push()).await.unwrap();
        assert_eq!(carries(sent.as_ref()), Some(expected));
    }
}

#[tokio::test]
async fn a_token_that_was_shrunk_is_not_asked_for_forever() {
    let server = Server::start(|_, index| grant(format!("t{index}"))).await;
    let login = login(purse([password()]));
    let challenge = server.challenge("repository:org/app:pull,push");
    let fresh = first(&login, &challenge, &push()).await;
    let next = login.refused(&challenge, Some(&fresh), &repository(), &push()).await.unwrap();
    assert!(next.is_none());
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn the_same_token_again_is_no_better_one() {
    let server = Server::start(|_, _| grant("always")).await;
    let login = login(purse([password()]));
    let challenge = server.challenge("");
    first(&login, &challenge, &push()).await;
    let sent = login.authorization(&repository(), &push(), Duration::ZERO).await.unwrap();
    let next = login.refused(&challenge, sent.as_ref(), &repository(), &push()).await.unwrap();
    assert!(next.is_none());
}

#[tokio::test]
async fn what_the_registry_wants_beyond_our_scopes_is_asked_for_as_well() {
    let server = Server::start(|_, index| grant(format!("t{index}"))).await;
    let login = login(purse([password()]));
    let sent = first(&login, &server.challenge(""), &push()).await;
    let wants_more = server.challenge("repository:org/app:delete");
    let next = login.refused(&wants_more, Some(&sent), &repository(), &push()).await.unwrap();
    assert_eq!(carries(next.as_ref()), Some("Bearer t1"));
    assert_eq!(server.seen()[1].scopes(), ["repository:org/app:pull,push,delete"]);
    // It is remembered, and it ends.
    let again = login.authorization(&repository(), &push(), Duration::ZERO).await.unwrap();
    assert_eq!(carries(again.as_ref()), Some("Bearer t1"));
    let last = login.refused(&wants_more, next.as_ref(), &repository(), &push()).await.unwrap();
    assert!(last.is_none());
}

#[tokio::test]
async fn a_registry_that_wants_something_else_each_time_is_left() {
    let server = Server::start(|_, index| grant(format!("t{index}"))).await;
    let login = login(purse([password()]));
    let mut sent = None;
    let mut given = 0;
    for round in 0..20 {
        let challenge = server.challenge(&format!("repository:org/app:action{round}"));
        sent = login.refused(&challenge, sent.as_ref(), &repository(), &push()).await.unwrap();
        match sent {
            Some(_) => given += 1,
            None => break,
        }
    }
    assert_eq!(given, 3);
}

#[tokio::test]
async fn a_mounts_source_that_is_not_to_be_had_does_not_cost_the_push() {
    let server = Server::start(|seen, index| match seen.scopes().len() {
        1 => grant(format!("t{index}")),
        _ => refuse(400),
    })
    .await;
    let login = login(purse([password()]));
    let challenge = server.challenge("repository:org/app:pull,push repository:base/image:pull");
    let sent = first(&login, &challenge, &mount()).await;
    assert_eq!(carries(Some(&sent)), Some("Bearer t1"));
    assert!(sent.lacks_scopes());
    let scopes: Vec<_> = server.seen().iter().map(Seen::scopes).collect();
    assert_eq!(
        scopes,
        [
            vec!["repository:org/app:pull,push", "repository:base/image:pull"],
            vec!["repository:org/app:pull,push"]
        ]
    );
    // The registry refuses the mount, and that is that.
    let next = login.refused(&challenge, Some(&sent), &repository(), &mount()).await.unwrap();
    assert!(next.is_none());
    // It is remembered: neither the next mount nor the push asks again.
    let next = login.authorization(&repository(), &mount(), Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(carries(Some(&next)), Some("Bearer t1"));
    assert!(next.lacks_scopes());
    let next = login.authorization(&repository(), &push(), Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(carries(Some(&next)), Some("Bearer t1"));
    assert!(!next.lacks_scopes());
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn an_identity_token_goes_by_post_and_what_it_becomes_is_kept() {
    let server = Server::start(|_, index| {
        let body =
            format!(r#"{{"access_token":"a{index}","expires_in":60,"refresh_token":"r{index}"}}"#);
        (200, "", body)
    })
    .await;
    let token = Credential::IdentityToken { username: None, token: "identity".into() };
    let login = login(purse([token]));
    first(&login, &server.challenge(""), &push()).await;
    let sent = login.authorization(&repository(), &push(), Duration::ZERO).await.unwrap();
    let next = login.refused(&server.challenge(""), sent.as_ref(), &repository(), &push()).await;
    assert_eq!(carries(next.unwrap().as_ref()), Some("Bearer a1"));
    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.method == "POST" && seen.authorization.is_none()));
    let begin = "grant_type=refresh_token&refresh_token=";
    assert!(seen[0].form.starts_with(&format!("{begin}identity&service=registry.example&")));
    assert!(seen[1].form.starts_with(&format!("{begin}r0&service=registry.example&")));
    assert_eq!(seen[0].scopes(), ["repository:org/app:pull,push"]);
}

#[tokio::test]
async fn a_kept_refresh_token_that_ran_out_gives_way_to_the_credential() {
    let server = Server::start(|seen, index| match seen.form.contains("=short-lived&") {
        true => refuse(401),
        false if seen.method == "GET" => refuse(401),
        false => {
            (200, "", format!(r#"{{"access_token":"a{index}","refresh_token":"short-lived"}}"#))
        }
    })
    .await;
    let token = Credential::IdentityToken { username: None, token: "identity".into() };
    let login = login(purse([token]));
    first(&login, &server.challenge(""), &push()).await;
    let sent = login.authorization(&repository(), &push(), Duration::ZERO).await.unwrap();
    let next = login.refused(&server.challenge(""), sent.as_ref(), &repository(), &push()).await;
    assert_eq!(carries(next.unwrap().as_ref()), Some("Bearer a3"));
}

#[tokio::test]
async fn where_post_is_not_spoken_get_is_and_that_is_remembered() {
    for status in [400, 401, 404, 405] {
        let server = Server::start(move |seen, index| match seen.method.as_str() {
            "GET" => grant(format!("t{index}")),
            _ => refuse(status),
        })
        .await;
        let username = Some("me".to_owned());
        let login = login(purse([Credential::IdentityToken { username, token: "it".into() }]));
        first(&login, &server.challenge(""), &push()).await;
        let scopes = Scopes::pull(&"other".parse().unwrap());
        let got = login.authorization(&repository(), &scopes, Duration::ZERO).await.unwrap();
        assert_eq!(carries(got.as_ref()), Some("Bearer t2"), "{status}");
        let methods: Vec<_> = server.seen().into_iter().map(|seen| seen.method).collect();
        assert_eq!(methods, ["POST", "GET", "GET"], "{status}");
        assert_eq!(server.seen()[1].authorization.as_deref(), Some("Basic bWU6aXQ="));
    }
}

#[tokio::test]
async fn where_get_is_not_spoken_post_is() {
    let server = Server::start(|seen, _| match seen.method.as_str() {
        "POST" => grant("by-post"),
        _ => refuse(405),
    })
    .await;
    let login = login(purse([password()]));
    let got = first(&login, &server.challenge(""), &push()).await;
    assert_eq!(carries(Some(&got)), Some("Bearer by-post"));
    let form = &server.seen()[1].form;
    assert!(form.starts_with("grant_type=password&username=user&password=hunter2&"), "{form}");
}

#[tokio::test]
async fn a_refusal_tells_who_refused_what_of_whom_in_whose_words() {
    let server = Server::start(|_, _| {
        (401, "", r#"{"details":"bad password hunter2 for user"}"#.to_owned())
    })
    .await;
    let host = server.address;
    let ask = async |credential: Option<Credential>| {
        let login = login(purse(credential));
        login.refused(&server.challenge(""), None, &repository(), &push()).await.unwrap_err()
    };
    let error = ask(Some(password())).await;
    assert_eq!(error.failure(), AuthFailure::CredentialsRefused);
    assert_eq!(
        error.to_string(),
        format!(
            "{host} gives no token for repository:org/app:pull,push at registry.example with the \
             credentials from a purse: 401 Unauthorized: bad password *** for user"
        )
    );
    let error = ask(None).await;
    assert_eq!(error.failure(), AuthFailure::NoCredentials);
    assert!(error.to_string().contains("without credentials, for none were found: 401"), "{error}");
}

#[tokio::test]
async fn a_credential_that_was_refused_is_asked_for_once_more() {
    let server = Server::start(|seen, _| match seen.authorization.as_deref() {
        Some("Basic QVdTOmZyZXNo") => grant("fresh"),
        _ => refuse(401),
    })
    .await;
    let minted = ["stale", "fresh"].map(|password| Credential::basic("AWS", password));
    let login = login(purse(minted));
    let got = first(&login, &server.challenge(""), &push()).await;
    assert_eq!(carries(Some(&got)), Some("Bearer fresh"));
    assert_eq!(server.count(), 2);

    // One that is refused for good is asked for twice and no more.
    let purse = purse(["a", "b", "c", "d"].map(|password| Credential::basic("x", password)));
    let login = self::login(purse.clone());
    assert!(login.refused(&server.challenge(""), None, &repository(), &push()).await.is_err());
    assert_eq!(purse.asked.load(Ordering::Relaxed), 2);
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn what_may_pass_is_told_from_what_will_not() {
    for status in [408, 429, 500, 502, 503] {
        let reply = (status, "retry-after: 7\r\n", "<html>later</html>".to_owned());
        let server = Server::start(move |_, _| reply.clone()).await;
        let login = login(purse([password()]));
        let challenge = server.challenge("");
        let error = login.refused(&challenge, None, &repository(), &push()).await.unwrap_err();
        assert_eq!(error.failure(), AuthFailure::TokenServer);
        let AuthError::Busy { retry_after, words, .. } = error else { panic!("{error}") };
        assert_eq!(retry_after.unwrap(), "7");
        assert_eq!(words.to_string(), "later");
        assert_eq!(server.count(), 1, "nothing is tried twice in here");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let realm = format!(r#"Bearer realm="http://{}/""#, listener.local_addr().unwrap());
    drop(listener);
    let login = login(purse([password()]));
    let asked = login.refused(&challenge(&realm), None, &repository(), &push()).await;
    let error = asked.unwrap_err();
    assert_eq!(error.failure(), AuthFailure::TokenServer);
    assert!(matches!(error, AuthError::Unreachable { .. }));
}

#[tokio::test]
async fn answers_that_are_no_token_are_errors() {
    let huge = format!(r#"{{"token":"{}"}}"#, "x".repeat(1024 * 1024));
    for (body, expected) in [
        ("<html>log in</html>".to_owned(), "it is not the JSON of a token"),
        ("{}".to_owned(), "it has neither `token` nor `access_token`"),
        (huge, "it is larger than 1 MiB"),
        (r#"{"token":"a\nb"}"#.to_owned(), "its token cannot stand in a header"),
    ] {
        let server = Server::start(move |_, _| (200, "", body.clone())).await;
        let login = login(purse([]));
        let challenge = server.challenge("");
        let error = login.refused(&challenge, None, &repository(), &push()).await.unwrap_err();
        assert_eq!(error.failure(), AuthFailure::Unusable);
        assert!(error.to_string().ends_with(expected), "{error}");
    }
}

#[tokio::test]
async fn a_large_token_is_fine() {
    let token = "x".repeat(200 * 1024);
    let server = Server::start(move |_, _| grant(&token)).await;
    let got = first(&login(purse([])), &server.challenge(""), &push()).await;
    assert_eq!(got.header().len(), "Bearer ".len() + 200 * 1024);
}

#[tokio::test]
async fn basic_goes_with_every_request() {
    let basic = challenge(r#"Basic realm="x",service="ecr.amazonaws.com""#);
    let login = login(purse([password()]));
    let sent = first(&login, &basic, &push()).await;
    assert_eq!(carries(Some(&sent)), Some("Basic dXNlcjpodW50ZXIy"));
    let next = login.authorization(&repository(), &mount(), Duration::ZERO).await.unwrap();
    assert_eq!(carries(next.as_ref()), Some("Basic dXNlcjpodW50ZXIy"));
    assert!(login.refused(&basic, Some(&sent), &repository(), &push()).await.unwrap().is_none());

    let nobody = self::login(purse([]));
    assert!(nobody.refused(&basic, None, &repository(), &push()).await.unwrap().is_none());
    assert!(nobody.authorization(&repository(), &push(), Duration::ZERO).await.unwrap().is_none());
}

#[tokio::test]
async fn a_basic_credential_that_ran_out_is_replaced() {
    let basic = challenge("Basic");
    let login = login(purse(["old", "new", "newer"].map(|word| Credential::basic("AWS", word))));
    let sent = first(&login, &basic, &push()).await;
    let next = login.refused(&basic, Some(&sent), &repository(), &push()).await.unwrap();
    assert_eq!(carries(next.as_ref()), Some("Basic QVdTOm5ldw=="));
    // Who comes late with the old one gets the new one.
    let late = login.refused(&basic, Some(&sent), &repository(), &push()).await.unwrap();
    assert_eq!(carries(late.as_ref()), Some("Basic QVdTOm5ldw=="));
    let last = login.refused(&basic, next.as_ref(), &repository(), &push()).await.unwrap();
    assert!(last.is_none());
}

#[tokio::test]
async fn a_credential_is_asked_for_again_when_it_ran_out() {
    #[derive(Debug)]
    struct Mint(AtomicU32, Instant);

    #[async_trait]
    impl CredentialProvider for Mint {
        async fn credential(
            &self,
            _: &Repository,
            _: Option<&Found>,
        ) -> Result<Option<Found>, CredentialError> {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            let expires = Some(self.1 + Duration::from_secs(100) * (count + 1));
            let credential = Credential::basic("AWS", format!("{count}"));
            Ok(Some(Found { credential, origin: Origin::new("a mint"), expires }))
        }
    }

    let (begin, seconds) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let clock = seconds.clone();
    let login = login(Arc::new(Mint(AtomicU32::new(0), begin)))
        .with_clock(move || begin + Duration::from_secs(clock.load(Ordering::Relaxed)));
    first(&login, &challenge("Basic"), &push()).await;
    for (now, expected) in [(0, "QVdTOjA="), (89, "QVdTOjA="), (90, "QVdTOjE="), (150, "QVdTOjE=")]
    {
        seconds.store(now, Ordering::Relaxed);
        let got = login.authorization(&repository(), &push(), Duration::ZERO).await.unwrap();
        assert_eq!(carries(got.as_ref()), Some(format!("Basic {expected}").as_str()));
    }
}

#[tokio::test]
async fn a_registry_token_is_shown_as_it_is() {
    let server = Server::start(|_, _| grant("never")).await;
    let login = login(purse([Credential::RegistryToken("rt".into())]));
    let challenge = server.challenge("");
    let sent = first(&login, &challenge, &push()).await;
    assert_eq!(carries(Some(&sent)), Some("Bearer rt"));
    assert!(
        login.refused(&challenge, Some(&sent), &repository(), &push()).await.unwrap().is_none()
    );
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn the_front_door_says_what_the_others_do_not() {
    let registry = Server::start(|seen, _| match seen.target.as_str() {
        "/v2/" => (401, "www-authenticate: Basic realm=x\r\n", String::new()),
        _ => (404, "", String::new()),
    })
    .await;
    let repository: Repository = format!("{}/org/app", registry.address).parse().unwrap();
    let options = AuthOptions { plain_http: true, ..AuthOptions::default() };
    let http = Http::new(HttpConfig::default());
    let login =
        Authenticator::new(http, repository.registry().clone(), purse([password()]), options);
    for _ in 0..2 {
        let got = login.refused(&HeaderMap::new(), None, &repository, &push()).await.unwrap();
        assert_eq!(carries(got.as_ref()), Some("Basic dXNlcjpodW50ZXIy"));
    }
    assert_eq!(registry.count(), 1);
    assert_eq!(registry.seen()[0].authorization, None);
}

#[tokio::test]
async fn logins_that_are_unknown_or_not_to_be_trusted_are_errors() {
    #[track_caller]
    fn check(asked: Result<Option<Authorization>, AuthError>, expected: &str) {
        let error = asked.unwrap_err();
        assert_eq!(error.failure(), AuthFailure::Unusable);
        assert_eq!(error.to_string(), expected);
    }
    let login = login(purse([password()]));
    let ask =
        async |value: &str| login.refused(&challenge(value), None, &repository(), &push()).await;
    check(
        ask("Negotiate").await,
        "registry.example wants a login by Negotiate; only Basic and Bearer are known",
    );
    check(
        ask(r#"Bearer realm="http://auth.example/token""#).await,
        "registry.example wants a token from \"http://auth.example/token\", which is not asked: \
         a credential would go there unencrypted",
    );
    check(
        ask(r#"Bearer realm="http://169.254.169.254/latest""#).await,
        "registry.example wants a token from \"http://169.254.169.254/latest\", which is not \
         asked: a credential would go there unencrypted",
    );
}

#[tokio::test]
async fn who_we_are_can_be_told() {
    let server = Server::start(|_, _| grant("t")).await;
    let login = login(purse([password()]));
    let identity = Identity {
        kind: "password",
        username: Some("user".to_owned()),
        origin: Origin::new("a purse"),
    };
    let before = login.describe(&repository()).await.unwrap();
    assert_eq!(before, Description { login: None, credential: Some(identity) });
    first(&login, &server.challenge(""), &push()).await;
    let after = login.describe(&repository()).await.unwrap();
    let (host, service) = (server.address.to_string(), Some("registry.example".to_owned()));
    assert_eq!(after.login, Some(Login::Bearer { host, service }));
    let nobody = self::login(purse([])).describe(&repository()).await.unwrap();
    assert_eq!(nobody, Description { login: None, credential: None });
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    const SECRET: &str = "hunter2secret";
    let encoded = "dXNlcjpodW50ZXIyc2VjcmV0";
    let server = Server::start(|_, index| {
        let body = format!(r#"{{"access_token":"{SECRET}{index}","refresh_token":"{SECRET}"}}"#);
        (200, "", body)
    })
    .await;
    let angry = Server::start(|seen, _| {
        (403, "", format!("{} {:?} is wrong: {SECRET}", seen.form, seen.target))
    })
    .await;
    let credentials = [
        Credential::basic("user", SECRET),
        Credential::IdentityToken { username: None, token: SECRET.into() },
        Credential::RegistryToken(SECRET.into()),
    ];
    let mut shown = HashMap::new();
    for (index, credential) in credentials.into_iter().enumerate() {
        let mut show = |what: &str, text: String| shown.insert(format!("{what} {index}"), text);
        let fixed = FixedCredential {
            registry: repository().registry().clone(),
            credential: credential.clone(),
            origin: Origin::new("--username"),
        };
        show("credential", format!("{credential:?}"));
        let found = fixed.credential(&repository(), None).await.unwrap();
        show("found", format!("{found:?}"));
        show("provider", format!("{fixed:?}"));
        let chain = CredentialChain(vec![Arc::new(fixed)]);
        show("chain", format!("{chain:?}"));
        let login = login(Arc::new(chain));
        let challenge = server.challenge("");
        let authorization = first(&login, &challenge, &push()).await;
        show("authorization", format!("{authorization:?}"));
        login.refused(&challenge, Some(&authorization), &repository(), &push()).await.unwrap();
        show("authenticator", format!("{login:?}"));
        show("description", format!("{:?}", login.describe(&repository()).await));
        let challenge = angry.challenge("");
        let error = login.refused(&challenge, Some(&authorization), &repository(), &mount()).await;
        show("error", format!("{error:?}"));
        show("words", error.err().map(|error| error.to_string()).unwrap_or_default());
    }
    let places = ConfigPlaces {
        docker_auth_config: Some(
            format!(r#"{{"auths":{{"registry.example":{{"auth":"{encoded}"}}}}}}"#).into(),
        ),
        ..ConfigPlaces::default()
    };
    let files = ConfigFiles::new(places, Helpers::default());
    let found = files.credential(&repository(), None).await.unwrap().unwrap();
    assert_eq!(found.credential, Credential::basic("user", SECRET));
    shown.insert("files".to_owned(), format!("{files:?} {found:?}"));
    assert_eq!(shown.len(), 28);
    for (what, text) in &shown {
        assert!(!text.contains("hunter2"), "{what} shows a password: {text}");
        assert!(!text.contains(encoded), "{what} shows an encoded password: {text}");
    }
    assert!(shown["words 0"].contains("***"), "{}", shown["words 0"]);
}
