//! Which realms are kept for another process, and taken over from one. How they are asked needs TLS,
//! and is shown where images are pushed.

use super::support::*;
use super::*;
use crate::http::{AcceptInvalid, TlsConfig};

fn login_over(plain_http: bool, accept_invalid: AcceptInvalid) -> Authenticator {
    let tls = TlsConfig { accept_invalid, ..TlsConfig::default() };
    let http = Http::new(HttpConfig { tls, ..HttpConfig::default() });
    let options = AuthOptions { plain_http, ..AuthOptions::default() };
    Authenticator::new(http, repository().registry().clone(), purse([password()]), options)
}

fn realm(url: &str) -> Realm {
    Realm { url: url.to_owned(), service: Some("registry.example".to_owned()) }
}

#[test]
fn only_a_realm_that_might_be_named_now_over_https_is_taken_over() {
    #[track_caller]
    fn check(url: &str, expected: bool) {
        let login = login_over(false, AcceptInvalid::Never);
        login.recall(&realm(url));
        assert_eq!(login.realm(), expected.then(|| realm(url)), "{url}");
    }
    check("https://auth.example/token", true);
    check("https://registry.example/token", true);
    check("http://auth.example/token", false);
    check("http://127.0.0.1/token", false);
    check("https://169.254.169.254/token", false);
    check("https://user:secret@auth.example/token", false);
    check("https://auth.example/token?signed=secret", false);
    check("auth.example", false);
    check(&format!("https://auth.example/{}", "x".repeat(2048)), false);
}

#[test]
fn nothing_is_taken_over_where_somebody_can_pretend_to_be_another() {
    #[track_caller]
    fn check(plain_http: bool, accept_invalid: AcceptInvalid, expected: bool) {
        let login = login_over(plain_http, accept_invalid);
        login.recall(&realm("https://auth.example/token"));
        assert_eq!(login.realm().is_some(), expected);
    }
    let hosts = |host: &str| AcceptInvalid::Hosts([host.to_owned()].into());
    check(false, AcceptInvalid::Never, true);
    check(true, AcceptInvalid::Never, false);
    check(false, AcceptInvalid::Always, false);
    check(false, hosts("registry.example"), false);
    check(false, hosts("auth.example"), false);
    check(false, hosts("other.example"), true);
    // It turned out later.
    let login = login_over(false, AcceptInvalid::Never);
    login.recall(&realm("https://auth.example/token"));
    login.set_plain_http(true);
    assert_eq!(login.realm(), None);
}

#[tokio::test]
async fn a_realm_without_tls_is_not_kept() {
    let server = Server::start(|_, _| grant("t")).await;
    let login = login(purse([password()]));
    first(&login, &server.challenge(""), &push()).await;
    assert_eq!((login.realm(), server.count()), (None, 1));
}

#[tokio::test]
async fn what_gives_no_token_is_forgotten() {
    let login = login_over(false, AcceptInvalid::Never);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    login.recall(&realm(&format!("https://localhost:{}/token", nobody.port())));
    assert!(login.realm().is_some());
    let got = login.recalled(&repository(), &push(), Duration::ZERO).await;
    assert!(got.is_none());
    assert_eq!(login.realm(), None);
}
