//! Faults of logins.

use std::time::Duration;

use windlass_push::FailureClass;
use windlass_testkit::{
    Auth, Bearer, Call, Image, ImageBuilder, Modes, Mount, Scope, TestOptions, TestRegistry,
    TokenOptions, TokenServer, TokenShape, on,
};

use crate::harness::*;

const LOGIN: (&str, &str) = ("me", "open sesame");

fn image() -> Image {
    ImageBuilder::new(1).layers(3, 100_000).build()
}

fn as_me() -> How {
    How { login: Some(LOGIN), ..How::default() }
}

fn options() -> TokenOptions {
    TokenOptions {
        users: vec![(LOGIN.0.to_owned(), LOGIN.1.to_owned())],
        ..TokenOptions::default()
    }
}

fn behind(tokens: &TokenServer) -> TestRegistry {
    let auth = Auth::Bearer(Bearer::new(tokens));
    TestRegistry::start(TestOptions { auth, ..TestOptions::default() })
}

#[tokio::test]
async fn f11_token_expires_mid_push() {
    let (large, small) = (large(), ImageBuilder::new(3).layers(1, 500_000).build());
    for (image, call, read) in [
        (&small, Call::UploadPut, 0),
        (&small, Call::UploadPut, 100_000),
        (&large, Call::UploadPatch, 0),
        (&large, Call::UploadPatch, 5_000_000),
        (&large, Call::UploadPut, 0),
        (&large, Call::ManifestPut, 0),
        (&large, Call::TagPut, 0),
    ] {
        let tokens = TokenServer::start(options());
        let registry = behind(&tokens);
        let challenge = format!(
            "Bearer realm=\"{}\",service=\"registry\",error=\"invalid_token\"",
            tokens.realm()
        );
        let refusal = on(call).once().answer(401).header("www-authenticate", &challenge);
        registry.fault(refusal.after_bytes(read));
        let finished = as_me().push(&registry.host(), image, &["v1"]).await;
        assert_pushed(&finished, &registry, image, &["v1"]);
        assert_eq!(tokens.requests().len(), 2, "one more for the one refused");
        let again = registry.bytes_uploaded() - size(image);
        assert!(again <= 2 * read, "{call:?}: {again} bytes were sent again, {read} had been read");
    }
    // In a body that moves forward as often as it likes.
    let tokens = TokenServer::start(options());
    let registry = behind(&tokens);
    let challenge =
        format!("Bearer realm=\"{}\",service=\"registry\",error=\"invalid_token\"", tokens.realm());
    registry.fault(on(Call::UploadPatch).times(4).garble(move |_, reply| {
        reply.status = 401_u16.try_into().unwrap();
        reply.headers.insert("www-authenticate", challenge.parse().unwrap());
    }));
    let image = ImageBuilder::new(3).layers(1, 500_000).build();
    let how = How { chunk_size: Some(100_000), ..as_me() };
    let finished = how.push(&registry.host(), &image, &["v1"]).await;
    assert_pushed(&finished, &registry, &image, &["v1"]);
    assert_eq!(registry.bytes_uploaded(), size(&image));
}

#[tokio::test]
async fn f12_scope_shrink() {
    let tokens = TokenServer::start(TokenOptions {
        granted: vec![Scope::parse("repository:app:pull").unwrap()],
        ..options()
    });
    let registry = behind(&tokens);
    let finished = as_me().push(&registry.host(), &image(), &["v1"]).await;
    assert_failed(&finished, FailureClass::Authentication, "app");
    assert!(tokens.requests().len() <= 3, "{:?}", tokens.requests());
}

#[tokio::test]
async fn f13_oauth_post_unsupported() {
    for status in [400, 401, 404, 405] {
        let tokens = TokenServer::start(TokenOptions {
            refuses_post: Some(status),
            refresh_tokens: vec![(LOGIN.1.to_owned(), LOGIN.0.to_owned())],
            ..options()
        });
        let registry = behind(&tokens);
        let how = How { identity: true, ..as_me() };
        let finished = how.push(&registry.host(), &image(), &["v1"]).await;
        assert_pushed(&finished, &registry, &image(), &["v1"]);
        let asked: Vec<_> =
            tokens.requests().into_iter().map(|asked| (asked.method, asked.status)).collect();
        assert_eq!(asked, [("POST".to_owned(), status), ("GET".to_owned(), 200)]);
    }
    // And a password by POST, where there is no GET.
    let tokens = TokenServer::start(TokenOptions { refuses_get: Some(405), ..options() });
    let registry = behind(&tokens);
    let finished = as_me().push(&registry.host(), &image(), &["v1"]).await;
    assert_pushed(&finished, &registry, &image(), &["v1"]);
}

#[tokio::test]
async fn f14_mount_401() {
    for status in [401, 403, 404, 405] {
        let auth = Auth::Basic { user: LOGIN.0.to_owned(), password: LOGIN.1.to_owned() };
        let mount = Mount::Refuses(status.try_into().unwrap());
        let modes = Modes { mount, ..Modes::default() };
        let registry = TestRegistry::start(TestOptions { modes, auth, ..TestOptions::default() });
        let how = as_me();
        let names = ["a", "b"].map(|name| format!("{}/{name}", registry.host()));
        let job = how.job(&image(), &names, &["v1"]).await;
        let finished = in_time(how.pusher(&registry.host()).push(job)).await;
        assert!(finished.failure.is_none(), "{status}: {:?}", finished.failure);
        assert!(registry.has_image("a", &image()) && registry.has_image("b", &image()));
        assert_eq!(registry.bytes_uploaded(), 2 * size(&image()));
        assert_eq!(counts(&registry, [Call::UploadMount, Call::UploadPost]), [4, 8], "{status}");
        let mounted = finished.receipts[0].repositories.iter().map(|it| it.blobs.mounted).max();
        assert_eq!(mounted, Some(0));
    }
}

#[tokio::test]
async fn f17_two_challenges() {
    let bearer = r#"Bearer realm="{realm}",service="{service}",scope="{scope}""#;
    for challenges in [
        &[r#"Basic realm="registry""#, bearer][..],
        &[bearer, r#"Basic realm="registry""#],
        &[r#"Basic realm="registry", Bearer realm="{realm}",service="{service}""#],
        // Without scope, without service, without quotes, in other letters.
        &[r#"Bearer realm="{realm}",service="{service}""#],
        &[r#"Bearer realm="{realm}""#],
        &["Bearer realm={realm},service={service}"],
        &[r#"bearer Realm="{realm}" , Service="{service}""#],
    ] {
        let tokens = TokenServer::start(options());
        let challenges: Vec<String> = challenges.iter().map(|it| (*it).to_owned()).collect();
        let auth = Auth::Bearer(Bearer { challenges: challenges.clone(), ..Bearer::new(&tokens) });
        let registry = TestRegistry::start(TestOptions { auth, ..TestOptions::default() });
        let finished = as_me().push(&registry.host(), &image(), &["v1"]).await;
        assert_pushed(&finished, &registry, &image(), &["v1"]);
        let asked = tokens.requests();
        assert_eq!(asked.len(), 1, "{challenges:?}");
        assert_eq!(asked[0].scopes, ["repository:app:pull,push"], "{challenges:?}");
    }
}

#[tokio::test]
async fn f18_token_shapes() {
    use TokenShape::*;
    for (shape, claims, skew) in [
        (TokenOnly, None, 0),
        (AccessTokenOnly, None, 0),
        (Full, Some(0), 0),
        (Full, Some(10), 0),
        (Full, Some(-5), 0),
        (Full, None, 7200),
        (Full, None, -7200),
    ] {
        let tokens = TokenServer::start(TokenOptions {
            shape,
            claims_to_expire_in: claims,
            clock_skew_seconds: skew,
            ..options()
        });
        let registry = behind(&tokens);
        let finished = as_me().push(&registry.host(), &image(), &["v1"]).await;
        assert_pushed(&finished, &registry, &image(), &["v1"]);
        let asked = tokens.requests().len();
        assert_eq!(asked, 1, "{shape:?} {claims:?} {skew}");
    }
    // No token, or more than anybody reads.
    for shape in [Huge, Html, Nothing] {
        let tokens = TokenServer::start(TokenOptions { shape, ..options() });
        let registry = behind(&tokens);
        let how = How { retry_for: Duration::from_millis(500), ..as_me() };
        let finished = how.push(&registry.host(), &image(), &["v1"]).await;
        assert_failed(&finished, FailureClass::Authentication, "log in");
        assert!(tokens.requests().len() <= 2, "{shape:?}");
        assert_eq!(registry.bytes_uploaded(), 0);
    }
}
