//! Where the bytes of an image come from. Knows no registry and no image format.
//!
//! A [`BlobSource`] is one blob whose bytes can be read again, from any offset, as often as a
//! registry asks. A [`Store`] finds the source of a descriptor. Both are asynchronous at their
//! face; what blocks (files) does so in a thread of its own behind [`read_ahead`].

mod blob;
mod error;
mod store;

pub use blob::{BlobReader, BlobSource};
pub use error::SourceError;
pub use store::{Store, Stores};
