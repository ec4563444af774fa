//! Images as files: OCI layout directories and archives of them.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;
use windlass_oci::{Digest, MediaType};

use crate::content::Content;
use crate::image::{Image, Part};

/// A layout on disk that is removed when this is dropped.
#[derive(Debug)]
pub struct Layout {
    place: TempDir,
    path: PathBuf,
}

impl Image {
    /// As a layout directory in a temporary place.
    #[must_use]
    pub fn directory(&self) -> Layout {
        Layout::directory(&[(self, None)])
    }

    /// As a `.tar` archive of a layout in a temporary place.
    #[must_use]
    pub fn archive(&self) -> Layout {
        Layout::archive(&[(self, None)])
    }

    /// Writes a layout directory to `path`, which is made where it is missing.
    pub fn write_directory(&self, path: &Path) -> io::Result<()> {
        write_directory(path, &[(self, None)])
    }

    /// Writes a `.tar` archive of a layout to `path`.
    pub fn write_archive(&self, path: &Path) -> io::Result<()> {
        write_archive(path, &[(self, None)])
    }
}

impl Layout {
    /// A directory with several roots, each with a name (`org.opencontainers.image.ref.name`) or
    /// without.
    #[must_use]
    pub fn directory(images: &[(&Image, Option<&str>)]) -> Layout {
        Layout::new("layout", |path| write_directory(path, images))
    }

    /// An archive with several roots, each with a name or without.
    #[must_use]
    pub fn archive(images: &[(&Image, Option<&str>)]) -> Layout {
        Layout::new("layout.tar", |path| write_archive(path, images))
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of a blob or manifest; only a directory has such files.
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.path.join(blob_path(digest))
    }

    /// A temporary directory beside it, for other files of the same test.
    #[must_use]
    pub fn beside(&self) -> &Path {
        self.place.path()
    }

    fn new(name: &str, write: impl FnOnce(&Path) -> io::Result<()>) -> Layout {
        let place = TempDir::new().expect("a temporary directory");
        let path = place.path().join(name);
        write(&path).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        Layout { place, path }
    }
}

/// Where a layout keeps a blob, with slashes.
pub(crate) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

fn write_directory(path: &Path, images: &[(&Image, Option<&str>)]) -> io::Result<()> {
    fs::create_dir_all(path.join("blobs/sha256"))?;
    for part in parts_of(images) {
        let to = path.join(blob_path(&part.descriptor.digest));
        fs::create_dir_all(to.parent().expect("it lies in `blobs`"))?;
        let mut file = File::create(to)?;
        match &part.content {
            Content::Sparse { size } => file.set_len(*size)?,
            content => content.write_to(&mut file)?,
        }
    }
    fs::write(path.join("oci-layout"), OCI_LAYOUT)?;
    fs::write(path.join("index.json"), index_of(images))
}

fn write_archive(path: &Path, images: &[(&Image, Option<&str>)]) -> io::Result<()> {
    let mut archive = tar::Builder::new(BufWriter::with_capacity(1 << 20, File::create(path)?));
    let mut add = |name: &str, content: &Content| {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.size());
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, name, content.reader())
    };
    add("oci-layout", &Content::Bytes(OCI_LAYOUT.into()))?;
    add("index.json", &Content::Bytes(index_of(images).into()))?;
    for part in parts_of(images) {
        add(&blob_path(&part.descriptor.digest), &part.content)?;
    }
    archive.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(())
}

const OCI_LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

fn parts_of<'a>(images: &[(&'a Image, Option<&str>)]) -> Vec<&'a Part> {
    let mut parts: Vec<&Part> = Vec::new();
    for part in images.iter().flat_map(|(image, _)| image.parts()) {
        if parts.iter().all(|other| other.descriptor.digest != part.descriptor.digest) {
            parts.push(part);
        }
    }
    parts
}

fn index_of(images: &[(&Image, Option<&str>)]) -> String {
    let manifests: Vec<_> = images
        .iter()
        .map(|(image, name)| {
            let mut descriptor = image.root().clone();
            if let Some(name) = name {
                let key = "org.opencontainers.image.ref.name".to_owned();
                descriptor.annotations.insert(key, (*name).to_owned());
            }
            descriptor
        })
        .collect();
    json!({"schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": manifests})
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageBuilder, Layer};
    use std::io::Read;

    #[test]
    fn a_directory_holds_every_part_under_its_digest() {
        let image = ImageBuilder::new(3).layers(2, 3_000_000).layer(Layer::sparse(5_000_000));
        let image = image.build();
        let layout = image.directory();
        for part in image.parts() {
            let bytes = fs::read(layout.blob(&part.descriptor.digest)).unwrap();
            assert!(part.descriptor.digest.matches(&bytes));
        }
        let index = fs::read_to_string(layout.path().join("index.json")).unwrap();
        assert!(index.contains(image.digest().as_str()), "{index}");
        assert_eq!(fs::read_to_string(layout.path().join("oci-layout")).unwrap(), OCI_LAYOUT);
    }

    #[test]
    fn an_archive_holds_the_same_as_a_directory() {
        let (one, two) = (ImageBuilder::new(1).layers(1, 2_500_000).build(), ImageBuilder::new(2));
        let two = two.layer(Layer::sparse(2_000_000)).build();
        let images = [(&one, Some("one")), (&two, None)];
        let (directory, archive) = (Layout::directory(&images), Layout::archive(&images));
        let mut archive = tar::Archive::new(File::open(archive.path()).unwrap());
        let mut found = 0;
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = directory.path().join(entry.path().unwrap());
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            assert_eq!(bytes, fs::read(path).unwrap());
            found += 1;
        }
        assert_eq!(found, one.parts().len() + two.parts().len() + 2);
    }

    #[test]
    fn what_is_dropped_is_removed() {
        let layout = ImageBuilder::new(1).build().directory();
        let path = layout.path().to_owned();
        assert!(path.exists());
        drop(layout);
        assert!(!path.exists());
    }
}
