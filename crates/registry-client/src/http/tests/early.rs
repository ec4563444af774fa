//! Answers that come before the body was sent, and the `100 Continue` that saves the sending.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;

use super::support::*;
use crate::http::{Http, HttpConfig};

fn without_expect() -> Http {
    Http::new(HttpConfig { expect_above: u64::MAX, ..HttpConfig::default() })
}

#[tokio::test]
async fn a_refusal_is_heard_though_the_server_hangs_up_in_mid_body() {
    let address = elsewhere(serve(|mut peer, _| async move {
        peer.head().await;
        peer.say(&answer("401 Unauthorized", "denied")).await;
    }));
    let http = without_expect();
    let url = format!("http://{address}/u");
    for _ in 0..400 {
        let answer = http.send(put(&url, &Blob::new(16 * MIB))).await.unwrap();
        assert_eq!(answer.status, 401);
        assert_eq!(answer.prefix(100).await, "denied");
    }
}

#[tokio::test]
async fn an_early_answer_ends_the_reading_of_the_body_and_the_connection() {
    let closed = Arc::new(Notify::new());
    let ear = Arc::clone(&closed);
    let address = serve(move |mut peer, _| {
        let closed = Arc::clone(&ear);
        async move {
            peer.head().await;
            peer.say(&answer("413 Content Too Large", "no more than a MiB")).await;
            // Goes on to read, as a server that drains does, until the other side closes.
            let mut bytes = vec![0; 64 * 1024];
            while matches!(peer.stream.read(&mut bytes).await, Ok(1..)) {}
            closed.notify_one();
        }
    })
    .await;
    let http = without_expect();
    let url = format!("http://{address}/u");
    let blob = Blob::new(1024 * MIB);
    let answer = http.send(put(&url, &blob)).await.unwrap();
    assert_eq!(answer.status, 413);
    let read = blob.bytes_read();
    assert!(read < 1024 * MIB);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(answer.bytes(100).await.unwrap(), "no more than a MiB");
    closed.notified().await;
    assert_eq!(blob.bytes_read(), read);
    assert_eq!(http.send(put(&url, &Blob::new(0))).await.unwrap().status, 413);
    assert_eq!(http.stats(&address.to_string()).connections, 2);
}

#[tokio::test]
async fn not_a_byte_is_read_for_a_server_that_refuses_instead_of_continuing() {
    let heard = Heard::default();
    let ear = heard.clone();
    let address = serve(move |mut peer, _| {
        let heard = ear.clone();
        async move {
            let head = peer.head().await.unwrap();
            heard.push(header(&head, "expect").unwrap_or_default());
            peer.say(&answer("401 Unauthorized", "")).await;
            heard.push(format!("{} bytes", peer.body(usize::MAX).await.len()));
            heard.push("closed");
        }
    })
    .await;
    let blob = Blob::new(8 * MIB);
    let answer = http().send(put(&format!("http://{address}/u"), &blob)).await.unwrap();
    assert_eq!(answer.status, 401);
    assert_eq!(answer.bytes(0).await.unwrap(), "");
    heard.wait_for(3).await;
    assert_eq!(heard.all(), ["100-continue", "0 bytes", "closed"]);
    assert_eq!((blob.opened(), blob.bytes_read()), (0, 0));
}

#[tokio::test]
async fn a_body_waits_for_its_invitation_and_for_no_other_news() {
    let blob = Blob::new(8 * MIB);
    let watched = Arc::clone(&blob);
    let address = serve(move |mut peer, _| {
        let blob = Arc::clone(&watched);
        async move {
            peer.head().await;
            peer.say("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(blob.opened(), 0);
            peer.say("HTTP/1.1 100 Continue\r\n\r\n").await;
            let read = peer.body(8 * MIB as usize).await.len();
            peer.say(&answer("201 Created", &read.to_string())).await;
        }
    })
    .await;
    let answer = http().send(put(&format!("http://{address}/u"), &blob)).await.unwrap();
    assert_eq!(answer.status, 201);
    assert_eq!(answer.bytes(100).await.unwrap(), (8 * MIB).to_string());
}

#[tokio::test]
async fn a_server_that_refuses_expect_is_asked_again_without_and_remembered() {
    let heard = Heard::default();
    let ear = heard.clone();
    let address = serve(move |mut peer, _| {
        let heard = ear.clone();
        async move {
            while let Some(head) = peer.head().await {
                if header(&head, "expect").is_some() {
                    heard.push("expect");
                    peer.say(&answer("417 Expectation Failed", "")).await;
                    return;
                }
                heard.push(peer.body(2 * MIB as usize).await.len().to_string());
                peer.say(&answer("201 Created", "")).await;
            }
        }
    })
    .await;
    let (http, url) = (http(), format!("http://{address}/u"));
    for _ in 0..2 {
        let answer = http.send(put(&url, &Blob::new(2 * MIB))).await.unwrap();
        assert_eq!(answer.status, 201);
        answer.bytes(0).await.unwrap();
    }
    assert_eq!(heard.all(), ["expect", "2097152", "2097152"]);
}

#[tokio::test]
async fn a_server_that_never_says_continue_gets_the_body_all_the_same_and_is_remembered() {
    let heard = Heard::default();
    let ear = heard.clone();
    let address = serve(move |mut peer, _| {
        let heard = ear.clone();
        async move {
            while let Some(head) = peer.head().await {
                heard.push(header(&head, "expect").unwrap_or("none"));
                peer.body(2 * MIB as usize).await;
                peer.say(&answer("201 Created", "")).await;
            }
        }
    })
    .await;
    let config = HttpConfig { expect_timeout: Duration::from_millis(20), ..HttpConfig::default() };
    let (http, url) = (Http::new(config), format!("http://{address}/u"));
    for _ in 0..2 {
        let answer = http.send(put(&url, &Blob::new(2 * MIB))).await.unwrap();
        assert_eq!(answer.status, 201);
        answer.bytes(0).await.unwrap();
    }
    assert_eq!(heard.all(), ["100-continue", "none"]);
}

#[tokio::test]
async fn a_small_body_is_not_announced() {
    let heard = Heard::default();
    let ear = heard.clone();
    let address = serve(move |mut peer, _| {
        let heard = ear.clone();
        async move {
            let head = peer.head().await.unwrap();
            heard.push(header(&head, "expect").unwrap_or("none"));
            peer.body(MIB as usize).await;
            peer.say(&answer("201 Created", "")).await;
        }
    })
    .await;
    let blob = Blob::new(MIB);
    let request = request(Method::POST, &format!("http://{address}/u"), blob.whole());
    assert_eq!(http().send(request).await.unwrap().status, 201);
    assert_eq!(heard.all(), ["none"]);
}
