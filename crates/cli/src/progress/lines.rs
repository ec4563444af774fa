//! Progress as lines, for logs: one a blob, and a few a second at most where there are many.

use std::time::{Duration, Instant};

use windlass_push::Event;

use super::tally::Tally;
use crate::words;

/// Decides what is worth a line.
pub(super) struct Lines {
    /// Whether blobs go to more than one repository.
    several: bool,
    window: Instant,
    in_window: u32,
    /// When something was said last.
    said: Instant,
    /// Blobs that had no line of their own, and their bytes.
    untold: u64,
    untold_bytes: u64,
}

/// So many blobs are never too many for a log.
const FEW: u64 = 20;
const A_SECOND: u32 = 3;
/// Systems that run builds take long silence for death.
pub(super) const SILENCE: Duration = Duration::from_secs(10);

impl Lines {
    /// Nothing was said yet.
    pub(super) fn new(several: bool, now: Instant) -> Lines {
        Lines { several, window: now, in_window: 0, said: now, untold: 0, untold_bytes: 0 }
    }

    /// The line that `event` is worth.
    pub(super) fn next(
        &mut self,
        event: &Event<'_>,
        tally: &Tally,
        now: Instant,
    ) -> Option<String> {
        match *event {
            Event::BlobFinished { repository, digest, size, mounted } => {
                if !self.may_speak(tally, now) {
                    self.untold += 1;
                    self.untold_bytes = self.untold_bytes.saturating_add(size);
                    return None;
                }
                self.said = now;
                let more = self.take_untold();
                let Tally { done, blobs, .. } = tally;
                let did = if mounted { "mounted" } else { "pushed" };
                let (digest, size) = (digest.short(), words::bytes(size));
                let place = match (self.several, mounted) {
                    (false, _) => String::new(),
                    (true, false) => format!(" to {repository}"),
                    (true, true) => format!(" in {repository}"),
                };
                Some(format!("{did} blob {digest} {size}{place}{more} ({done}/{blobs})"))
            }
            Event::BlobProgress { .. } if now.duration_since(self.said) >= SILENCE => {
                self.said = now;
                Some(sent(tally))
            }
            Event::Repairing { repository } => {
                self.said = now;
                Some(repairing(repository))
            }
            _ => None,
        }
    }

    /// What is left to be said at the end.
    pub(super) fn finish(&mut self, tally: &Tally) -> Option<String> {
        let (untold, bytes) = (self.untold, words::bytes(self.untold_bytes));
        self.untold = 0;
        let Tally { done, blobs, .. } = tally;
        (untold > 0)
            .then(|| format!("{} more, {bytes} ({done}/{blobs})", words::count(untold, "blob")))
    }

    fn may_speak(&mut self, tally: &Tally, now: Instant) -> bool {
        if tally.blobs <= FEW {
            return true;
        }
        if now.duration_since(self.window) >= Duration::from_secs(1) {
            (self.window, self.in_window) = (now, 0);
        }
        self.in_window += 1;
        self.in_window <= A_SECOND
    }

    fn take_untold(&mut self) -> String {
        let (untold, bytes) =
            (std::mem::take(&mut self.untold), std::mem::take(&mut self.untold_bytes));
        match untold {
            0 => String::new(),
            _ => format!(" and {untold} more, {}", words::bytes(bytes)),
        }
    }
}

/// That something turned out to be missing.
pub(super) fn repairing(repository: &windlass_oci::Repository) -> String {
    format!("{repository} misses something that it said it had: sending it again")
}

fn sent(tally: &Tally) -> String {
    let percent = tally.sent.saturating_mul(100) / tally.bytes.max(1);
    let (sent, bytes) = (words::bytes(tally.sent), words::bytes(tally.bytes));
    format!("sent {sent} of {bytes} ({}%)", percent.min(100))
}

#[cfg(test)]
mod tests {
    use windlass_oci::{Digest, Repository};
    use windlass_push::PlanSummary;

    use super::*;

    struct Log {
        lines: Lines,
        tally: Tally,
        start: Instant,
        repository: Repository,
    }

    impl Log {
        fn of(blobs: u64) -> Log {
            let start = Instant::now();
            let repository: Repository = "a.io/x".parse().unwrap();
            let summary =
                PlanSummary { uploads: blobs, upload_bytes: 1024 * blobs, ..Default::default() };
            let mut tally = Tally::default();
            tally.note(&Event::Planned { repository: &repository, summary });
            Log { lines: Lines::new(false, start), tally, start, repository }
        }

        fn blob_ends(&mut self, name: &str, at: u64) -> Option<String> {
            let digest = Digest::sha256(name.as_bytes());
            let (repository, digest) = (&self.repository, &digest);
            let event = Event::BlobFinished { repository, digest, size: 1024, mounted: false };
            self.tally.note(&event);
            self.lines.next(&event, &self.tally, self.start + Duration::from_millis(at))
        }

        fn moves(&mut self, position: u64, at: u64) -> Option<String> {
            let digest = Digest::sha256(b"large");
            let (repository, digest) = (&self.repository, &digest);
            let event = Event::BlobProgress { repository, digest, position };
            self.tally.note(&event);
            self.lines.next(&event, &self.tally, self.start + Duration::from_millis(at))
        }
    }

    #[test]
    fn a_few_blobs_have_a_line_each() {
        let mut log = Log::of(6);
        let short = Digest::sha256(b"a").short().to_owned();
        assert_eq!(log.blob_ends("a", 0), Some(format!("pushed blob {short} 1.0 KiB (1/6)")));
        for blob in ["b", "c", "d", "e", "f"] {
            assert!(log.blob_ends(blob, 0).is_some());
        }
        assert_eq!(log.lines.finish(&log.tally), None);
    }

    #[test]
    fn a_line_says_where_if_there_are_several_repositories() {
        let mut log = Log::of(2);
        log.lines = Lines::new(true, log.start);
        let short = Digest::sha256(b"a").short().to_owned();
        let line = log.blob_ends("a", 0);
        assert_eq!(line, Some(format!("pushed blob {short} 1.0 KiB to a.io/x (1/2)")));
    }

    #[test]
    fn many_blobs_share_a_few_lines() {
        let mut log = Log::of(1000);
        let told = (0..100).filter(|blob| log.blob_ends(&blob.to_string(), 10).is_some()).count();
        assert_eq!(told, 3);
        let line = log.blob_ends("next", 1010).unwrap();
        assert!(line.ends_with(" and 97 more, 97.0 KiB (101/1000)"), "{line}");
        for blob in 200..210 {
            log.blob_ends(&blob.to_string(), 1020);
        }
        let last = log.lines.finish(&log.tally);
        assert_eq!(last.as_deref(), Some("8 blobs more, 8.0 KiB (111/1000)"));
    }

    #[test]
    fn a_large_blob_is_not_silence() {
        let mut log = Log::of(4);
        assert_eq!(log.moves(512, 9_000), None);
        assert_eq!(log.moves(1024, 10_000).as_deref(), Some("sent 1.0 KiB of 4.0 KiB (25%)"));
        assert_eq!(log.moves(2048, 11_000), None);
    }
}
