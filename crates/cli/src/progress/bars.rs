//! Progress as bars: one for all bytes, and one for each of the larger blobs that move.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use windlass_oci::{Digest, Repository};
use windlass_push::Event;

use super::lines::repairing;
use super::tally::Tally;

/// The bars.
pub(super) struct Bars {
    on: MultiProgress,
    /// Drawn once there is something to send.
    all: Option<ProgressBar>,
    blobs: HashMap<(Repository, Digest), ProgressBar>,
    sizes: HashMap<(Repository, Digest), u64>,
}

/// Lines for blobs: fewer than any window has.
const MOST: usize = 8;
/// What is smaller comes and goes too quickly to be read.
const SMALLEST: u64 = 1 << 20;
/// So often bars are drawn while nothing moves.
const TICK: Duration = Duration::from_millis(250);

/// Short of 80 columns: in a full line the `^C` that a terminal echoes begins another.
const ALL: &str = "{bar:16} {bytes:>10} of {total_bytes}, {bytes_per_sec}, {eta} left, {msg}";
const BLOB: &str = "{bar:16} {bytes:>10} of {total_bytes}, {msg}";

impl Bars {
    /// Draws on `on`.
    pub(super) fn new(on: &MultiProgress) -> Bars {
        Bars { on: on.clone(), all: None, blobs: HashMap::new(), sizes: HashMap::new() }
    }

    /// Shows an event; what cannot be shown by a bar is a line.
    pub(super) fn show(&mut self, event: &Event<'_>, tally: &Tally) -> Option<String> {
        match *event {
            Event::BlobStarted { repository, digest, size } if size >= SMALLEST => {
                self.sizes.insert((repository.clone(), digest.clone()), size);
            }
            Event::BlobProgress { repository, digest, position } => {
                self.move_to(repository, digest, position);
            }
            Event::BlobFinished { repository, digest, .. } => {
                let key = (repository.clone(), digest.clone());
                self.sizes.remove(&key);
                if let Some(bar) = self.blobs.remove(&key) {
                    bar.finish_and_clear();
                    self.on.remove(&bar);
                }
            }
            Event::Repairing { repository } => return Some(repairing(repository)),
            _ => {}
        }
        self.show_all(tally);
        None
    }

    /// Takes them away.
    pub(super) fn finish(&mut self) {
        for bar in self.blobs.drain().map(|(_, bar)| bar).chain(self.all.take()) {
            bar.finish_and_clear();
        }
    }

    fn show_all(&mut self, tally: &Tally) {
        if tally.bytes == 0 {
            return;
        }
        let all = self.all.get_or_insert_with(|| {
            let bar = self.on.add(ProgressBar::new(tally.bytes).with_style(style(ALL)));
            bar.enable_steady_tick(TICK);
            bar
        });
        all.set_length(tally.bytes);
        all.set_position(tally.sent);
        all.set_message(format!("blob {}/{}", tally.done, tally.blobs));
    }

    fn move_to(&mut self, repository: &Repository, digest: &Digest, position: u64) {
        let key = (repository.clone(), digest.clone());
        if let Some(bar) = self.blobs.get(&key) {
            bar.set_position(position);
        } else if let Some(size) = self.sizes.get(&key)
            && self.blobs.len() < MOST
        {
            let bar = self.on.add(ProgressBar::new(*size).with_style(style(BLOB)));
            bar.set_message(digest.short().to_owned());
            bar.set_position(position);
            self.blobs.insert(key, bar);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicatif::ProgressDrawTarget;
    use windlass_push::PlanSummary;

    #[test]
    fn templates_are_understood() {
        for template in [ALL, BLOB] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn bars_follow_what_moves_and_go_with_it() {
        let on = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let (mut bars, mut tally) = (Bars::new(&on), Tally::default());
        let repository: Repository = "a.io/x".parse().unwrap();
        let repository = &repository;
        let mut show = |event: Event<'_>| {
            tally.note(&event);
            bars.show(&event, &tally);
            let all = bars.all.as_ref().map(|bar| (bar.position(), bar.length().unwrap()));
            (all, bars.blobs.len())
        };
        let size = 2 * SMALLEST;
        let summary = PlanSummary { uploads: 12, upload_bytes: 12 * size, ..Default::default() };
        assert_eq!(show(Event::Planned { repository, summary }), (Some((0, 12 * size)), 0));
        let digests: Vec<_> = (0..12).map(|blob: u8| Digest::sha256(&[blob])).collect();
        for digest in &digests {
            show(Event::BlobStarted { repository, digest, size });
            show(Event::BlobProgress { repository, digest, position: 10 });
        }
        let digest = &digests[0];
        let back = show(Event::BlobProgress { repository, digest, position: 0 });
        assert_eq!(back, (Some((110, 12 * size)), MOST));
        let done = show(Event::BlobFinished { repository, digest, size, mounted: false });
        assert_eq!(done, (Some((size + 110, 12 * size)), MOST - 1));
        // The next that moves takes the free line.
        let digest = &digests[11];
        assert_eq!(show(Event::BlobProgress { repository, digest, position: 20 }).1, MOST);
    }
}
