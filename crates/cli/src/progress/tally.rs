//! How far a push has come, in numbers.

use std::collections::HashMap;

use windlass_oci::{Digest, Repository};
use windlass_push::Event;

/// What was planned for a repository.
#[derive(Clone, Copy, Debug, Default)]
struct Planned {
    bytes: u64,
    /// Mounts that have not been done yet.
    mounts: u64,
}

/// How far a push has come.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Bytes to send, all told.
    pub(super) bytes: u64,
    /// Of these, bytes handed over. Goes back where some were lost.
    pub(super) sent: u64,
    /// Blobs to send or mount.
    pub(super) blobs: u64,
    /// Of these, those that are there.
    pub(super) done: u64,
    plans: HashMap<Repository, Planned>,
    under_way: HashMap<(Repository, Digest), u64>,
}

impl Tally {
    /// The bytes that were planned to be sent to a repository.
    pub(super) fn planned_bytes(&self, repository: &str) -> u64 {
        let mut plans = self.plans.iter();
        let plan = plans.find(|(planned, _)| planned.to_string() == repository);
        plan.map_or(0, |(_, planned)| planned.bytes)
    }

    /// Takes an event into account.
    pub(super) fn note(&mut self, event: &Event<'_>) {
        match *event {
            Event::Planned { repository, summary } => {
                self.bytes = self.bytes.saturating_add(summary.upload_bytes);
                self.blobs += summary.uploads + summary.mounts;
                let planned = self.plans.entry(repository.clone()).or_default();
                planned.mounts += summary.mounts;
                planned.bytes = planned.bytes.saturating_add(summary.upload_bytes);
            }
            Event::BlobProgress { repository, digest, position } => {
                self.move_to(repository, digest, position);
            }
            Event::BlobFinished { repository, digest, size, mounted } => {
                self.done += 1;
                self.blobs = self.blobs.max(self.done);
                if !mounted {
                    self.move_to(repository, digest, size);
                } else if !self.was_to_be_mounted(repository) {
                    // It was to be sent, and another repository turned out to have it.
                    self.bytes = self.bytes.saturating_sub(size);
                }
                self.under_way.remove(&(repository.clone(), digest.clone()));
                self.bytes = self.bytes.max(self.sent);
            }
            Event::BlobStarted { .. }
            | Event::ManifestPut { .. }
            | Event::Tag { .. }
            | Event::Repairing { .. } => {}
        }
    }

    fn move_to(&mut self, repository: &Repository, digest: &Digest, position: u64) {
        let before = self.under_way.entry((repository.clone(), digest.clone())).or_default();
        self.sent = self.sent.saturating_sub(*before).saturating_add(position);
        *before = position;
    }

    fn was_to_be_mounted(&mut self, repository: &Repository) -> bool {
        match self.plans.get_mut(repository) {
            Some(Planned { mounts: left @ 1.., .. }) => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use windlass_push::PlanSummary;

    use super::*;

    struct Push {
        tally: Tally,
        repository: Repository,
    }

    impl Push {
        fn new(uploads: u64, upload_bytes: u64, mounts: u64) -> Push {
            let repository: Repository = "a.io/x".parse().unwrap();
            let summary = PlanSummary { uploads, upload_bytes, mounts, ..PlanSummary::default() };
            let mut tally = Tally::default();
            tally.note(&Event::Planned { repository: &repository, summary });
            Push { tally, repository }
        }

        fn moves(&mut self, blob: &str, position: u64) {
            let digest = Digest::sha256(blob.as_bytes());
            let (repository, digest) = (&self.repository, &digest);
            self.tally.note(&Event::BlobProgress { repository, digest, position });
        }

        fn ends(&mut self, blob: &str, size: u64, mounted: bool) {
            let digest = Digest::sha256(blob.as_bytes());
            let (repository, digest) = (&self.repository, &digest);
            self.tally.note(&Event::BlobFinished { repository, digest, size, mounted });
        }

        #[track_caller]
        fn stands_at(&self, sent: u64, bytes: u64, done: u64, blobs: u64) {
            let Tally { sent: s, bytes: b, done: d, blobs: n, .. } = &self.tally;
            assert_eq!((*s, *b, *d, *n), (sent, bytes, done, blobs));
        }
    }

    #[test]
    fn what_was_lost_is_taken_back() {
        let mut push = Push::new(2, 150, 0);
        push.moves("a", 60);
        push.moves("b", 50);
        push.stands_at(110, 150, 0, 2);
        push.moves("a", 10);
        push.stands_at(60, 150, 0, 2);
        push.ends("a", 100, false);
        push.ends("b", 50, false);
        push.stands_at(150, 150, 2, 2);
    }

    #[test]
    fn what_is_mounted_after_all_need_not_be_sent() {
        let mut push = Push::new(2, 150, 1);
        push.ends("mounted", 1000, true);
        push.stands_at(0, 150, 1, 3);
        push.ends("a", 100, true);
        push.stands_at(0, 50, 2, 3);
        push.ends("b", 50, false);
        push.stands_at(50, 50, 3, 3);
    }

    #[test]
    fn what_is_sent_beyond_the_plan_is_counted() {
        let mut push = Push::new(0, 0, 1);
        push.moves("not mounted", 70);
        push.ends("not mounted", 70, false);
        push.ends("repaired", 30, false);
        push.stands_at(100, 100, 2, 2);
    }
}
