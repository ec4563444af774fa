//! Registries that want to know who asks: by password, by token, over TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use windlass_push::FailureClass;
use windlass_registry_client::Transport;
use windlass_testkit::{
    Auth, Bearer, Call, Image, ImageBuilder, Layer, RealOptions, RealRegistry, Signer, TestCa,
    TestOptions, TestRegistry, TlsOptions, TokenOptions, TokenServer, on,
};

use crate::harness::*;

const LOGIN: (&str, &str) = ("me", "open sesame");

fn image() -> Image {
    ImageBuilder::new(1).layers(3, 100_000).build()
}

fn as_me() -> How {
    How { login: Some(LOGIN), ..How::default() }
}

fn users() -> Vec<(String, String)> {
    vec![(LOGIN.0.to_owned(), LOGIN.1.to_owned())]
}

fn token_server() -> TokenServer {
    TokenServer::start(TokenOptions { users: users(), ..TokenOptions::default() })
}

fn behind(tokens: &TokenServer) -> TestRegistry {
    let auth = Auth::Bearer(Bearer::new(tokens));
    TestRegistry::start(TestOptions { auth, ..TestOptions::default() })
}

#[tokio::test]
async fn a_password_is_enough_for_basic() {
    let auth = Auth::Basic { user: LOGIN.0.to_owned(), password: LOGIN.1.to_owned() };
    let registry = TestRegistry::start(TestOptions { auth, ..TestOptions::default() });
    let finished = as_me().push(&registry.host(), &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    let finished = push(&registry, &image(), &["v2"]).await;
    assert_failed(&finished, FailureClass::Authentication, "401");
    let wrong = How { login: Some(("me", "wrong")), ..How::default() };
    let finished = wrong.push(&registry.host(), &image(), &["v2"]).await;
    assert_failed(&finished, FailureClass::Authentication, "401");
    assert!(!failure(&finished).to_string().contains("wrong"));
}

#[tokio::test]
async fn no_password_goes_out_before_it_is_asked_for() {
    let auth = Auth::Basic { user: LOGIN.0.to_owned(), password: LOGIN.1.to_owned() };
    let registry = TestRegistry::start(TestOptions { auth, ..TestOptions::default() });
    let finished = as_me().push(&registry.host(), &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    // Nobody knows yet who listens, or in which scheme.
    let log = registry.log();
    let asked = log.iter().position(|logged| logged.status == Some(401)).unwrap();
    assert_eq!(
        log[..=asked]
            .iter()
            .find(|logged| logged.authorization.is_some())
            .map(|logged| &logged.path),
        None
    );
}

#[tokio::test]
async fn a_token_is_asked_for_once() {
    let tokens = token_server();
    let registry = behind(&tokens);
    let finished = as_me().push(&registry.host(), &image(), &["v1", "v2"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1", "v2"]);
    assert_eq!(tokens.requests().len(), 1);
    assert_eq!(tokens.requests()[0].scopes, ["repository:app:pull,push"]);
}

#[tokio::test]
async fn a_token_that_is_revoked_in_the_middle_is_renewed() {
    for call in [Call::UploadPost, Call::UploadPut, Call::ManifestPut, Call::TagPut] {
        let tokens = token_server();
        let registry = behind(&tokens);
        let (revoke, done) = (tokens.clone(), AtomicBool::new(false));
        // The rule only watches: it revokes all tokens when the first such request has been let in.
        registry.fault(
            on(call)
                .matching(move |_| {
                    if !done.swap(true, Ordering::Relaxed) {
                        revoke.revoke_all();
                    }
                    false
                })
                .even_anonymous()
                .answer(500),
        );
        let finished = as_me().push(&registry.host(), &image(), &["v1", "v2"]).await;
        assert_pushed(&finished, &registry, &image(), &["v1", "v2"]);
        assert!(tokens.requests().len() > 1, "{call:?}");
        let bytes: u64 = image().blobs().iter().map(|blob| blob.size).sum();
        assert_eq!(registry.bytes_uploaded(), bytes);
    }
}

#[tokio::test]
async fn what_was_taken_with_a_401_is_asked_after_and_not_sent_again() {
    let tokens = token_server();
    let registry = behind(&tokens);
    let challenge =
        format!("Bearer realm=\"{}\",service=\"registry\",error=\"invalid_token\"", tokens.realm());
    // The token ran out while the body was stored: the session has all of it.
    registry.fault(on(Call::UploadPatch).once().garble(move |_, reply| {
        reply.status = 401_u16.try_into().unwrap();
        reply.headers.insert("www-authenticate", challenge.parse().unwrap());
    }));
    let image = ImageBuilder::new(2).layer(Layer::sparse(40 << 20)).build();
    let finished = as_me().push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    let bytes: u64 = image.blobs().iter().map(|blob| blob.size).sum();
    assert_eq!(registry.bytes_uploaded(), bytes);
    assert_eq!(registry.calls(Call::UploadGet).len(), 1);
}

#[tokio::test]
async fn tokens_that_run_out_are_renewed_ahead() {
    let tokens = TokenServer::start(TokenOptions {
        users: users(),
        lifetime: Duration::from_secs(2),
        ..TokenOptions::default()
    });
    let registry = behind(&tokens);
    registry.fault(on(Call::ManifestPut).delay(Duration::from_millis(2200)));
    let finished = as_me().push(&registry.host(), &image(), &["v1", "v2"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1", "v2"]);
    let refused = registry.log().iter().filter(|logged| logged.status == Some(401)).count();
    assert!(refused <= 10, "only those of the first burst: {refused}");
}

#[tokio::test]
async fn a_wrong_password_is_told_with_the_token_servers_words_and_never_shown() {
    let tokens = token_server();
    let registry = behind(&tokens);
    let how = How { login: Some(("me", "hunter2-hunter2")), ..How::default() };
    let finished = how.push(&registry.host(), &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Authentication, "gives no token");
    let told = format!("{} {:?}", failure(&finished), finished);
    assert!(!told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn over_tls_one_asks_first_and_the_others_have_their_token() {
    let ca = Arc::new(TestCa::new());
    let tokens = token_server();
    let registry = TestRegistry::start(TestOptions {
        auth: Auth::Bearer(Bearer::new(&tokens)),
        tls: Some(TlsOptions::new(&ca)),
        ..TestOptions::default()
    });
    // As with a host elsewhere, whose scheme is no question.
    let transport = Some(Transport::Https);
    let how = How { ca_file: Some(ca.pem_file()), transport, ..as_me() };
    let pusher_host = registry.host();
    let finished = how.push(&pusher_host, &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
    let refused = registry.log().iter().filter(|logged| logged.status == Some(401)).count();
    assert_eq!(refused, 1);
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_ends_it_at_once() {
    let ca = Arc::new(TestCa::new());
    let registry = TestRegistry::start(TestOptions {
        tls: Some(TlsOptions::new(&ca)),
        ..TestOptions::default()
    });
    let finished = push(&registry, &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Unreachable, "not signed by an authority");
    assert!(failure(&finished).hint().unwrap().contains("--cacert"));
    assert_eq!(receipt(&finished).retries, 0);
}

#[tokio::test]
async fn a_real_registry_whose_authority_is_not_trusted_is_not_asked_in_plain() {
    let ca = Arc::new(TestCa::new());
    let tls = Some(TlsOptions::new(&ca));
    let Some(registry) = RealRegistry::start(&RealOptions { tls, ..RealOptions::default() }) else {
        return;
    };
    // Go's TLS port answers plain HTTP with a 400, which is no registry's word.
    let finished = as_me().push(&registry.host(), &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Unreachable, "not signed by an authority");
}

#[tokio::test]
async fn a_real_registry_with_passwords() {
    let Some(registry) =
        RealRegistry::start(&RealOptions { users: users(), ..RealOptions::default() })
    else {
        return;
    };
    let finished = as_me().push(&registry.host(), &image(), &["v1"]).await;
    assert!(finished.failure.is_none(), "{:?}", finished.failure);
    let finished = How::default().push(&registry.host(), &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Authentication, "401");
}

#[tokio::test]
async fn a_real_registry_with_tokens_behind_tls_of_a_private_authority() {
    let ca = Arc::new(TestCa::new());
    let tokens = TokenServer::start_tls(
        TokenOptions {
            users: users(),
            signer: Some(Arc::new(Signer::new(&ca))),
            ..TokenOptions::default()
        },
        &TlsOptions::new(&ca),
    );
    let Some(registry) = RealRegistry::start(&RealOptions {
        tokens: Some(tokens.clone()),
        tls: Some(TlsOptions::new(&ca)),
        ..RealOptions::default()
    }) else {
        return;
    };
    let how = How { ca_file: Some(ca.pem_file()), ..as_me() };
    let finished = how.push(&registry.host(), &image(), &["v1", "v2"]).await;
    assert!(finished.failure.is_none(), "{:?}", finished.failure);
    assert_eq!(tags(&finished).len(), 2);
    assert_eq!(tokens.requests().len(), 1);
}

#[tokio::test]
async fn a_registry_that_refuses_every_body_is_not_asked_for_ever() {
    let tokens = token_server();
    let registry = behind(&tokens);
    let challenge =
        format!("Bearer realm=\"{}\",service=\"registry\",error=\"invalid_token\"", tokens.realm());
    let refusal = on(Call::UploadPut).answer(401).header("www-authenticate", &challenge);
    let refusal = registry.fault(refusal.error("UNAUTHORIZED", "not for you").after_body());
    let image = ImageBuilder::new(4).layers(1, 500_000).build();
    let finished = as_me().push(&registry.host(), &image, &["v1"]).await;
    assert_failed(&finished, FailureClass::Authentication, "not for you");
    assert!(refusal.fired() <= 6, "{}", refusal.fired());
}
