//! One request with all that surrounds it: scheme, credentials, limits, and another try.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::join;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, RETRY_AFTER, WARNING};
use http::{HeaderMap, Method, StatusCode, Uri};
use windlass_oci::ErrorBody;

use crate::auth::{Authorization, Scopes};
use crate::client::RepositoryClient;
use crate::error::{Error, ErrorKind, Tried};
use crate::http::{Answer, Body, HttpError, Request};
use crate::origin::{Settled, Transport, is_downgrade, same_origin};
use crate::pace::Word;
use crate::reply::Reply;
use crate::retry::{
    Patience, Setback, Verdict, judge_failure, judge_login, judge_status, retry_after,
};

/// A request to be made, in all its tries.
pub(crate) struct Call<'a> {
    client: &'a RepositoryClient,
    operation: String,
    target: Target,
    method: Method,
    headers: HeaderMap,
    body: Body,
    scopes: Scopes,
    /// How long the credential must last: a body that is refused at its end was sent in vain.
    needed_for: Duration,
    /// How many bytes of a blob's body have been handed over, in all tries.
    sent: Option<Arc<AtomicU64>>,
    /// How many they were before this one.
    sent_before: u64,
    /// The bytes of a large body, of which only so many are in flight at once.
    large: Option<u64>,
}

/// Something that did not work and may another time.
pub(crate) struct Trouble {
    pub(crate) kind: ErrorKind,
    /// How long the registry asks to be left alone.
    pub(crate) pause: Option<Duration>,
    /// Whether bytes of a body went out.
    pub(crate) moved: bool,
}

/// Where a request goes.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// Path and query at the registry's own host.
    Path(String),
    /// A URI that the registry gave, byte for byte.
    Given(Uri),
}

/// What came of sending a request once.
struct Round {
    reply: Reply,
    /// It is a 401, and this may be let in.
    better: Option<Box<Authorization>>,
}

/// How often one request is sent again because of a 401 to it.
const LOGINS: usize = 3;
/// How long a host that never answered is tried.
const FIRST_ANSWER: Duration = Duration::from_secs(3);

impl<'a> Call<'a> {
    pub(crate) fn new(client: &'a RepositoryClient, operation: String, target: Target) -> Call<'a> {
        let scopes = Scopes::push(client.repository.name());
        Call {
            client,
            operation,
            target,
            method: Method::GET,
            headers: HeaderMap::new(),
            body: Body::Empty,
            scopes,
            needed_for: Duration::ZERO,
            sent: None,
            sent_before: 0,
            large: None,
        }
    }

    pub(crate) fn method(mut self, method: Method) -> Call<'a> {
        self.method = method;
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Call<'a> {
        // What is set here is ours and printable; a value that is not is left out.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.append(name, value);
        }
        self
    }

    pub(crate) fn bytes(mut self, bytes: Bytes) -> Call<'a> {
        self.body = Body::Bytes(bytes);
        self
    }

    /// A blob's bytes; `sent` is counted up as they are handed over.
    pub(crate) fn blob(
        mut self,
        body: Body,
        needed_for: Duration,
        sent: Arc<AtomicU64>,
    ) -> Call<'a> {
        self.body = body;
        self.needed_for = needed_for;
        self.sent_before = sent.load(Ordering::Relaxed);
        self.sent = Some(sent);
        self
    }

    /// It has a body of so many bytes, and waits for its turn among those to the host.
    pub(crate) fn large(mut self, size: u64) -> Call<'a> {
        self.large = Some(size);
        self
    }

    pub(crate) fn scopes(mut self, scopes: Scopes) -> Call<'a> {
        self.scopes = scopes;
        self
    }

    /// Sends it until there is an answer that stands, or patience is at an end.
    pub(crate) async fn send(&self) -> Result<Reply, Error> {
        let mut patience = Patience::default();
        loop {
            match self.once().await {
                Ok(reply) => match reply.verdict() {
                    Verdict::Fatal => return Ok(reply),
                    Verdict::Retry { pause } => {
                        let kind = reply.into_error_kind();
                        self.wait(&mut patience, Trouble { kind, pause, moved: false }).await?;
                    }
                },
                Err(failure) => self.recover(&mut patience, failure).await?,
            }
        }
    }

    /// Sends it once, but for what a 401 or the wrong scheme ask for. Any answer is an answer.
    pub(crate) async fn once(&self) -> Result<Reply, ErrorKind> {
        self.once_in_line(&mut Patience::default()).await
    }

    /// As [`once`](Self::once); the patience of what may stand in line for long before it is sent
    /// does not suffer from that, as long as those before it move forward.
    pub(crate) async fn once_in_line(&self, patience: &mut Patience) -> Result<Reply, ErrorKind> {
        let limits = &self.client.host.limits;
        let since = Instant::now();
        let permit = match self.large {
            Some(size) => limits.body(size).await,
            None => limits.request().await,
        };
        if let Some(moved) = limits.moved_at() {
            patience.stood_in_line(since, moved.into_std());
        }
        let result = self.ask().await;
        if let Ok(reply) = &result {
            permit.heard(if reply.pushes_back() { Word::PushedBack } else { Word::WentWell });
            if self.large.is_some() && reply.status.is_success() {
                // Before whoever is next in line is called.
                limits.moved_forward();
            }
        }
        result
    }

    async fn ask(&self) -> Result<Reply, ErrorKind> {
        let host = &*self.client.host;
        let mut is_first = host.settled() == Settled::Tls && !host.greeted.initialized();
        let mut better = None;
        for _ in 0..LOGINS {
            // Each boxed for itself, since most requests are none of the first.
            let round = match is_first {
                true => self.greet().boxed().await?,
                false => self.round(better.take()).boxed().await?,
            };
            if round.better.is_none() {
                return Ok(round.reply);
            }
            (better, is_first) = (round.better, false);
        }
        Err(ErrorKind::Protocol("it refuses every credential that it asked for".to_owned()))
    }

    /// Over TLS the first answer tells how to log in; one asks, the others wait until that is known
    /// and open their connections meanwhile. Nobody has to ask where a token comes from whom one was
    /// had before.
    async fn greet(&self) -> Result<Round, ErrorKind> {
        let host = &*self.client.host;
        let uri = self.uri(Settled::Tls)?;
        if same_origin(&uri, &self.home(Settled::Tls)?) {
            let (repository, scopes) = (&self.client.repository, &self.scopes);
            let recalled = host.auth.recalled(repository, scopes, self.needed_for);
            if let Some(recalled) = self.opening(&uri, recalled).await {
                // Somebody else may have been quicker: that is no error.
                _ = host.greeted.set(());
                return self.round(Some(Box::new(recalled))).boxed().await;
            }
        }
        let mut mine = None;
        let is_mine = AtomicBool::new(false);
        let greeting = host.greeted.get_or_init(async || {
            is_mine.store(true, Ordering::Relaxed);
            mine = Some(self.round(None).boxed().await);
        });
        let preparing = async {
            if !is_mine.load(Ordering::Relaxed) {
                host.http.prepare(&uri).await;
            }
        };
        // In this order: who is first knows so when it is asked.
        join(greeting, preparing).await;
        match mine {
            Some(round) => round,
            None => self.round(None).boxed().await,
        }
    }

    /// Waits before another try and gives back what it waited for, or gives up with it.
    pub(crate) async fn wait(
        &self,
        patience: &mut Patience,
        trouble: Trouble,
    ) -> Result<Error, Error> {
        let host = &*self.client.host;
        let Trouble { kind, pause, moved } = trouble;
        let retry_for = host.options.retry_for;
        let limit = if host.has_answered() { retry_for } else { retry_for.min(FIRST_ANSWER) };
        let error = self.error(kind);
        let setback = Setback { limit, pause, moved };
        match patience.failed(Instant::now(), setback, fastrand::f64()) {
            Ok(delay) => {
                if let Some(pause) = pause {
                    host.limits.pause(pause);
                }
                self.client.tally.count_retry();
                host.options.retries.tell(&error, delay);
                tokio::time::sleep(delay).await;
                Ok(error)
            }
            Err(why) => Err(error.tried(Tried { times: patience.failures(), limit, why })),
        }
    }

    /// Waits after a failure without an answer, or gives up where no time mends it.
    pub(crate) async fn recover(
        &self,
        patience: &mut Patience,
        failure: ErrorKind,
    ) -> Result<(), Error> {
        match self.judge(&failure) {
            Verdict::Fatal => Err(self.error(failure)),
            Verdict::Retry { pause } => {
                self.wait(patience, Trouble { kind: failure, pause, moved: false }).await?;
                Ok(())
            }
        }
    }

    /// Whether time may mend a failure without an answer.
    pub(crate) fn judge(&self, failure: &ErrorKind) -> Verdict {
        match failure {
            ErrorKind::Http(error) => judge_failure(error, self.client.host.has_answered()),
            ErrorKind::Auth(error) => judge_login(error),
            _ => Verdict::Fatal,
        }
    }

    pub(crate) fn error(&self, kind: ErrorKind) -> Error {
        self.client.error(&self.operation, kind)
    }

    /// Sends it with `better`, or with what is known to be wanted.
    async fn round(&self, better: Option<Box<Authorization>>) -> Result<Round, ErrorKind> {
        let host = &*self.client.host;
        let settled = host.settled();
        let uri = self.uri(settled)?;
        let at_home = same_origin(&uri, &self.home(settled)?);
        let (repository, scopes) = (&self.client.repository, &self.scopes);
        let authorization = if !at_home || settled == Settled::Not {
            None
        } else if let Some(better) = better {
            Some(*better)
        } else if host.auth.knows(repository) {
            let known = host.auth.authorization(repository, scopes, self.needed_for);
            // Boxed, here and below, since it would make the future of every request larger.
            self.opening(&uri, known).boxed().await.map_err(ErrorKind::Auth)?
        } else {
            None
        };
        let answer = match host.options.transport {
            _ if settled != Settled::Not => self.transmit(uri, authorization.as_ref()).await,
            Transport::TlsFirst => self.first_answer_over_tls(uri).await,
            _ => self.first_answer(uri).await,
        };
        let answer = answer.map_err(ErrorKind::Http)?;
        host.answered.store(true, Ordering::Relaxed);
        self.note_pause(&answer);
        self.note_warnings(&answer.headers);
        let home_again = same_origin(&answer.uri, &self.home(host.settled())?);
        let is_refused = answer.status == StatusCode::UNAUTHORIZED && at_home && home_again;
        // Before a token is asked for, which may be had on the same connection.
        let reply = self.read(answer).await;
        if !is_refused {
            return Ok(Round { reply, better: None });
        }
        let sent = authorization.as_ref();
        let better = host.auth.refused(&reply.headers, sent, repository, scopes).boxed().await;
        Ok(match better.map_err(ErrorKind::Auth)? {
            // The session may hold some of it: whoever sends the body must ask first.
            Some(_) if self.body_has_begun() => {
                Round { reply: reply.with_login_renewed(), better: None }
            }
            Some(better) => Round { reply, better: Some(Box::new(better)) },
            // Who has a token is known, and not allowed.
            None if sent.is_some_and(Authorization::is_granted) => Round { reply, better: None },
            None => {
                let origin = sent.and_then(Authorization::origin);
                Round { reply: reply.with_login(origin), better: None }
            }
        })
    }

    /// Waits for what a request to `uri` is to carry; opens its connection meanwhile, where there is
    /// something to wait for.
    async fn opening<T>(&self, uri: &Uri, carried: impl Future<Output = T>) -> T {
        let mut carried = pin!(carried);
        match carried.as_mut().now_or_never() {
            Some(carried) => carried,
            None => join(carried, self.client.host.http.prepare(uri)).await.0,
        }
    }

    async fn read(&self, answer: Answer) -> Reply {
        let is_home = self.home(self.client.host.settled());
        let is_home = is_home.is_ok_and(|home| same_origin(&answer.uri, &home));
        Reply::read(&self.method, answer, is_home).await
    }

    async fn transmit(
        &self,
        uri: Uri,
        authorization: Option<&Authorization>,
    ) -> Result<Answer, HttpError> {
        let mut headers = self.headers.clone();
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.header().clone());
        }
        // Since it was let out others may have been told to leave the host alone.
        self.client.host.limits.wait_for_pause().await;
        self.client.tally.count_request();
        if let Body::Bytes(bytes) = &self.body {
            self.client.tally.count_bytes(bytes.len() as u64);
        }
        let request =
            Request { method: self.method.clone(), uri, headers, body: self.body.clone() };
        self.client.host.http.send(request).await
    }

    /// Asks a host on this machine in plain HTTP, and over TLS where that is not understood. No
    /// credential goes out; the first answer that a registry can have given settles the scheme.
    async fn first_answer(&self, uri: Uri) -> Result<Answer, HttpError> {
        let host = &*self.client.host;
        let plain = self.transmit(uri, None).await;
        match &plain {
            // A TLS port's word to plain HTTP, as Go's and nginx's servers give it, is a 400.
            Ok(answer) if answer.status != StatusCode::BAD_REQUEST => {
                host.settle(Settled::Plain);
                return plain;
            }
            Ok(_) | Err(HttpError::NotHttp(_) | HttpError::Broken(_) | HttpError::Unsent(_)) => {}
            // Nobody there, or no answer yet: this tells nothing of the scheme.
            Err(_) => return plain,
        }
        let Ok(uri) = self.uri(Settled::Tls) else {
            return plain;
        };
        match self.transmit(uri, None).await {
            Ok(answer) => {
                host.settle(Settled::Tls);
                Ok(answer)
            }
            // TLS is spoken there. A certificate that is not trusted is what the user must hear of.
            Err(error @ HttpError::Tls(_)) => Err(error),
            // No TLS there either: what came back was the registry's own answer.
            Err(_) => {
                if plain.is_ok() {
                    host.settle(Settled::Plain);
                }
                plain
            }
        }
    }

    /// Asks a host over TLS, and in plain HTTP where nobody speaks it there. No credential goes
    /// out before that is settled.
    async fn first_answer_over_tls(&self, plain: Uri) -> Result<Answer, HttpError> {
        let host = &*self.client.host;
        let Ok(uri) = self.uri(Settled::Tls) else {
            return self.transmit(plain, None).await;
        };
        let error = match self.transmit(uri, None).await {
            Ok(answer) => {
                host.settle(Settled::Tls);
                return Ok(answer);
            }
            Err(error @ (HttpError::Tls(_) | HttpError::NotTls(_) | HttpError::Connect(_))) => {
                error
            }
            Err(error) => return Err(error),
        };
        match self.transmit(plain.clone(), None).await {
            Ok(answer) if same_origin(&answer.uri, &plain) => {
                host.settle(Settled::Plain);
                Ok(answer)
            }
            // Where port 80 only leads on to TLS, what is wrong with that is what matters.
            _ => Err(error),
        }
    }

    fn uri(&self, settled: Settled) -> Result<Uri, ErrorKind> {
        match &self.target {
            Target::Path(path) => self.at_home(settled, path),
            Target::Given(uri) => {
                if is_downgrade(&self.home(settled)?, uri) {
                    let host = uri.host().unwrap_or_default();
                    return Err(ErrorKind::Protocol(format!(
                        "it sends the upload on to {host} without TLS (behind a proxy it must be told its own https address)"
                    )));
                }
                Ok(uri.clone())
            }
        }
    }

    fn home(&self, settled: Settled) -> Result<Uri, ErrorKind> {
        self.at_home(settled, "/")
    }

    fn at_home(&self, settled: Settled, path: &str) -> Result<Uri, ErrorKind> {
        let endpoint = self.client.host.registry.endpoint();
        format!("{}://{endpoint}{path}", settled.scheme())
            .parse()
            .map_err(|error| ErrorKind::Protocol(format!("no URI can be made for it: {error}")))
    }

    fn body_has_begun(&self) -> bool {
        let before = self.sent_before;
        self.sent.as_ref().is_some_and(|sent| sent.load(Ordering::Relaxed) > before)
    }

    /// What one is told to wait counts for the whole host, whoever asks and whatever comes of the
    /// answer. What is longer than anybody waits ends the work instead.
    fn note_pause(&self, answer: &Answer) {
        let value = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let pause = value.and_then(|value| retry_after(value, SystemTime::now()));
        let host = &*self.client.host;
        if let Verdict::Retry { pause: Some(pause) } =
            judge_status(answer.status, pause, &ErrorBody::default())
            && pause <= host.options.retry_for
        {
            host.limits.pause(pause);
        }
    }

    fn note_warnings(&self, headers: &HeaderMap) {
        let values = headers.get_all(WARNING).into_iter().filter_map(|value| value.to_str().ok());
        for warning in values.flat_map(warning_texts) {
            self.client.host.warn(warning);
        }
    }
}

/// The words of `Warning: 299 - "words"` headers (distribution-spec, §"Warnings"), of which one may
/// hold several; others are not meant for people.
fn warning_texts(value: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = value.trim();
    while let Some(quoted) = rest.strip_prefix("299 - \"") {
        let mut words = String::new();
        let mut characters = quoted.char_indices();
        let end = loop {
            match characters.next() {
                None => return texts,
                Some((end, '"')) => break end,
                Some((_, '\\')) => words.extend(characters.next().map(|(_, escaped)| escaped)),
                Some((_, character)) => words.push(character),
            }
        };
        if !words.chars().any(char::is_control) && words.len() <= 4096 {
            texts.push(words);
        }
        rest = quoted[end + 1..].trim_start_matches([',', ' ']);
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_read_as_the_specification_writes_them() {
        let check = |value: &str, expected: &[&str]| {
            assert_eq!(warning_texts(value), expected, "{value}");
        };
        check(r#"299 - "this tag is old""#, &["this tag is old"]);
        check(r#"299 - "say \"no\"""#, &["say \"no\""]);
        check(r#"299 - "one", 299 - "two""#, &["one", "two"]);
        check(r#"199 - "other code""#, &[]);
        check(r#"299 agent "words""#, &[]);
        check("299 - \"\u{1b}[31m\"", &[]);
        check(r#"299 - "cut"#, &[]);
        check(r#"299 - "cut\"#, &[]);
    }
}
