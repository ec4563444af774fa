//! One image on its way into one repository, and the record of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use windlass_image::Graph;
use windlass_oci::{Digest, Tag};
use windlass_registry_client::RepositoryClient;

use crate::plan::{Expectations, Plan, TagPolicy};
use crate::pusher::Job;
use crate::receipt::{RepositoryReceipt, TagReceipt, TagStatus};
use crate::survey::Survey;

/// One image and one repository.
pub(crate) struct Target<'a> {
    pub(crate) job: &'a Job,
    pub(crate) client: RepositoryClient,
    /// Kept up to date step by step: it is read when everything else was dropped.
    record: Mutex<RepositoryReceipt>,
    begun: Instant,
}

impl<'a> Target<'a> {
    pub(crate) fn new(job: &'a Job, client: RepositoryClient) -> Target<'a> {
        let digest = job.image.root().raw.digest();
        let record = RepositoryReceipt::new(client.repository(), digest, &job.tags);
        let target = Target { job, client, record: Mutex::new(record), begun: Instant::now() };
        {
            let mut record = target.record();
            record.blobs.total = job.image.blobs().len() as u64;
            record.manifests.total = job.image.manifests().len() as u64;
            record.bytes.total = total_size(&job.image);
            record.warnings = job.image.warnings().iter().map(ToString::to_string).collect();
        }
        target
    }

    pub(crate) fn graph(&self) -> &Arc<Graph> {
        &self.job.image
    }

    pub(crate) fn tags(&self) -> &[Tag] {
        &self.job.tags
    }

    pub(crate) fn policy(&self) -> (TagPolicy, &Expectations) {
        (self.job.tag_policy, &self.job.expected_tags)
    }

    /// Notes what the plan leaves alone, and what the tags name.
    pub(crate) fn planned(&self, plan: &Plan) {
        let mut record = self.record();
        record.blobs.present = record.blobs.total - plan.blobs.len() as u64;
        record.manifests.present = record.manifests.total - plan.summary.manifests;
        for (receipt, step) in record.tags.iter_mut().zip(&plan.tags) {
            receipt.before.clone_from(&step.before);
        }
    }

    /// Changes the record.
    pub(crate) fn note(&self, change: impl FnOnce(&mut RepositoryReceipt)) {
        change(&mut self.record());
    }

    pub(crate) fn note_tag(&self, place: usize, status: TagStatus, error: Option<String>) {
        if let Some(receipt) = self.record().tags.get_mut(place) {
            *receipt = TagReceipt { status, error, ..receipt.clone() };
        }
    }

    /// The record as it stands.
    pub(crate) fn receipt(&self) -> RepositoryReceipt {
        let mut receipt = self.record().clone();
        let tally = self.client.tally();
        receipt.requests = tally.requests();
        receipt.retries = tally.retries();
        receipt.bytes.sent = tally.bytes();
        receipt.seconds = (self.begun.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        receipt.warnings.extend(self.client.client().warnings());
        receipt
    }

    /// What a survey found, as what the whole process knows of the host.
    pub(crate) fn found(survey: &Survey) -> impl Iterator<Item = &Digest> {
        use windlass_registry_client::Presence;
        survey
            .blobs
            .iter()
            .filter(|(_, there)| **there == Presence::Present)
            .map(|(digest, _)| digest)
    }

    fn record(&self) -> MutexGuard<'_, RepositoryReceipt> {
        // Numbers and words: whoever was stopped while writing left nothing half done.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of all that an image has, here or not.
fn total_size(image: &Graph) -> u64 {
    let manifests = image.manifests().iter().map(|manifest| &manifest.descriptor);
    let blobs = image.blobs().iter().map(|blob| &blob.descriptor);
    manifests.chain(blobs).fold(0, |sum, descriptor| descriptor.size.saturating_add(sum))
}
