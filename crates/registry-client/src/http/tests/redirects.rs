//! Where redirects lead, and what goes along.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{HeaderName, Method};

use super::support::*;
use crate::http::{Body, HttpError, Request};

/// A server that tells what it hears and answers by path: `/to/STATUS/URL` redirects there.
async fn redirecting(name: &'static str, heard: &Heard) -> SocketAddr {
    let ear = heard.clone();
    serve(move |mut peer, _| {
        let heard = ear.clone();
        async move {
            while let Some(head) = peer.head().await {
                let length = header(&head, "content-length").map_or(0, |n| n.parse().unwrap());
                let body = peer.body(length).await.len();
                let mut line = head.split(' ');
                let (method, path) = (line.next().unwrap(), line.next().unwrap());
                let authorization = header(&head, "authorization").unwrap_or("-");
                let token = header(&head, "x-token").unwrap_or("-");
                let kind = path.split('/').nth(1).unwrap();
                heard.push(format!("{name} {method} {kind} {authorization} {token} {body}"));
                match path.strip_prefix("/to/").and_then(|rest| rest.split_once('/')) {
                    Some((status, location)) => {
                        let location = format!("Location: {location}\r\nContent-Length: 0");
                        peer.say(&format!("HTTP/1.1 {status} Go\r\n{location}\r\n\r\n")).await;
                    }
                    None => peer.say(&answer("200 OK", "here")).await,
                }
            }
        }
    })
    .await
}

fn with_secrets(mut request: Request) -> Request {
    request.headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer"));
    let mut token = HeaderValue::from_static("token");
    token.set_sensitive(true);
    request.headers.insert(HeaderName::from_static("x-token"), token);
    request
}

#[tokio::test]
async fn credentials_stay_with_the_host_they_are_for() {
    let heard = Heard::default();
    let (a, b) = (redirecting("a", &heard).await, redirecting("b", &heard).await);
    let url = format!("http://{a}/to/302//to/307/http://{b}/to/301/http://{a}/end");
    let answer = http().send(with_secrets(get(&url))).await.unwrap();
    assert_eq!(answer.uri.to_string(), format!("http://{a}/end"));
    assert_eq!(answer.bytes(4).await.unwrap(), "here");
    assert_eq!(
        heard.all(),
        [
            "a GET to Bearer token 0",
            "a GET to Bearer token 0",
            "b GET to - - 0",
            "a GET end Bearer token 0"
        ]
    );
}

#[tokio::test]
async fn a_body_goes_along_where_the_method_does() {
    let heard = Heard::default();
    let (a, b) = (redirecting("a", &heard).await, redirecting("b", &heard).await);
    for status in [307, 308] {
        let url = format!("http://{a}/to/{status}/http://{b}/end");
        let answer = http().send(with_secrets(put(&url, &Blob::new(MIB)))).await.unwrap();
        assert_eq!(answer.bytes(4).await.unwrap(), "here");
    }
    assert_eq!(heard.all(), ["a PUT to Bearer token 1048576", "b PUT end - - 1048576"].repeat(2));
}

#[tokio::test]
async fn a_redirect_that_would_lose_the_body_is_an_error() {
    let heard = Heard::default();
    let a = redirecting("a", &heard).await;
    for status in [301, 302, 303] {
        for method in [Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
            let url = format!("http://{a}/to/{status}//end");
            let request = request(method, &url, Blob::new(1).whole());
            let error = http().send(request).await.unwrap_err();
            assert!(matches!(error, HttpError::Redirect(_)), "{error:?}");
        }
    }
    assert!(heard.all().iter().all(|line| !line.contains("end")));
}

#[tokio::test]
async fn redirects_come_to_an_end() {
    let address = serve(|peer, _| {
        peer.answer_all("HTTP/1.1 307 Go\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")
    })
    .await;
    let http = http();
    let error = http.send(get(&format!("http://{address}/"))).await.unwrap_err();
    assert_eq!(error.to_string(), "more than 10 redirects");
    let stats = http.stats(&address.to_string());
    assert_eq!((stats.requests, stats.connections), (11, 1));
}

#[tokio::test]
async fn a_login_never_follows_to_another_host() {
    let heard = Heard::default();
    let (a, b) = (redirecting("a", &heard).await, redirecting("b", &heard).await);
    let login = || Body::Secret(Bytes::from_static(b"password=x"));
    let home = format!("http://{a}/to/307//end");
    let answer = http().send(request(Method::POST, &home, login())).await.unwrap();
    assert_eq!(answer.bytes(4).await.unwrap(), "here");
    let abroad = format!("http://{a}/to/308/http://{b}/end");
    let error = http().send(request(Method::POST, &abroad, login())).await.map(drop).unwrap_err();
    assert!(matches!(&error, HttpError::Redirect(words) if words.contains("a login")), "{error}");
    assert!(!heard.all().iter().any(|line| line.starts_with("b ")), "{:?}", heard.all());
}
