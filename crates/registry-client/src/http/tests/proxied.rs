//! Through proxies, which are as real as the hosts behind them.

use std::net::SocketAddr;

use http::header::{AUTHORIZATION, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::authority::Authority;
use super::support::*;
use crate::http::{Http, HttpConfig, HttpError, Proxies, TlsConfig};

/// A proxy that reaches the same host whatever name is asked for, and tells what it hears.
async fn proxy<S: AsyncRead + AsyncWrite + Unpin>(
    mut peer: Peer<S>,
    host: SocketAddr,
    heard: Heard,
) {
    let head = peer.head().await.unwrap();
    let line = head.lines().next().unwrap().to_owned();
    let login = header(&head, "proxy-authorization").unwrap_or("-");
    heard.push(format!("{line}, {login}, {}", header(&head, "authorization").unwrap_or("-")));
    if !head.starts_with("CONNECT") {
        return peer.say(&answer("200 OK", "hello")).await;
    }
    let mut onward = TcpStream::connect(host).await.unwrap();
    peer.say("HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n").await;
    let _ = tokio::io::copy_bidirectional(&mut peer.stream, &mut onward).await;
}

fn through(proxies: Proxies, authority: &Authority) -> Http {
    let tls = TlsConfig { ca_files: vec![authority.file()], ..TlsConfig::default() };
    Http::new(HttpConfig { tls, proxies, ..HttpConfig::default() })
}

/// A registry, and a proxy in front of it.
async fn both(heard: &Heard) -> (Authority, SocketAddr) {
    let authority = Authority::new();
    let ear = heard.clone();
    let host = authority
        .serve("registry.test", move |mut peer| {
            let heard = ear.clone();
            async move {
                while let Some(head) = peer.head().await {
                    let login = header(&head, "proxy-authorization").unwrap_or("-");
                    heard.push(format!("{}, {login}", head.lines().next().unwrap()));
                    peer.say(&answer("200 OK", "hello")).await;
                }
            }
        })
        .await;
    let ear = heard.clone();
    let proxy = serve(move |peer, _| proxy(peer, host, ear.clone())).await;
    (authority, proxy)
}

#[tokio::test]
async fn https_goes_through_a_tunnel_that_sees_no_credential() {
    let heard = Heard::default();
    let (authority, proxy) = both(&heard).await;
    let all = Some(format!("http://user:pass@{proxy}"));
    let http = through(Proxies { all, ..Proxies::default() }, &authority);
    for _ in 0..2 {
        let mut request = get("https://registry.test/v2/");
        request.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer"));
        let answer = http.send(request).await.unwrap();
        assert_eq!(answer.bytes(5).await.unwrap(), "hello");
    }
    assert_eq!(
        heard.all(),
        [
            "CONNECT registry.test:443 HTTP/1.1, Basic dXNlcjpwYXNz, -",
            "GET /v2/ HTTP/1.1, -",
            "GET /v2/ HTTP/1.1, -"
        ]
    );
}

#[tokio::test]
async fn plain_http_is_handed_to_the_proxy_whole() {
    let heard = Heard::default();
    let (authority, proxy) = both(&heard).await;
    let proxies = Proxies { http: Some(format!("user:pass@{proxy}")), ..Proxies::default() };
    let http = through(proxies, &authority);
    let answer = http.send(get("http://registry.test:5000/v2/?x=%2B")).await.unwrap();
    assert_eq!(answer.bytes(5).await.unwrap(), "hello");
    assert_eq!(
        heard.all(),
        ["GET http://registry.test:5000/v2/?x=%2B HTTP/1.1, Basic dXNlcjpwYXNz, -"]
    );
}

#[tokio::test]
async fn a_proxy_may_speak_tls_itself() {
    let heard = Heard::default();
    let (authority, inner) = both(&heard).await;
    let port = authority
        .serve("localhost", move |mut peer| async move {
            let mut onward = TcpStream::connect(inner).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut peer.stream, &mut onward).await;
        })
        .await
        .port();
    let https = Some(format!("https://localhost:{port}"));
    let http = through(Proxies { https, ..Proxies::default() }, &authority);
    let answer = http.send(get("https://registry.test/v2/")).await.unwrap();
    assert_eq!(answer.bytes(5).await.unwrap(), "hello");
    assert_eq!(heard.all()[0], "CONNECT registry.test:443 HTTP/1.1, -, -");
}

#[tokio::test]
async fn exceptions_and_loopback_are_reached_directly() {
    let authority = Authority::new();
    let host = serve(|peer, _| peer.answer_all(answer("200 OK", "hello"))).await;
    let dead = Some("http://127.0.0.1:1".to_owned());
    let no = Some("windlass.invalid".to_owned());
    let http = through(Proxies { all: dead, no, ..Proxies::default() }, &authority);
    assert_eq!(http.send(get(&format!("http://{host}/"))).await.unwrap().status, 200);
    let error = http.send(get("http://windlass.invalid/")).await.unwrap_err();
    assert!(matches!(error, HttpError::Resolve(_)), "{error:?}");
    let error = http.send(get("http://registry.test/")).await.unwrap_err();
    assert_eq!(error.to_string(), "no connection: the proxy 127.0.0.1:1: connection refused");
}

#[tokio::test]
async fn a_proxy_that_refuses_is_quoted() {
    let authority = Authority::new();
    for (status, expected) in [
        ("407 Proxy Authentication Required", "407 Proxy Authentication Required"),
        ("403 No", "403 Forbidden"),
    ] {
        let proxy = serve(move |mut peer, _| async move {
            peer.head().await;
            peer.say(&answer(status, "secret")).await;
        })
        .await;
        let all = Some(format!("http://user:secret@{proxy}"));
        let http = through(Proxies { all, ..Proxies::default() }, &authority);
        let error = http.send(get("https://registry.test/v2/")).await.unwrap_err();
        assert!(matches!(error, HttpError::Connect(_)));
        assert_eq!(
            error.to_string(),
            format!(
                "no connection: the proxy {proxy} does not connect to registry.test:443: {expected}"
            )
        );
    }
}
