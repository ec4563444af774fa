//! One image on its way into one repository, and the record of it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use windlass_image::Graph;
use windlass_oci::{Digest, Tag};
use windlass_registry_client::{Pushed, RepositoryClient, as_referrer};

use crate::failure::Refusal;
use crate::journal::Journal;
use crate::plan::{Expectations, Plan, TagPolicy};
use crate::pusher::Job;
use crate::receipt::{
    ListedBy, ReferrerReceipt, ReferrerStatus, RepositoryReceipt, TagReceipt, TagStatus,
};
use crate::reporter::PlanSummary;

/// One image and one repository.
pub(crate) struct Target<'a> {
    pub(crate) job: &'a Job,
    pub(crate) client: RepositoryClient,
    /// What refers to the image and goes there with it, in the job's order.
    pub(crate) referrers: Vec<Target<'a>>,
    /// Whether it is one of those itself.
    pub(crate) is_referrer: bool,
    graph: &'a Arc<Graph>,
    pub(crate) journal: Journal,
    /// Kept up to date step by step: it is read when everything else was dropped.
    record: Mutex<Record>,
    begun: Instant,
}

struct Record {
    receipt: RepositoryReceipt,
    /// What became of the blobs that were not there.
    fates: HashMap<Digest, Pushed>,
    /// The manifests that were put.
    put: HashSet<Digest>,
    /// Those of them that have a subject: whether the registry said that it lists them for it.
    subjects: HashMap<Digest, bool>,
    /// By what manifests are listed.
    listed: HashMap<Digest, ListedBy>,
    /// Blobs and manifests that the first plan leaves alone.
    present: (u64, u64),
    /// It is a dry run of this plan.
    pretended: Option<PlanSummary>,
    is_complete: bool,
}

impl<'a> Target<'a> {
    pub(crate) fn new(job: &'a Job, client: RepositoryClient, journal: Journal) -> Target<'a> {
        let referrer = |graph: &'a Arc<Graph>| {
            let target = Target::of(job, graph, &[], client.clone(), journal.clone());
            Target { is_referrer: true, ..target }
        };
        let referrers = job.referrers.iter().map(referrer).collect();
        Target { referrers, ..Target::of(job, &job.image, &job.tags, client, journal) }
    }

    fn of(
        job: &'a Job,
        graph: &'a Arc<Graph>,
        tags: &[Tag],
        client: RepositoryClient,
        journal: Journal,
    ) -> Target<'a> {
        let digest = graph.root().raw.digest();
        let mut receipt = RepositoryReceipt::new(client.repository(), digest, tags);
        receipt.blobs.total = graph.blobs().len() as u64;
        receipt.manifests.total = graph.manifests().len() as u64;
        receipt.bytes.total = total_size(graph);
        receipt.warnings = graph.warnings().iter().map(ToString::to_string).collect();
        let record = Record {
            receipt,
            fates: HashMap::new(),
            put: HashSet::new(),
            subjects: HashMap::new(),
            listed: HashMap::new(),
            present: (0, 0),
            pretended: None,
            is_complete: false,
        };
        Target {
            job,
            client,
            journal,
            referrers: Vec::new(),
            is_referrer: false,
            graph,
            record: Mutex::new(record),
            begun: Instant::now(),
        }
    }

    /// Itself, then what refers to its image.
    pub(crate) fn with_referrers(&self) -> impl Iterator<Item = &Target<'a>> {
        std::iter::once(self).chain(&self.referrers)
    }

    pub(crate) fn graph(&self) -> &Arc<Graph> {
        self.graph
    }

    /// The digest of the root manifest.
    pub(crate) fn root(&self) -> &Digest {
        self.graph.root().raw.digest()
    }

    /// Whether the journal has it that the image is there.
    pub(crate) fn is_known(&self) -> bool {
        self.journal.knows_image(self.client.repository(), self.root())
    }

    /// Everything is there: noted, unless it is. A note is not renewed as long as it
    /// counts, so that all is asked again when it does no more.
    pub(crate) fn note_known(&self) {
        if !self.is_known() {
            self.journal.note_image(self.client.repository(), self.root());
        }
    }

    pub(crate) fn tags(&self) -> &[Tag] {
        if self.is_referrer { &[] } else { &self.job.tags }
    }

    pub(crate) fn policy(&self) -> (TagPolicy, &Expectations) {
        (self.job.tag_policy, &self.job.expected_tags)
    }

    /// Notes what the plan leaves alone, and what the tags name.
    pub(crate) fn planned(&self, plan: &Plan) {
        let mut record = self.record();
        let Record { receipt, present, .. } = &mut *record;
        let blobs = receipt.blobs.total - plan.blobs.len() as u64;
        *present = (blobs, receipt.manifests.total - plan.summary.manifests);
        for (tag, step) in receipt.tags.iter_mut().zip(&plan.tags) {
            tag.before.clone_from(&step.before);
        }
    }

    /// Notes which tags are refused.
    pub(crate) fn refused(&self, refusals: &[Refusal]) {
        for refusal in refusals {
            let Some((tag, before)) = refusal.tag() else {
                continue;
            };
            if let Some(place) = self.tags().iter().position(|other| other == tag) {
                self.note_tag(place, TagStatus::Failed, Some(refusal.to_string()));
                self.note_tag_before(place, before);
            }
        }
    }

    /// Notes what a plan would do, as if it were done.
    pub(crate) fn pretend(&self, plan: &Plan) {
        let mut record = self.record();
        record.pretended = Some(plan.summary);
        record.is_complete = true;
    }

    /// A blob has come there.
    pub(crate) fn note_blob(&self, digest: &Digest, how: Pushed) {
        self.record().fates.insert(digest.clone(), how);
    }

    /// A manifest was put.
    pub(crate) fn note_manifest(&self, digest: &Digest) {
        self.record().put.insert(digest.clone());
    }

    /// A manifest with a subject was put; whether the registry says that it lists it.
    pub(crate) fn note_subject(&self, digest: &Digest, is_listed: bool) {
        self.record().subjects.insert(digest.clone(), is_listed);
    }

    /// Whether the registry said, when a manifest was put, that it lists it; `None` where it was
    /// not put, here and by the referrers.
    pub(crate) fn lists_itself(&self, digest: &Digest) -> Option<bool> {
        let said = |target: &Target<'_>| target.record().subjects.get(digest).copied();
        self.with_referrers().find_map(said)
    }

    /// Whether a manifest was seen to and is listed.
    pub(crate) fn is_listed(&self, digest: &Digest) -> bool {
        self.record().listed.contains_key(digest)
    }

    /// By what a manifest is listed.
    pub(crate) fn note_listed(&self, digest: &Digest, by: ListedBy) {
        self.record().listed.insert(digest.clone(), by);
    }

    /// All was asked for again, and is there or is not.
    pub(crate) fn note_verified(&self, is_there: bool) {
        self.record().receipt.verified = Some(is_there);
    }

    /// Something that people want to know.
    pub(crate) fn warn(&self, warning: String) {
        self.record().receipt.warnings.push(warning);
    }

    pub(crate) fn note_tag(&self, place: usize, status: TagStatus, error: Option<String>) {
        if let Some(receipt) = self.record().receipt.tags.get_mut(place) {
            *receipt = TagReceipt { status, error, ..receipt.clone() };
        }
    }

    /// A tag's turn has not come yet.
    pub(crate) fn note_tag_waits(&self, place: usize) {
        self.note_tag(place, TagStatus::Skipped, None);
    }

    /// What became of a tag, and why it failed.
    pub(crate) fn tag_status(&self, place: usize) -> (TagStatus, Option<String>) {
        let record = self.record();
        let tag = record.receipt.tags.get(place);
        tag.map_or((TagStatus::Skipped, None), |tag| (tag.status, tag.error.clone()))
    }

    pub(crate) fn note_tag_before(&self, place: usize, before: Option<&Digest>) {
        if let Some(receipt) = self.record().receipt.tags.get_mut(place) {
            receipt.before = before.cloned();
        }
    }

    /// Everything is there, and every tag is set.
    pub(crate) fn note_complete(&self) {
        self.record().is_complete = true;
    }

    /// Not every tag is set any more.
    pub(crate) fn note_incomplete(&self) {
        self.record().is_complete = false;
    }

    /// The root manifest was put.
    pub(crate) fn note_root_put(&self) {
        self.note_manifest(self.graph.root().raw.digest());
    }

    /// Whether the root manifest was put.
    pub(crate) fn has_put_root(&self) -> bool {
        self.record().put.contains(self.graph.root().raw.digest())
    }

    /// How long ago it was begun, and the registry was asked what it has.
    pub(crate) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Whether everything is there, and every tag is set.
    pub(crate) fn is_complete(&self) -> bool {
        self.record().is_complete
    }

    /// The record as it stands.
    pub(crate) fn receipt(&self) -> RepositoryReceipt {
        let record = self.record();
        let mut receipt = record.receipt.clone();
        record.count(&mut receipt);
        let tally = self.client.tally();
        receipt.requests = tally.requests();
        receipt.retries = tally.retries();
        receipt.bytes.sent = tally.bytes();
        receipt.seconds = (self.begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        for referrer in &self.referrers {
            receipt.warnings.extend(referrer.record().receipt.warnings.iter().cloned());
            receipt.referrers.push(referrer.as_referrer(&record.listed));
        }
        receipt.warnings.extend(self.client.client().warnings());
        receipt
    }

    fn as_referrer(&self, listed: &HashMap<Digest, ListedBy>) -> ReferrerReceipt {
        let record = self.record();
        let root = self.graph.root();
        let (digest, plan) = (root.raw.digest(), &record.pretended);
        let described = as_referrer(&root.raw, &root.view);
        let (subject, descriptor) = described.unzip();
        let is_put = record.put.contains(digest) || plan.is_some_and(|plan| plan.manifests > 0);
        ReferrerReceipt {
            digest: digest.clone(),
            artifact_type: descriptor.and_then(|descriptor| descriptor.artifact_type),
            subject,
            status: match (is_put, record.is_complete) {
                (true, _) => ReferrerStatus::Uploaded,
                (false, true) => ReferrerStatus::Present,
                (false, false) => ReferrerStatus::Skipped,
            },
            listed_by: listed.get(digest).copied(),
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // Numbers and words: whoever was stopped while writing left nothing half done.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// Counts blobs and manifests by what became of them, or would become of them.
    fn count(&self, receipt: &mut RepositoryReceipt) {
        let (blobs, manifests) = (&mut receipt.blobs, &mut receipt.manifests);
        match &self.pretended {
            Some(plan) => {
                (blobs.mounted, blobs.uploaded) = (plan.mounts, plan.uploads);
                manifests.uploaded = plan.manifests;
            }
            None => {
                let count = |is: fn(&Pushed) -> bool| {
                    self.fates.values().filter(|fate| is(fate)).count() as u64
                };
                blobs.mounted = count(|fate| *fate == Pushed::Mounted);
                blobs.uploaded = count(|fate| matches!(fate, Pushed::Uploaded { .. }));
                blobs.resumed =
                    count(|fate| matches!(fate, Pushed::Uploaded { resumed: true, .. }));
                manifests.uploaded = self.put.len() as u64;
            }
        }
        let others = blobs.total - blobs.mounted - blobs.uploaded;
        blobs.present = if self.is_complete { others } else { self.present.0.min(others) };
        let others = manifests.total - manifests.uploaded;
        manifests.present = if self.is_complete { others } else { self.present.1.min(others) };
    }
}

/// The bytes of all that an image has, here or not.
fn total_size(image: &Graph) -> u64 {
    let manifests = image.manifests().iter().map(|manifest| &manifest.descriptor);
    let blobs = image.blobs().iter().map(|blob| &blob.descriptor);
    manifests.chain(blobs).fold(0, |sum, descriptor| descriptor.size.saturating_add(sum))
}
