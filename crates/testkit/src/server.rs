//! The server under the registry and the token server: takes connections, does to them what the
//! rules say, and notes everything.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LOCATION};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::background::Background;
use crate::body::{Progress, RequestBody};
use crate::call::{Head, Target};
use crate::fault::{Answer, Break, Fault, Garble, Reply, error_body};
use crate::listening::{Door, bind};
use crate::log::{Log, Logged};
use crate::rule::Rule;
use crate::socket::{Control, End, Socket, WithoutContinue};

/// What answers the requests to which nothing is done.
pub(crate) trait Handler: Send + Sync + 'static {
    /// The answer to one that is not let in.
    fn refusal(&self, head: &Head) -> Option<Response<Body>>;

    /// The answer to one that is.
    fn handle(
        &self,
        head: Head,
        request: Request<RequestBody>,
    ) -> BoxFuture<'static, Response<Body>>;
}

/// How a server talks.
#[derive(Clone, Default)]
pub(crate) struct Manners {
    pub(crate) tls: Option<TlsAcceptor>,
    /// Never says `100 Continue`.
    pub(crate) ignores_expect: bool,
    /// Closes each connection after one answer.
    pub(crate) closes_after_answer: bool,
}

/// A server on a free port of the loopback interface.
pub(crate) struct Server {
    background: Arc<Background>,
    shared: Arc<Shared>,
}

struct Shared {
    door: Door,
    manners: Manners,
    handler: Arc<dyn Handler>,
    rules: Mutex<Vec<Rule>>,
    log: Log,
    connections: Mutex<HashMap<u64, Arc<Control>>>,
    next_connection: AtomicU64,
}

impl Server {
    pub(crate) fn start(
        background: Arc<Background>,
        manners: Manners,
        rules: &[Rule],
        handler: Arc<dyn Handler>,
    ) -> Server {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let shared = Arc::new(Shared {
            door: Door::new(listener.local_addr().expect("it is bound")),
            manners,
            handler,
            rules: Mutex::new(rules.to_vec()),
            log: Log::new(),
            connections: Mutex::default(),
            next_connection: AtomicU64::new(0),
        });
        let of_task = Arc::clone(&shared);
        background.handle().spawn(async move {
            let of_connections = Arc::clone(&of_task);
            let take = move |stream| Shared::take(&of_connections, stream);
            of_task.door.keep(listener, take).await;
        });
        Server { background, shared }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.shared.door.address()
    }

    /// Adds a rule behind all others.
    pub(crate) fn add(&self, rule: &Rule) {
        self.shared.rules.lock().unwrap().push(rule.clone());
    }

    pub(crate) fn forget_rules(&self) {
        self.shared.rules.lock().unwrap().clear();
    }

    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.shared.rules.lock().unwrap().clone()
    }

    pub(crate) fn log(&self) -> Vec<Logged> {
        self.shared.log.read()
    }

    /// How many connections it has taken.
    pub(crate) fn connections(&self) -> u64 {
        self.shared.next_connection.load(Ordering::SeqCst)
    }

    /// Ends all connections; done when nothing is answered on them any more.
    pub(crate) fn end_connections(&self, how: Break) {
        let shared = Arc::clone(&self.shared);
        self.background.wait(async move { shared.end_and_wait(how).await });
    }

    /// Stops listening and resets all connections; done when that is so.
    pub(crate) fn vanish(&self) {
        let shared = Arc::clone(&self.shared);
        self.background.wait(async move {
            shared.door.close().await;
            shared.end_and_wait(Break::Reset).await;
        });
    }

    pub(crate) fn come_back(&self) {
        let shared = Arc::clone(&self.shared);
        self.background.wait(async move { shared.door.open().await });
    }
}

impl Shared {
    /// Whoever ends all connections from now on ends this one too.
    fn take(shared: &Arc<Shared>, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let number = shared.next_connection.fetch_add(1, Ordering::SeqCst);
        let (control, socket) = Control::new(stream);
        let control = Arc::new(control);
        shared.connections.lock().unwrap().insert(number, Arc::clone(&control));
        tokio::spawn(Arc::clone(shared).connection(number, control, socket));
    }

    async fn connection(self: Arc<Shared>, number: u64, control: Arc<Control>, socket: Socket) {
        let end = tokio::select! {
            biased;
            end = control.ending() => Some(end),
            () = self.talk(number, &control, socket) => None,
        };
        control.fall_silent();
        if let Some(end) = end {
            control.finish(end).await;
        }
        self.connections.lock().unwrap().remove(&number);
    }

    async fn talk(self: &Arc<Shared>, number: u64, control: &Arc<Control>, socket: Socket) {
        match &self.manners.tls {
            None => self.speak(number, control, socket).await,
            Some(acceptor) => {
                if let Ok(stream) = acceptor.accept(socket).await {
                    self.speak(number, control, stream).await;
                }
            }
        }
    }

    async fn speak<S>(self: &Arc<Shared>, number: u64, control: &Arc<Control>, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request: Request<Incoming>| {
            let (shared, control) = (Arc::clone(self), Arc::clone(control));
            async move { Ok::<_, Infallible>(shared.answer(number, &control, request).await) }
        });
        let mut server = http1::Builder::new();
        server.keep_alive(!self.manners.closes_after_answer);
        // What goes wrong with a connection is the client's to complain about.
        let _ = if self.manners.ignores_expect {
            server.serve_connection(TokioIo::new(WithoutContinue(stream)), service).await
        } else {
            server.serve_connection(TokioIo::new(stream), service).await
        };
    }

    async fn answer(
        self: &Arc<Shared>,
        connection: u64,
        control: &Arc<Control>,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let progress = Arc::new(Progress::default());
        let request = request.map(|body| RequestBody::new(body, &progress));
        let head = head_of(&request);
        let number = self.log.begin(&head, connection, &progress);
        let refusal = self.handler.refusal(&head);
        let rule = {
            let rules = self.rules.lock().unwrap();
            rules.iter().find(|rule| rule.applies(&head, number, refusal.is_some())).cloned()
        };
        let exchange = Exchange { shared: self, control, head, request, refusal };
        let outcome = match rule {
            None => Ok(exchange.work().await),
            Some(rule) => {
                self.log.suffered(number, rule.fault.name());
                exchange.suffer(rule.fault).await
            }
        };
        match outcome {
            Ok(response) => {
                self.log.answered(number, response.status().as_u16());
                response
            }
            Err(end) => {
                control.end(end);
                std::future::pending().await
            }
        }
    }

    fn end_connections(&self, how: Break) -> Vec<Arc<Control>> {
        let controls: Vec<_> = self.connections.lock().unwrap().values().cloned().collect();
        controls.iter().for_each(|control| control.end(how.into()));
        controls
    }

    async fn end_and_wait(&self, how: Break) {
        let controls = self.end_connections(how);
        while controls.iter().any(|control| !control.is_silent()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// One request that waits for its answer.
struct Exchange<'a> {
    shared: &'a Arc<Shared>,
    control: &'a Arc<Control>,
    head: Head,
    request: Request<RequestBody>,
    refusal: Option<Response<Body>>,
}

impl Exchange<'_> {
    /// Has the request answered as it should be, to the end even if the client goes away.
    async fn work(self) -> Response<Body> {
        if let Some(refusal) = self.refusal {
            return refusal;
        }
        let handler = Arc::clone(&self.shared.handler);
        let work = tokio::spawn(async move { handler.handle(self.head, self.request).await });
        work.await.unwrap_or_else(|error| {
            let message = format!("the registry has panicked: {error}");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", &message)
        })
    }

    /// The answer under a fault, or the end of the connection without one.
    async fn suffer(mut self, fault: Fault) -> Result<Response<Body>, End> {
        match fault {
            Fault::Answer { answer, read } => {
                let read = self.request.body_mut().discard(read).await;
                read.map(|()| answer.into()).map_err(|_| End::Close)
            }
            Fault::Break { how, after: 0 } => Err(how.into()),
            Fault::Break { how, after } => {
                self.request = self.request.map(|body| body.cut(after, async {}));
                self.work().await;
                Err(how.into())
            }
            Fault::LoseReply(how) => {
                self.work().await;
                Err(how.into())
            }
            Fault::Stall { after: 0 } => {
                self.control.hung_up().await;
                Err(End::Close)
            }
            Fault::Stall { after } => {
                let control = Arc::clone(self.control);
                let stall = async move { control.hung_up().await };
                self.request = self.request.map(|body| body.cut(after, stall));
                self.work().await;
                Err(End::Close)
            }
            Fault::Shorten { to } => {
                self.request = shortened(self.request, to);
                Ok(self.work().await)
            }
            Fault::Delay(delay) => {
                let response = self.work().await;
                tokio::time::sleep(delay).await;
                Ok(response)
            }
            Fault::Hold(gate) => {
                let response = self.work().await;
                gate.pass().await;
                Ok(response)
            }
            Fault::HoldBefore(gate) => {
                gate.pass().await;
                Ok(self.work().await)
            }
            Fault::Garble(garble) => {
                let head = self.head.clone();
                Ok(garbled(&head, self.work().await, &garble).await)
            }
            Fault::Redirect { status, to } => {
                let location = format!("{to}{}", self.head.path);
                let response = Response::builder().status(status).header(LOCATION, location);
                Ok(response.body(Body::empty()).expect("a response"))
            }
            Fault::Raw(bytes) => Err(End::Raw(bytes)),
            Fault::Vanish { after_work } => {
                let shared = Arc::clone(self.shared);
                if after_work {
                    self.work().await;
                }
                shared.door.close().await;
                shared.end_connections(Break::Reset);
                Err(End::Reset)
            }
        }
    }
}

/// An error in the specification's form.
pub(crate) fn refuse(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/json");
    response.body(error_body(code, message).into()).expect("a response")
}

fn head_of(request: &Request<RequestBody>) -> Head {
    let uri = request.uri();
    Head {
        method: request.method().clone(),
        path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        target: Target::of(request.method(), uri.path(), uri.query().unwrap_or_default()),
        headers: request.headers().clone(),
    }
}

/// The request as if its body had no more than so many bytes.
fn shortened(request: Request<RequestBody>, to: u64) -> Request<RequestBody> {
    let mut request = request.map(|body| body.shorten(to));
    let headers = request.headers_mut();
    headers.insert(CONTENT_LENGTH, to.into());
    let range = headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
    if let Some((first, _)) = range.and_then(|range| range.split_once('-'))
        && let Ok(first) = first.parse::<u64>()
    {
        let range = format!("{first}-{}", first + to.saturating_sub(1));
        headers.insert(CONTENT_RANGE, range.parse().expect("a range"));
    }
    request
}

async fn garbled(head: &Head, response: Response<Body>, garble: &Garble) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let (status, headers) = (parts.status, parts.headers);
    let mut reply = Reply { status, headers, body: body.clone() };
    garble.apply(head, &mut reply);
    parts.status = reply.status;
    parts.headers = reply.headers;
    if head.method != Method::HEAD || reply.body != body {
        parts.headers.insert(CONTENT_LENGTH, reply.body.len().into());
    }
    Response::from_parts(parts, reply.body.into())
}

impl From<Answer> for Response<Body> {
    fn from(answer: Answer) -> Response<Body> {
        let mut response = Response::new(Body::from(answer.body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        response
    }
}

impl From<Break> for End {
    fn from(how: Break) -> End {
        match how {
            Break::Reset => End::Reset,
            Break::Close => End::Close,
        }
    }
}
