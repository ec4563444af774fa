//! What is done, one step after another; each is told when it is done.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use windlass_image::{Graph, GraphOptions, Layout};
use windlass_oci::{Descriptor, Registry, Repository, Tag};
use windlass_push::{Job, Journal, Pusher, PusherOptions, RepositoryReceipt};
use windlass_registry_client::auth::CredentialChain;
use windlass_registry_client::http::{Http, HttpConfig};
use windlass_registry_client::{Client, ClientOptions, Transport};

use super::kept::Watched;
use super::pull::{PullError, Pulled, pull};
use super::relay::Relay;
use super::server::Server;
use super::{image, story, tell};
use crate::args::DemoArgs;
use crate::output::Output;
use crate::problem::Problem;

/// The tags of the first push.
const TAGS: [&str; 2] = ["v1", "latest"];
/// How long a registry in the same process is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A registry that runs, and an image to push.
pub(super) struct Scene<'a> {
    output: &'a Output,
    server: &'a Server,
    path: PathBuf,
    layout: Layout,
    root: Descriptor,
    graph: Arc<Graph>,
}

impl<'a> Scene<'a> {
    /// Finds the image, or makes one in `folder`.
    pub(super) async fn set(
        args: &DemoArgs,
        output: &'a Output,
        folder: &Path,
        server: &'a Server,
    ) -> Result<Scene<'a>, Problem> {
        let path = match &args.image {
            Some(path) => path.clone(),
            None => make_image(folder.join("image")).await?,
        };
        let layout = Layout::open(&path).await?;
        let root = layout.root(args.manifest.as_deref())?;
        let graph = Graph::read(&root, &*layout.store(), &GraphOptions::default()).await?;
        tell(output, &story::image(args.image.as_deref(), &graph))?;
        Ok(Scene { output, server, path, layout, root, graph: Arc::new(graph) })
    }

    /// Where the image lies.
    pub(super) fn image(&self) -> &Path {
        &self.path
    }

    /// Pushes, pulls, pushes again, and pushes over a line that breaks.
    pub(super) async fn play(&self) -> Result<(), Problem> {
        let tags = TAGS.map(tag).into_iter().collect::<Result<Vec<_>, _>>()?;
        let home = repository(self.server.address(), "demo")?;
        let receipt = self.push(&home, &tags, self.graph.clone()).await?;
        self.tell(&story::pushed(&receipt))?;

        let mut pulled = Pulled::default();
        for tag in &tags {
            pulled = self.pull(&home, tag).await?;
        }
        self.tell(&story::pulled(pulled, &tags))?;

        let again = self.push(&home, &tags, self.graph.clone()).await?;
        if again.bytes.sent > 0 {
            let sent = again.bytes.sent;
            return Err(Problem::other(format!("the second push sent {sent} bytes, not none")));
        }
        self.tell(&story::pushed_again(&again))?;

        self.push_over_a_breaking_line(&tags[0]).await?;

        let seen = self.server.seen();
        if !seen.incomplete.is_empty() {
            return Err(Problem::other(seen.incomplete.join("\n")));
        }
        self.tell(&story::watched(seen.tags))
    }

    async fn push_over_a_breaking_line(&self, tag: &Tag) -> Result<(), Problem> {
        let blobs = self.graph.blobs().iter().map(|blob| blob.descriptor.size);
        let half = blobs.fold(0, u64::saturating_add) / 2;
        let relay = Relay::start(self.server.address(), half).await;
        let relay =
            relay.map_err(|error| Problem::other(format!("cannot start a relay: {error}")))?;

        let watched = Watched::new(self.layout.store());
        let graph = Graph::read(&self.root, &watched, &GraphOptions::default()).await?;
        // The registry has all of it, but not in this repository; and who pushes knows of nothing.
        let receipt = self
            .push(
                &repository(relay.address(), "demo-cut")?,
                std::slice::from_ref(tag),
                Arc::new(graph),
            )
            .await?;
        if !relay.has_broken() {
            return Err(Problem::other("the push was through before the line broke"));
        }
        let direct = repository(self.server.address(), "demo-cut")?;
        let pulled = self.pull(&direct, tag).await?;
        let kept = watched.kept().bytes();
        self.tell(&story::cut(&direct, half, kept, &receipt, self.root.size, pulled))
    }

    /// Pushes, and knows nothing of what was pushed before.
    async fn push(
        &self,
        to: &Repository,
        tags: &[Tag],
        image: Arc<Graph>,
    ) -> Result<RepositoryReceipt, Problem> {
        let pusher = Pusher::new(PusherOptions {
            http: Http::new(HttpConfig::default()),
            credentials: Arc::new(CredentialChain::default()),
            host: Arc::new(|_| options()),
            journal: Journal::none(),
        });
        let job = Job::new(image, vec![to.clone()]).tags(tags.to_vec());
        let finished = pusher.push(job).await;
        if let Some(failure) = &finished.failure {
            return Err(Problem::from(failure));
        }
        let mut receipts = finished.receipts.into_iter().flat_map(|receipt| receipt.repositories);
        receipts.next().ok_or_else(|| Problem::other("the push left no receipt"))
    }

    async fn pull(&self, from: &Repository, tag: &Tag) -> Result<Pulled, Problem> {
        let http = Http::new(HttpConfig::default());
        let credentials = Arc::new(CredentialChain::default());
        let client = Client::new(http, from.registry().clone(), credentials, options());
        let pulled = pull(&client.repository(from.clone()), tag, &self.root).await?;
        let all = (self.graph.manifests().len() as u64, self.graph.blobs().len() as u64);
        if (pulled.manifests, pulled.blobs) == all {
            return Ok(pulled);
        }
        let Pulled { manifests, blobs, .. } = pulled;
        Err(Problem::other(format!(
            "{manifests} manifests and {blobs} blobs came back, not {} and {}",
            all.0, all.1
        )))
    }

    fn tell(&self, lines: &[String]) -> Result<(), Problem> {
        tell(self.output, lines)
    }
}

impl From<PullError> for Problem {
    fn from(error: PullError) -> Problem {
        match error {
            PullError::Asking(error) => Problem::from(&error),
            other => Problem::other(other.to_string()),
        }
    }
}

async fn make_image(path: PathBuf) -> Result<PathBuf, Problem> {
    let program = std::env::current_exe()
        .map_err(|error| Problem::other(format!("cannot find this program's file: {error}")))?;
    let write = tokio::task::spawn_blocking(move || {
        image::write(&path, &program).map(|()| path).map_err(|error| {
            Problem::other(format!("cannot make an image of {}: {error}", program.display()))
        })
    });
    write.await.unwrap_or_else(|error| Err(Problem::other(error.to_string())))
}

fn options() -> ClientOptions {
    ClientOptions {
        transport: Transport::PlainHttp,
        retry_for: PATIENCE,
        ..ClientOptions::default()
    }
}

fn repository(address: SocketAddr, name: &str) -> Result<Repository, Problem> {
    let registry: Registry = address.to_string().parse()?;
    Ok(Repository::new(registry, name.parse()?)?)
}

fn tag(name: &str) -> Result<Tag, Problem> {
    Ok(name.parse()?)
}
