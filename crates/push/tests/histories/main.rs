//! Pushes under every fault, and every pair of faults, and random histories of several processes:
//! whatever happens, no tag names an incomplete image, the outcome says what is true, and running
//! again finishes.
//!
//! A part of them runs each time; `WINDLASS_HISTORIES` says how many more, as CONTRIBUTING.md tells.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may stop at the first surprise, and say what it was"
)]

mod crowd;
mod exhaustive;
mod history;
mod kind;
mod random;
mod world;
