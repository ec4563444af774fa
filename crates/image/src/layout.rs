//! OCI image layouts on disk: a directory, or an uncompressed tar archive of one. Image-spec,
//! [image-layout.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md).
//!
//! Which of the two it is, is decided by what is there, not by its name. What builders leave out of
//! the small files is tolerated; a layout is read and never written.

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use windlass_oci::Descriptor;
use windlass_source::{ArchiveStore, DirectoryStore, SourceError, Store};

use crate::root::{NoChoice, Root, Roots, choose};

/// The most bytes of an `index.json` that are read.
const MAX_INDEX: u64 = 16 << 20;

/// The most bytes of an `oci-layout` that are read.
const MAX_MARKER: u64 = 1 << 20;

/// A layout that has been opened: where its blobs are, and its roots.
#[derive(Clone, Debug)]
pub struct Layout {
    path: PathBuf,
    store: Arc<dyn Store>,
    roots: Vec<Root>,
}

/// Why a layout cannot be read, or no root of it be chosen.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file cannot be read, or an archive not be understood.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is something, but no layout.
    #[error("{path} is no OCI image layout: looked for index.json in it and found none{hint}")]
    NotALayout {
        /// The directory or archive.
        path: PathBuf,
        /// Where it may be instead; empty where nothing hints at anything.
        hint: String,
    },
    /// It is an image in another form.
    #[error(
        "{path} is an image in the form of {form}, not an OCI image layout: convert it with \
         `skopeo copy {transport}:{path} oci:DIRECTORY` and push that"
    )]
    OtherForm {
        /// The directory or archive.
        path: PathBuf,
        /// What makes such images.
        form: &'static str,
        /// What skopeo calls the form.
        transport: &'static str,
    },
    /// It is a layout of a version that is not known.
    #[error("{path} is an image layout of version {version:?}; known is 1.0.0")]
    Version {
        /// The layout.
        path: PathBuf,
        /// What `oci-layout` says.
        version: String,
    },
    /// Its `index.json` is no index.
    #[error("cannot understand index.json in {path}: {problem}")]
    Index {
        /// The layout.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Its `index.json` lists nothing.
    #[error("index.json in {path} lists no manifest: there is nothing to push")]
    Empty {
        /// The layout.
        path: PathBuf,
    },
    /// It has several roots and nothing says which is meant.
    #[error("{path} has several images; say by digest or name which one is meant:{roots}")]
    Several {
        /// The layout.
        path: PathBuf,
        /// All of them.
        roots: Roots,
    },
    /// Several roots are what the selector says.
    #[error("{selector:?} may mean several of the images in {path}; say it by digest:{roots}")]
    Ambiguous {
        /// The layout.
        path: PathBuf,
        /// What was asked for.
        selector: String,
        /// All roots.
        roots: Roots,
    },
    /// No root is what the selector says.
    #[error("no image in {path} has the digest or name {selector:?}; it has:{roots}")]
    NoSuchRoot {
        /// The layout.
        path: PathBuf,
        /// What was asked for.
        selector: String,
        /// All roots.
        roots: Roots,
    },
}

impl Layout {
    /// Opens the layout at `path` and reads its `index.json`. Blobs are not looked at.
    pub async fn open(path: &Path) -> Result<Layout, LayoutError> {
        let files = Files::open(path).await?;
        if let Some(marker) = files.read("oci-layout", MAX_MARKER).await? {
            check_version(path, &marker)?;
        }
        let Some(index) = files.read("index.json", MAX_INDEX).await? else {
            return Err(not_a_layout(path, &files).await);
        };
        let roots = parse_index(&index)
            .map_err(|problem| LayoutError::Index { path: path.to_owned(), problem })?;
        if roots.is_empty() {
            return Err(LayoutError::Empty { path: path.to_owned() });
        }
        Ok(Layout { path: path.to_owned(), store: files.into_store(), roots })
    }

    /// Where it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its blobs.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// The entries of `index.json`, in their order; at least one. One digest may stand there under
    /// several names.
    #[must_use]
    pub fn roots(&self) -> &[Root] {
        &self.roots
    }

    /// The root that `selector` means: a digest, a name, or at least seven characters of a digest
    /// that begin only one. Without a selector, the only root.
    ///
    /// # Errors
    ///
    /// Where none or several are meant; the error lists all there are.
    pub fn root(&self, selector: Option<&str>) -> Result<Descriptor, LayoutError> {
        choose(&self.roots, selector).map(|root| root.descriptor.clone()).map_err(|why| {
            let path = self.path.clone();
            let roots = Roots(self.roots.clone());
            match (selector.map(str::to_owned), why) {
                (None, _) => LayoutError::Several { path, roots },
                (Some(selector), NoChoice::Several) => {
                    LayoutError::Ambiguous { path, selector, roots }
                }
                (Some(selector), NoChoice::Nothing) => {
                    LayoutError::NoSuchRoot { path, selector, roots }
                }
            }
        })
    }
}

/// The entries of an `index.json`; an error in words where it is none.
///
/// Builders leave out `schemaVersion` and `mediaType`, and Go writes an empty list as `null`.
pub fn parse_index(bytes: &[u8]) -> Result<Vec<Root>, String> {
    #[derive(Deserialize)]
    struct Index {
        manifests: Option<Vec<Descriptor>>,
    }
    let index: Index = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    Ok(index.manifests.unwrap_or_default().into_iter().map(Root::new).collect())
}

/// An error where `oci-layout` tells of a version that is not known. One that tells nothing that
/// can be understood is no reason to refuse an image that is there.
fn check_version(path: &Path, marker: &[u8]) -> Result<(), LayoutError> {
    #[derive(Deserialize)]
    struct Marker {
        #[serde(rename = "imageLayoutVersion")]
        version: String,
    }
    match serde_json::from_slice::<Marker>(marker) {
        Ok(Marker { version }) if version != "1" && !version.starts_with("1.") => {
            Err(LayoutError::Version { path: path.to_owned(), version })
        }
        _ => Ok(()),
    }
}

async fn not_a_layout(path: &Path, files: &Files) -> LayoutError {
    let path = path.to_owned();
    match files.read("manifest.json", MAX_INDEX).await {
        // Docker lists images there; skopeo puts the image's manifest itself.
        Ok(Some(manifest)) if manifest.trim_ascii_start().starts_with(b"{") => {
            LayoutError::OtherForm { path, form: "skopeo's dir transport", transport: "dir" }
        }
        Ok(Some(_)) => {
            LayoutError::OtherForm { path, form: "`docker save`", transport: "docker-archive" }
        }
        // That it is there is known, whatever is wrong with it.
        Err(error) => error.into(),
        Ok(None) => {
            let hint = match files.nested() {
                Some(name) => format!("; there is one in {name}"),
                None => String::new(),
            };
            LayoutError::NotALayout { path, hint }
        }
    }
}

/// The files of a layout, wherever they are.
enum Files {
    Directory(DirectoryStore),
    Archive(ArchiveStore),
}

impl Files {
    async fn open(path: &Path) -> Result<Files, SourceError> {
        let metadata = fs::metadata(path)
            .map_err(|error| SourceError::io(&path.display().to_string(), error))?;
        Ok(if metadata.is_dir() {
            Files::Directory(DirectoryStore::new(path))
        } else {
            Files::Archive(ArchiveStore::open(path).await?)
        })
    }

    async fn read(&self, name: &str, limit: u64) -> Result<Option<Bytes>, SourceError> {
        match self {
            Files::Directory(directory) => directory.read(name, limit).await,
            Files::Archive(archive) => archive.read(name, limit).await,
        }
    }

    /// A folder one level down that has what was looked for here.
    fn nested(&self) -> Option<String> {
        match self {
            Files::Directory(directory) => {
                let mut names: Vec<_> = fs::read_dir(directory.root())
                    .ok()?
                    .flatten()
                    .map(|entry| entry.path())
                    .filter(|path| path.join("index.json").is_file())
                    .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
                    .collect();
                names.sort();
                names.into_iter().next()
            }
            Files::Archive(archive) => archive
                .names()
                .filter_map(|name| name.strip_suffix("/index.json"))
                .filter(|folder| !folder.contains('/'))
                .min()
                .map(str::to_owned),
        }
    }

    fn into_store(self) -> Arc<dyn Store> {
        match self {
            Files::Directory(directory) => Arc::new(directory),
            Files::Archive(archive) => Arc::new(archive),
        }
    }
}
