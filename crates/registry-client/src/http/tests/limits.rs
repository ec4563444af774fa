//! What does not move is given up, and nothing is read without a bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::support::*;
use crate::http::{Http, HttpConfig, HttpError};

#[tokio::test]
async fn a_body_that_nobody_reads_is_stalled() {
    let address = serve(|mut peer, _| async move {
        peer.head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let blob = Blob::new(256 * MIB);
    let error = Http::new(impatient()).send(put(&format!("http://{address}/"), &blob)).await;
    let error = error.unwrap_err();
    assert!(matches!(error, HttpError::Stalled(limit) if limit == impatient().stall_timeout));
    assert!(blob.bytes_read() < 256 * MIB);
}

#[tokio::test]
async fn a_slow_body_is_not_stalled_while_it_moves() {
    let address = serve(|mut peer, _| async move {
        peer.head().await;
        for _ in 0..48 {
            peer.body(MIB as usize).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        peer.say(&answer("201 Created", "")).await;
    })
    .await;
    // Less than the whole takes, and more than the slowest machine needs for a mebibyte.
    let config = HttpConfig { stall_timeout: Duration::from_millis(600), ..HttpConfig::default() };
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let mut request = put(&format!("http://{address}/"), &Blob::new(48 * MIB));
    request.body = Blob::new(48 * MIB).part(
        0,
        48 * MIB,
        Some(Arc::new(move |count| {
            counter.fetch_add(count, Ordering::SeqCst);
        })),
    );
    let answer = Http::new(config).send(request).await.unwrap();
    assert_eq!(answer.status, 201);
    assert_eq!(sent.load(Ordering::SeqCst), 48 * MIB);
}

#[tokio::test]
async fn a_whole_body_without_an_answer_is_another_matter() {
    let address = serve(|mut peer, _| async move {
        peer.head().await;
        peer.body(2 * MIB as usize).await;
        std::future::pending::<()>().await;
    })
    .await;
    let config = HttpConfig { stall_timeout: Duration::from_secs(60), ..impatient() };
    let error =
        Http::new(config).send(put(&format!("http://{address}/"), &Blob::new(2 * MIB))).await;
    assert!(matches!(error.unwrap_err(), HttpError::AnswerTimeout(_)));
}

#[tokio::test]
async fn a_question_without_an_answer_is_given_up() {
    let address = serve(|mut peer, _| async move {
        peer.head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let config = HttpConfig {
        stall_timeout: Duration::from_secs(60),
        answer_timeout: Duration::from_secs(60),
        ..impatient()
    };
    let error = Http::new(config).send(get(&format!("http://{address}/"))).await.unwrap_err();
    assert!(matches!(error, HttpError::AnswerTimeout(_)));
}

#[tokio::test]
async fn an_answer_that_stops_in_its_middle_is_stalled() {
    let address = serve(|mut peer, _| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
        std::future::pending::<()>().await;
    })
    .await;
    let url = format!("http://{address}/");
    let http = Http::new(impatient());
    let answer = http.send(get(&url)).await.unwrap();
    assert!(matches!(answer.bytes(10).await.unwrap_err(), HttpError::Stalled(_)));
    let answer = http.send(get(&url)).await.unwrap();
    assert_eq!(answer.prefix(10).await, "half");
}

#[tokio::test]
async fn the_text_of_an_error_is_waited_for_a_few_seconds_only() {
    let address = serve(|mut peer, _| async move {
        peer.head().await;
        peer.say("HTTP/1.1 500 Oh\r\nContent-Length: 10\r\n\r\nhalf").await;
        std::future::pending::<()>().await;
    })
    .await;
    let mut answer = http().send(get(&format!("http://{address}/"))).await.unwrap();
    assert_eq!(answer.next().await.unwrap().unwrap(), "half");
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    assert_eq!(answer.prefix(10).await, "");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read() {
    let address = serve(|mut peer, number| async move {
        peer.head().await;
        if number == 0 {
            return peer.say(&answer("200 OK", "0123456789")).await;
        }
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        peer.say(&format!("{head}5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n")).await;
    })
    .await;
    let (http, url) = (http(), format!("http://{address}/"));
    for _ in 0..2 {
        let answer = http.send(get(&url)).await.unwrap();
        assert!(matches!(answer.bytes(9).await.unwrap_err(), HttpError::TooLarge(9)));
    }
    assert_eq!(http.send(get(&url)).await.unwrap().bytes(10).await.unwrap(), "0123456789");
    assert_eq!(http.send(get(&url)).await.unwrap().prefix(7).await, "0123456");
}
