//! The registry for tests: the embedded one behind a server that misbehaves as it is told.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_RANGE, CONTENT_TYPE, HOST, LOCATION, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use tempfile::TempDir;
use tower_service::Service;
use windlass_oci::{Digest, RepositoryName, Tag};
use windlass_registry::{Config, Registry, RegistryService, Store};

use crate::background::Background;
use crate::body::RequestBody;
use crate::call::Call;
use crate::fault::{Break, Head, Rule, content_length};
use crate::image::Image;
use crate::log::Logged;
use crate::modes::{Modes, Mount, Sessions};
use crate::monitor::{Monitor, TagSet, Violation};
use crate::scope::{Scope, needed};
use crate::server::{Handler, Manners, Server, refuse};
use crate::tls::TlsOptions;
use crate::token::{SERVICE, TokenError, TokenServer, credentials};

/// How a [`TestRegistry`] is.
#[derive(Clone, Default)]
pub struct TestOptions {
    /// What goes wrong; more can be added while it runs.
    pub faults: Vec<Rule>,
    /// How it is as a whole.
    pub modes: Modes,
    /// Who is let in.
    pub auth: Auth,
    /// Speaks TLS.
    pub tls: Option<TlsOptions>,
    /// Refuses manifests whose parts are missing, as most registries do. Off: such a one must be
    /// caught by the monitor, and not by the registry's kindness.
    pub refuses_incomplete: bool,
    /// Where it keeps its content, to outlive it; a temporary directory where `None`.
    pub data: Option<PathBuf>,
    /// Syncs what it writes to the disk, as a registry in earnest does. Off: tests are in a hurry.
    pub sync: bool,
}

/// Who is let in.
#[derive(Clone, Default)]
pub enum Auth {
    /// Everybody.
    #[default]
    Open,
    /// Who knows this user and password, by `Basic`.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// Who has a token that is good for what is asked.
    Bearer(Bearer),
}

/// Where tokens come from, and how the registry asks for them.
#[derive(Clone)]
pub struct Bearer {
    /// Who gives them.
    pub tokens: TokenServer,
    /// The values of `WWW-Authenticate`. `{realm}`, `{service}`, `{scope}` and `{error}` are put
    /// in; the last is empty or begins with a comma.
    pub challenges: Vec<String>,
    /// The realm to name instead of the token server's own: a link in front of it, say.
    pub realm: Option<String>,
}

/// A registry on a free port of the loopback interface, with threads of its own.
///
/// # Panics
/// When it is dropped while there are [`violations`](Self::violations) that nobody has read.
pub struct TestRegistry {
    server: Server,
    background: Arc<Background>,
    front: Arc<Front>,
    registry: Registry,
    monitor: Monitor,
    is_tls: bool,
    /// Its temporary directory, removed last.
    _place: TempDir,
}

/// The registry as it shows itself to the world.
struct Front {
    service: RegistryService,
    modes: Modes,
    auth: Auth,
    /// Sessions that are dead, with their repositories.
    dead: Arc<Mutex<HashSet<String>>>,
}

impl Bearer {
    /// With a plain challenge: realm, service and scope.
    #[must_use]
    pub fn new(tokens: &TokenServer) -> Bearer {
        let challenge =
            "Bearer realm=\"{realm}\",service=\"{service}\",scope=\"{scope}\"{error}".to_owned();
        Bearer { tokens: tokens.clone(), challenges: vec![challenge], realm: None }
    }
}

impl TestRegistry {
    /// Starts one.
    #[must_use]
    pub fn start(options: TestOptions) -> TestRegistry {
        let TestOptions { faults, modes, auth, tls, refuses_incomplete, data, sync } = options;
        let background = Arc::new(Background::new("test-registry"));
        let place = TempDir::new().expect("a temporary directory");
        let monitor = Monitor::default();
        let mut config = Config::new(data.unwrap_or_else(|| place.path().join("registry")));
        config.accept_incomplete = !refuses_incomplete;
        config.sync = sync;
        config.on_tag = Some(monitor.hook());
        let registry = background.wait(Registry::open(config)).expect("a registry that opens");

        let manners = Manners {
            tls: tls.as_ref().map(TlsOptions::acceptor),
            ignores_expect: modes.ignores_expect,
            closes_after_answer: modes.closes_after_answer,
        };
        let service = registry.service();
        let front = Arc::new(Front { service, modes, auth, dead: Arc::default() });
        let handler: Arc<dyn Handler> = Arc::clone(&front) as Arc<dyn Handler>;
        let server = Server::start(Arc::clone(&background), manners, &faults, handler);
        let is_tls = tls.is_some();
        TestRegistry { server, background, front, registry, monitor, is_tls, _place: place }
    }

    /// Starts one that does everything right.
    #[must_use]
    pub fn plain() -> TestRegistry {
        TestRegistry::start(TestOptions::default())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its name in a reference: `127.0.0.1:40001`.
    #[must_use]
    pub fn host(&self) -> String {
        self.address().to_string()
    }

    /// Its address with the scheme, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}", if self.is_tls { "https" } else { "http" }, self.address())
    }

    /// Adds a rule behind all others, and gives it back: [`Rule::fired`] counts.
    pub fn fault(&self, rule: Rule) -> Rule {
        self.server.add(&rule);
        rule
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        self.server.forget_rules();
    }

    /// The rules that have never been applied: a test with such a one tests less than it says.
    #[must_use]
    pub fn unused_rules(&self) -> Vec<Rule> {
        self.server.rules().into_iter().filter(|rule| rule.fired() == 0).collect()
    }

    /// All requests, in the order in which their heads came.
    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        self.server.log()
    }

    /// The requests of one kind.
    #[must_use]
    pub fn calls(&self, call: Call) -> Vec<Logged> {
        self.log().into_iter().filter(|logged| logged.call == call).collect()
    }

    /// How many bytes of blobs' bodies it has got, all in all.
    #[must_use]
    pub fn bytes_uploaded(&self) -> u64 {
        let uploads = [Call::UploadPost, Call::UploadPatch, Call::UploadPut];
        let log = self.log();
        log.iter().filter(|logged| uploads.contains(&logged.call)).map(|l| l.received).sum()
    }

    /// How many connections it has taken.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }

    /// The tags that were set while something below them was missing. Read, they are forgotten.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.monitor.take()
    }

    /// All tags that were set, in their order.
    #[must_use]
    pub fn tags_set(&self) -> Vec<TagSet> {
        self.monitor.tags()
    }

    /// Stops listening and resets all connections.
    pub fn vanish(&self) {
        self.server.vanish();
    }

    /// Listens again, on the same port and with the same content.
    pub fn come_back(&self) {
        self.server.come_back();
    }

    /// Ends all connections; new ones are welcome.
    pub fn end_connections(&self, how: Break) {
        self.server.end_connections(how);
    }

    /// What it has, past all faults.
    #[must_use]
    pub fn store(&self) -> &Store {
        self.registry.store()
    }

    /// What a tag names, past all faults.
    #[must_use]
    pub fn tag(&self, repository: &str, tag: &str) -> Option<Digest> {
        let tag: Tag = tag.parse().expect("a tag");
        self.store().tag(&name(repository), &tag).expect("a store that can be read")
    }

    /// Whether a repository has a blob, past all faults.
    #[must_use]
    pub fn has_blob(&self, repository: &str, digest: &Digest) -> bool {
        self.store().blob_exists(&name(repository), digest).expect("a store that can be read")
    }

    /// Whether a repository has a manifest, past all faults.
    #[must_use]
    pub fn has_manifest(&self, repository: &str, digest: &Digest) -> bool {
        self.store().manifest_exists(&name(repository), digest).expect("a store that can be read")
    }

    /// Whether a repository has all parts of an image, past all faults.
    #[must_use]
    pub fn has_image(&self, repository: &str, image: &Image) -> bool {
        image.blobs().iter().all(|blob| self.has_blob(repository, &blob.digest))
            && image.manifests().iter().all(|it| self.has_manifest(repository, &it.digest))
    }

    /// Puts all parts of an image into a repository, past all faults, login and log.
    pub fn seed(&self, repository: &str, image: &Image, tag: Option<&str>) {
        for blob in image.blobs() {
            self.seed_blob(repository, &image.bytes(&blob.digest));
        }
        let references = image.manifests().into_iter().map(|it| (it.digest.to_string(), it));
        let tag = tag.map(|tag| (tag.to_owned(), image.root().clone()));
        for (reference, manifest) in references.chain(tag) {
            let path = format!("/v2/{repository}/manifests/{reference}");
            let request = Request::builder()
                .method(Method::PUT)
                .uri(path)
                .header(CONTENT_TYPE, manifest.media_type.as_str())
                .body(Body::from(image.bytes(&manifest.digest)));
            self.ask(request.expect("a request"), StatusCode::CREATED);
        }
    }

    /// Puts one blob into a repository, past all faults, login and log.
    pub fn seed_blob(&self, repository: &str, bytes: &[u8]) {
        let start = Request::builder()
            .method(Method::POST)
            .uri(format!("/v2/{repository}/blobs/uploads/"))
            .body(Body::empty());
        let started = self.ask(start.expect("a request"), StatusCode::ACCEPTED);
        let location = started.headers()[LOCATION].to_str().expect("a location of ASCII");
        let put = Request::builder()
            .method(Method::PUT)
            .uri(crate::client::with_digest(location, &Digest::sha256(bytes)))
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(Body::from(bytes.to_vec()));
        self.ask(put.expect("a request"), StatusCode::CREATED);
    }

    fn ask(&self, request: Request<Body>, expected: StatusCode) -> Response<Body> {
        let what = format!("{} {}", request.method(), request.uri());
        let mut service = self.front.service.clone();
        let response = self.background.wait(async move { service.call(request).await });
        let response = response.unwrap_or_else(|never| match never {});
        assert_eq!(response.status(), expected, "{what}");
        response
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        let violations = self.violations();
        if !violations.is_empty() && !std::thread::panicking() {
            let words: Vec<_> = violations.iter().map(ToString::to_string).collect();
            panic!("tags were set on incomplete images: {}", words.join("; "));
        }
    }
}

impl Handler for Front {
    fn refusal(&self, head: &Head) -> Option<Response<Body>> {
        if head.target.call == Call::Token {
            return None;
        }
        match &self.auth {
            Auth::Open => None,
            Auth::Basic { user, password } => {
                let is_known = credentials(head) == Some((user.clone(), password.clone()));
                (!is_known).then(|| challenged(&["Basic realm=\"test\"".to_owned()]))
            }
            Auth::Bearer(bearer) => bearer.refusal(head),
        }
    }

    fn handle(
        &self,
        head: Head,
        request: Request<RequestBody>,
    ) -> BoxFuture<'static, Response<Body>> {
        if head.target.call == Call::Token
            && let Auth::Bearer(bearer) = &self.auth
        {
            let state = bearer.tokens.state();
            return Box::pin(async move { state.answer(&head, request.into_body()).await });
        }
        let request = match self.bend(&head, request) {
            Ok(request) => request,
            Err(response) => return Box::pin(async move { *response }),
        };
        let service = self.service.clone();
        let (sessions, dead) = (self.modes.sessions, Arc::clone(&self.dead));
        Box::pin(async move { keep_watch(service, sessions, &dead, &head, request).await })
    }
}

impl Front {
    /// The request as the registry behind shall see it, or the answer that it never gives.
    fn bend(
        &self,
        head: &Head,
        mut request: Request<RequestBody>,
    ) -> Result<Request<RequestBody>, Box<Response<Body>>> {
        let modes = &self.modes;
        let no = |status, code, message: &str| Err(Box::new(refuse(status, code, message)));
        match head.target.call {
            Call::UploadPatch if modes.refuses_patch => {
                return no(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "no chunks here");
            }
            Call::UploadPatch | Call::UploadPut | Call::UploadPost
                if modes.max_body.is_some_and(|most| content_length(head) > Some(most)) =>
            {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                return no(status, "SIZE_INVALID", "the body is too large");
            }
            Call::UploadMount => match modes.mount {
                Mount::Works => {}
                Mount::StartsUpload => *request.uri_mut() = without_query(request.uri()),
                Mount::Refuses(status) => return no(status, "DENIED", "no mounts here"),
                Mount::Pretends => return Err(Box::new(mounted(head))),
            },
            _ => {}
        }
        if modes.ignores_content_range {
            request.headers_mut().remove(CONTENT_RANGE);
        }
        if let Some(session) = session_of(head)
            && self.dead.lock().unwrap().contains(session)
        {
            return match modes.sessions {
                Sessions::Delete => {
                    no(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN", "upload session not found")
                }
                _ => no(StatusCode::NOT_FOUND, "BLOB_UPLOAD_INVALID", "blob upload invalid"),
            };
        }
        Ok(request)
    }
}

/// Has a request answered, and kills the session whose body breaks.
async fn keep_watch(
    mut service: RegistryService,
    sessions: Sessions,
    dead: &Mutex<HashSet<String>>,
    head: &Head,
    request: Request<RequestBody>,
) -> Response<Body> {
    let progress = request.body().progress();
    let response = service.call(request).await.unwrap_or_else(|never| match never {});
    if sessions != Sessions::Keep
        && progress.is_broken()
        && progress.received() > 0
        && let Some(session) = session_of(head)
    {
        dead.lock().unwrap().insert(session.to_owned());
        if sessions == Sessions::Delete {
            let delete = Request::builder().method(Method::DELETE).uri(path_of(head));
            let delete = delete.body(Body::empty()).expect("a request");
            let _ = service.call(delete).await;
        }
    }
    response
}

impl Bearer {
    fn refusal(&self, head: &Head) -> Option<Response<Body>> {
        let needed = needed(head);
        let token = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let error = match token.and_then(|value| value.strip_prefix("Bearer ")) {
            None => "",
            Some(token) => match self.tokens.state().check(token, &needed) {
                Ok(()) => return None,
                Err(TokenError::Invalid) => ",error=\"invalid_token\"",
                Err(TokenError::Insufficient) => ",error=\"insufficient_scope\"",
            },
        };
        let realm = self.realm.clone().unwrap_or_else(|| self.tokens.realm());
        let scopes: Vec<_> = needed.iter().map(Scope::to_string).collect();
        let challenges: Vec<_> = self
            .challenges
            .iter()
            .map(|challenge| {
                let challenge = challenge.replace("{realm}", &realm);
                let challenge = challenge.replace("{service}", SERVICE).replace("{error}", error);
                if scopes.is_empty() {
                    challenge.replace(",scope=\"{scope}\"", "")
                } else {
                    challenge.replace("{scope}", &scopes.join(" "))
                }
            })
            .collect();
        Some(challenged(&challenges))
    }
}

fn challenged(challenges: &[String]) -> Response<Body> {
    let mut response = refuse(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required");
    for challenge in challenges {
        let value = HeaderValue::from_str(challenge).expect("a header's value");
        response.headers_mut().append(WWW_AUTHENTICATE, value);
    }
    response
}

fn mounted(head: &Head) -> Response<Body> {
    let repository = head.target.repository.as_deref().unwrap_or_default();
    let digest = head.target.reference.as_deref().unwrap_or_default();
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let location = format!("http://{host}/v2/{repository}/blobs/{digest}");
    let response = Response::builder().status(StatusCode::CREATED).header(LOCATION, location);
    response.header("docker-content-digest", digest).body(Body::empty()).expect("a response")
}

fn path_of(head: &Head) -> &str {
    head.path.split('?').next().unwrap_or_default()
}

/// The session in a request's path.
fn session_of(head: &Head) -> Option<&str> {
    let (_, session) = path_of(head).rsplit_once("/blobs/uploads/")?;
    (!session.is_empty() && head.target.repository.is_some()).then_some(session)
}

fn without_query(uri: &Uri) -> Uri {
    uri.path().parse().expect("the path of an address is one")
}

fn name(repository: &str) -> RepositoryName {
    repository.parse().expect("the name of a repository")
}
