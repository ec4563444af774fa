//! Connections are opened side by side, kept, and not trusted further than they go.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::Method;
use tokio::sync::Barrier;

use super::support::*;
use crate::http::{Body, Http, HttpConfig, HttpError};

#[tokio::test]
async fn sixteen_requests_open_sixteen_connections_and_the_next_sixteen_none() {
    let together = Arc::new(Barrier::new(16));
    let address = serve(move |mut peer, _| {
        let together = Arc::clone(&together);
        async move {
            while peer.head().await.is_some() {
                together.wait().await;
                peer.say(&answer("200 OK", "x")).await;
            }
        }
    })
    .await;
    let (http, url) = (http(), format!("http://{address}/"));
    for _ in 0..2 {
        let all = join_all((0..16).map(|_| async {
            let answer = http.send(get(&url)).await.unwrap();
            answer.bytes(1).await.unwrap()
        }));
        assert_eq!(all.await.len(), 16);
    }
    let stats = http.stats(&address.to_string());
    assert_eq!((stats.requests, stats.connections), (32, 16));
}

#[tokio::test]
async fn a_connection_that_was_opened_ahead_serves_the_next_request() {
    let address = serve(|peer, _| peer.answer_all("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let (http, url) = (http(), format!("http://{address}/"));
    let connections = || http.stats(&address.to_string()).connections;
    for _ in 0..2 {
        http.prepare(&url.parse().unwrap()).await;
        assert_eq!(connections(), 1);
        assert_eq!(http.send(get(&url)).await.unwrap().bytes(0).await.unwrap(), "");
        assert_eq!(connections(), 1);
    }
    // What goes wrong is told to the request.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}/");
    http.prepare(&url.parse().unwrap()).await;
    let error = http.send(get(&url)).await.unwrap_err();
    assert!(matches!(error, HttpError::Connect(_)), "{error:?}");
}

#[tokio::test]
async fn no_more_connections_are_kept_than_wanted_and_none_for_too_long() {
    #[track_caller]
    fn check(http: &Http, address: &str, expected: u64) {
        assert_eq!(http.stats(address).connections, expected);
    }
    let address = serve(|peer, _| peer.answer_all("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let (url, address) = (format!("http://{address}/"), address.to_string());
    for (config, second) in [
        (HttpConfig { idle_per_host: 2, ..HttpConfig::default() }, 2),
        (HttpConfig { idle_timeout: Duration::ZERO, ..HttpConfig::default() }, 4),
    ] {
        let http = Http::new(config);
        for expected in [4, 4 + second] {
            let answers = join_all((0..4).map(|_| http.send(get(&url)))).await;
            join_all(answers.into_iter().map(|answer| answer.unwrap().bytes(0))).await;
            check(&http, &address, expected);
        }
    }
}

#[tokio::test]
async fn a_connection_serves_whatever_its_answers_are_like() {
    let address = serve(|mut peer, _| async move {
        while let Some(head) = peer.head().await {
            let text = match head.split(' ').next().unwrap() {
                "HEAD" => "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n".to_owned(),
                "DELETE" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
                "GET" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n".to_owned(),
                _ => answer("200 OK", "hello"),
            };
            peer.say(&text).await;
        }
    })
    .await;
    let (http, url) = (http(), format!("http://{address}/"));
    for method in [Method::HEAD, Method::DELETE, Method::GET, Method::POST, Method::HEAD] {
        let answer = http.send(request(method.clone(), &url, Body::Empty)).await.unwrap();
        let expected = if method == Method::POST { "hello" } else { "" };
        assert_eq!(answer.bytes(5).await.unwrap(), expected);
    }
    assert_eq!(http.stats(&address.to_string()).connections, 1);
}

#[tokio::test]
async fn a_connection_that_the_server_ends_is_not_used_again() {
    let address = serve(|mut peer, _| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    })
    .await;
    let (http, url) = (http(), format!("http://{address}/"));
    for _ in 0..20 {
        let answer = http.send(request(Method::POST, &url, Body::Empty)).await.unwrap();
        assert_eq!(answer.bytes(0).await.unwrap(), "");
        // The end of the connection is on its way: on loopback it needs no time, but a turn.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(http.stats(&address.to_string()).connections, 20);
}

#[tokio::test]
async fn a_connection_closed_under_a_request_is_replaced_where_that_is_harmless() {
    async fn play(mut peer: Peer<tokio::net::TcpStream>, _: usize) {
        peer.head().await;
        peer.say(&answer("200 OK", "")).await;
        peer.head().await;
    }
    let address = serve(play).await;
    let url = format!("http://{address}/");

    let http = Http::new(HttpConfig::default());
    for _ in 0..3 {
        assert_eq!(http.send(get(&url)).await.unwrap().bytes(0).await.unwrap(), "");
    }
    assert_eq!(http.stats(&address.to_string()).requests, 5);

    assert_eq!(http.send(get(&url)).await.unwrap().bytes(0).await.unwrap(), "");
    let post = request(Method::POST, &url, Body::Empty);
    let error = http.send(post).await.unwrap_err();
    assert!(matches!(error, HttpError::Broken(_)), "{error:?}");

    // A body that waits for its invitation is as good as unsent.
    assert_eq!(http.send(get(&url)).await.unwrap().bytes(0).await.unwrap(), "");
    let blob = Blob::new(2 * MIB);
    assert_eq!(http.send(put(&url, &blob)).await.unwrap().status, 200);
    assert_eq!(blob.opened(), 0);
}
