//! The registry for tests: the embedded one behind a server that misbehaves as it is told.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{Method, Request, Response, StatusCode};
use tempfile::TempDir;
use tower_service::Service;
use windlass_oci::{Digest, RepositoryName, Tag};
use windlass_registry::{Config, OpenError, Registry, Store};

use crate::auth::Auth;
use crate::background::Background;
use crate::call::Call;
use crate::client::with_digest;
use crate::fault::Break;
use crate::front::Front;
use crate::image::Image;
use crate::log::Logged;
use crate::modes::Modes;
use crate::monitor::{Monitor, TagSet, Violation};
use crate::rule::Rule;
use crate::server::{Manners, Server};
use crate::tls::TlsOptions;

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
    /// Does not fail the test when violations are left unread.
    pub forgives_violations: bool,
}

/// A registry on a free port of the loopback interface, with threads of its own.
///
/// # Panics
/// When it is dropped while there are [`violations`](Self::violations) that nobody has read.
pub struct TestRegistry {
    server: Server,
    background: Arc<Background>,
    registry: Registry,
    monitor: Monitor,
    is_tls: bool,
    forgives_violations: bool,
    /// Its temporary directory, removed last.
    _place: TempDir,
}

impl TestRegistry {
    /// Starts one.
    #[must_use]
    pub fn start(options: TestOptions) -> TestRegistry {
        let TestOptions {
            faults,
            modes,
            auth,
            tls,
            refuses_incomplete,
            data,
            sync,
            forgives_violations,
        } = options;
        let background = Arc::new(Background::new("test-registry"));
        let place = TempDir::new().expect("a temporary directory");
        let monitor = Monitor::default();
        let mut config = Config::new(data.unwrap_or_else(|| place.path().join("registry")));
        config.accept_incomplete = !refuses_incomplete;
        config.sync = sync;
        config.on_tag = Some(monitor.hook());
        let registry = background.wait(open(config)).expect("a registry that opens");

        let manners = Manners {
            tls: tls.as_ref().map(TlsOptions::acceptor),
            ignores_expect: modes.ignores_expect,
            closes_after_answer: modes.closes_after_answer,
        };
        let front = Arc::new(Front::new(registry.service(), modes, auth));
        let server = Server::start(Arc::clone(&background), manners, &faults, front);
        TestRegistry {
            server,
            background,
            registry,
            monitor,
            is_tls: tls.is_some(),
            forgives_violations,
            _place: place,
        }
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
            .uri(with_digest(location, &Digest::sha256(bytes)))
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(Body::from(bytes.to_vec()));
        self.ask(put.expect("a request"), StatusCode::CREATED);
    }

    fn ask(&self, request: Request<Body>, expected: StatusCode) -> Response<Body> {
        let what = format!("{} {}", request.method(), request.uri());
        let mut service = self.registry.service();
        let response = self.background.wait(async move { service.call(request).await });
        let response = response.unwrap_or_else(|never| match never {});
        assert_eq!(response.status(), expected, "{what}");
        response
    }
}

impl Drop for TestRegistry {
    fn drop(&mut self) {
        let violations = self.violations();
        if !violations.is_empty() && !self.forgives_violations && !std::thread::panicking() {
            let words: Vec<_> = violations.iter().map(ToString::to_string).collect();
            panic!("tags were set on incomplete images: {}", words.join("; "));
        }
    }
}

/// Opens a store. One that was dropped a moment ago may have a request that still runs.
async fn open(config: Config) -> Result<Registry, OpenError> {
    for _ in 0..500 {
        match Registry::open(config.clone()).await {
            Err(OpenError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(4)).await,
            opened => return opened,
        }
    }
    Registry::open(config).await
}

fn name(repository: &str) -> RepositoryName {
    repository.parse().expect("the name of a repository")
}
