//! Pushes over real sockets: whole, unchanged, broken in every way, to registries that are odd, that
//! want to know who asks, and that somebody else has written.
//!
//! After each, the test kit's monitor has seen no tag on an incomplete image; a registry with
//! violations that nobody reads fails its test.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests may stop at the first surprise"
)]

mod at_once;
mod blobs;
mod counts;
mod faults;
mod greeting;
mod harness;
mod hosts;
mod layouts;
mod login;
mod manifests;
mod plain;
mod questions;
mod referrers;
mod resume;
mod rollback;
mod several;
mod tags;
mod verify;
