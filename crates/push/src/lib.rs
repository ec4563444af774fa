//! From an image to tags in a registry.
//!
//! A push goes through five hands: the image's graph, a survey of what the registry has, a plan
//! (pure), its execution, and a receipt. Blobs go first, in parallel; then manifests, children
//! before parents, the root by its digest; then what refers to the image, such as its signatures;
//! then the tags, one by one, in the order given. The first failure stops everything after it: **at
//! no moment does a tag that was set here name an image that is not completely there**.
//!
//! Knows no terminal and no HTTP.
//!
//! To push a layout from a program of one's own:
//!
//! ```
//! use std::sync::Arc;
//! use windlass_image::{Graph, GraphOptions, Layout};
//! use windlass_push::{Job, Pusher, PusherOptions};
//!
//! # async fn push(layout: &std::path::Path, host: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let layout = Layout::open(layout).await?;
//! let root = layout.root(None)?;
//! let image = Graph::read(&root, &*layout.store(), &GraphOptions::default()).await?;
//!
//! let pusher = Pusher::new(PusherOptions::default());
//! let to = format!("{host}/app").parse()?;
//! let job = Job::new(Arc::new(image), vec![to]).tags(vec!["v1".parse()?, "latest".parse()?]);
//! let finished = pusher.push(job).await;
//! if let Some(failure) = finished.failure {
//!     return Err(failure.into());
//! }
//! println!("{}", finished.receipts[0].image.digest);
//! # Ok(())
//! # }
//! # let registry = windlass_testkit::TestRegistry::plain();
//! # let image = windlass_testkit::ImageBuilder::new(1).layers(2, 1000).build();
//! # let written = image.directory();
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! # runtime.block_on(push(written.path(), &registry.host()))?;
//! # assert_eq!(registry.tag("app", "latest").as_ref(), Some(image.digest()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod at_once;
mod execute;
mod failure;
mod journal;
mod known;
mod plan;
mod proof;
mod pusher;
mod receipt;
mod referrers;
mod reporter;
mod rollback;
mod survey;
mod tags;
mod target;
mod verify;

pub use failure::{Failure, FailureClass, Interrupt, Refusal};
pub use journal::{Journal, JournalListener, JournalTrouble};
pub use plan::{Expectations, TagPolicy};
pub use pusher::{Finished, Job, Pusher, PusherOptions};
pub use receipt::{
    BlobsReceipt, BytesReceipt, ErrorReceipt, ImageReceipt, ListedBy, ManifestsReceipt, Outcome,
    Receipt, ReferrerReceipt, ReferrerStatus, RepositoryReceipt, TagReceipt, TagStatus, VERSION,
};
pub use reporter::{Event, PlanSummary, Reporter, Silent};
pub use verify::{Depth, Flaw, FlawProblem, Looked, Verification, Watcher, verify};
