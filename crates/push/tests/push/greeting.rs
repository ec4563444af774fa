//! What the first answer of a host over TLS costs: one asks, the others wait for it, and whatever can
//! be done meanwhile is done. Nobody can look into TLS on the way, so what waits for what is told by
//! gates: whoever waited too long would wait at a shut one for ever.

use std::fs;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass_push::{FailureClass, Finished, Journal};
use windlass_registry_client::Transport;
use windlass_testkit::{
    Auth, Bearer, Call, Gate, Image, ImageBuilder, Link, LinkOptions, Logged, TestCa, TestOptions,
    TestRegistry, TlsOptions, TokenOptions, TokenServer, on, on_any,
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

/// What processes share.
struct State(tempfile::TempDir);

impl State {
    fn new() -> State {
        State(tempfile::tempdir().unwrap())
    }

    /// A new process, which says nothing of trouble with what it has from before.
    fn how(&self, ca: &Arc<TestCa>) -> How {
        let told = |trouble: &_| panic!("{trouble}");
        let journal = Journal::new(self.0.path().to_owned(), Arc::new(told));
        How { journal, ..over_tls(ca) }
    }

    /// All that is on record.
    fn text(&self) -> String {
        let entries = fs::read_dir(self.0.path().join("journal")).unwrap();
        entries.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
    }
}

#[tokio::test]
async fn the_next_push_has_its_token_before_it_asks() {
    let ca = Arc::new(TestCa::new());
    let (registry, tokens, link) = with_tokens_of_its_own(&ca);
    let (state, host) = (State::new(), link.address().to_string());
    // Also where nothing is sent.
    registry.seed("app", &image(), None);
    let finished = state.how(&ca).push(&host, &image(), &TAGS).await;
    assert_pushed(&finished, &registry, &image(), &TAGS);
    let (asked, connected) = (registry.log().len(), registry.connections());
    let gate = Gate::new();
    registry.fault(on(Call::Token).hold(&gate));
    let other = ImageBuilder::new(2).layers(5, 200_000).build();
    let watch = async {
        gate.wait_for(1).await;
        until("nobody connects", || registry.connections() > connected + BURST).await;
        gate.open();
    };
    let how = state.how(&ca);
    let finished = tokio::join!(how.push(&host, &other, &TAGS), watch).0;
    assert_pushed(&finished, &registry, &other, &TAGS);
    let log = registry.log();
    assert_eq!(log[asked].call, Call::Token);
    let others = &log[asked + 1..];
    assert!(others.iter().all(|seen| seen.authorization.as_deref() == Some("bearer")));
    assert!(others.iter().all(|seen| seen.status != Some(401)));
    assert_eq!(tokens.requests().len(), 2);
    // One a request, and one for the token.
    assert_eq!(registry.connections(), connected + BURST + 1);
    let kept = state.text();
    assert!(kept.contains(&format!("https://{host}/token")), "{kept}");
    assert!(!kept.contains("token-") && !kept.contains(LOGIN.1), "{kept}");
}

/// Pushes once where tokens come from `old`, and then to what `new` has made of the same host; gives
/// that and what it was asked by a third push.
async fn after_a_change(
    ca: &Arc<TestCa>,
    old: TokenServer,
    new: impl FnOnce(TokenServer) -> TestRegistry,
) -> (TestRegistry, Vec<Logged>) {
    let before = start(ca, Auth::Bearer(Bearer::new(&old)));
    let link = Link::start(before.address(), LinkOptions::default());
    let (state, host) = (State::new(), link.address().to_string());
    let finished = state.how(ca).push(&host, &image(), &TAGS).await;
    assert_pushed(&finished, &before, &image(), &TAGS);
    assert!(state.text().contains(&old.realm()));
    drop(before);
    let after = new(old);
    link.point_at(after.address());
    let mut asked = 0;
    for seed in [2, 3] {
        let image = ImageBuilder::new(seed).layers(5, 200_000).build();
        asked = after.log().len();
        let finished = state.how(ca).push(&host, &image, &TAGS).await;
        assert_pushed(&finished, &after, &image, &TAGS);
        assert_eq!(receipt(&finished).retries, 0);
    }
    let third = after.log().split_off(asked);
    (after, third)
}

fn refused(log: &[Logged]) -> u64 {
    log.iter().filter(|seen| seen.status == Some(401)).count() as u64
}

#[tokio::test]
async fn a_token_server_that_is_gone_is_found_anew() {
    let ca = Arc::new(TestCa::new());
    let new = token_server(&ca);
    let gone = |old| {
        drop(old);
        start(&ca, Auth::Bearer(Bearer::new(&new)))
    };
    let (after, third) = after_a_change(&ca, token_server(&ca), gone).await;
    assert_eq!((refused(&after.log()), refused(&third)), (1, 0));
    assert_eq!(new.requests().len(), 2);
}

#[tokio::test]
async fn a_token_server_that_refuses_is_found_anew() {
    let ca = Arc::new(TestCa::new());
    let new = token_server(&ca);
    let mut kept = None;
    let refusing = |old: TokenServer| {
        old.change(|options| options.users.clear());
        kept = Some(old);
        start(&ca, Auth::Bearer(Bearer::new(&new)))
    };
    let (after, third) = after_a_change(&ca, token_server(&ca), refusing).await;
    assert_eq!((refused(&after.log()), refused(&third)), (1, 0));
    // Once before, and once by the second push.
    assert_eq!(kept.unwrap().requests().len(), 2);
}

#[tokio::test]
async fn tokens_that_are_wanted_from_elsewhere_now_are_had_there() {
    let ca = Arc::new(TestCa::new());
    let new = token_server(&ca);
    let mut kept = None;
    let moved = |old| {
        kept = Some(old);
        start(&ca, Auth::Bearer(Bearer::new(&new)))
    };
    let (after, third) = after_a_change(&ca, token_server(&ca), moved).await;
    assert!((1..=BURST).contains(&refused(&after.log())), "only those of the first burst");
    assert_eq!(refused(&third), 0);
    assert_eq!(new.requests().len(), 2);
}

#[tokio::test]
async fn a_password_that_is_wanted_now_instead_of_a_token_is_given() {
    let ca = Arc::new(TestCa::new());
    let auth = Auth::Basic { user: LOGIN.0.to_owned(), password: LOGIN.1.to_owned() };
    let mut kept = None;
    let changed = |old| {
        kept = Some(old);
        start(&ca, auth)
    };
    let (_, third) = after_a_change(&ca, token_server(&ca), changed).await;
    assert_eq!(refused(&third), 1);
    assert!(third.iter().all(|seen| seen.authorization.as_deref() != Some("bearer")));
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_again_by_what_is_remembered() {
    let ca = Arc::new(TestCa::new());
    let (registry, tokens, link) = with_tokens_of_its_own(&ca);
    let (state, host) = (State::new(), link.address().to_string());
    state.how(&ca).push(&host, &image(), &TAGS).await;
    tokens.change(|options| options.users.clear());
    let mut asked = Vec::new();
    for _ in 0..3 {
        let before = tokens.requests().len();
        let finished = state.how(&ca).push(&host, &image(), &["v9"]).await;
        assert_failed(&finished, FailureClass::Authentication, "gives no token");
        asked.push(tokens.requests().len() - before);
    }
    // What is remembered, and what the registry names; then only that.
    assert_eq!(asked, [2, 1, 1]);
    assert_eq!(registry.tag("app", "v9"), None);
}
