//! The distribution protocol, one client a host.
//!
//! A [`Client`] is a registry; a [`RepositoryClient`] a repository of it, on which blobs and
//! manifests are asked for, pushed and read. Everything is tried again where time may mend it, and
//! nothing is done again before the registry was asked whether it was done.
//!
//! Knows no image and no order of things: that is the `push` crate's. Reads no environment.

mod access;
pub mod auth;
mod blob;
mod client;
mod error;
mod exchange;
pub mod http;
mod limits;
mod listing;
mod manifest;
mod origin;
mod pace;
mod pages;
mod profile;
mod referrers;
mod reply;
mod retry;
mod upload;

pub use access::Access;
pub use blob::{
    BlobProgress, BlobStat, HashedBlob, Presence, Pushed, SessionKeeper, UploadSession,
};
pub use client::{Client, ClientOptions, RepositoryClient, RetryListener, Tally};
pub use error::{Class, Error, ErrorKind};
pub use listing::as_referrer;
pub use manifest::{ManifestPresence, PutManifest};
pub use origin::Transport;
pub use profile::HostProfile;
pub use referrers::fallback_tag;
pub use retry::retry_after;
pub use upload::received;
