//! One request, one answer.

use bytes::Bytes;
use http::Method;

use super::support::*;
use crate::http::Body;

#[tokio::test]
async fn a_request_says_what_it_must_and_no_more() {
    let heard = Heard::default();
    let ear = heard.clone();
    let address = serve(move |mut peer, _| {
        let heard = ear.clone();
        async move {
            heard.push(peer.head().await.unwrap());
            peer.say(&answer("200 OK", "hello")).await;
        }
    })
    .await;
    let answer = http().send(get(&format!("http://{address}/v2/?x=%2B+/"))).await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.uri.to_string(), format!("http://{address}/v2/?x=%2B+/"));
    assert_eq!(answer.bytes(5).await.unwrap(), "hello");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        heard.all(),
        [format!(
            "GET /v2/?x=%2B+/ HTTP/1.1\r\nhost: {address}\r\nuser-agent: windlass/{version}\r\n\r\n"
        )]
    );
}

#[tokio::test]
async fn lengths_are_announced_where_bodies_are_meant() {
    #[track_caller]
    fn check(head: &str, expected: Option<&str>) {
        assert_eq!(header(head, "content-length"), expected, "{head}");
        assert_eq!(header(head, "transfer-encoding"), None);
        assert_eq!(header(head, "accept-encoding"), None);
    }
    let heard = Heard::default();
    let ear = heard.clone();
    let address = serve(move |mut peer, _| {
        let heard = ear.clone();
        async move {
            while let Some(head) = peer.head().await {
                let length = header(&head, "content-length").map_or(0, |n| n.parse().unwrap());
                let body = peer.body(length).await;
                heard.push(head);
                heard.push(format!("{}", body.len()));
                peer.say(&answer("201 Created", "")).await;
            }
        }
    })
    .await;
    let url = format!("http://{address}/u");
    let blob = Blob::new(3 * MIB);
    let http = http();
    for (method, body) in [
        (Method::GET, Body::Empty),
        (Method::POST, Body::Empty),
        (Method::PUT, Body::Bytes(Bytes::new())),
        (Method::PATCH, blob.part(MIB, MIB, None)),
        (Method::DELETE, Body::Empty),
    ] {
        let answer = http.send(request(method, &url, body)).await.unwrap();
        assert_eq!(answer.status, 201);
        assert_eq!(answer.bytes(0).await.unwrap(), "");
    }
    let heard = heard.all();
    check(&heard[0], None);
    check(&heard[2], Some("0"));
    check(&heard[4], Some("0"));
    check(&heard[6], Some("1048576"));
    assert_eq!(heard[7], "1048576");
    check(&heard[8], None);
    assert_eq!(http.stats(&address.to_string()).connections, 1);
    assert_eq!(http.stats(&address.to_string()).requests, 5);
    assert_eq!(http.stats(&address.to_string()).bytes_sent, MIB);
}
