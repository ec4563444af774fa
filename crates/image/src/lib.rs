//! OCI image layouts, and the graph of everything that an image is made of.
//!
//! A [`Layout`] is a directory or a tar archive with an `index.json`: a store of blobs, and the
//! roots among them. A [`Graph`] is what one root reaches, found in any
//! [`Store`](windlass_source::Store) and checked. Nothing here writes, and nothing knows a registry.

mod assemble;
mod config;
mod graph;
mod image_index;
mod import;
mod layer;
mod layout;
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
