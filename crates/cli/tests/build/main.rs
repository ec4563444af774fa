//! `windlass build`, from outside: the real command on real archives and layouts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "whatever goes wrong shall end the test")]

mod harness;
mod images;
mod import;
mod indexes;
mod layers;
mod layouts;
