//! What the first answer of a host over TLS costs: one asks, the others wait for it, and whatever can
//! be done meanwhile is done. Nobody can look into TLS on the way, so what waits for what is told by
//! gates: whoever waited too long would wait at a shut one for ever.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass_push::Finished;
use windlass_registry_client::Transport;
use windlass_testkit::{
    Auth, Bearer, Call, Gate, Image, ImageBuilder, Link, LinkOptions, TestCa, TestOptions,
    TestRegistry, TlsOptions, TokenOptions, TokenServer, on_any,
};

use crate::harness::*;

const LOGIN: (&str, &str) = ("me", "open sesame");
/// HEADs in the first burst for [`image`]: 5 layers, the config, the manifest, 3 tags.
const BURST: u64 = 10;
const TAGS: [&str; 3] = ["v1", "v2", "latest"];

fn image() -> Image {
    ImageBuilder::new(1).layers(5, 200_000).build()
}

/// A host as one elsewhere, whose scheme is no question.
fn over_tls(ca: &Arc<TestCa>) -> How {
    let transport = Some(Transport::Https);
    How { login: Some(LOGIN), ca_file: Some(ca.pem_file()), transport, ..How::default() }
}

fn start(ca: &Arc<TestCa>, auth: Auth) -> TestRegistry {
    let tls = Some(TlsOptions::new(ca));
    TestRegistry::start(TestOptions { auth, tls, ..TestOptions::default() })
}

fn token_server(ca: &Arc<TestCa>) -> TokenServer {
    let users = vec![(LOGIN.0.to_owned(), LOGIN.1.to_owned())];
    let options = TokenOptions { users, ..TokenOptions::default() };
    TokenServer::start_tls(options, &TlsOptions::new(ca))
}

/// A registry that gives the tokens itself that it wants, and where it is found.
fn with_tokens_of_its_own(ca: &Arc<TestCa>) -> (TestRegistry, TokenServer, Link) {
    let tokens = token_server(ca);
    // What it names as its own address must be known before it starts.
    let link = Link::start(tokens.address(), LinkOptions::default());
    let realm = Some(format!("https://{}/token", link.address()));
    let registry = start(ca, Auth::Bearer(Bearer { realm, ..Bearer::new(&tokens) }));
    link.point_at(registry.address());
    (registry, tokens, link)
}

/// Waits for what must come.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn while_pushing(
    how: &How,
    registry: &TestRegistry,
    watch: impl Future<Output = ()>,
) -> Finished {
    let (host, image) = (registry.host(), image());
    tokio::join!(how.push(&host, &image, &TAGS), watch).0
}

#[tokio::test]
async fn while_one_asks_the_others_open_their_connections() {
    let ca = Arc::new(TestCa::new());
    let registry = start(&ca, Auth::Open);
    let gate = Gate::new();
    registry.fault(on_any(&[]).once().hold(&gate));
    let watch = async {
        until("nobody connects", || registry.connections() == BURST).await;
        gate.open();
    };
    let finished = while_pushing(&over_tls(&ca), &registry, watch).await;
    assert_pushed(&finished, &registry, &image(), &TAGS);
    assert_eq!(registry.connections(), BURST);
    assert_eq!(gate.arrived(), 1);
}

#[tokio::test]
async fn all_go_on_as_soon_as_it_is_known_how_to_log_in() {
    let ca = Arc::new(TestCa::new());
    let tokens = token_server(&ca);
    let registry = start(&ca, Auth::Bearer(Bearer::new(&tokens)));
    // Only those with a token come to it.
    let gate = Gate::new();
    registry.fault(on_any(&[]).hold(&gate));
    let watch = async {
        until("they wait for its answer", || gate.arrived() as u64 == BURST).await;
        gate.open();
    };
    let finished = while_pushing(&over_tls(&ca), &registry, watch).await;
    assert_pushed(&finished, &registry, &image(), &TAGS);
    assert_eq!(registry.log().iter().filter(|seen| seen.status == Some(401)).count(), 1);
    assert_eq!(tokens.requests().len(), 1);
    assert_eq!(registry.connections(), BURST);
}

#[tokio::test]
async fn a_token_of_the_same_origin_is_asked_for_on_the_connection_that_is_there() {
    let ca = Arc::new(TestCa::new());
    let (registry, _, link) = with_tokens_of_its_own(&ca);
    registry.seed("app", &image(), Some("v1"));
    let host = link.address().to_string();
    let client = over_tls(&ca).pusher(&host).client(&host.parse().unwrap());
    let client = client.repository(format!("{host}/app").parse().unwrap());
    assert_eq!(client.list_tags().await.unwrap(), ["v1"]);
    let calls: Vec<Call> = registry.log().iter().map(|seen| seen.call).collect();
    assert_eq!(calls, [Call::TagsList, Call::Token, Call::TagsList]);
    assert_eq!(registry.connections(), 1);

    let finished = over_tls(&ca).push(&host, &image(), &TAGS).await;
    assert_pushed(&finished, &registry, &image(), &TAGS);
    assert_eq!(registry.connections(), 1 + BURST);
}
