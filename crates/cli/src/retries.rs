//! Tells that something is tried again: all of it to those who look for a reason, to others what
//! they are waiting for.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use windlass_registry_client::RetryListener;

use crate::output::{Output, Verbosity};
use crate::words;

/// A pause that a person notices; what is mended within it is not worth a line.
const NOTICED: Duration = Duration::from_secs(2);
/// Not oftener than this, whatever goes wrong in how many places.
const BETWEEN: Duration = Duration::from_secs(10);

/// Tells `output`.
pub(crate) fn tell(output: &Output) -> RetryListener {
    let (output, last) = (output.clone(), Mutex::new(None));
    RetryListener(Some(Arc::new(move |error, delay| {
        let line = || format!("trying again in {}: {error}", words::duration(delay));
        if output.verbosity() >= Verbosity::Verbose {
            output.detail(&line());
        } else if last
            .lock()
            .is_ok_and(|mut last| is_worth_a_line(&mut last, delay, Instant::now()))
        {
            output.note(&line());
        }
    })))
}

/// Whether a pause of `delay` is told, where `last` is when one was told before.
fn is_worth_a_line(last: &mut Option<Instant>, delay: Duration, now: Instant) -> bool {
    let is_new = last.is_none_or(|last| now.duration_since(last) >= BETWEEN);
    let told = delay >= NOTICED && is_new;
    if told {
        *last = Some(now);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_pauses_are_told_now_and_then() {
        let (mut last, start) = (None, Instant::now());
        let mut check = |at: u64, delay: u64, expected: bool| {
            let now = start + Duration::from_secs(at);
            let told = is_worth_a_line(&mut last, Duration::from_millis(delay), now);
            assert_eq!(told, expected, "at {at} s, {delay} ms");
        };
        check(0, 400, false);
        check(1, 2_000, true);
        check(2, 30_000, false);
        check(10, 5_000, false);
        check(11, 5_000, true);
        check(30, 400, false);
    }
}
