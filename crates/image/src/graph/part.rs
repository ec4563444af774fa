//! What a manifest's descriptors stand for.

use windlass_oci::{Descriptor, Manifest};

use super::{BlobRole, GraphOptions};

/// What a descriptor in a manifest stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Manifest,
    Blob(BlobRole),
    /// A layer that is not to be distributed.
    Skipped,
}

/// Everything that `manifest` names, in its order.
pub(super) fn parts<'a>(
    manifest: &'a Manifest,
    options: &GraphOptions,
) -> impl Iterator<Item = (Part, &'a Descriptor)> + use<'a> {
    let with_skipped = options.include_non_distributable;
    let is_index = matches!(manifest, Manifest::Index(_));
    manifest.children().enumerate().map(move |(place, child)| {
        let part = match (is_index, place) {
            (true, _) if child.media_type.is_manifest() => Part::Manifest,
            (false, 0) => Part::Blob(BlobRole::Config),
            _ if child.media_type.is_non_distributable() && !with_skipped => Part::Skipped,
            (true, _) => Part::Blob(BlobRole::Entry),
            (false, _) => Part::Blob(BlobRole::Layer),
        };
        (part, child)
    })
}
