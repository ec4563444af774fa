//! The Bazel rules under a real Bazel: `examples/bazel`, with a few packages beside it that no example
//! should have, pushed into docker-registry, `windlass serve` and registries that fail on purpose.
//!
//! Runs where `WINDLASS_BAZEL=1` says that Bazel and the other tools are there (`ci/bazel` installs
//! them and runs it).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test's helpers may stop at the first surprise too, and say why nothing was tested"
)]

mod building;
mod contents;
mod costs;
mod foreign;
mod from_rules_oci;
mod harness;
mod launching;
mod layouts;
mod pushing;
mod pushing_all;
mod referring;
mod refusing;
mod remote_cache;
mod stamping;
mod toolchains;
