//! The token server, and the registries that take its tokens.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::time::Duration;

use serde_json::Value;
use windlass_testkit::{
    Auth, Bearer, Call, Client, Scope, TestOptions, TestRegistry, TokenOptions, TokenServer,
    TokenShape, on,
};

const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";
const FORM: [(&str, &str); 1] = [("Content-Type", "application/x-www-form-urlencoded")];

fn registry(tokens: &TokenServer) -> TestRegistry {
    let auth = Auth::Bearer(Bearer::new(tokens));
    TestRegistry::start(TestOptions { auth, ..TestOptions::default() })
}

/// Asks for a token as the user, by GET.
fn ask(tokens: &TokenServer, query: &str) -> (u16, Value) {
    let mut client = Client::new(tokens.address());
    client.authorize(BASIC);
    let got = client.get(&format!("/token?{query}")).unwrap();
    (got.status, serde_json::from_slice(&got.body).unwrap_or_default())
}

fn token(tokens: &TokenServer, query: &str) -> String {
    let (status, body) = ask(tokens, query);
    assert_eq!(status, 200);
    body["token"].as_str().unwrap().to_owned()
}

fn ping_with(registry: &TestRegistry, token: &str) -> u16 {
    try_with(registry, token, "GET", "/v2/").0
}

fn try_with(registry: &TestRegistry, token: &str, method: &str, path: &str) -> (u16, String) {
    let mut client = Client::new(registry.address());
    client.authorize(&format!("Bearer {token}"));
    let got = client.send(method, path, &[], b"").unwrap();
    (got.status, got.header("www-authenticate").to_owned())
}

#[test]
fn a_challenge_says_where_to_get_what() {
    let tokens = TokenServer::start(TokenOptions::default());
    let registry = registry(&tokens);
    let mut client = Client::new(registry.address());
    let mut challenge = |method: &str, path: &str| {
        let got = client.send(method, path, &[], b"").unwrap();
        assert_eq!(got.status, 401);
        got.header("www-authenticate").replace(&tokens.realm(), "REALM")
    };
    assert_eq!(challenge("GET", "/v2/"), r#"Bearer realm="REALM",service="test-registry""#);
    assert_eq!(
        challenge("POST", "/v2/a/blobs/uploads/?mount=sha256:0&from=b"),
        r#"Bearer realm="REALM",service="test-registry",scope="repository:a:pull,push repository:b:pull""#,
    );
}

#[test]
fn a_token_opens_what_it_is_for() {
    let tokens = TokenServer::start(TokenOptions::default());
    let registry = registry(&tokens);
    let token =
        token(&tokens, "service=s&scope=repository:a:pull,push&scope=repository%3Ab%3Apull");
    let status = |method, path| try_with(&registry, &token, method, path).0;
    assert_eq!(status("GET", "/v2/"), 200);
    assert_eq!(status("POST", "/v2/a/blobs/uploads/"), 202);
    assert_eq!(status("HEAD", "/v2/b/manifests/v1"), 404);
    let (refused, challenge) = try_with(&registry, &token, "POST", "/v2/b/blobs/uploads/");
    assert_eq!(refused, 401);
    assert!(challenge.ends_with(r#",error="insufficient_scope""#), "{challenge}");
    let (refused, challenge) = try_with(&registry, "nonsense", "GET", "/v2/");
    assert_eq!(refused, 401);
    assert!(challenge.ends_with(r#",error="invalid_token""#), "{challenge}");

    let requests = tokens.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].scopes, ["repository:a:pull,push", "repository:b:pull"]);
    assert_eq!(requests[0].service.as_deref(), Some("s"));
    assert_eq!((requests[0].user.as_deref(), requests[0].status), (Some("user"), 200));
}

#[test]
fn a_token_ends_to_the_moment() {
    let lifetime = Duration::from_millis(40);
    let tokens = TokenServer::start(TokenOptions { lifetime, ..TokenOptions::default() });
    let registry = registry(&tokens);
    let token = token(&tokens, "");
    assert_eq!(ping_with(&registry, &token), 200);
    std::thread::sleep(lifetime);
    assert_eq!(ping_with(&registry, &token), 401);
    let token = tokens.issue(&[]);
    assert_eq!(ping_with(&registry, &token), 200);
    tokens.revoke_all();
    assert_eq!(ping_with(&registry, &token), 401);
}

#[test]
fn who_is_not_known_gets_nothing_and_who_is_nobody_gets_little() {
    let tokens = TokenServer::start(TokenOptions {
        anonymous: vec![Scope::new("*", &["pull"])],
        ..TokenOptions::default()
    });
    let registry = registry(&tokens);
    let mut client = Client::new(tokens.address());
    let got = client.get("/token?scope=repository:a:pull,push").unwrap();
    let body: Value = serde_json::from_slice(&got.body).unwrap();
    let token = body["token"].as_str().unwrap();
    assert_eq!(try_with(&registry, token, "GET", "/v2/a/tags/list").0, 404);
    assert_eq!(try_with(&registry, token, "POST", "/v2/a/blobs/uploads/").0, 401);
    client.authorize("Basic dXNlcjp3cm9uZw==");
    assert_eq!(client.get("/token").unwrap().status, 401);
}

#[test]
fn what_is_granted_can_shrink() {
    let tokens = TokenServer::start(TokenOptions::default());
    let registry = registry(&tokens);
    let may_push = || {
        let token = token(&tokens, "scope=repository:a:pull,push");
        try_with(&registry, &token, "POST", "/v2/a/blobs/uploads/").0
    };
    assert_eq!(may_push(), 202);
    tokens.change(|options| options.granted = vec![Scope::new("a", &["pull"])]);
    assert_eq!(may_push(), 401);
}

#[test]
fn a_token_is_asked_for_by_post_too() {
    let refresh_tokens = vec![("long-lived".to_owned(), "user".to_owned())];
    let tokens = TokenServer::start(TokenOptions { refresh_tokens, ..TokenOptions::default() });
    let registry = registry(&tokens);
    let mut client = Client::new(tokens.address());
    let mut post = |form: &str| {
        let got = client.send("POST", "/token", &FORM, form.as_bytes()).unwrap();
        let body: Value = serde_json::from_slice(&got.body).unwrap();
        (got.status, body["access_token"].as_str().unwrap_or_default().to_owned())
    };
    let scope = "scope=repository%3Aa%3Apull%2Cpush+repository%3Ab%3Apull&service=s&client_id=c";
    let (status, token) =
        post(&format!("grant_type=password&username=user&password=secret&{scope}"));
    assert_eq!(status, 200);
    assert_eq!(try_with(&registry, &token, "POST", "/v2/a/blobs/uploads/").0, 202);
    let (status, token) =
        post(&format!("grant_type=refresh_token&refresh_token=long-lived&{scope}"));
    assert_eq!((status, ping_with(&registry, &token)), (200, 200));
    assert_eq!(post("grant_type=password&username=user&password=wrong").0, 401);
    assert_eq!(post("grant_type=refresh_token&refresh_token=other").0, 401);
    let requests = tokens.requests();
    assert_eq!(requests[0].scopes, ["repository:a:pull,push", "repository:b:pull"]);
    assert_eq!(requests[1].grant.as_deref(), Some("refresh_token"));

    tokens.change(|options| options.refuses_post = Some(405));
    assert_eq!(post("grant_type=password&username=user&password=secret").0, 405);
    tokens.change(|options| options.refuses_get = Some(404));
    assert_eq!(ask(&tokens, "").0, 404);
}

#[test]
fn a_refresh_token_is_given_to_who_asks_for_one() {
    let tokens = TokenServer::start(TokenOptions::default());
    assert!(ask(&tokens, "").1.get("refresh_token").is_none());
    let refresh = ask(&tokens, "offline_token=true").1["refresh_token"].clone();
    let form = format!("grant_type=refresh_token&refresh_token={}", refresh.as_str().unwrap());
    let got = Client::new(tokens.address()).send("POST", "/token", &FORM, form.as_bytes());
    assert_eq!(got.unwrap().status, 200);
    assert_eq!(tokens.requests().pop().unwrap().user.as_deref(), Some("user"));
}

#[test]
fn answers_have_many_shapes() {
    let tokens = TokenServer::start(TokenOptions::default());
    let shape = |shape| {
        tokens.change(|options| options.shape = shape);
        ask(&tokens, "").1
    };
    let full = shape(TokenShape::Full);
    assert_eq!(full["token"], full["access_token"]);
    assert_eq!(full["expires_in"], 300);
    let token_only = shape(TokenShape::TokenOnly);
    assert!(token_only["token"].is_string() && token_only.get("expires_in").is_none());
    let access_only = shape(TokenShape::AccessTokenOnly);
    assert!(access_only["access_token"].is_string() && access_only.get("token").is_none());
    assert!(shape(TokenShape::Huge).to_string().len() > 1 << 20);
    assert!(shape(TokenShape::Html).is_null());
    assert!(shape(TokenShape::Nothing).as_object().unwrap().is_empty());
    tokens.change(|options| {
        options.shape = TokenShape::Full;
        options.claims_to_expire_in = Some(-5);
        options.clock_skew_seconds = -86_400 * 3650;
    });
    let odd = ask(&tokens, "").1;
    assert_eq!(odd["expires_in"], -5);
    assert!(odd["issued_at"].as_str().unwrap() < "2020");
}

#[test]
fn challenges_have_many_forms_and_realms() {
    let tokens = TokenServer::start(TokenOptions::default());
    let mut bearer = Bearer::new(&tokens);
    bearer.challenges = vec!["bearer REALM={realm}".to_owned(), "Basic realm=\"test\"".to_owned()];
    bearer.realm = Some("http://elsewhere/token".to_owned());
    let auth = Auth::Bearer(bearer);
    let registry = TestRegistry::start(TestOptions { auth, ..TestOptions::default() });
    let got = Client::new(registry.address()).get("/v2/").unwrap();
    let challenges: Vec<_> = got.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, ["bearer REALM=http://elsewhere/token", "Basic realm=\"test\""]);
}

#[test]
fn tokens_are_given_at_the_registrys_own_address_too() {
    let tokens = TokenServer::start(TokenOptions::default());
    let registry = registry(&tokens);
    let mut client = Client::new(registry.address());
    client.authorize(BASIC);
    assert_eq!(client.get("/token").unwrap().status, 200);
    assert_eq!(tokens.requests().len(), 1);
    assert_eq!(registry.calls(Call::Token).len(), 1);
}

#[test]
fn faults_reach_the_token_server_and_the_registry_behind_its_door() {
    let tokens = TokenServer::start(TokenOptions::default());
    let rule = tokens.fault(on(Call::Token).once().answer(503));
    assert_eq!(ask(&tokens, "").0, 503);
    assert_eq!(ask(&tokens, "").0, 200);
    assert_eq!((rule.fired(), tokens.requests().len(), tokens.log().len()), (1, 1, 2));

    let registry = registry(&tokens);
    let rule = registry.fault(on(Call::Ping).once().answer(500));
    let stranger = registry.fault(on(Call::TagsList).even_anonymous().once().answer(429));
    assert_eq!(ping_with(&registry, "nonsense"), 401);
    assert_eq!(rule.fired(), 0, "a request that is not let in is not what the rule is about");
    assert_eq!(ping_with(&registry, &tokens.issue(&[])), 500);
    assert_eq!(try_with(&registry, "nonsense", "GET", "/v2/a/tags/list").0, 429);
    assert_eq!(stranger.fired(), 1);
}
