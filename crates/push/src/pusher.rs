//! Pushes images: one pusher a process, any number of images and repositories at once.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::{Either, FutureExt, TryFutureExt, join, select, try_join_all};
use windlass_image::Graph;
use windlass_oci::{Digest, Registry, Repository, RepositoryName, Tag};
use windlass_registry_client::auth::{CredentialChain, CredentialProvider};
use windlass_registry_client::http::{Http, HttpConfig};
use windlass_registry_client::{Client, ClientOptions, Transport};

use crate::execute::bring_content;
use crate::failure::{Failure, Interrupt};
use crate::journal::Journal;
use crate::known::KnownBlobs;
use crate::plan::{Expectations, Plan, TagAction, TagPolicy, plan};
use crate::proof::{check_sources, prove, prove_tags};
use crate::receipt::{Outcome, Receipt, TagStatus};
use crate::referrers::bring_referrers;
use crate::reporter::{Event, Reporter, Silent};
use crate::rollback::{Moves, roll_back};
use crate::survey::{survey, survey_all};
use crate::tags::{Tagging, set_tags};
use crate::target::Target;

/// Pushes images. What it learns of hosts and their blobs lives as long as it does.
pub struct Pusher {
    options: PusherOptions,
    clients: Mutex<HashMap<Registry, Client>>,
    known: KnownBlobs,
}

/// What a pusher works with.
#[derive(Clone)]
pub struct PusherOptions {
    /// Connections.
    pub http: Http,
    /// Where credentials come from.
    pub credentials: Arc<dyn CredentialProvider>,
    /// How to deal with a host.
    pub host: Arc<dyn Fn(&Registry) -> ClientOptions + Send + Sync>,
    /// What earlier processes left, and later ones will find.
    pub journal: Journal,
}

/// One image, and where it goes.
#[derive(Clone, Debug)]
pub struct Job {
    /// What it is called in its receipt, where there is something that it is called by.
    pub name: Option<String>,
    /// The image.
    pub image: Arc<Graph>,
    /// What refers to it, or to a part of it, or to another of these: goes where the image goes,
    /// after it and before its first tag.
    pub referrers: Vec<Arc<Graph>>,
    /// Where to, in this order.
    pub repositories: Vec<Repository>,
    /// The tags to set in each repository, in this order.
    pub tags: Vec<Tag>,
    /// Whether tags may be moved.
    pub tag_policy: TagPolicy,
    /// What tags must name before they are set.
    pub expected_tags: Expectations,
    /// Whether the tags that were moved are put back where they were when a tag fails, as far as
    /// that goes.
    pub rollback: bool,
    /// Whether the root and its tags go in one request where the registry takes them so, rather
    /// than the tags one by one.
    pub tags_at_once: bool,
    /// Whether everything is looked at: the image's files before their digests are claimed, the
    /// registry whatever it vouches for, and all of it once more before the first tag is set.
    pub verify: bool,
}

impl Job {
    /// A job that pushes `image` to `repositories`, sets no tag and may move any.
    #[must_use]
    pub fn new(image: Arc<Graph>, repositories: Vec<Repository>) -> Job {
        Job {
            name: None,
            image,
            referrers: Vec::new(),
            repositories,
            tags: Vec::new(),
            tag_policy: TagPolicy::default(),
            expected_tags: Expectations::new(),
            rollback: false,
            tags_at_once: false,
            verify: false,
        }
    }

    /// With these tags.
    #[must_use]
    pub fn tags(mut self, tags: Vec<Tag>) -> Job {
        self.tags = tags;
        self
    }
}

impl Default for PusherOptions {
    /// New connections, no credentials, no journal, and for each host what is usual: HTTPS, but
    /// plain HTTP first on this machine.
    fn default() -> PusherOptions {
        PusherOptions {
            http: Http::new(HttpConfig::default()),
            credentials: Arc::new(CredentialChain(Vec::new())),
            host: Arc::new(|registry| ClientOptions {
                transport: Transport::default_for(registry),
                ..ClientOptions::default()
            }),
            journal: Journal::none(),
        }
    }
}

/// How a push ended.
#[derive(Debug)]
pub struct Finished {
    /// One receipt an image, in the order of the jobs.
    pub receipts: Vec<Receipt>,
    /// The first failure; it stopped everything after it.
    pub failure: Option<Failure>,
    /// The jobs that it is a failure of, by their places: one; several where the plans of several
    /// were refused; none where it came from outside.
    pub failed: Vec<usize>,
}

/// A failure on the way, and the jobs that it is one of.
struct Stopped<'a> {
    failure: Failure,
    jobs: Vec<&'a Job>,
}

impl<'a> Stopped<'a> {
    /// A failure of one target.
    fn at(target: &Target<'a>) -> impl FnOnce(Failure) -> Stopped<'a> {
        let job = target.job;
        move |failure| Stopped { failure, jobs: vec![job] }
    }
}

/// How long an end before the end may take to cancel what is open at registries.
const TIDY_UP: Duration = Duration::from_millis(800);

impl Pusher {
    /// A pusher that has asked nobody yet.
    #[must_use]
    pub fn new(options: PusherOptions) -> Pusher {
        Pusher { options, clients: Mutex::default(), known: KnownBlobs::default() }
    }

    /// Pushes one image.
    pub async fn push(&self, job: Job) -> Finished {
        self.push_all(&[job], Arc::new(Silent), std::future::pending()).await
    }

    /// Pushes images, tells `reporter`, and ends early when `stop` is done.
    ///
    /// All content is brought first, in parallel. No tag is set anywhere before every repository of
    /// every job holds its image; then tags are set one after another, job by job, repository by
    /// repository, in the order given. The first failure stops everything after it.
    pub async fn push_all(
        &self,
        jobs: &[Job],
        reporter: Arc<dyn Reporter>,
        stop: impl Future<Output = Interrupt>,
    ) -> Finished {
        let targets = self.targets(jobs);
        let moves = Moves::default();
        // Boxed, here and below, so that the future of a push stays small to move and to compile.
        let work = Box::pin(async {
            let plans = self.plan_all(&targets, &reporter).await?;
            self.carry_out(&targets, plans, &reporter, &moves).await
        });
        let result = run_until(work, stop).await;
        if let Err(Stopped { failure, .. }) = &result {
            let is_stopped = matches!(failure, Failure::Interrupted(_));
            let limit = is_stopped.then_some(TIDY_UP);
            // Whoever stops it waits for both.
            join(cancel_sessions(&targets), roll_back(&moves, &reporter, limit)).await;
        }
        finish(jobs, &targets, result, Outcome::Pushed)
    }

    /// Asks registries what a push would do. Nothing is written; receipts tell what would be.
    pub async fn plan_only(
        &self,
        jobs: &[Job],
        reporter: Arc<dyn Reporter>,
        stop: impl Future<Output = Interrupt>,
    ) -> Finished {
        let targets = self.targets(jobs);
        let work = Box::pin(async {
            let plans = self.plan_all(&targets, &reporter).await?;
            for (target, plan) in targets.iter().zip(&plans) {
                note_plan(target, plan);
            }
            Ok(())
        });
        let result = run_until(work, stop).await;
        finish(jobs, &targets, result, Outcome::Planned)
    }

    /// The client of a registry, the same for all who ask.
    #[must_use]
    pub fn client(&self, registry: &Registry) -> Client {
        let new = || {
            let PusherOptions { http, credentials, host, journal } = &self.options;
            let client =
                Client::new(http.clone(), registry.clone(), credentials.clone(), host(registry));
            journal.recall_host(&client);
            client
        };
        match self.clients.lock() {
            Ok(mut clients) => clients.entry(registry.clone()).or_insert_with(new).clone(),
            Err(_) => new(),
        }
    }

    fn targets<'a>(&self, jobs: &'a [Job]) -> Vec<Target<'a>> {
        let pairs = jobs.iter().flat_map(|job| job.repositories.iter().map(move |to| (job, to)));
        pairs
            .map(|(job, to)| {
                let client = self.client(to.registry()).repository(to.clone());
                Target::new(job, client, self.options.journal.clone())
            })
            .collect()
    }

    /// Surveys and plans every target: all reasons to refuse come before the first byte leaves.
    async fn plan_all<'a>(
        &self,
        targets: &[Target<'a>],
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Vec<Plan>, Stopped<'a>> {
        let all: Vec<&Target<'a>> = targets.iter().flat_map(Target::with_referrers).collect();
        let mut hashed = HashSet::new();
        for target in all.iter().filter(|target| target.job.verify) {
            check_sources(target.graph(), &mut hashed).await.map_err(Stopped::at(target))?;
        }
        let surveys = try_join_all(all.iter().map(|target| {
            let (client, graph, tags) = (&target.client, target.graph(), target.tags());
            let survey = match target.job.verify {
                true => survey_all(client, graph, tags).boxed(),
                false => survey(client, graph, tags, target.is_known()).boxed(),
            };
            survey.map_err(Failure::from).map_err(Stopped::at(target)).boxed()
        }))
        .await;
        // Also where nothing is to be sent, or nobody is let in: how to log in is known from here on.
        all.iter().for_each(|target| target.journal.note_host(&target.client.client()));
        let surveys = surveys?;
        for (target, found) in all.iter().zip(&surveys) {
            let repository = target.client.repository();
            if !found.image_is_there {
                target.journal.forget_image(repository, target.root());
            }
            // What the registry says now counts more than what was known.
            found.absent_blobs().for_each(|digest| self.known.forget(repository, digest));
            found.present_blobs().for_each(|digest| self.known.note(repository, digest));
        }
        let mut plans: Vec<Plan> = Vec::new();
        let mut refusals = Vec::new();
        let mut refused: Vec<&Job> = Vec::new();
        // What earlier targets will have brought, for the numbers of those after them.
        let mut to_come: HashMap<(&Registry, &Digest), &RepositoryName> = HashMap::new();
        for (target, found) in all.iter().zip(&surveys) {
            let repository = target.client.repository();
            let sibling = |digest: &Digest| {
                let coming = to_come.get(&(repository.registry(), digest));
                let coming = coming.filter(|name| **name != repository.name());
                self.known.sibling(repository, digest).or(coming.map(|name| (*name).clone()))
            };
            let (policy, expected) = target.policy();
            match plan(target.graph(), repository, found, &sibling, target.tags(), policy, expected)
            {
                Ok(plan) => {
                    let plan = match target.job.verify {
                        true => plan.without_present_root(target.graph(), found),
                        false => plan,
                    };
                    target.planned(&plan);
                    reporter.report(Event::Planned { repository, summary: plan.summary });
                    for &place in &plan.blobs {
                        let digest = &target.graph().blobs()[place].descriptor.digest;
                        to_come.entry((repository.registry(), digest)).or_insert(repository.name());
                    }
                    match plans.last_mut() {
                        Some(image) if target.is_referrer => image.referrers.push(plan),
                        _ => plans.push(plan),
                    }
                }
                Err(more) => {
                    target.refused(&more);
                    refusals.extend(more);
                    refused.push(target.job);
                }
            }
        }
        if refusals.is_empty() {
            return Ok(plans);
        }
        Err(Stopped { failure: Failure::Refused(refusals), jobs: refused })
    }

    async fn carry_out<'t, 'a>(
        &self,
        targets: &'t [Target<'a>],
        mut plans: Vec<Plan>,
        reporter: &Arc<dyn Reporter>,
        moves: &Moves<'t, 'a>,
    ) -> Result<(), Stopped<'a>> {
        let root_is_due = match (targets, plans.as_mut_slice()) {
            ([target], [plan]) => leave_root(target, plan),
            _ => false,
        };
        let pairs = || targets.iter().zip(&plans);
        try_join_all(pairs().map(|(target, plan)| {
            bring_all(target, &self.known, reporter, plan).map_err(Stopped::at(target)).boxed()
        }))
        .await?;
        let tagging = Tagging { known: &self.known, reporter, moves };
        for (target, plan) in pairs() {
            let set = set_tags(&tagging, target, plan, root_is_due).await;
            set.map_err(Stopped::at(target))?;
            if target.job.verify {
                prove_tags(target).await.map_err(Stopped::at(target))?;
            }
            target.with_referrers().for_each(Target::note_known);
        }
        Ok(())
    }
}

/// Does it until it is done, or until it is stopped.
async fn run_until<'a>(
    work: impl Future<Output = Result<(), Stopped<'a>>>,
    stop: impl Future<Output = Interrupt>,
) -> Result<(), Stopped<'a>> {
    let (work, stop) = (std::pin::pin!(work), std::pin::pin!(stop));
    match select(work, stop).await {
        Either::Left((result, _)) => result,
        Either::Right((interrupt, _)) => {
            Err(Stopped { failure: Failure::Interrupted(interrupt), jobs: Vec::new() })
        }
    }
}

/// The receipts as they stand.
fn finish(
    jobs: &[Job],
    targets: &[Target<'_>],
    result: Result<(), Stopped<'_>>,
    success: Outcome,
) -> Finished {
    let place_of = |wanted: &Job| jobs.iter().position(|job| std::ptr::eq(job, wanted));
    let (failure, mut failed) = match result {
        Ok(()) => (None, Vec::new()),
        Err(Stopped { failure, jobs }) => {
            (Some(failure), jobs.into_iter().filter_map(place_of).collect())
        }
    };
    // One image that goes to several repositories is one job.
    failed.dedup();
    let mut receipts: Vec<Receipt> =
        jobs.iter().map(|job| Receipt::new(job.name.clone(), &job.image.root().raw)).collect();
    for target in targets {
        if let Some(receipt) = place_of(target.job).and_then(|place| receipts.get_mut(place)) {
            receipt.repositories.push(target.receipt());
        }
    }
    for (receipt, job) in receipts.iter_mut().zip(jobs) {
        let mut own = targets.iter().filter(|target| std::ptr::eq(job, target.job));
        match &failure {
            Some(failure) if !own.all(Target::is_complete) => {
                receipt.error = Some(failure.into());
            }
            _ => receipt.outcome = success,
        }
    }
    Finished { receipts, failure, failed }
}

/// Leaves the root manifest to the request that sets the tags too, where it may: it is to be put,
/// and nothing has to come between that refers to something. Whether that is so.
fn leave_root(target: &Target<'_>, plan: &mut Plan) -> bool {
    let job = target.job;
    let manifests = target.graph().manifests().iter().filter_map(|node| node.content.as_ref());
    let mut subjects = manifests.filter_map(|manifest| manifest.view.subject());
    let is_alone = job.referrers.is_empty() && subjects.next().is_none();
    let may = job.tags_at_once && !job.tags.is_empty() && is_alone && !job.verify;
    may && plan.manifests.pop().is_some()
}

/// Brings an image there, then what refers to it.
async fn bring_all(
    target: &Target<'_>,
    known: &KnownBlobs,
    reporter: &Arc<dyn Reporter>,
    plan: &Plan,
) -> Result<(), Failure> {
    bring_content(target, known, reporter, plan).await?;
    bring_referrers(target, known, reporter, plan).await?;
    if target.job.verify {
        for target in target.with_referrers() {
            prove(target, known, reporter).await?;
        }
    }
    Ok(())
}

/// Cancels the uploads that were begun and not ended, but for those that the journal remembers.
async fn cancel_sessions(targets: &[Target<'_>]) {
    let cancel = targets.iter().map(|target| target.client.cancel_sessions(TIDY_UP));
    futures_util::future::join_all(cancel).await;
}

/// Writes a plan into the record as if it had been carried out.
fn note_plan(target: &Target<'_>, plan: &Plan) {
    target.pretend(plan);
    for (referrer, plan) in target.referrers.iter().zip(&plan.referrers) {
        referrer.pretend(plan);
    }
    for (place, step) in plan.tags.iter().enumerate() {
        let status = match step.action {
            TagAction::Create => TagStatus::Created,
            TagAction::Move => TagStatus::Moved,
            TagAction::Leave => TagStatus::Unchanged,
        };
        target.note_tag(place, status, None);
    }
}

impl fmt::Debug for Pusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pusher").field("known", &self.known).finish_non_exhaustive()
    }
}
