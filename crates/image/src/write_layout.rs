//! Writing an image as an OCI layout directory. Image-spec,
//! [image-layout.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md).
//!
//! What is written is exactly what the root reaches. Large content need not be copied: a blob may
//! be a symbolic link to where it lies.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use windlass_oci::{Algorithm, Descriptor, Digest, MediaType};
use windlass_source::{
    BlobSource, DirectoryStore, FilesStore, MemorySource, MemoryStore, SourceError, Store, Stores,
};

use crate::graph::{Graph, GraphError, GraphOptions};

/// What an image that is to be written is made of.
#[derive(Clone, Debug, Default)]
pub struct LayoutParts {
    /// Manifests, indexes and configs.
    pub documents: Vec<Bytes>,
    /// Layers and other files.
    pub files: HashMap<Digest, PathBuf>,
    /// Layout directories that have what is nowhere else.
    pub layouts: Vec<PathBuf>,
}

/// How files come into a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placing {
    /// As relative symbolic links to where they lie. The links are computed from the paths as they
    /// are given, without looking at what lies there.
    Links,
    /// As copies.
    Copies,
}

/// Why a layout could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteLayoutError {
    /// What is to be written is no whole image.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A part of it cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A part of it is said to be somewhere, and is not.
    #[error("{digest} should be in {path}, and is not")]
    Gone {
        /// What is missing.
        digest: Digest,
        /// Where it should be: a file that was listed, or a link that leads nowhere.
        path: PathBuf,
    },
    /// The operating system said no.
    #[error("cannot write {path}: {error}")]
    Io {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// The tag that readers of layouts look for where they are told none.
const NAME: (&str, &str) = ("org.opencontainers.image.ref.name", "latest");

/// Writes what `root` reaches into the empty directory `to`, and gives back what is in none of
/// the `parts`: it is left out, since a registry may have it.
///
/// # Errors
///
/// Where the root is not there, something that is there is not what its descriptor says, or
/// something cannot be read or written.
pub async fn write_layout(
    to: &Path,
    root: &Descriptor,
    parts: &LayoutParts,
    placing: Placing,
) -> Result<Vec<Descriptor>, WriteLayoutError> {
    // Here nothing is distributed yet.
    let options = GraphOptions { include_non_distributable: true };
    let graph = Graph::read(root, &parts.store(), &options).await?;
    let mut absent = Vec::new();
    for node in graph.manifests() {
        match &node.content {
            Some(content) => write(&to.join(blob_path(content.raw.digest())), content.raw.bytes())?,
            None => absent.push(node.descriptor.clone()),
        }
    }
    for node in graph.blobs() {
        let place = to.join(blob_path(&node.descriptor.digest));
        match (parts.file(&node.descriptor.digest), &node.source) {
            (Some(file), _) => put(&place, &file, placing)?,
            (None, Some(source)) => {
                write(&place, &<dyn BlobSource>::read(&**source, node.descriptor.size).await?)?;
            }
            // Foreign layers are never where an image is built.
            (None, None) if node.descriptor.media_type.is_non_distributable() => {}
            (None, None) => match parts.promise(&node.descriptor.digest) {
                Some(path) => {
                    let digest = node.descriptor.digest.clone();
                    return Err(WriteLayoutError::Gone { digest, path });
                }
                None => absent.push(node.descriptor.clone()),
            },
        }
    }
    write(&to.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    write(&to.join("index.json"), index_of(root).as_bytes())?;
    Ok(absent)
}

impl LayoutParts {
    fn store(&self) -> Stores {
        let mut documents = MemoryStore::default();
        for document in &self.documents {
            for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
                let digest = Digest::of(algorithm, document);
                documents.insert(MemorySource::with_digest(digest, document.clone()));
            }
        }
        let mut stores: Vec<Arc<dyn Store>> =
            vec![Arc::new(documents), Arc::new(FilesStore::new(self.files.clone()))];
        for layout in &self.layouts {
            stores.push(Arc::new(DirectoryStore::new(layout)));
        }
        Stores(stores)
    }

    /// The file that has the content of `digest`.
    fn file(&self, digest: &Digest) -> Option<PathBuf> {
        let listed = self.files.get(digest).cloned();
        listed.into_iter().chain(self.in_layouts(digest)).find(|path| path.is_file())
    }

    /// Where the content of a `digest` that no file has should be: a layout without it is sparse, but
    /// one with a link that leads nowhere was torn from what belongs to it.
    fn promise(&self, digest: &Digest) -> Option<PathBuf> {
        let listed = self.files.get(digest).cloned();
        let mut in_layouts = self.in_layouts(digest);
        listed.or_else(|| in_layouts.find(|path| path.symlink_metadata().is_ok()))
    }

    fn in_layouts(&self, digest: &Digest) -> impl Iterator<Item = PathBuf> {
        let blob = blob_path(digest);
        self.layouts.iter().map(move |layout| layout.join(&blob))
    }
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

fn index_of(root: &Descriptor) -> String {
    let annotations = BTreeMap::from([(NAME.0.to_owned(), NAME.1.to_owned())]);
    let plain = Descriptor::new(root.media_type.clone(), root.digest.clone(), root.size);
    let root = Descriptor { annotations, ..plain };
    json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": [root] })
        .to_string()
}

/// Makes `place` have the content of `file`.
fn put(place: &Path, file: &Path, placing: Placing) -> Result<(), WriteLayoutError> {
    let fail = |error| WriteLayoutError::Io { path: place.to_owned(), error };
    let folder = place.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).map_err(fail)?;
    let link = match placing {
        Placing::Links => relative(folder, file),
        Placing::Copies => None,
    };
    match link {
        Some(link) if symlink(&link, place).is_ok() => Ok(()),
        // A system may not have links, or not between these two places.
        _ => fs::copy(file, place).map(|_| ()).map_err(fail),
    }
}

fn write(place: &Path, bytes: &[u8]) -> Result<(), WriteLayoutError> {
    let folder = place.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(place, bytes))
        .map_err(|error| WriteLayoutError::Io { path: place.to_owned(), error })
}

/// The way from the folder `from` to `to`, by their names alone. Both are relative, or both
/// absolute; `None` where no such way can be told.
fn relative(from: &Path, to: &Path) -> Option<PathBuf> {
    let (from, to) = (names(from), names(to));
    let is_rooted = |names: &[Component<'_>]| {
        matches!(names.first(), Some(Component::RootDir | Component::Prefix(_)))
    };
    let shared = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    if is_rooted(&from) != is_rooted(&to) || (is_rooted(&from) && shared == 0) {
        return None;
    }
    // How a folder is called that one has gone up from is not known.
    let has_name = |name: &Component<'_>| matches!(name, Component::Normal(_));
    let way_up = from[shared..].iter().map(|name| has_name(name).then_some(Component::ParentDir));
    way_up.chain(to[shared..].iter().map(|name| Some(*name))).collect()
}

/// The components of a path without `.` and `..`, but for those `..` that it begins with.
fn names(path: &Path) -> Vec<Component<'_>> {
    let mut names = Vec::new();
    for component in path.components() {
        match (component, names.last()) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => drop(names.pop()),
            (Component::ParentDir, Some(Component::RootDir)) => {}
            (name, _) => names.push(name),
        }
    }
    names
}

#[cfg(unix)]
fn symlink(to: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}

#[cfg(windows)]
fn symlink(to: &Path, at: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(to, at)
}
