//! One request and its answer, over one connection.

use std::error::Error;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION,
    TRANSFER_ENCODING, USER_AGENT,
};
use http::uri::{PathAndQuery, Scheme};
use http::{Method, Request as Message, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::answer::{Answer, Lease};
use super::body::SendBody;
use super::flow::{Flow, Limits};
use super::origin::Origin;
use super::pool::Connection;
use super::{Body, HttpError, Inner, Request, tls};

/// What came of a request on one connection.
enum Outcome {
    Answer(Response<Incoming>),
    /// The connection was found closed; the request can be sent on another at no risk.
    Stale,
    /// The server does not do `Expect`; the request can be sent again at once.
    ExpectRefused,
}

impl Inner {
    /// Sends `request` to `uri`, which is its own or where a redirect led.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Answer, HttpError> {
        let origin = Origin::of(uri)?;
        let mut may_be_stale = true;
        loop {
            let pooled = if may_be_stale { self.pool.take(&origin) } else { None };
            let reused = pooled.is_some();
            let mut connection = match pooled {
                Some(connection) => connection,
                None => {
                    let connection = self.connector.connect(&origin).await?;
                    self.tallies.connected(&origin);
                    connection
                }
            };
            let expects = request.body.length() > self.config.expect_above
                && !self.without_expect.contains(&origin);
            let flow = Arc::new(Flow::new(request.body.length(), expects));
            let message = message(request, uri, headers, &connection, self, &flow, expects);
            self.tallies.asked(&origin);
            let outcome =
                self.ask(&mut connection, message?, &flow, expects, reused, &request.method).await;
            self.tallies.sent(&origin, flow.sent());
            match outcome? {
                Outcome::Stale => may_be_stale = false,
                Outcome::ExpectRefused => self.without_expect.insert(&origin),
                Outcome::Answer(answer) => {
                    let whole = flow.is_finished();
                    if !whole {
                        flow.shut();
                    }
                    return Ok(self.answer(answer, uri.clone(), connection, whole));
                }
            }
        }
    }

    async fn ask(
        &self,
        connection: &mut Connection,
        mut message: Message<SendBody>,
        flow: &Arc<Flow>,
        expects: bool,
        reused: bool,
        method: &Method,
    ) -> Result<Outcome, HttpError> {
        if expects {
            let flow = Arc::clone(flow);
            hyper::ext::on_informational(&mut message, move |answer| {
                if answer.status() == StatusCode::CONTINUE {
                    flow.invite();
                }
            });
        }
        let mut sending = pin!(connection.sender.try_send_request(message));
        let mut early = None;
        if expects {
            let invitation = pin!(timeout(self.config.expect_timeout, flow.invited()));
            match select(sending.as_mut(), invitation).await {
                Either::Left((result, _)) => early = Some(result),
                Either::Right((Ok(()), _)) => flow.open(),
                Either::Right((Err(_), _)) => {
                    self.without_expect.insert(&connection.origin);
                    flow.open();
                }
            }
        }
        let result = match early {
            Some(result) => result,
            None => match select(sending, pin!(flow.overdue(Limits::of(&self.config)))).await {
                Either::Left((result, _)) => result,
                Either::Right((error, _)) => return Err(error),
            },
        };
        let mut failure = match result {
            Ok(answer) if expects && answer.status() == StatusCode::EXPECTATION_FAILED => {
                return Ok(Outcome::ExpectRefused);
            }
            Ok(answer) => return Ok(Outcome::Answer(answer)),
            Err(failure) => failure,
        };
        // A server may close an unused connection just when the next request is on its way.
        let unsent = failure.take_message().is_some();
        let harmless = matches!(*method, Method::GET | Method::HEAD) && flow.sent() == 0;
        let error = failure.into_error();
        if reused && (unsent || harmless && is_end(&error)) {
            return Ok(Outcome::Stale);
        }
        Err(http_error(&error, flow, connection))
    }

    fn answer(
        &self,
        answer: Response<Incoming>,
        uri: Uri,
        connection: Connection,
        whole: bool,
    ) -> Answer {
        let (head, body) = answer.into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            uri,
            body,
            lease: Lease::new(connection, Arc::clone(&self.pool), whole),
            stall_timeout: self.config.stall_timeout,
        }
    }
}

/// The request as it goes out: what belongs to the connection is set here and nowhere else.
fn message(
    request: &Request,
    uri: &Uri,
    headers: &HeaderMap,
    connection: &Connection,
    http: &Inner,
    flow: &Arc<Flow>,
    expects: bool,
) -> Result<Message<SendBody>, HttpError> {
    let authority = connection.origin.authority();
    let invalid = |_| HttpError::Uri(format!("{authority} is no host name"));
    let mut all = HeaderMap::with_capacity(headers.len() + 5);
    all.insert(HOST, HeaderValue::from_str(&authority).map_err(invalid)?);
    all.extend(http.user_agent.clone().map(|agent| (USER_AGENT, agent)));
    for name in headers.keys() {
        all.remove(name);
        for value in headers.get_all(name) {
            all.append(name, value.clone());
        }
    }
    for name in [CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING] {
        all.remove(name);
    }
    if expects {
        all.insert(EXPECT, HeaderValue::from_static("100-continue"));
    }
    // A body of no bytes is announced too where the method means one (RFC 9110 §8.6).
    if request.body.length() == 0
        && (matches!(request.method, Method::POST | Method::PUT | Method::PATCH)
            || !matches!(request.body, Body::Empty))
    {
        all.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let mut target = http::uri::Parts::default();
    target.path_and_query = Some(path);
    if let Some(forward) = &connection.forward {
        target.scheme = Some(Scheme::HTTP);
        let host = authority.parse().map_err(|_| HttpError::Uri(format!("{authority}?")))?;
        target.authority = Some(host);
        if let Some(login) = &forward.login {
            all.insert(PROXY_AUTHORIZATION, login.clone());
        }
    }
    let mut message = Message::new(SendBody::new(&request.body, Arc::clone(flow)));
    *message.method_mut() = request.method.clone();
    *message.uri_mut() =
        Uri::from_parts(target).map_err(|error| HttpError::Uri(error.to_string()))?;
    *message.version_mut() = Version::HTTP_11;
    *message.headers_mut() = all;
    Ok(message)
}

/// Whether the other side just hung up, as opposed to having said something strange.
fn is_end(error: &hyper::Error) -> bool {
    !error.is_parse() && !error.is_user()
}

fn http_error(error: &hyper::Error, flow: &Flow, connection: &Connection) -> HttpError {
    if let Some(problem) = flow.take_problem() {
        return HttpError::Source(problem);
    }
    if let Some(problem) = tls::late_problem(error, &connection.origin) {
        return HttpError::Tls(problem);
    }
    if error.is_parse() {
        return HttpError::NotHttp(words(error));
    }
    let (sent, length) = (flow.sent(), flow.length());
    match (sent, length) {
        (_, 0) => HttpError::Broken(words(error)),
        (0, _) => HttpError::Unsent(words(error)),
        _ => HttpError::Broken(format!("{} after {sent} of {length} bytes", words(error))),
    }
}

/// What the error at the bottom of a connection's error says.
pub(super) fn words(error: &hyper::Error) -> String {
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return "the other side closed it".to_owned();
    }
    let mut bottom: &dyn Error = error;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    match bottom.downcast_ref::<io::Error>() {
        Some(error) => io_words(error),
        None => bottom.to_string(),
    }
}

/// A system's error in words, without its number.
pub(super) fn io_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => "the other side reset it".to_owned(),
        io::ErrorKind::UnexpectedEof => "the other side closed it".to_owned(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}
