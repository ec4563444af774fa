//! The demo's own image: this very program as a layer, for two platforms, as an OCI layout that
//! any tool can read.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};
use windlass_oci::{Descriptor, Digest, Hasher, MediaType};

/// The image's platforms: operating system and processor.
const PLATFORMS: [(&str, &str); 2] = [("linux", "amd64"), ("linux", "arm64")];

/// Where the program lies in the image.
const PROGRAM: &str = "usr/bin/windlass";

/// Writes an image with `program` in it to the new folder `layout`.
///
/// The platforms share the layer with the program; the second has a small one of its own on top.
pub(super) fn write(layout: &Path, program: &Path) -> io::Result<()> {
    let layout = Layout::make(layout)?;
    let base = layout.layer(|archive| {
        folder(archive, "usr/")?;
        folder(archive, "usr/bin/")?;
        let mut program = File::open(program)?;
        let size = program.metadata()?.len();
        archive.append_data(&mut header(EntryType::Regular, 0o755, size), PROGRAM, &mut program)
    })?;
    let extra = layout.layer(|archive| {
        let text = b"A file that the other platform does not have.\n";
        let mut header = header(EntryType::Regular, 0o644, text.len() as u64);
        archive.append_data(&mut header, "windlass-demo.txt", text.as_slice())
    })?;

    let layers = [vec![base.clone()], vec![base, extra]];
    let mut manifests = Vec::new();
    for ((os, architecture), layers) in PLATFORMS.into_iter().zip(layers) {
        let mut manifest = layout.manifest(os, architecture, &layers)?;
        manifest["platform"] = json!({ "os": os, "architecture": architecture });
        manifests.push(manifest);
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": manifests,
    });
    let root = layout.json(MediaType::OCI_INDEX, &index)?;
    layout.finish(&root)
}

/// A layout that is being written. Image-spec,
/// [image-layout.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md).
struct Layout {
    root: PathBuf,
}

impl Layout {
    fn make(root: &Path) -> io::Result<Layout> {
        fs::create_dir_all(root.join("blobs/sha256"))?;
        Ok(Layout { root: root.to_owned() })
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    /// A layer with what `fill` puts into it.
    fn layer(
        &self,
        fill: impl FnOnce(&mut Builder<HashingWriter<BufWriter<File>>>) -> io::Result<()>,
    ) -> io::Result<Descriptor> {
        let unfinished = self.root.join("layer");
        let mut archive =
            Builder::new(HashingWriter::new(BufWriter::new(File::create(&unfinished)?)));
        fill(&mut archive)?;
        let (digest, size) = archive.into_inner()?.finish()?;
        fs::rename(unfinished, self.blob(&digest))?;
        Ok(Descriptor::new(MediaType::OCI_LAYER, digest, size))
    }

    /// A manifest with its config; what is given is its descriptor.
    fn manifest(&self, os: &str, architecture: &str, layers: &[Descriptor]) -> io::Result<Value> {
        // Layers that are not compressed have the same digest inside and outside.
        let diff_ids: Vec<_> = layers.iter().map(|layer| &layer.digest).collect();
        let history: Vec<_> =
            layers.iter().map(|_| json!({ "created_by": "windlass demo" })).collect();
        let config = json!({
            "os": os,
            "architecture": architecture,
            "config": { "Entrypoint": [format!("/{PROGRAM}")] },
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": history,
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": self.json(MediaType::OCI_CONFIG, &config)?,
            "layers": layers,
        });
        Ok(json!(self.json(MediaType::OCI_MANIFEST, &manifest)?))
    }

    fn json(&self, media_type: MediaType, content: &Value) -> io::Result<Descriptor> {
        let bytes = content.to_string().into_bytes();
        let descriptor = Descriptor::of(media_type, &bytes);
        fs::write(self.blob(&descriptor.digest), bytes)?;
        Ok(descriptor)
    }

    fn finish(&self, root: &Descriptor) -> io::Result<()> {
        fs::write(self.root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        let index = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_INDEX,
            "manifests": [root],
        });
        fs::write(self.root.join("index.json"), index.to_string())
    }
}

/// Counts and hashes what goes through.
struct HashingWriter<W> {
    inner: W,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> HashingWriter<W> {
    fn new(inner: W) -> HashingWriter<W> {
        HashingWriter { inner, hasher: Hasher::new(windlass_oci::Algorithm::Sha256), size: 0 }
    }

    fn finish(mut self) -> io::Result<(Digest, u64)> {
        self.inner.flush()?;
        Ok((self.hasher.finish(), self.size))
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn folder<W: Write>(archive: &mut Builder<W>, path: &str) -> io::Result<()> {
    archive.append_data(&mut header(EntryType::Directory, 0o755, 0), path, io::empty())
}

/// Without times and owners: the same program makes the same image.
fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use windlass_image::{Graph, GraphOptions};

    use super::*;

    async fn graph(layout: &Path) -> Graph {
        let layout = windlass_image::Layout::open(layout).await.unwrap();
        let root = layout.root(None).unwrap();
        Graph::read(&root, &*layout.store(), &GraphOptions::default()).await.unwrap()
    }

    #[tokio::test]
    async fn the_image_is_whole_and_has_the_program_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, vec![7; 100_000]).unwrap();
        let layout = folder.path().join("layout");
        write(&layout, &program).unwrap();

        let graph = graph(&layout).await;
        let platforms: Vec<_> =
            graph.manifests().iter().filter_map(|node| node.descriptor.platform.clone()).collect();
        assert_eq!(
            platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["linux/amd64", "linux/arm64"]
        );
        // Two configs, the layer that is shared, and the small one.
        assert_eq!(graph.blobs().len(), 4);
        assert!(graph.blobs().iter().all(|blob| blob.source.is_some()));

        let shared = &graph.blobs()[1].descriptor;
        let path = layout.join("blobs/sha256").join(shared.digest.hex());
        let mut archive = tar::Archive::new(File::open(path).unwrap());
        let mut entries = archive.entries().unwrap().map(Result::unwrap);
        let mut entry = entries.find(|entry| entry.path().unwrap() == Path::new(PROGRAM)).unwrap();
        assert_eq!(entry.header().mode().unwrap(), 0o755);
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert!(content == fs::read(&program).unwrap());
    }

    #[tokio::test]
    async fn the_same_program_makes_the_same_image() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, "x").unwrap();
        let (one, two) = (folder.path().join("1"), folder.path().join("2"));
        write(&one, &program).unwrap();
        write(&two, &program).unwrap();
        assert_eq!(graph(&one).await.root().raw.digest(), graph(&two).await.root().raw.digest());
    }
}
