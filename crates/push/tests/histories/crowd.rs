//! Does much at once: what histories spend their time with is waiting.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// How many are under way.
const AT_ONCE: usize = 24;

/// Does `work` for each of `items`; gives what came of it, in their order.
pub(crate) fn all<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(place) else { return };
                    let result = work(item);
                    done.lock().unwrap().push((place, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Tells how much was done, past the capture of a test's output.
pub(crate) fn tell(what: &str, since: Instant) {
    use std::io::Write as _;
    let line = format!("histories: {what} in {:.1} s\n", since.elapsed().as_secs_f64());
    // Not by a macro, whose output is shown only where a test fails.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
