//! Which credential is shown, and to whom.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use windlass_oci::Repository;

use super::super::*;
use super::support::*;

#[tokio::test]
async fn basic_goes_with_every_request() {
    let basic = challenge(r#"Basic realm="x",service="ecr.amazonaws.com""#);
    let login = login(purse([password()]));
    let sent = first(&login, &basic, &push()).await;
    assert_eq!(carries(Some(&sent)), Some("Basic dXNlcjpodW50ZXIy"));
    let next = login.authorization(&repository(), &mount(), Duration::ZERO).await.unwrap();
    assert_eq!(carries(next.as_ref()), Some("Basic dXNlcjpodW50ZXIy"));
    assert!(login.refused(&basic, Some(&sent), &repository(), &push()).await.unwrap().is_none());

    let nobody = self::login(purse([]));
    assert!(nobody.refused(&basic, None, &repository(), &push()).await.unwrap().is_none());
    assert!(nobody.authorization(&repository(), &push(), Duration::ZERO).await.unwrap().is_none());
}

#[tokio::test]
async fn a_basic_credential_that_ran_out_is_replaced() {
    let basic = challenge("Basic");
    let login = login(purse(["old", "new", "newer"].map(|word| Credential::basic("AWS", word))));
    let sent = first(&login, &basic, &push()).await;
    let next = login.refused(&basic, Some(&sent), &repository(), &push()).await.unwrap();
    assert_eq!(carries(next.as_ref()), Some("Basic QVdTOm5ldw=="));
    // Who comes late with the old one gets the new one.
    let late = login.refused(&basic, Some(&sent), &repository(), &push()).await.unwrap();
    assert_eq!(carries(late.as_ref()), Some("Basic QVdTOm5ldw=="));
    let last = login.refused(&basic, next.as_ref(), &repository(), &push()).await.unwrap();
    assert!(last.is_none());
}

#[tokio::test]
async fn a_credential_is_asked_for_again_when_it_ran_out() {
    #[derive(Debug)]
    struct Mint(AtomicU32, Instant);

    #[async_trait]
    impl CredentialProvider for Mint {
        async fn credential(
            &self,
            _: &Repository,
            _: Option<&Found>,
        ) -> Result<Option<Found>, CredentialError> {
            let count = self.0.fetch_add(1, Ordering::Relaxed);
            let expires = Some(self.1 + Duration::from_secs(100) * (count + 1));
            let credential = Credential::basic("AWS", format!("{count}"));
            Ok(Some(Found { credential, origin: Origin::new("a mint"), expires }))
        }
    }

    let (begin, seconds) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let clock = seconds.clone();
    let login = login(Arc::new(Mint(AtomicU32::new(0), begin)))
        .with_clock(move || begin + Duration::from_secs(clock.load(Ordering::Relaxed)));
    first(&login, &challenge("Basic"), &push()).await;
    for (now, expected) in [(0, "QVdTOjA="), (89, "QVdTOjA="), (90, "QVdTOjE="), (150, "QVdTOjE=")]
    {
        seconds.store(now, Ordering::Relaxed);
        let got = login.authorization(&repository(), &push(), Duration::ZERO).await.unwrap();
        assert_eq!(carries(got.as_ref()), Some(format!("Basic {expected}").as_str()));
    }
}

#[tokio::test]
async fn a_credential_that_was_refused_is_asked_for_once_more() {
    let server = Server::start(|seen, _| match seen.authorization.as_deref() {
        Some("Basic QVdTOmZyZXNo") => grant("fresh"),
        _ => refuse(401),
    })
    .await;
    let minted = ["stale", "fresh"].map(|password| Credential::basic("AWS", password));
    let login = login(purse(minted));
    let got = first(&login, &server.challenge(""), &push()).await;
    assert_eq!(carries(Some(&got)), Some("Bearer fresh"));
    assert_eq!(server.count(), 2);

    // One that is refused for good is asked for twice and no more.
    let purse = purse(["a", "b", "c", "d"].map(|password| Credential::basic("x", password)));
    let login = self::login(purse.clone());
    assert!(login.refused(&server.challenge(""), None, &repository(), &push()).await.is_err());
    assert_eq!(purse.asked.load(Ordering::Relaxed), 2);
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn a_registry_token_is_shown_as_it_is() {
    let server = Server::start(|_, _| grant("never")).await;
    let login = login(purse([Credential::RegistryToken("rt".into())]));
    let challenge = server.challenge("");
    let sent = first(&login, &challenge, &push()).await;
    assert_eq!(carries(Some(&sent)), Some("Bearer rt"));
    assert!(
        login.refused(&challenge, Some(&sent), &repository(), &push()).await.unwrap().is_none()
    );
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn who_we_are_can_be_told() {
    let server = Server::start(|_, _| grant("t")).await;
    let login = login(purse([password()]));
    let identity = Identity {
        kind: "password",
        username: Some("user".to_owned()),
        origin: Origin::new("a purse"),
    };
    let before = login.describe(&repository()).await.unwrap();
    assert_eq!(before, Description { login: None, credential: Some(identity) });
    first(&login, &server.challenge(""), &push()).await;
    let after = login.describe(&repository()).await.unwrap();
    let (host, service) = (server.address.to_string(), Some("registry.example".to_owned()));
    assert_eq!(after.login, Some(Login::Bearer { host, service }));
    let nobody = self::login(purse([])).describe(&repository()).await.unwrap();
    assert_eq!(nobody, Description { login: None, credential: None });
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    const SECRET: &str = "hunter2secret";
    let encoded = "dXNlcjpodW50ZXIyc2VjcmV0";
    let server = Server::start(|_, index| {
        let body = format!(r#"{{"access_token":"{SECRET}{index}","refresh_token":"{SECRET}"}}"#);
        (200, "", body)
    })
    .await;
    let angry = Server::start(|seen, _| {
        (403, "", format!("{} {:?} is wrong: {SECRET}", seen.form, seen.target))
    })
    .await;
    let credentials = [
        Credential::basic("user", SECRET),
        Credential::IdentityToken { username: None, token: SECRET.into() },
        Credential::RegistryToken(SECRET.into()),
    ];
    let mut shown = HashMap::new();
    for (index, credential) in credentials.into_iter().enumerate() {
        let mut show = |what: &str, text: String| shown.insert(format!("{what} {index}"), text);
        let fixed = FixedCredential {
            registry: repository().registry().clone(),
            credential: credential.clone(),
            origin: Origin::new("--username"),
        };
        show("credential", format!("{credential:?}"));
        let found = fixed.credential(&repository(), None).await.unwrap();
        show("found", format!("{found:?}"));
        show("provider", format!("{fixed:?}"));
        let chain = CredentialChain(vec![Arc::new(fixed)]);
        show("chain", format!("{chain:?}"));
        let login = login(Arc::new(chain));
        let challenge = server.challenge("");
        let authorization = first(&login, &challenge, &push()).await;
        show("authorization", format!("{authorization:?}"));
        login.refused(&challenge, Some(&authorization), &repository(), &push()).await.unwrap();
        show("authenticator", format!("{login:?}"));
        show("description", format!("{:?}", login.describe(&repository()).await));
        let challenge = angry.challenge("");
        let error = login.refused(&challenge, Some(&authorization), &repository(), &mount()).await;
        show("error", format!("{error:?}"));
        show("words", error.err().map(|error| error.to_string()).unwrap_or_default());
    }
    let places = ConfigPlaces {
        docker_auth_config: Some(
            format!(r#"{{"auths":{{"registry.example":{{"auth":"{encoded}"}}}}}}"#).into(),
        ),
        ..ConfigPlaces::default()
    };
    let files = ConfigFiles::new(places, Helpers::default());
    let found = files.credential(&repository(), None).await.unwrap().unwrap();
    assert_eq!(found.credential, Credential::basic("user", SECRET));
    shown.insert("files".to_owned(), format!("{files:?} {found:?}"));
    assert_eq!(shown.len(), 28);
    for (what, text) in &shown {
        assert!(!text.contains("hunter2"), "{what} shows a password: {text}");
        assert!(!text.contains(encoded), "{what} shows an encoded password: {text}");
    }
    assert!(shown["words 0"].contains("***"), "{}", shown["words 0"]);
}
