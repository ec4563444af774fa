//! TLS: who is trusted, who is not, and what is said then.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::authority::Authority;
use super::support::*;
use crate::http::{AcceptInvalid, Http, HttpConfig, HttpError, TlsConfig};

async fn hello(peer: Peer<TlsStream<TcpStream>>) {
    peer.answer_all(answer("200 OK", "hello")).await;
}

fn with(tls: TlsConfig) -> Http {
    Http::new(HttpConfig { tls, ..HttpConfig::default() })
}

fn trusting(authority: &Authority) -> Http {
    with(TlsConfig { ca_files: vec![authority.file()], ..TlsConfig::default() })
}

async fn check_hello(http: &Http, url: &str) {
    let answer = http.send(get(url)).await.unwrap();
    assert_eq!(answer.bytes(5).await.unwrap(), "hello");
}

/// What is said about TLS when `url` is asked.
async fn refusal(http: &Http, url: &str) -> String {
    match http.send(get(url)).await.unwrap_err() {
        HttpError::Tls(what) | HttpError::NotTls(what) => what,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_it_is_named() {
    let authority = Authority::new();
    let port = authority.serve("localhost", hello).await.port();
    let url = format!("https://localhost:{port}/");
    check_hello(&trusting(&authority), &url).await;
    for http in [http(), trusting(&Authority::new())] {
        assert_eq!(
            refusal(&http, &url).await,
            "the certificate of localhost is not signed by an authority that is trusted here"
        );
    }
}

#[tokio::test]
async fn a_certificate_is_for_its_name_and_its_time() {
    let authority = Authority::new();
    let http = trusting(&authority);
    let port = authority.serve("other.example", hello).await.port();
    assert_eq!(
        refusal(&http, &format!("https://localhost:{port}/")).await,
        "the certificate is not for localhost, it is for other.example"
    );
    let port = authority.serve_expired("localhost", hello).await.port();
    assert_eq!(
        refusal(&http, &format!("https://localhost:{port}/")).await,
        "the certificate of localhost has expired"
    );
    let port = authority.serve("127.0.0.1", hello).await.port();
    check_hello(&http, &format!("https://127.0.0.1:{port}/")).await;
}

#[tokio::test]
async fn roots_are_read_once_and_for_plain_http_never() {
    let authority = Authority::new();
    let plain = serve(|peer, _| peer.answer_all("HTTP/1.1 204 No\r\n\r\n")).await;
    let (one, two) =
        (authority.serve("localhost", hello).await, authority.serve("127.0.0.1", hello).await);
    let http = trusting(&authority);
    http.send(get(&format!("http://{plain}/"))).await.unwrap();
    assert_eq!(http.0.connector.tls.root_reads(), 0);
    let urls = [format!("https://localhost:{}/", one.port()), format!("https://{two}/")];
    join_all((0..8).flat_map(|_| &urls).map(|url| check_hello(&http, url))).await;
    assert_eq!(http.0.connector.tls.root_reads(), 1);
}

#[tokio::test]
async fn a_host_may_be_exempt_from_proof() {
    let authority = Authority::new();
    let (one, two) =
        (authority.serve("other.example", hello).await, authority.serve("localhost", hello).await);
    let hosts = BTreeSet::from([format!("localhost:{}", one.port())]);
    let http =
        with(TlsConfig { accept_invalid: AcceptInvalid::Hosts(hosts), ..TlsConfig::default() });
    check_hello(&http, &format!("https://localhost:{}/", one.port())).await;
    refusal(&http, &format!("https://localhost:{}/", two.port())).await;
    let http = with(TlsConfig { accept_invalid: AcceptInvalid::Always, ..TlsConfig::default() });
    check_hello(&http, &format!("https://{two}/")).await;
    assert_eq!(http.0.connector.tls.root_reads(), 0);
}

#[tokio::test]
async fn certs_d_holds_what_is_trusted_and_shown_host_by_host() {
    let authority = Authority::new();
    let port = authority.serve_known("localhost", hello).await.port();
    let url = format!("https://localhost:{port}/");
    assert_eq!(
        refusal(&trusting(&authority), &url).await,
        "localhost asks for a client certificate"
    );
    let folder = |name: &str| format!("certs.d/localhost:{port}/{name}");
    authority.write(&folder("ca.crt"), &authority.pem());
    let (certificate, key) = authority.issue("me", 2999);
    authority.write(&folder("client.cert"), &certificate);
    let certs_dirs =
        vec![PathBuf::from("/nowhere/certs.d"), authority.directory.path().join("certs.d")];
    let tls = TlsConfig { certs_dirs, ..TlsConfig::default() };

    let error = refusal(&with(tls.clone()), &url).await;
    assert!(error.contains("client.cert has no key: there is no "), "{error}");
    let key = authority.write(&folder("client.key"), &key);
    check_hello(&with(tls.clone()), &url).await;

    let other = authority.serve("localhost", hello).await.port();
    let error = refusal(&with(tls), &format!("https://localhost:{other}/")).await;
    assert!(error.ends_with("not signed by an authority that is trusted here"), "{error}");

    let client_cert = Some((key.with_extension("cert"), key));
    let ca_files = vec![authority.file()];
    check_hello(&with(TlsConfig { ca_files, client_cert, ..TlsConfig::default() }), &url).await;
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let port = authority.serve("localhost", hello).await.port();
    let url = format!("https://localhost:{port}/");
    let with_file =
        |file: PathBuf| with(TlsConfig { ca_files: vec![file], ..TlsConfig::default() });

    let error = refusal(&with_file("/nowhere/ca.pem".into()), &url).await;
    assert!(error.starts_with("cannot read certificates from /nowhere/ca.pem: "), "{error}");
    let empty = authority.write("empty.pem", "nothing\n");
    let error = refusal(&with_file(empty.clone()), &url).await;
    assert_eq!(error, format!("{} holds no certificate", empty.display()));
    let client_cert = Some((authority.file(), empty));
    let tls =
        TlsConfig { client_cert, accept_invalid: AcceptInvalid::Always, ..TlsConfig::default() };
    let error = refusal(&with(tls), &url).await;
    assert!(error.starts_with("cannot read a key from ") && error.contains("empty.pem"), "{error}");
}

#[tokio::test]
async fn the_wrong_scheme_is_told_both_ways() {
    let authority = Authority::new();
    let port = authority.serve("localhost", hello).await.port();
    let error = http().send(get(&format!("http://localhost:{port}/"))).await.unwrap_err();
    assert!(matches!(error, HttpError::NotHttp(_)), "{error:?}");

    let plain = serve(|peer, _| peer.answer_all(answer("200 OK", ""))).await;
    let plain_too = serve(|mut peer, _| async move {
        peer.body(1).await;
        peer.say("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .await;
    })
    .await;
    let error = refusal(&http(), &format!("https://{plain_too}/")).await;
    assert_eq!(error, format!("127.0.0.1 does not speak TLS on port {}", plain_too.port()));

    let config =
        HttpConfig { handshake_timeout: Duration::from_millis(50), ..HttpConfig::default() };
    let error = Http::new(config).send(get(&format!("https://{plain}/"))).await.unwrap_err();
    assert!(matches!(&error, HttpError::Connect(what) if what.contains("no TLS handshake within")));

    let hangs_up = serve(|mut peer, _| async move {
        peer.body(1).await;
    })
    .await;
    let error = http().send(get(&format!("https://{hangs_up}/"))).await.unwrap_err();
    assert!(matches!(&error, HttpError::Connect(what) if what.contains("in the TLS handshake")));
}

#[tokio::test]
async fn a_refusal_is_heard_through_tls_too() {
    let authority = Arc::new(Authority::new());
    let ca_files = vec![authority.file()];
    let issuer = Arc::clone(&authority);
    let server = async move {
        let refuse = |mut peer: Peer<TlsStream<TcpStream>>| async move {
            peer.head().await;
            peer.say(&answer("401 Unauthorized", "denied")).await;
        };
        issuer.serve("localhost", refuse).await
    };
    let port = elsewhere(server).port();
    let tls = TlsConfig { ca_files, ..TlsConfig::default() };
    let http = Http::new(HttpConfig { tls, expect_above: u64::MAX, ..HttpConfig::default() });
    let url = format!("https://localhost:{port}/u");
    for _ in 0..100 {
        let answer = http.send(put(&url, &Blob::new(16 * MIB))).await.unwrap();
        assert_eq!(answer.status, 401);
        assert_eq!(answer.prefix(100).await, "denied");
    }
}

#[tokio::test]
async fn a_body_goes_through_tls_whole() {
    let authority = Authority::new();
    let port = authority
        .serve("localhost", |mut peer| async move {
            peer.head().await;
            peer.say("HTTP/1.1 100 Continue\r\n\r\n").await;
            let read = peer.body(24 * MIB as usize).await.len();
            peer.say(&answer("201 Created", &read.to_string())).await;
        })
        .await
        .port();
    let request = put(&format!("https://localhost:{port}/u"), &Blob::new(24 * MIB));
    let answer = trusting(&authority).send(request).await.unwrap();
    assert_eq!(answer.bytes(100).await.unwrap(), (24 * MIB).to_string());
}
