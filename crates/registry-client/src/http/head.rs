//! The head of a request as it goes out.

use std::sync::Arc;

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION,
    TRANSFER_ENCODING, USER_AGENT,
};
use http::uri::{Parts, PathAndQuery, Scheme};
use http::{Method, Request as Message, StatusCode, Uri, Version};

use super::body::SendBody;
use super::exchange::Attempt;
use super::pool::Connection;
use super::{Body, HttpError};

/// What an attempt sends over `connection`. What belongs to the connection and to the body is set
/// here and nowhere else.
pub(super) fn message(
    attempt: &Attempt<'_>,
    connection: &Connection,
    user_agent: Option<&HeaderValue>,
) -> Result<Message<SendBody>, HttpError> {
    let authority = connection.origin.authority();
    let invalid = || HttpError::Uri(format!("{authority} is no host name"));
    let mut headers = HeaderMap::with_capacity(attempt.headers.len() + 5);
    headers.insert(HOST, HeaderValue::from_str(&authority).map_err(|_| invalid())?);
    if let Some(user_agent) = user_agent {
        headers.insert(USER_AGENT, user_agent.clone());
    }
    for name in attempt.headers.keys() {
        headers.remove(name);
        for value in attempt.headers.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    for name in [CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    if attempt.expects {
        headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
    }
    if announces_emptiness(&attempt.request.method, &attempt.request.body) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let path = attempt.uri.path_and_query().cloned();
    let mut target = Parts::default();
    target.path_and_query = Some(path.unwrap_or(PathAndQuery::from_static("/")));
    if let Some(forward) = &connection.forward {
        target.scheme = Some(Scheme::HTTP);
        target.authority = Some(authority.parse().map_err(|_| invalid())?);
        if let Some(login) = &forward.login {
            headers.insert(PROXY_AUTHORIZATION, login.clone());
        }
    }
    let body = SendBody::new(&attempt.request.body, Arc::clone(&attempt.flow));
    let mut message = Message::new(body);
    *message.method_mut() = attempt.request.method.clone();
    *message.uri_mut() =
        Uri::from_parts(target).map_err(|error| HttpError::Uri(error.to_string()))?;
    *message.version_mut() = Version::HTTP_11;
    *message.headers_mut() = headers;
    if attempt.expects {
        let flow = Arc::clone(&attempt.flow);
        hyper::ext::on_informational(&mut message, move |answer| {
            if answer.status() == StatusCode::CONTINUE {
                flow.invite();
            }
        });
    }
    Ok(message)
}

/// Whether a body of no bytes has its length told: where the method means one (RFC 9110 §8.6).
/// Other lengths are told by the body itself.
fn announces_emptiness(method: &Method, body: &Body) -> bool {
    let means_one = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    body.length() == 0 && (means_one || !matches!(body, Body::Empty))
}
