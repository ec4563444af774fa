//! One request and its answer, over one connection.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use http::header::HeaderMap;
use http::{Method, Request as Message, Response, StatusCode, Uri};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::answer::{Answer, Lease};
use super::body::SendBody;
use super::flow::{Flow, Limits};
use super::head::message;
use super::origin::Origin;
use super::pool::Connection;
use super::{HttpError, Inner, Request, tls, words};

/// One attempt to send a request.
pub(super) struct Attempt<'a> {
    pub(super) request: &'a Request,
    /// Where to: the request's own, or where a redirect led.
    pub(super) uri: &'a Uri,
    /// Those of the request's headers that may go there.
    pub(super) headers: &'a HeaderMap,
    /// Whether the body waits for a `100 Continue`.
    pub(super) expects: bool,
    pub(super) flow: Arc<Flow>,
}

/// What came of it.
enum Outcome {
    Answer(Response<Incoming>),
    /// The connection was found closed; the request can be sent on another at no risk.
    Stale,
    /// The server does not do `Expect`; the request can be sent again at once.
    ExpectRefused,
}

impl Inner {
    /// Sends `request` to `uri` with `headers`, once, but for attempts that came to nothing.
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
                None => self.connector.connect(&origin).await?,
            };
            if !reused {
                self.tallies.connected(&origin);
            }
            let length = request.body.length();
            let expects =
                length > self.config.expect_above && !self.without_expect.contains(&origin);
            let flow = Arc::new(Flow::new(length, expects));
            let attempt = Attempt { request, uri, headers, expects, flow };
            let message = message(&attempt, &connection, self.user_agent.as_ref())?;
            self.tallies.asked(&origin);
            let outcome = self.ask(&attempt, message, &mut connection, reused).await;
            self.tallies.sent(&origin, attempt.flow.sent());
            match outcome? {
                Outcome::Stale => may_be_stale = false,
                Outcome::ExpectRefused => self.without_expect.insert(&origin),
                Outcome::Answer(answer) => return Ok(self.answer(answer, &attempt, connection)),
            }
        }
    }

    async fn ask(
        &self,
        attempt: &Attempt<'_>,
        message: Message<SendBody>,
        connection: &mut Connection,
        reused: bool,
    ) -> Result<Outcome, HttpError> {
        let flow = &attempt.flow;
        let mut sending = pin!(connection.sender.try_send_request(message));
        let mut early = None;
        if attempt.expects {
            let invitation = pin!(timeout(self.config.expect_timeout, flow.invited()));
            match select(sending.as_mut(), invitation).await {
                Either::Left((result, _)) => early = Some(result),
                Either::Right((invited, _)) => {
                    if invited.is_err() {
                        self.without_expect.insert(&connection.origin);
                    }
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
            Ok(answer) => return judge(answer, attempt.expects),
            Err(failure) => failure,
        };
        let unsent = failure.take_message().is_some();
        let error = failure.into_error();
        if reused && (unsent || is_harmless(&attempt.request.method, flow) && is_end(&error)) {
            return Ok(Outcome::Stale);
        }
        Err(http_error(&error, flow, connection))
    }

    fn answer(
        &self,
        answer: Response<Incoming>,
        attempt: &Attempt<'_>,
        connection: Connection,
    ) -> Answer {
        let whole = attempt.flow.is_finished();
        if !whole {
            attempt.flow.shut();
        }
        let (head, body) = answer.into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            uri: attempt.uri.clone(),
            body,
            lease: Lease::new(connection, Arc::clone(&self.pool), whole),
            stall_timeout: self.config.stall_timeout,
        }
    }
}

fn judge(answer: Response<Incoming>, expects: bool) -> Result<Outcome, HttpError> {
    match answer.status() {
        StatusCode::EXPECTATION_FAILED if expects => Ok(Outcome::ExpectRefused),
        // Of all 1xx only this one ends a request, and only one that asked for it.
        StatusCode::SWITCHING_PROTOCOLS => {
            Err(HttpError::NotHttp("it switches to another protocol unasked".to_owned()))
        }
        _ => Ok(Outcome::Answer(answer)),
    }
}

/// Whether a request whose connection closed can be sent again, as a server may close an unused
/// connection just when the next request is on its way (RFC 9110 §9.2.2): one that changes
/// nothing, or whose body had yet to begin.
fn is_harmless(method: &Method, flow: &Flow) -> bool {
    flow.sent() == 0 && (flow.length() > 0 || matches!(*method, Method::GET | Method::HEAD))
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
        return HttpError::NotHttp(words::of_hyper(error));
    }
    let (sent, length) = (flow.sent(), flow.length());
    match (sent, length) {
        (_, 0) => HttpError::Broken(words::of_hyper(error)),
        (0, _) => HttpError::Unsent(words::of_hyper(error)),
        _ => {
            HttpError::Broken(format!("{} after {sent} of {length} bytes", words::of_hyper(error)))
        }
    }
}
