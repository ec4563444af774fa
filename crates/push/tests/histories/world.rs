//! Lets a history happen, and looks at each step whether what must hold does.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::Notify;
use windlass_image::{Graph, GraphOptions};
use windlass_oci::{Digest, Manifest, RawManifest, Repository, Tag};
use windlass_push::{
    Event, FailureClass, Finished, Interrupt, Job, Journal, JournalTrouble, Outcome, Pusher,
    PusherOptions, Reporter, TagStatus,
};
use windlass_registry_client::ClientOptions;
use windlass_registry_client::auth::CredentialChain;
use windlass_registry_client::http::{Http, HttpConfig};
use windlass_source::{MemorySource, MemoryStore};
use windlass_testkit::{
    Call, Image, ImageBuilder, Logged, Modes, Rule, TestOptions, TestRegistry, on_any,
};

use crate::history::{Fault, Has, History, Kill, Process, Sessions, Shape, TAGS};
use crate::kind::{Bearing, Kind};

/// What came of a history in which all was as it must be.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// What the first process asked for, in the order of arrival.
    pub(crate) calls: Vec<Call>,
    /// Whether every fault of it has happened.
    pub(crate) whole: bool,
    /// How many of its faults may each have made a blob go again.
    costly: u64,
}

/// The image of a shape, ready to be pushed.
#[derive(Clone)]
pub(crate) struct Ready {
    image: Image,
    graph: Arc<Graph>,
}

/// Whatever takes longer hangs.
const HANGS: Duration = Duration::from_secs(60);
/// For histories in which nothing may be given up on.
const PATIENT: Duration = Duration::from_secs(30);
/// For those in which something must be.
const HASTY: Duration = Duration::from_millis(250);
/// How often more a history may send less.
const TRIES: usize = 3;
/// How the complaint about bytes that were sent again ends.
const ENOUGH: &str = "would have been enough";
/// Where everything is pushed.
const REPOSITORY: &str = "app";

/// Lets it happen; what is wrong comes back in words.
pub(crate) fn run(history: &History, ready: &Ready) -> Result<Ran, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = |hasty| runtime.block_on(World::new(history, ready, hasty).run(history));
    let faults = || history.processes.iter().flat_map(|process| &process.faults);
    let was_killed = history.processes.iter().any(|process| process.killed.is_some());
    match run(HASTY) {
        // What a process had under way when it was killed may arrive a moment too late for the next
        // one to hear of it: that costs a body now and then, and a bug does each time.
        Err(problem) if problem.ends_with(ENOUGH) && was_killed => {
            (0..TRIES).find_map(|_| run(HASTY).ok()).ok_or(problem)
        }
        // Where a limit has to pass, a busy machine may be too slow for a short one.
        Err(_) if faults().any(|fault| fault.kind.takes_time() || fault.kind.lasts()) => {
            run(20 * HASTY)
        }
        other => other,
    }
}

impl Ready {
    pub(crate) fn new(shape: &Shape) -> Ready {
        let image = shape.build();
        let parts = image.parts().iter();
        let store: MemoryStore = parts
            .map(|part| {
                let digest = part.descriptor.digest.clone();
                MemorySource::with_digest(digest, part.content.to_bytes())
            })
            .collect();
        let options = GraphOptions::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let graph = runtime.block_on(Graph::read(image.root(), &store, &options)).unwrap();
        Ready { image, graph: Arc::new(graph) }
    }
}

struct World<'a> {
    registry: Arc<TestRegistry>,
    ready: &'a Ready,
    /// What was seen that must never be: a manifest that was put before all that it names was
    /// there, a journal with something wrong in it.
    wrong: Arc<Mutex<Vec<String>>>,
    /// The limit where one has to pass.
    hasty: Duration,
    /// The folder of the journal, which outlives every process.
    state: TempDir,
    /// Removed last.
    _place: Option<TempDir>,
}

/// Ends a process when its point is reached.
struct Executioner {
    kill: Option<Kill>,
    requests: AtomicUsize,
    bytes: AtomicU64,
    positions: Mutex<HashMap<Digest, u64>>,
    now: Notify,
}

impl<'a> World<'a> {
    fn new(history: &History, ready: &'a Ready, hasty: Duration) -> World<'a> {
        let ways = &history.registry;
        let sessions = match ways.sessions {
            Sessions::Keep => windlass_testkit::Sessions::Keep,
            Sessions::TurnStale => windlass_testkit::Sessions::TurnStale,
            Sessions::Delete => windlass_testkit::Sessions::Delete,
        };
        let modes = Modes {
            sessions,
            refuses_patch: ways.refuses_patch,
            closes_after_answer: ways.closes_after_answer,
            ..Modes::default()
        };
        // In memory, where there is such a place: disks take most of the time otherwise.
        let memory = Path::new("/dev/shm");
        let place = memory.is_dir().then(|| TempDir::new_in(memory).unwrap());
        let state = place.as_ref().map_or_else(TempDir::new, |place| TempDir::new_in(place.path()));
        let state = state.unwrap();
        let data = place.as_ref().map(|place| place.path().join("registry"));
        let options = TestOptions { modes, data, ..TestOptions::default() };
        let registry = Arc::new(TestRegistry::start(options));
        match ways.has {
            Has::Nothing => {}
            Has::SomeBlobs => {
                for blob in ready.image.blobs().iter().step_by(2) {
                    registry.seed_blob(REPOSITORY, &ready.image.bytes(&blob.digest));
                }
            }
            Has::Another => {
                let another = ImageBuilder::new(!history.image.seed).layers(1, 100).build();
                for tag in &TAGS[..history.tags] {
                    registry.seed(REPOSITORY, &another, Some(tag));
                }
            }
            Has::Image => registry.seed(REPOSITORY, &ready.image, None),
        }
        World { registry, ready, wrong: Arc::default(), hasty, state, _place: place }
    }

    async fn run(&self, history: &History) -> Result<Ran, String> {
        let missing = self.missing_bytes();
        let (mut first, mut costly) = (None, 0);
        for (number, process) in history.processes.iter().enumerate() {
            let ran = self.process(history, process).await;
            let ran = ran.map_err(|problem| format!("process {number}: {problem}"))?;
            costly += ran.costly;
            first.get_or_insert(ran);
        }
        let last = self.process(history, &Process::default()).await;
        let last = last.map_err(|problem| format!("the last, undisturbed process: {problem}"))?;
        self.sent_little_again(history, missing, costly)?;
        Ok(first.unwrap_or(last))
    }

    async fn process(&self, history: &History, process: &Process) -> Result<Ran, String> {
        let registry = &self.registry;
        let first = registry.log().len();
        let executioner = Arc::new(Executioner::new(process.killed));
        registry.heal();
        registry.fault(self.watch(&executioner));
        let rules: Vec<Rule> = process
            .faults
            .iter()
            .map(|fault| registry.fault(fault.kind.rule(first + fault.at)))
            .collect();

        let finished = {
            let host = registry.host();
            let push = self.push(history, &host, process, &executioner);
            let push = tokio::time::timeout(HANGS, push);
            tokio::select! {
                biased;
                () = executioner.now.notified() => None,
                finished = push => Some(finished.map_err(|_| "it hangs".to_owned())?),
            }
        };
        registry.heal();

        let log = registry.log().split_off(first);
        let violations = registry.violations();
        if let Some(violation) = violations.first() {
            return Err(format!("{violation}"));
        }
        if let Some(wrong) = self.wrong.lock().unwrap().first() {
            return Err(wrong.clone());
        }
        in_order(&log)?;
        if let Some(finished) = &finished {
            self.is_true(history, finished, &log)?;
            ends_for_a_reason(process, &rules, finished, &log)?;
        }
        let costly = process.faults.iter().zip(&rules).filter(|(fault, rule)| {
            let call = log.get(fault.at).map(|logged| logged.call);
            rule.fired() > 0 && call.is_some_and(|call| !fault.kind.costs_no_bytes(call))
        });
        Ok(Ran {
            calls: log.iter().map(|logged| logged.call).collect(),
            whole: rules.iter().all(|rule| rule.fired() > 0),
            costly: costly.count() as u64,
        })
    }

    /// Sees every request before anything is done to it.
    fn watch(&self, executioner: &Arc<Executioner>) -> Rule {
        let (registry, wrong) = (Arc::downgrade(&self.registry), Arc::clone(&self.wrong));
        let (executioner, graph) = (Arc::clone(executioner), Arc::clone(&self.ready.graph));
        let watch = move |head: &windlass_testkit::Head| {
            executioner.request();
            if matches!(head.target.call, Call::ManifestPut | Call::TagPut) {
                let reference = head.target.reference.as_deref().unwrap_or_default();
                if let Some(missing) = missing(&registry, &graph, reference) {
                    wrong.lock().unwrap().push(format!("{reference} was put without {missing}"));
                }
            }
            false
        };
        on_any(&[]).matching(watch).delay(Duration::ZERO)
    }

    /// How many bytes of blobs the registry does not have.
    fn missing_bytes(&self) -> u64 {
        let blobs = self.ready.image.blobs();
        let missing = blobs.iter().filter(|blob| !self.registry.has_blob(REPOSITORY, &blob.digest));
        missing.map(|blob| blob.size).sum()
    }

    /// Where a registry keeps what it got, only some faults make bytes go out again, and then no
    /// more than a blob's; that a process ended makes none. Looked at in the end, for what one had
    /// on its way still arrives while the next one runs.
    fn sent_little_again(
        &self,
        history: &History,
        missing: u64,
        costly: u64,
    ) -> Result<(), String> {
        let ways = &history.registry;
        // Who is hasty may give up what would have come to its end.
        let hasty = |fault: &Fault| fault.kind.takes_time() || fault.kind.lasts();
        let is_hasty = history.processes.iter().flat_map(|process| &process.faults).any(hasty);
        if ways.sessions != Sessions::Keep || ways.refuses_patch || is_hasty {
            return Ok(());
        }
        let blobs = self.ready.image.blobs();
        let most = missing + costly * blobs.iter().map(|blob| blob.size).max().unwrap_or(0);
        let uploads = [Call::UploadPost, Call::UploadPatch, Call::UploadPut];
        let log = self.registry.log();
        let sent: u64 =
            log.iter().filter(|it| uploads.contains(&it.call)).map(|it| it.received).sum();
        if sent > most {
            return Err(format!("{sent} bytes of blobs were sent, {most} {ENOUGH}"));
        }
        Ok(())
    }

    /// Whether what a push says of itself is so.
    fn is_true(
        &self,
        history: &History,
        finished: &Finished,
        log: &[Logged],
    ) -> Result<(), String> {
        let (registry, image) = (&self.registry, &self.ready.image);
        let receipt = &finished.receipts[0];
        let tags = &receipt.repositories[0].tags;
        let names = |tag: &str| registry.tag(REPOSITORY, tag).as_ref() == Some(image.digest());
        let is_set =
            |status| matches!(status, TagStatus::Created | TagStatus::Moved | TagStatus::Unchanged);
        match &finished.failure {
            None => {
                if receipt.outcome != Outcome::Pushed || !registry.has_image(REPOSITORY, image) {
                    return Err(format!("it says {:?}, and is not all there", receipt.outcome));
                }
                if tags.len() != history.tags || !tags.iter().all(|tag| is_set(tag.status)) {
                    return Err(format!("it was pushed, and its tags are {tags:?}"));
                }
            }
            Some(_) if receipt.outcome != Outcome::Failed => {
                return Err(format!("it failed, and says {:?}", receipt.outcome));
            }
            Some(_) => {}
        }
        let rank = |status| match status {
            // What was set and put back comes before what failed, too.
            TagStatus::Created | TagStatus::Moved | TagStatus::Unchanged | TagStatus::Restored => 0,
            TagStatus::Failed => 1,
            TagStatus::Skipped => 2,
        };
        if !tags.is_sorted_by_key(|tag| rank(tag.status))
            || tags.iter().filter(|tag| tag.status == TagStatus::Failed).count() > 1
        {
            return Err(format!("the order of its tags is {tags:?}"));
        }
        for tag in tags {
            let asked = log.iter().any(|logged| {
                logged.call == Call::TagPut && logged.reference.as_deref() == Some(&tag.tag)
            });
            if is_set(tag.status) && !names(&tag.tag) {
                return Err(format!("tag {} does not name the image: {tags:?}", tag.tag));
            }
            if tag.status == TagStatus::Skipped && asked {
                return Err(format!("tag {} was set after a failure: {tags:?}", tag.tag));
            }
        }
        Ok(())
    }

    /// The journal as a new process finds it. The least blob is remembered too.
    fn journal(&self) -> Journal {
        let wrong = Arc::clone(&self.wrong);
        let listener =
            move |trouble: &JournalTrouble| wrong.lock().unwrap().push(trouble.to_string());
        Journal::with_least(self.state.path().to_owned(), 1, Arc::new(listener))
    }

    /// A push of its own, as in a new process.
    async fn push(
        &self,
        history: &History,
        host: &str,
        process: &Process,
        executioner: &Arc<Executioner>,
    ) -> Finished {
        let faults = process.faults.iter().map(|fault| fault.kind);
        let limit = if faults.clone().any(Kind::takes_time) { self.hasty } else { PATIENT };
        let retry_for = if faults.clone().any(Kind::lasts) { 3 * self.hasty } else { PATIENT };
        let chunk_size = history.chunk;
        let pusher = Pusher::new(PusherOptions {
            http: Http::new(HttpConfig {
                stall_timeout: limit,
                head_timeout: limit,
                answer_timeout: limit,
                ..HttpConfig::default()
            }),
            credentials: Arc::new(CredentialChain(Vec::new())),
            host: Arc::new(move |registry| ClientOptions {
                transport: windlass_registry_client::Transport::default_for(registry),
                retry_for,
                chunk_size,
                ..ClientOptions::default()
            }),
            journal: self.journal(),
        });
        let to: Repository = format!("{host}/{REPOSITORY}").parse().unwrap();
        let tags: Vec<Tag> = TAGS[..history.tags].iter().map(|tag| tag.parse().unwrap()).collect();
        let job = Job::new(Arc::clone(&self.ready.graph), vec![to]).tags(tags);
        let never = std::future::pending::<Interrupt>();
        pusher.push_all(&[job], Arc::clone(executioner) as Arc<dyn Reporter>, never).await
    }
}

/// Whether a failure has its reason among the faults, and faults that go by went by.
fn ends_for_a_reason(
    process: &Process,
    rules: &[Rule],
    finished: &Finished,
    log: &[Logged],
) -> Result<(), String> {
    let Some(failure) = &finished.failure else { return Ok(()) };
    // Who must be given up on is given up on in a hurry, which a busy machine may be too slow for.
    let lasts = process.faults.iter().any(|fault| fault.kind.lasts());
    let mut allowed: Vec<FailureClass> = Vec::from_iter(lasts.then_some(FailureClass::Unreachable));
    let fired = process.faults.iter().zip(rules).filter(|(_, rule)| rule.fired() > 0);
    let fired: Vec<Fault> = fired.map(|(fault, _)| *fault).collect();
    for fault in &fired {
        let Some(hit) = log.get(fault.at) else { continue };
        let first = log[..fault.at].iter().all(|logged| logged.method == "HEAD");
        let others: Vec<Kind> =
            fired.iter().filter(|other| *other != fault).map(|other| other.kind).collect();
        if let Bearing::MayEnd(classes) = fault.kind.bearing(hit.call, first, &others) {
            allowed.extend(classes);
        }
    }
    if allowed.contains(&failure.class()) {
        return Ok(());
    }
    Err(format!("it failed ({:?}) with nothing to explain it: {failure}", failure.class()))
}

/// Tags are set in their order, one after another.
fn in_order(log: &[Logged]) -> Result<(), String> {
    let puts = log.iter().filter(|logged| logged.call == Call::TagPut);
    let places =
        puts.map(|logged| TAGS.iter().position(|tag| logged.reference.as_deref() == Some(tag)));
    if places.is_sorted() {
        Ok(())
    } else {
        Err("a tag was set before one that comes first".to_owned())
    }
}

/// What is not there of what the manifest of this reference names.
fn missing(registry: &Weak<TestRegistry>, graph: &Graph, reference: &str) -> Option<String> {
    let registry = registry.upgrade()?;
    let root = &graph.root().raw;
    let put: &RawManifest = graph
        .manifests()
        .iter()
        .filter_map(|node| Some(&node.content.as_ref()?.raw))
        .find(|raw| raw.digest().as_str() == reference)
        .unwrap_or(root);
    let view = put.view().unwrap();
    let is_index = matches!(view, Manifest::Index(_));
    let is_there = |digest: &Digest| match is_index {
        true => registry.has_manifest(REPOSITORY, digest),
        false => registry.has_blob(REPOSITORY, digest),
    };
    view.children()
        .map(|child| &child.digest)
        .find(|digest| !is_there(digest))
        .map(Digest::to_string)
}

impl Executioner {
    fn new(kill: Option<Kill>) -> Executioner {
        Executioner {
            kill,
            requests: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            positions: Mutex::default(),
            now: Notify::new(),
        }
    }

    fn request(&self) {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        if self.kill == Some(Kill::AtRequest(number)) {
            self.now.notify_one();
        }
    }
}

impl Reporter for Executioner {
    fn report(&self, event: Event<'_>) {
        let Event::BlobProgress { digest, position, .. } = event else { return };
        let Some(Kill::AfterBytes(limit)) = self.kill else { return };
        let before = self.positions.lock().unwrap().insert(digest.clone(), position);
        let moved = position.saturating_sub(before.unwrap_or(0));
        if self.bytes.fetch_add(moved, Ordering::SeqCst) + moved >= limit {
            self.now.notify_one();
        }
    }
}
