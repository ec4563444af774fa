//! What can be wrong with an image.

use std::fmt;

use windlass_oci::{Digest, ManifestError, MediaType};
use windlass_source::SourceError;

/// Everything that is wrong with an image, one problem a line.
#[derive(Debug)]
pub struct GraphError {
    /// At least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong with an image.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The root is not in the store.
    #[error("the image's root manifest {digest} is not there")]
    RootMissing {
        /// The root's.
        digest: Digest,
    },
    /// The root is something else than a manifest.
    #[error("the image's root {digest} has the media type {media_type}, which is no manifest's")]
    RootNoManifest {
        /// The root's.
        digest: Digest,
        /// The root's.
        media_type: MediaType,
    },
    /// A blob or manifest is there but cannot be read.
    #[error("{digest}: {error}")]
    Unreadable {
        /// What was to be read.
        digest: Digest,
        /// What came of it.
        error: SourceError,
    },
    /// A blob or manifest has more or fewer bytes than its descriptor says.
    #[error(
        "{origin} is {}: it has {found} bytes, the descriptor of {digest} says {expected}",
        if found < expected { "cut short" } else { "too long" }
    )]
    Size {
        /// What the descriptor refers to.
        digest: Digest,
        /// What was found for it.
        origin: String,
        /// The descriptor's size.
        expected: u64,
        /// How many bytes were found.
        found: u64,
    },
    /// A blob or manifest has another digest than its descriptor says.
    #[error("{origin} is corrupt: it has the digest {found}, its descriptor says {expected}")]
    Digest {
        /// What was found.
        origin: String,
        /// The descriptor's digest.
        expected: Digest,
        /// The digest of the bytes.
        found: Digest,
    },
    /// A manifest cannot be understood.
    #[error("manifest {digest}: {error}")]
    Manifest {
        /// The manifest.
        digest: Digest,
        /// What is wrong with it.
        error: ManifestError,
    },
    /// A descriptor's `data` is not what it promises.
    #[error("{mention}: the descriptor of {digest} is wrong: {problem}")]
    InlineData {
        /// What the descriptor refers to.
        digest: Digest,
        /// Where the descriptor is.
        mention: Mention,
        /// What is wrong.
        problem: String,
    },
    /// Two descriptors of one digest disagree about the size.
    #[error("{digest} has {first_size} bytes by {first}, and {second_size} by {second}")]
    SizesDiffer {
        /// What both refer to.
        digest: Digest,
        /// Who refers to it first.
        first: Mention,
        /// With this size.
        first_size: u64,
        /// Who disagrees.
        second: Mention,
        /// With this size.
        second_size: u64,
    },
    /// Two descriptors of one manifest disagree about its media type.
    #[error("manifest {digest} is a {first_type} by {first}, and a {second_type} by {second}")]
    MediaTypesDiffer {
        /// What both refer to.
        digest: Digest,
        /// Who refers to it first.
        first: Mention,
        /// As this.
        first_type: MediaType,
        /// Who disagrees.
        second: Mention,
        /// As this.
        second_type: MediaType,
    },
    /// A manifest is too large to be read.
    #[error("manifest {digest} has {size} bytes; more than {limit} are not read")]
    TooLarge {
        /// The manifest.
        digest: Digest,
        /// Its size.
        size: u64,
        /// The most that are read.
        limit: u64,
    },
    /// Indexes are in indexes too many times over.
    #[error("manifest {digest} is more than {limit} levels below the root")]
    TooDeep {
        /// One that is too deep.
        digest: Digest,
        /// How many levels there may be, the root's included.
        limit: usize,
    },
    /// There are too many manifests.
    #[error("the image has more than {limit} {unit}")]
    TooMany {
        /// How many there may be.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
}

/// Where a descriptor was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mention {
    /// It is the root's, as the layout or the caller has it.
    Root,
    /// It is in the manifest of this digest.
    Within(Digest),
}

/// What may fail elsewhere although nothing is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A manifest has more than 4 MiB, which registries need not take. Distribution-spec,
    /// [pushing manifests](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests).
    LargeManifest {
        /// The manifest.
        digest: Digest,
        /// Its size.
        size: u64,
    },
}

impl From<Vec<Problem>> for GraphError {
    fn from(problems: Vec<Problem>) -> GraphError {
        GraphError { problems }
    }
}

impl std::error::Error for GraphError {}

impl fmt::Display for GraphError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.problems.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mention::Root => f.write_str("the root descriptor"),
            Mention::Within(digest) => write!(f, "manifest {digest}"),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::LargeManifest { digest, size } => write!(
                f,
                "manifest {digest} has {size} bytes; some registries take no more than 4 MiB"
            ),
        }
    }
}
