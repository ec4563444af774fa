//! Servers that fail on purpose, links that lag, and images to push over the one at the other. For
//! tests only.
//!
//! Everything is real: sockets of the loopback interface, files, TLS, the embedded registry behind
//! the faults. Everything has threads of its own, so that a blocking test and one with a runtime of
//! a single thread can use it alike, and ends when it is dropped.
//!
//! | to have | begin at |
//! |---|---|
//! | an image in a layout directory or an archive | [`ImageBuilder`], [`IndexBuilder`], [`Layer`], [`Layout`] |
//! | a registry in which something goes wrong | [`TestRegistry`], [`TestOptions`] |
//! | a single request that goes wrong | [`on`], [`When`], [`Rule`], [`Gate`] |
//! | a registry that is odd as a whole | [`Modes`], [`Sessions`], [`Mount`] |
//! | a log of what it was asked | [`TestRegistry::log`], [`Logged`], [`Call`] |
//! | the certainty that no tag names an incomplete image | [`TestRegistry::violations`]; unread ones fail the test |
//! | a login | [`Auth`], [`Bearer`], [`TokenServer`], [`TokenOptions`] |
//! | TLS, good and bad | [`TestCa`], [`TlsOptions`] |
//! | a long or breaking way there, and round trips counted | [`Link`], [`LinkOptions`], [`LinkFault`], [`Report`] |
//! | a registry of somebody else | [`RealRegistry`], [`RealOptions`], [`Signer`] |
//! | a client that does what it is told, wrong things too | [`Client`] |
//!
//! A test of a fault is ten lines long:
//!
//! ```
//! use windlass_testkit::{Call, Client, ImageBuilder, TestRegistry, on};
//!
//! let image = ImageBuilder::new(1).layers(3, 200_000).build();
//! let registry = TestRegistry::plain();
//! let cut = registry.fault(on(Call::UploadPut).once().reset_after(100_000));
//!
//! // Here a test has what it tests; this client gives up at once.
//! let mut client = Client::new(registry.address());
//! let layer = image.bytes(&image.blobs()[0].digest);
//! assert!(client.put_blob("app", &layer).is_err());
//! client.push("app", &image, "v1");
//!
//! assert_eq!(cut.fired(), 1);
//! assert!(registry.has_image("app", &image));
//! assert_eq!(registry.tag("app", "v1").as_ref(), Some(image.digest()));
//! ```
//!
//! The same registry at the far end of a cable of 20 ms that breaks after a megabyte:
//!
//! ```
//! use std::time::Duration;
//! use windlass_testkit::{
//!     Client, Link, LinkAction, LinkFault, LinkOptions, LinkPoint, TestRegistry,
//! };
//!
//! let registry = TestRegistry::plain();
//! let link = Link::start(registry.address(), LinkOptions {
//!     round_trip: Duration::from_millis(20),
//!     faults: vec![LinkFault { at: LinkPoint::Bytes(1_000_000), action: LinkAction::Reset }],
//!     ..LinkOptions::default()
//! });
//! Client::new(link.address()).put_blob("app", b"hello").unwrap();
//! // Connect, POST, PUT.
//! assert_eq!(link.report().round_trips, 3);
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "for tests only: whatever goes wrong in here shall end the test, loudly"
)]

mod auth;
mod background;
mod body;
mod builder;
mod call;
mod chain;
mod client;
mod content;
mod fault;
mod front;
mod gate;
mod http_scan;
mod image;
mod jwt;
mod layer;
mod layout;
mod link;
mod listening;
mod log;
mod modes;
mod monitor;
mod office;
mod pacer;
mod pump;
mod real;
mod registry;
mod rule;
mod scope;
mod server;
mod socket;
mod tls;
mod token;

pub use auth::{Auth, Bearer};
pub use builder::{ImageBuilder, IndexBuilder};
pub use call::{Call, Head, Target};
pub use chain::{Report, Seen};
pub use client::{Client, Received, with_digest};
pub use content::Content;
pub use fault::{Break, Reply};
pub use gate::Gate;
pub use image::{Image, Part};
pub use jwt::Signer;
pub use layer::Layer;
pub use layout::Layout;
pub use link::{Link, LinkAction, LinkFault, LinkOptions, LinkPoint};
pub use log::Logged;
pub use modes::{Modes, Mount, Sessions};
pub use monitor::{TagSet, Violation};
pub use real::{RealLogged, RealOptions, RealRegistry};
pub use registry::{TestOptions, TestRegistry};
pub use rule::{Rule, When, on, on_any};
pub use scope::Scope;
pub use tls::{Identity, TestCa, TlsOptions};
pub use token::{TokenOptions, TokenRequest, TokenServer, TokenShape};
