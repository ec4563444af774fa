//! HTTP as registries need it: one request, one answer, whatever the socket does meanwhile.
//!
//! Knows nothing of registries, credentials or retries: it says precisely what happened, and
//! [`client`](crate) decides what that means.

mod error;
mod message;

pub use error::HttpError;
pub use message::{Answer, Body, Progress, Request};
