//! No answer, and why: each told apart from the others.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use tokio::net::TcpListener;
use windlass_source::SourceError;

use super::support::*;
use crate::http::{Body, Http, HttpConfig, HttpError, Proxies};

#[tokio::test]
async fn a_refused_connection_names_the_addresses() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for host in ["127.0.0.1", "localhost"] {
        let error = http().send(get(&format!("http://{host}:{port}/"))).await.unwrap_err();
        let HttpError::Connect(what) = &error else { panic!("{error:?}") };
        assert!(what.contains(&format!("127.0.0.1:{port}")), "{what}");
        assert!(what.ends_with("connection refused"), "{what}");
    }
}

#[tokio::test]
async fn an_unknown_name_is_told_from_a_dead_host() {
    let config = HttpConfig { resolve_timeout: Duration::from_secs(2), ..HttpConfig::default() };
    let error = Http::new(config).send(get("http://windlass.invalid/")).await.unwrap_err();
    assert!(matches!(error, HttpError::Resolve(_)), "{error:?}");
}

#[tokio::test]
async fn a_host_that_does_not_speak_http_is_told() {
    #[track_caller]
    fn check(error: &HttpError) {
        assert!(matches!(error, HttpError::NotHttp(_)), "{error:?}");
    }
    for bytes in [
        "\u{15}\u{3}\u{1}\0\u{2}\u{2}\u{16}",
        "220 mail.example ESMTP\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
    ] {
        let address = serve(move |mut peer, _| async move {
            peer.head().await;
            peer.say(bytes).await;
        })
        .await;
        check(&http().send(get(&format!("http://{address}/"))).await.unwrap_err());
    }
}

#[tokio::test]
async fn a_connection_that_ends_without_a_word_is_broken() {
    let address = serve(|mut peer, _| async move {
        peer.head().await;
    })
    .await;
    let error = http().send(get(&format!("http://{address}/"))).await.unwrap_err();
    assert_eq!(error.to_string(), "the connection broke: the other side closed it");
}

#[tokio::test]
async fn a_connection_that_ends_before_the_body_has_sent_nothing() {
    let address = serve(|mut peer, _| async move {
        peer.head().await;
    })
    .await;
    let blob = Blob::new(2 * MIB);
    let error = http().send(put(&format!("http://{address}/"), &blob)).await.unwrap_err();
    assert!(matches!(error, HttpError::Unsent(_)), "{error:?}");
    assert_eq!(blob.opened(), 0);
}

#[tokio::test]
async fn a_connection_that_ends_in_mid_body_tells_how_far_it_came() {
    let address = serve(|mut peer, _| async move {
        peer.head().await;
        peer.body(MIB as usize).await;
    })
    .await;
    let config = HttpConfig { expect_above: u64::MAX, ..HttpConfig::default() };
    let http = Http::new(config);
    let request = put(&format!("http://{address}/"), &Blob::new(64 * MIB));
    let HttpError::Broken(what) = http.send(request).await.unwrap_err() else { panic!() };
    assert!(what.ends_with(" of 67108864 bytes"), "{what}");
}

#[tokio::test]
async fn an_answer_that_is_cut_is_broken() {
    let address = serve(|mut peer, _| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
    })
    .await;
    let answer = http().send(get(&format!("http://{address}/"))).await.unwrap();
    assert!(matches!(answer.bytes(10).await.unwrap_err(), HttpError::Broken(_)));
}

#[tokio::test]
async fn an_unreadable_source_is_no_fault_of_the_network() {
    let heard = Heard::default();
    let ear = heard.clone();
    let address = serve(move |mut peer, _| {
        let heard = ear.clone();
        async move {
            peer.head().await;
            let cut = peer.body(MIB as usize).await.len() < MIB as usize;
            heard.push(if cut { "cut" } else { "whole" });
        }
    })
    .await;
    let url = format!("http://{address}/");
    let blob = Blob::failing(MIB, MIB / 2);
    let error = http().send(put(&url, &blob)).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot read layer.tar: disk on fire");
    assert!(matches!(error, HttpError::Source(SourceError::Io { .. })));

    let request = request(Method::PUT, &url, Blob::new(MIB / 2).part(0, MIB, None));
    let HttpError::Source(SourceError::Changed { found, .. }) =
        http().send(request).await.unwrap_err()
    else {
        panic!()
    };
    assert_eq!(found, MIB / 2);
    heard.wait_for(2).await;
    assert_eq!(heard.all(), ["cut", "cut"]);
}

#[tokio::test]
async fn a_request_that_is_given_up_ends_its_connection() {
    let heard = Heard::default();
    let ear = heard.clone();
    let address = serve(move |mut peer, _| {
        let heard = ear.clone();
        async move {
            peer.head().await;
            heard.push("asked");
            peer.body(usize::MAX).await;
            heard.push("closed");
        }
    })
    .await;
    let (http, url) = (http(), format!("http://{address}/"));
    for request in [
        get(&url),
        put(&url, &Blob::new(1024 * MIB)),
        request(Method::PUT, &url, Body::Bytes(Bytes::from_static(b"x"))),
    ] {
        let before = heard.all().len();
        let sending = tokio::spawn({
            let http = http.clone();
            async move { http.send(request).await.map(|_| ()) }
        });
        heard.wait_for(before + 1).await;
        sending.abort();
        heard.wait_for(before + 2).await;
    }
    assert_eq!(heard.all(), ["asked", "closed"].repeat(3));
}

#[tokio::test]
async fn an_answer_that_is_dropped_unread_ends_its_connection() {
    let heard = Heard::default();
    let ear = heard.clone();
    let address = serve(move |mut peer, _| {
        let heard = ear.clone();
        async move {
            peer.head().await;
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf").await;
            peer.body(1).await;
            heard.push("closed");
        }
    })
    .await;
    let http = http();
    drop(http.send(get(&format!("http://{address}/"))).await.unwrap());
    heard.wait_for(1).await;
}

#[tokio::test]
async fn a_protocol_that_nobody_asked_for_is_not_http() {
    let address = serve(|mut peer, _| async move {
        peer.head().await;
        peer.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h3\r\nConnection: upgrade\r\n\r\n")
            .await;
    })
    .await;
    let error = http().send(get(&format!("http://{address}/"))).await.unwrap_err();
    assert!(matches!(error, HttpError::NotHttp(_)), "{error:?}");
}

/// A socket whose queue of connections is full answers no further one on Linux.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_host_that_does_not_answer_is_given_up() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    let patience = Duration::from_millis(50);
    while let Ok(stream) =
        tokio::time::timeout(patience, tokio::net::TcpStream::connect(address)).await
    {
        queued.push(stream.unwrap());
    }
    let config = HttpConfig { connect_timeout: patience, ..HttpConfig::default() };
    let error = Http::new(config).send(get(&format!("http://{address}/"))).await.unwrap_err();
    assert_eq!(error.to_string(), format!("no connection: {address}: no answer within 50ms"));
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let address = serve(|mut peer, _| async move {
        peer.head().await;
        peer.say("HTTP/1.1 201 Created\r\nLocation: /?sig=secret\r\nContent-Length: 0\r\n\r\n")
            .await;
    })
    .await;
    let mut request = put(&format!("http://{address}/u?sig=secret"), &Blob::new(10));
    request.headers.insert("authorization", "Bearer secret".parse().unwrap());
    let proxies = Proxies { https: Some("http://u:secret@p".to_owned()), ..Proxies::default() };
    let http = Http::new(HttpConfig { proxies, ..HttpConfig::default() });
    let answer = http.send(request.clone()).await.unwrap();
    let printed = format!("{request:?} {http:?} {answer:?}");
    assert!(printed.contains("layer.tar") && printed.contains("201"), "{printed}");
    assert!(!printed.contains("secret"), "{printed}");
}
