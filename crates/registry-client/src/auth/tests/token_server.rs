//! Dialects, refusals and strange answers of token servers.

use std::time::Duration;

use tokio::net::TcpListener;

use super::super::*;
use super::support::*;

#[tokio::test]
async fn an_identity_token_goes_by_post_and_what_it_becomes_is_kept() {
    let server = Server::start(|_, index| {
        let body =
            format!(r#"{{"access_token":"a{index}","expires_in":60,"refresh_token":"r{index}"}}"#);
        (200, "", body)
    })
    .await;
    let token = Credential::IdentityToken { username: None, token: "identity".into() };
    let login = login(purse([token]));
    first(&login, &server.challenge(""), &push()).await;
    let sent = login.authorization(&repository(), &push(), Duration::ZERO).await.unwrap();
    let next = login.refused(&server.challenge(""), sent.as_ref(), &repository(), &push()).await;
    assert_eq!(carries(next.unwrap().as_ref()), Some("Bearer a1"));
    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.method == "POST" && seen.authorization.is_none()));
    let begin = "grant_type=refresh_token&refresh_token=";
    assert!(seen[0].form.starts_with(&format!("{begin}identity&service=registry.example&")));
    assert!(seen[1].form.starts_with(&format!("{begin}r0&service=registry.example&")));
    assert_eq!(seen[0].scopes(), ["repository:org/app:pull,push"]);
}

#[tokio::test]
async fn a_kept_refresh_token_that_ran_out_gives_way_to_the_credential() {
    let server = Server::start(|seen, index| {
        if seen.method == "GET" || seen.form.contains("=short-lived&") {
            return refuse(401);
        }
        let refresh = if index == 0 { r#","refresh_token":"short-lived""# } else { "" };
        (200, "", format!(r#"{{"access_token":"a{index}"{refresh}}}"#))
    })
    .await;
    let token = Credential::IdentityToken { username: None, token: "identity".into() };
    let login = login(purse([token]));
    first(&login, &server.challenge(""), &push()).await;
    for (name, expected) in [("b", "Bearer a3"), ("c", "Bearer a4")] {
        let scopes = Scopes::pull(&name.parse().unwrap());
        let got = login.authorization(&repository(), &scopes, Duration::ZERO).await.unwrap();
        assert_eq!(carries(got.as_ref()), Some(expected));
    }
}

#[tokio::test]
async fn of_two_refusals_the_one_that_tells_more_is_shown() {
    for (post, get, expected) in [
        (404, 403, "403 Forbidden: by GET"),
        (405, 401, "401 Unauthorized: by GET"),
        (401, 401, "401 Unauthorized: by POST"),
        (400, 404, "400 Bad Request: by POST"),
    ] {
        let server = Server::start(move |seen, _| {
            let status = if seen.method == "GET" { get } else { post };
            (status, "", format!("by {}", seen.method))
        })
        .await;
        let token = Credential::IdentityToken { username: None, token: "identity".into() };
        let login = login(purse([token]));
        let challenge = server.challenge("");
        let error = login.refused(&challenge, None, &repository(), &push()).await.unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error} lacks {expected}");
    }
}

#[tokio::test]
async fn where_post_is_not_spoken_get_is_and_that_is_remembered() {
    for status in [400, 401, 404, 405] {
        let server = Server::start(move |seen, index| match seen.method.as_str() {
            "GET" => grant(format!("t{index}")),
            _ => refuse(status),
        })
        .await;
        let username = Some("me".to_owned());
        let login = login(purse([Credential::IdentityToken { username, token: "it".into() }]));
        first(&login, &server.challenge(""), &push()).await;
        let scopes = Scopes::pull(&"other".parse().unwrap());
        let got = login.authorization(&repository(), &scopes, Duration::ZERO).await.unwrap();
        assert_eq!(carries(got.as_ref()), Some("Bearer t2"), "{status}");
        let methods: Vec<_> = server.seen().into_iter().map(|seen| seen.method).collect();
        assert_eq!(methods, ["POST", "GET", "GET"], "{status}");
        assert_eq!(server.seen()[1].authorization.as_deref(), Some("Basic bWU6aXQ="));
    }
}

#[tokio::test]
async fn where_get_is_not_spoken_post_is() {
    let server = Server::start(|seen, _| match seen.method.as_str() {
        "POST" => grant("by-post"),
        _ => refuse(405),
    })
    .await;
    let login = login(purse([password()]));
    let got = first(&login, &server.challenge(""), &push()).await;
    assert_eq!(carries(Some(&got)), Some("Bearer by-post"));
    let form = &server.seen()[1].form;
    assert!(form.starts_with("grant_type=password&username=user&password=hunter2&"), "{form}");
}

#[tokio::test]
async fn a_refusal_tells_who_refused_what_of_whom_in_whose_words() {
    let server = Server::start(|_, _| {
        (401, "", r#"{"details":"bad password hunter2 for user"}"#.to_owned())
    })
    .await;
    let host = server.address;
    let ask = async |credential: Option<Credential>| {
        let login = login(purse(credential));
        login.refused(&server.challenge(""), None, &repository(), &push()).await.unwrap_err()
    };
    let error = ask(Some(password())).await;
    assert_eq!(error.failure(), AuthFailure::CredentialsRefused);
    assert_eq!(
        error.to_string(),
        format!(
            "{host} gives no token for repository:org/app:pull,push at registry.example with the \
             credentials from a purse: 401 Unauthorized: bad password *** for user"
        )
    );
    let error = ask(None).await;
    assert_eq!(error.failure(), AuthFailure::NoCredentials);
    assert!(error.to_string().contains("without credentials, for none were found: 401"), "{error}");
}

#[tokio::test]
async fn what_may_pass_is_told_from_what_will_not() {
    for status in [408, 429, 500, 502, 503] {
        let reply = (status, "retry-after: 7\r\n", "<html>later</html>".to_owned());
        let server = Server::start(move |_, _| reply.clone()).await;
        let login = login(purse([password()]));
        let challenge = server.challenge("");
        let error = login.refused(&challenge, None, &repository(), &push()).await.unwrap_err();
        assert_eq!(error.failure(), AuthFailure::TokenServer);
        let AuthError::Busy { retry_after, words, .. } = error else { panic!("{error}") };
        assert_eq!(retry_after.unwrap(), "7");
        assert_eq!(words.to_string(), "later");
        assert_eq!(server.count(), 1, "nothing is tried twice in here");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let realm = format!(r#"Bearer realm="http://{}/""#, listener.local_addr().unwrap());
    drop(listener);
    let login = login(purse([password()]));
    let asked = login.refused(&challenge(&realm), None, &repository(), &push()).await;
    let error = asked.unwrap_err();
    assert_eq!(error.failure(), AuthFailure::TokenServer);
    assert!(matches!(error, AuthError::Unreachable { .. }));
}

#[tokio::test]
async fn answers_that_are_no_token_are_errors() {
    let huge = format!(r#"{{"token":"{}"}}"#, "x".repeat(1024 * 1024));
    for (body, expected) in [
        ("<html>log in</html>".to_owned(), "it is not the JSON of a token"),
        ("{}".to_owned(), "it has neither `token` nor `access_token`"),
        (huge, "it is larger than 1 MiB"),
        (r#"{"token":"a\nb"}"#.to_owned(), "its token cannot stand in a header"),
    ] {
        let server = Server::start(move |_, _| (200, "", body.clone())).await;
        let login = login(purse([]));
        let challenge = server.challenge("");
        let error = login.refused(&challenge, None, &repository(), &push()).await.unwrap_err();
        assert_eq!(error.failure(), AuthFailure::Unusable);
        assert!(error.to_string().ends_with(expected), "{error}");
    }
}

#[tokio::test]
async fn a_large_token_is_fine() {
    let token = "x".repeat(200 * 1024);
    let server = Server::start(move |_, _| grant(&token)).await;
    let got = first(&login(purse([])), &server.challenge(""), &push()).await;
    assert_eq!(got.header().len(), "Bearer ".len() + 200 * 1024);
}
