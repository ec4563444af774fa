//! Logins at registries whose token server is a real one, on a real socket. Here: when a token is
//! asked for, for what, and how often.

mod credentials;
mod recall;
mod support;
mod token_server;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::HeaderMap;
use windlass_oci::Repository;

use super::*;
use crate::http::{Http, HttpConfig};
use support::*;

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
async fn a_registry_that_turns_out_to_speak_tls_may_not_name_a_server_without() {
    let http = Http::new(HttpConfig::default());
    let options = AuthOptions { plain_http: true, ..AuthOptions::default() };
    let registry = repository().registry().clone();
    let login = Authenticator::new(http, registry, purse([password()]), options);
    login.set_plain_http(false);
    let challenge = challenge(r#"Bearer realm="http://auth.example/token""#);
    let error = login.refused(&challenge, None, &repository(), &push()).await.unwrap_err();
    assert!(matches!(error, AuthError::Realm { .. }), "{error}");
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
