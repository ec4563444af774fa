//! From an image to tags in a registry.
//!
//! A push goes through five hands: the image's graph, a survey of what the registry has, a plan
//! (pure), its execution, and a receipt. Blobs go first, in parallel; then manifests, children
//! before parents, the root by its digest; then the tags, one by one, in the order given. The first
//! failure stops everything after it: **at no moment does a tag that was set here name an image
//! that is not completely there**.
//!
//! Knows no terminal and no HTTP.

mod execute;
mod failure;
mod known;
mod plan;
mod pusher;
mod receipt;
mod reporter;
mod survey;
mod tags;
mod target;

pub use failure::{Failure, FailureClass, Interrupt, Refusal};
pub use plan::{Expectations, TagPolicy};
pub use pusher::{Finished, Job, Pusher, PusherOptions};
pub use receipt::{
    BlobsReceipt, BytesReceipt, ErrorReceipt, ImageReceipt, ManifestsReceipt, Outcome, Receipt,
    RepositoryReceipt, TagReceipt, TagStatus, VERSION,
};
pub use reporter::{Event, PlanSummary, Reporter, Silent};
