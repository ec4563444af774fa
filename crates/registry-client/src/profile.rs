//! What a host can do: learned from its answers, never configured.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::auth::Realm;

/// What was learned of a host, to be remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostProfile {
    /// The most bytes of one body, where a larger one was refused.
    pub largest_body: Option<u64>,
    /// It takes no PATCH: blobs go in one body or not at all.
    pub whole_only: bool,
    /// Where tokens for it are to be had; `None` where it wants none, and where that may not be kept.
    pub realm: Option<Realm>,
}

/// What was learned of what a host takes.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// The most bytes of one body; 0 while no bound was met.
    largest_body: AtomicU64,
    /// It takes no PATCH.
    whole_only: AtomicBool,
}

impl Profile {
    /// The bound on one body: the smaller of what the user said and what a refusal taught.
    pub(crate) fn chunk(&self, asked: Option<u64>) -> Option<u64> {
        let learned =
            Some(self.largest_body.load(Ordering::Relaxed)).filter(|learned| *learned > 0);
        match (asked, learned) {
            (Some(asked), Some(learned)) => Some(asked.min(learned)),
            (asked, learned) => asked.or(learned),
        }
    }

    /// A body above `bytes` was refused.
    pub(crate) fn learn_chunk(&self, bytes: u64) {
        let smaller = |known| (known == 0 || bytes < known).then_some(bytes);
        // Nothing to do where a smaller bound is known: that is no error.
        _ = self.largest_body.fetch_update(Ordering::Relaxed, Ordering::Relaxed, smaller);
    }

    /// What was learned so far, beside the login's `realm`.
    pub(crate) fn learned(&self, realm: Option<Realm>) -> HostProfile {
        HostProfile { largest_body: self.chunk(None), whole_only: self.whole_only(), realm }
    }

    /// Takes over what was learned before, but for the login's part.
    pub(crate) fn recall(&self, learned: &HostProfile) {
        if let Some(bytes) = learned.largest_body {
            self.learn_chunk(bytes);
        }
        if learned.whole_only {
            self.learn_whole_only();
        }
    }

    /// Whether blobs go in one body or not at all.
    pub(crate) fn whole_only(&self) -> bool {
        self.whole_only.load(Ordering::Relaxed)
    }

    /// PATCH was refused.
    pub(crate) fn learn_whole_only(&self) {
        self.whole_only.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_bound_counts() {
        let profile = Profile::default();
        assert_eq!(profile.chunk(None), None);
        assert_eq!(profile.chunk(Some(5)), Some(5));
        profile.learn_chunk(4);
        assert_eq!(profile.chunk(None), Some(4));
        assert_eq!(profile.chunk(Some(5)), Some(4));
        assert_eq!(profile.chunk(Some(3)), Some(3));
        profile.learn_chunk(9);
        assert_eq!(profile.chunk(None), Some(4));
    }

    #[test]
    fn what_was_learned_is_taken_over() {
        for learned in [
            HostProfile::default(),
            HostProfile { largest_body: Some(4), ..HostProfile::default() },
            HostProfile { whole_only: true, ..HostProfile::default() },
        ] {
            let profile = Profile::default();
            profile.recall(&learned);
            assert_eq!(profile.learned(None), learned);
        }
    }
}
