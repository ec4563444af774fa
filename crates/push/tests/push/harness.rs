//! One way to push in all tests.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use windlass_image::{Graph, GraphOptions, Layout};
use windlass_oci::{Registry, Repository, Tag};
use windlass_push::{
    Failure, FailureClass, Finished, Job, Journal, Pusher, PusherOptions, RepositoryReceipt,
    TagPolicy, TagStatus,
};
use windlass_registry_client::auth::{
    Credential, CredentialChain, CredentialProvider, FixedCredential, Origin, Secret,
};
use windlass_registry_client::http::{Http, HttpConfig, TlsConfig};
use windlass_registry_client::{ClientOptions, Transport};
use windlass_testkit::{Call, Image, ImageBuilder, Layer, Modes, TestOptions, TestRegistry};

/// How a test pushes. Limits are short: what must be given up is given up soon.
#[derive(Clone)]
pub(crate) struct How {
    pub(crate) retry_for: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) answer_timeout: Duration,
    pub(crate) chunk_size: Option<u64>,
    pub(crate) login: Option<(&'static str, &'static str)>,
    /// A token for tokens instead of a password.
    pub(crate) identity: bool,
    pub(crate) jobs: usize,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) tag_policy: TagPolicy,
    /// The scheme, where it is not left to be found out.
    pub(crate) transport: Option<Transport>,
    /// What earlier processes left.
    pub(crate) journal: Journal,
    /// Layouts that were written, kept as long as somebody may push them.
    pub(crate) written: Arc<Mutex<Vec<windlass_testkit::Layout>>>,
}

impl Default for How {
    fn default() -> How {
        How {
            retry_for: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(20),
            answer_timeout: Duration::from_secs(20),
            chunk_size: None,
            login: None,
            identity: false,
            jobs: 8,
            ca_file: None,
            tag_policy: TagPolicy::Move,
            transport: None,
            journal: Journal::none(),
            written: Arc::default(),
        }
    }
}

impl How {
    /// A pusher that knows nothing yet.
    pub(crate) fn pusher(&self, host: &str) -> Pusher {
        let registry: Registry = host.parse().unwrap();
        let credentials: Arc<dyn CredentialProvider> = match self.login {
            None => Arc::new(CredentialChain(Vec::new())),
            Some((user, password)) => Arc::new(FixedCredential {
                registry,
                credential: if self.identity {
                    let username = Some(user.to_owned());
                    Credential::IdentityToken { username, token: password.into() }
                } else {
                    Credential::basic(user, Secret::new(password.to_owned()))
                },
                origin: Origin::new("the test"),
            }),
        };
        let tls =
            TlsConfig { ca_files: self.ca_file.iter().cloned().collect(), ..TlsConfig::default() };
        let http = Http::new(HttpConfig {
            tls,
            stall_timeout: self.stall_timeout,
            head_timeout: self.answer_timeout,
            answer_timeout: self.answer_timeout,
            ..HttpConfig::default()
        });
        let how = self.clone();
        Pusher::new(PusherOptions {
            http,
            credentials,
            host: Arc::new(move |registry| ClientOptions {
                transport: how.transport.unwrap_or_else(|| Transport::default_for(registry)),
                retry_for: how.retry_for,
                chunk_size: how.chunk_size,
                jobs: how.jobs,
                ..ClientOptions::default()
            }),
            journal: self.journal.clone(),
        })
    }

    /// A job that pushes `image` to `repositories`, each `HOST/NAME`.
    pub(crate) async fn job(&self, image: &Image, repositories: &[String], tags: &[&str]) -> Job {
        let graph = self.graph(image).await;
        let repositories: Vec<Repository> =
            repositories.iter().map(|repository| repository.parse().unwrap()).collect();
        let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        Job { tag_policy: self.tag_policy, ..Job::new(graph, repositories) }.tags(tags)
    }

    /// All that an image is made of, on disk.
    pub(crate) async fn graph(&self, image: &Image) -> Arc<Graph> {
        let written = image.directory();
        let layout = Layout::open(written.path()).await.unwrap();
        let root = layout.root(None).unwrap();
        let graph = Graph::read(&root, &*layout.store(), &GraphOptions::default()).await.unwrap();
        self.written.lock().unwrap().push(written);
        Arc::new(graph)
    }

    /// Pushes `image` to `HOST/app` and sees that it ends.
    pub(crate) async fn push(&self, host: &str, image: &Image, tags: &[&str]) -> Finished {
        let pusher = self.pusher(host);
        let job = self.job(image, &[format!("{host}/app")], tags).await;
        in_time(pusher.push(job)).await
    }
}

/// Whatever is not done after a minute hangs.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("the push hangs")
}

/// Pushes in the usual way.
pub(crate) async fn push(registry: &TestRegistry, image: &Image, tags: &[&str]) -> Finished {
    How::default().push(&registry.host(), image, tags).await
}

/// The receipt of the only repository.
pub(crate) fn receipt(finished: &Finished) -> &RepositoryReceipt {
    &finished.receipts[0].repositories[0]
}

/// It all went well, and everything is there.
#[track_caller]
pub(crate) fn assert_pushed(
    finished: &Finished,
    registry: &TestRegistry,
    image: &Image,
    tags: &[&str],
) {
    if let Some(failure) = &finished.failure {
        panic!("{failure}");
    }
    assert!(registry.has_image("app", image), "the image is not complete");
    for tag in tags {
        assert_eq!(registry.tag("app", tag).as_ref(), Some(image.digest()), "tag {tag}");
    }
}

/// It failed in this way, with these words.
#[track_caller]
pub(crate) fn assert_failed(finished: &Finished, class: FailureClass, words: &str) {
    match &finished.failure {
        None => panic!("it was pushed"),
        Some(failure) => {
            assert_eq!(failure.class(), class, "{failure}");
            assert!(failure.to_string().contains(words), "{failure:?} lacks {words:?}: {failure}");
        }
    }
}

/// What became of the tags, in their order.
pub(crate) fn tags(finished: &Finished) -> Vec<TagStatus> {
    receipt(finished).tags.iter().map(|tag| tag.status).collect()
}

/// The failure of something that must fail.
#[track_caller]
pub(crate) fn failure(finished: &Finished) -> &Failure {
    finished.failure.as_ref().expect("it was pushed")
}

/// An image whose layer goes by PUT alone.
pub(crate) fn small() -> Image {
    ImageBuilder::new(1).layers(1, 5_000_000).build()
}

/// An image whose layer is large enough to go by PATCH.
pub(crate) fn large() -> Image {
    ImageBuilder::new(2).layer(Layer::sparse(40 << 20)).build()
}

/// A registry that is odd as a whole.
pub(crate) fn with_modes(modes: Modes) -> TestRegistry {
    TestRegistry::start(TestOptions { modes, ..TestOptions::default() })
}

/// All bytes of an image's blobs: what a registry gets where nothing is sent again.
pub(crate) fn size(image: &Image) -> u64 {
    image.blobs().iter().map(|blob| blob.size).sum()
}

/// How many requests of these kinds a registry got.
pub(crate) fn counts<const N: usize>(registry: &TestRegistry, calls: [Call; N]) -> [usize; N] {
    calls.map(|call| registry.calls(call).len())
}
