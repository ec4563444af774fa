//! OCI image layouts, the graph of everything that an image is made of, and images put together.
//!
//! A [`Layout`] is a directory or a tar archive with an `index.json`: a store of blobs, and the
//! roots among them, and what of them refers to others. A [`Graph`] is what one root reaches, found in any
//! [`Store`](windlass_source::Store) and checked.
//!
//! For build rules, images are assembled here too: a [`Layer`] is what is to be known of an archive,
//! a [`Base`] an image that others are built on, [`assemble_index`] makes several images one,
//! [`import`] takes an image out of a layout, and [`write_layout`] is the one thing here that writes.
//! The same input is the same bytes, always and everywhere. Nothing here knows a registry.

mod assemble;
mod config;
mod graph;
mod image_index;
mod import;
mod layer;
mod layout;
mod referrers;
mod root;
mod write_layout;

pub use assemble::{AssembledImage, Base, BaseError, ImageChanges};
pub use config::{
    ConfigChanges, ConfigError, EnvError, EnvVariable, ExposedPort, NoKey, Note, PortError,
    Timestamp, TimestampError, Volume, VolumeError,
};
pub use graph::{
    BlobNode, BlobRole, Graph, GraphError, GraphOptions, ManifestContent, ManifestNode, Mention,
    Problem, Warning,
};
pub use image_index::{AssembledIndex, assemble_index};
pub use import::{ImportError, ImportedImage, PlatformError, WantedPlatform, import};
pub use layer::{Layer, LayerError};
#[doc(hidden)]
pub use layout::parse_index;
pub use layout::{Layout, LayoutError};
pub use root::{Root, Roots};
pub use write_layout::{LayoutParts, Placing, WriteLayoutError, write_layout};
