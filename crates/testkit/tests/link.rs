//! The lagging link, on real sockets, in front of a registry of the test kit.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use windlass_testkit::{
    Call, Client, Link, LinkAction, LinkFault, LinkOptions, LinkPoint, TestRegistry,
};

const ROUND_TRIP: Duration = Duration::from_millis(20);

fn lagging(registry: &TestRegistry) -> Link {
    let options = LinkOptions { round_trip: ROUND_TRIP, ..LinkOptions::default() };
    Link::start(registry.address(), options)
}

fn breaking(registry: &TestRegistry, at: LinkPoint, action: LinkAction) -> Link {
    let faults = vec![LinkFault { at, action }];
    Link::start(registry.address(), LinkOptions { faults, ..LinkOptions::default() })
}

#[test]
fn ten_at_once_and_three_one_after_another_are_five_round_trips() {
    // Long enough for a busy machine to send ten requests in it.
    let round_trip = Duration::from_millis(100);
    let registry = TestRegistry::plain();
    let options = LinkOptions { round_trip, ..LinkOptions::default() };
    let link = Link::start(registry.address(), options);
    let start = Instant::now();
    let mut clients: Vec<_> = (0..10).map(|_| Client::new(link.address())).collect();
    for client in &mut clients {
        client.begin("GET", "/v2/", &[], 0).unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.read("GET").unwrap().status, 200);
    }
    for _ in 0..3 {
        assert_eq!(clients[0].get("/v2/").unwrap().status, 200);
    }
    assert!(start.elapsed() >= 5 * round_trip);

    let report = link.report();
    assert_eq!(report.round_trips, 5);
    assert_eq!(report.connections, 10);
    assert_eq!(report.requests.len(), 13);
    assert!(report.requests.iter().all(|seen| seen.status == Some(200)));
    assert!(report.requests.iter().all(|seen| seen.method == "GET" && seen.path == "/v2/"));
    let depths: Vec<_> = report.requests.iter().map(|seen| seen.depth).collect();
    assert_eq!(depths, [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 4, 5]);
    let bytes: u64 = report.requests.iter().map(|seen| seen.bytes).sum();
    assert_eq!(bytes, report.bytes_up);
}

#[test]
fn a_body_that_waits_for_100_costs_one_more() {
    let registry = TestRegistry::plain();
    let link = lagging(&registry);
    let mut client = Client::new(link.address());
    let location = client.send("POST", "/v2/a/blobs/uploads/", &[], b"").unwrap().location();
    client.begin("PATCH", &location, &[("Expect", "100-continue")], 5).unwrap();
    assert_eq!(client.read_interim("PATCH").unwrap().status, 100);
    client.write(b"hello").unwrap();
    assert_eq!(client.read("PATCH").unwrap().status, 202);
    // Connect, POST, head of PATCH, body of PATCH.
    assert_eq!(link.report().round_trips, 4);
}

#[test]
fn a_large_body_is_not_held_up() {
    let registry = TestRegistry::plain();
    let link = lagging(&registry);
    let body = vec![7; 8_000_000];
    assert_eq!(Client::new(link.address()).put_blob("a", &body).unwrap(), 201);
    let report = link.report();
    assert_eq!(report.round_trips, 3);
    assert!(report.bytes_up > 8_000_000);
    assert_eq!(registry.bytes_uploaded(), 8_000_000);
}

#[test]
fn a_rate_is_kept() {
    let registry = TestRegistry::plain();
    let options = LinkOptions { rate: Some(10_000_000), ..LinkOptions::default() };
    let link = Link::start(registry.address(), options);
    let start = Instant::now();
    assert_eq!(Client::new(link.address()).put_blob("a", &[7; 1_000_000]).unwrap(), 201);
    assert!(start.elapsed() >= Duration::from_millis(100));
}

#[test]
fn a_reset_comes_after_exactly_as_many_bytes() {
    let registry = TestRegistry::plain();
    let link = breaking(&registry, LinkPoint::Bytes(500_000), LinkAction::Reset);
    let mut client = Client::new(link.address());
    client.put_blob("a", &[7; 1_000_000]).unwrap_err();
    assert_eq!(link.report().bytes_up, 500_000);
    // Once is enough: the next one gets through.
    assert_eq!(client.put_blob("a", &[7; 1_000_000]).unwrap(), 201);
    assert!(registry.bytes_uploaded() < 1_500_000);
}

#[test]
fn resets_come_again_and_again() {
    let registry = TestRegistry::plain();
    let link = breaking(&registry, LinkPoint::Every(300_000), LinkAction::Reset);
    let mut client = Client::new(link.address());
    for _ in 0..3 {
        client.put_blob("a", &[7; 1_000_000]).unwrap_err();
    }
    assert_eq!(link.report().bytes_up, 900_000);
}

#[test]
fn one_connection_is_reset_and_others_are_not() {
    let registry = TestRegistry::plain();
    let at = LinkPoint::Connection { number: 1, bytes: 0 };
    let link = breaking(&registry, at, LinkAction::Reset);
    Client::new(link.address()).get("/v2/").unwrap();
    Client::new(link.address()).get("/v2/").unwrap_err();
    Client::new(link.address()).get("/v2/").unwrap();
    assert_eq!(registry.log().len(), 2);
}

#[test]
fn an_answer_is_lost_when_the_work_is_done() {
    let registry = TestRegistry::plain();
    let link = breaking(&registry, LinkPoint::Answer { number: 1 }, LinkAction::Reset);
    let mut client = Client::new(link.address());
    client.put_blob("a", b"hello").unwrap_err();
    let puts = registry.calls(Call::UploadPut);
    assert_eq!((puts.len(), puts[0].status), (1, Some(201)));
    assert_eq!(link.report().requests[1].status, None);
}

#[test]
fn a_stalled_connection_stands_still_and_others_go_on() {
    let registry = TestRegistry::plain();
    let link = breaking(&registry, LinkPoint::Bytes(300_000), LinkAction::Stall);
    let mut stalled = TcpStream::connect(link.address()).unwrap();
    stalled.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
    let head = "POST /v2/a/blobs/uploads/?digest=sha256:0 HTTP/1.1\r\nHost: x\r\n\
                Content-Length: 100000000\r\n\r\n";
    stalled.write_all(head.as_bytes()).unwrap();
    let piece = vec![7; 1_000_000];
    assert!((0..100).any(|_| stalled.write_all(&piece).is_err()), "it has taken everything");
    assert_eq!(link.report().bytes_up, 300_000);
    assert_eq!(Client::new(link.address()).get("/v2/").unwrap().status, 200);
}

#[test]
fn a_link_goes_away_and_comes_back_on_the_same_port() {
    let registry = TestRegistry::plain();
    let link = breaking(&registry, LinkPoint::Bytes(200_000), LinkAction::Gone);
    let mut client = Client::new(link.address());
    client.put_blob("a", &[7; 1_000_000]).unwrap_err();
    TcpStream::connect(link.address()).unwrap_err();
    link.back();
    assert_eq!(client.put_blob("a", &[7; 1_000_000]).unwrap(), 201);
    link.gone();
    client.get("/v2/").unwrap_err();
    TcpStream::connect(link.address()).unwrap_err();
    link.back();
    assert_eq!(client.get("/v2/").unwrap().status, 200);
}

#[test]
fn what_the_target_does_to_a_connection_is_felt_by_the_client() {
    let registry = TestRegistry::plain();
    let link = lagging(&registry);
    let mut client = Client::new(link.address());
    client.get("/v2/").unwrap();
    registry.vanish();
    client.get("/v2/").unwrap_err();
    // Nobody listens behind it: the connection is reset.
    client.get("/v2/").unwrap_err();
    registry.come_back();
    client.get("/v2/").unwrap();
}
