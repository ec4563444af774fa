//! `windlass push` and `windlass auth check`, from outside: against registries on real sockets, as
//! a script would use them.
#![expect(
    clippy::unwrap_used,
    reason = "a test's helpers may stop at the first surprise too, and say what it was"
)]

mod failures;
mod harness;
mod input;
mod journal;
#[cfg(unix)]
mod launcher;
mod login;
mod referrers;
mod requests;
mod results;
#[cfg(unix)]
mod resume;
#[cfg(unix)]
mod signals;
mod tokens;
mod verify;
mod words;
