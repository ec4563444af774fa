//! The nouns of OCI images and registries, as types that cannot hold nonsense.
//!
//! Pure: no I/O, no async, no regular expressions. Parsing happens once, at the edge; what has
//! been parsed is right by construction and carries its own text, so nothing is formatted twice.
//!
//! Terms are those of the [image specification] and the [distribution specification].
//!
//! [image specification]: https://github.com/opencontainers/image-spec/blob/v1.1.1/spec.md
//! [distribution specification]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md

mod api_error;
mod descriptor;
mod digest;
mod manifest;
mod media_type;
mod reference;

pub use api_error::{ApiError, ErrorBody};
pub use descriptor::{Descriptor, Platform};
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use manifest::{ImageIndex, ImageManifest, Manifest, ManifestError, RawManifest};
pub use media_type::MediaType;
pub use reference::{Reference, ReferenceError, Registry, Repository, RepositoryName, Tag};
