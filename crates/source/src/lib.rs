//! Where the bytes of an image come from. Knows no registry and no image format.
//!
//! A [`BlobSource`] is one blob whose bytes can be read again, from any offset, as often as a
//! registry asks. A [`Store`] finds the source of a descriptor. Both are asynchronous at their
//! face; what blocks (files) does so in a thread of its own behind [`read_ahead`].

mod archive;
mod blob;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod directory;
mod error;
mod file;
mod files;
mod memory;
mod read_ahead;
mod store;

#[doc(hidden)]
pub use archive::ArchiveIndex;
pub use archive::{ArchiveStore, MemberSource};
pub use blob::{BlobReader, BlobSource};
pub use directory::DirectoryStore;
pub use error::SourceError;
pub use file::FileSource;
pub use files::FilesStore;
pub use memory::{MemorySource, MemoryStore};
pub use read_ahead::{Extent, PIECE, read_ahead};
pub use store::{Store, Stores};
