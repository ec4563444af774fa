//! Progress as bars: one for all bytes, and one for each of the larger blobs that move.

use std::collections::HashMap;
use std::fmt::Write;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use windlass_oci::{Digest, Repository};
use windlass_push::Event;

use super::lines::repairing;
use super::tally::Tally;
use crate::words;

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
pub(super) const TICK: Duration = Duration::from_millis(250);

/// Short of 80 columns: in a full line the `^C` that a terminal echoes begins another.
pub(super) const ALL: &str = "{bar:16} {amount} of {total}, {speed}, {eta} left, {msg}";
const BLOB: &str = "{bar:16} {amount} of {total}, {msg}";

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

pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
        // Numbers as they are told in all other places.
        .with_key("amount", |state: &ProgressState, to: &mut dyn Write| {
            let _ = write!(to, "{:>10}", words::bytes(state.pos()));
        })
        .with_key("total", |state: &ProgressState, to: &mut dyn Write| {
            let _ = to.write_str(&words::bytes(state.len().unwrap_or_default()));
        })
        .with_key("speed", |state: &ProgressState, to: &mut dyn Write| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a rate is not negative, and less than all bytes there are"
            )]
            let bytes = state.per_sec() as u64;
            let _ = write!(to, "{}/s", words::bytes(bytes));
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressDrawTarget, TermLike};
    use windlass_push::PlanSummary;

    /// Keeps all that is ever drawn.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> io::Result<()> {
            self.write_str(line)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn templates_are_understood() {
        for template in [ALL, BLOB] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn numbers_are_those_of_the_summary() {
        let screen = Screen::default();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let on = MultiProgress::with_draw_target(target);
        let (mut bars, mut tally) = (Bars::new(&on), Tally::default());
        let repository: Repository = "a.io/x".parse().unwrap();
        let repository = &repository;
        let summary = PlanSummary { uploads: 1, upload_bytes: 2_500_000, ..Default::default() };
        let digest = &Digest::sha256(b"a");
        for event in [
            Event::Planned { repository, summary },
            Event::BlobStarted { repository, digest, size: 2_500_000 },
            Event::BlobProgress { repository, digest, position: 1_300_000 },
        ] {
            tally.note(&event);
            bars.show(&event, &tally);
        }
        on.println("").unwrap();
        let drawn = screen.0.lock().unwrap().clone();
        let told = format!("{} of {}, ", words::bytes(1_300_000), words::bytes(2_500_000));
        assert!(drawn.contains(&told), "{drawn}");
        bars.finish();
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
