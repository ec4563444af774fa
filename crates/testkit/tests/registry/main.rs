//! The faulty registry, as a client on a real socket feels it.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod faults;
mod harness;
mod modes;
mod monitor;
mod serving;
