//! Layouts on a real disk, and archives of them made by the real `tar`.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_oci::{Algorithm, Digest, MediaType};
use windlass_source::PIECE;

use super::*;
use crate::{Graph, GraphOptions};

/// A layout that is being written.
struct OnDisk {
    folder: TempDir,
}

impl OnDisk {
    fn new() -> OnDisk {
        let folder = tempfile::tempdir().unwrap();
        let layout = OnDisk { folder };
        fs::create_dir_all(layout.path().join("blobs/sha256")).unwrap();
        layout.write("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        layout
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("layout")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), content).unwrap();
    }

    fn blob_path(&self, descriptor: &Descriptor) -> PathBuf {
        self.path().join("blobs/sha256").join(descriptor.digest.hex())
    }

    fn blob(&self, media_type: MediaType, content: &[u8]) -> Descriptor {
        let descriptor = Descriptor::of(media_type, content);
        fs::write(self.blob_path(&descriptor), content).unwrap();
        descriptor
    }

    /// An image with a layer that is named after it and one that is large.
    fn image(&self, name: &str) -> Descriptor {
        let config =
            self.blob(MediaType::OCI_CONFIG, format!("{{\"name\":\"{name}\"}}").as_bytes());
        let small = self.blob(MediaType::OCI_LAYER, name.as_bytes());
        let large = self.blob(MediaType::OCI_LAYER_GZIP, &vec![7; 3 * PIECE]);
        let manifest = json!({"config": config, "layers": [small, large]});
        self.blob(MediaType::OCI_MANIFEST, manifest.to_string().as_bytes())
    }

    fn index(&self, entries: &[Descriptor]) {
        self.write("index.json", json!({ "manifests": entries }).to_string());
    }

    /// Makes an archive of the layout and returns its path.
    #[track_caller]
    fn tar(&self, arguments: &[&str]) -> PathBuf {
        let path = self.folder.path().join("archive");
        let output = Command::new("tar")
            .current_dir(self.path())
            .arg("-cf")
            .arg(&path)
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        path
    }

    async fn open(&self) -> Result<Layout, LayoutError> {
        Layout::open(&self.path()).await
    }

    async fn error(&self) -> String {
        self.open().await.unwrap_err().to_string()
    }
}

fn named(descriptor: Descriptor, name: &str) -> Descriptor {
    let annotations = [("org.opencontainers.image.ref.name".to_owned(), name.to_owned())];
    Descriptor { annotations: annotations.into(), ..descriptor }
}

async fn check_whole(path: &Path, root: &Descriptor) {
    let layout = Layout::open(path).await.unwrap();
    let chosen = layout.root(None).unwrap();
    assert_eq!(chosen.digest, root.digest);
    let store = layout.store();
    let graph = Graph::read(&chosen, &*store, &GraphOptions::default()).await.unwrap();
    assert_eq!(graph.manifests().len(), 1);
    assert_eq!(graph.blobs().len(), 3);
    for blob in graph.blobs() {
        let content = blob.source.as_ref().unwrap().read(1 << 30).await.unwrap();
        assert!(blob.descriptor.digest.matches(&content));
    }
}

#[tokio::test]
async fn a_directory_and_its_archives_are_the_same_image() {
    let layout = OnDisk::new();
    let root = layout.image("a");
    layout.index(std::slice::from_ref(&root));
    check_whole(&layout.path(), &root).await;
    for arguments in [
        &["--format", "gnu", "."][..],
        &["--format", "pax", "."],
        &["--format", "gnu", "oci-layout", "index.json", "blobs"],
        &["--format", "pax", "blobs", "index.json"],
    ] {
        check_whole(&layout.tar(arguments), &root).await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_followed_to_the_layout_and_from_it() {
    use std::os::unix::fs::symlink;

    let layout = OnDisk::new();
    let root = layout.image("a");
    layout.index(std::slice::from_ref(&root));
    let elsewhere = layout.folder.path().join("elsewhere");
    fs::rename(layout.blob_path(&root), &elsewhere).unwrap();
    symlink("../../../elsewhere", layout.blob_path(&root)).unwrap();
    let link = layout.folder.path().join("link");
    symlink(layout.path(), &link).unwrap();
    check_whole(&link, &root).await;

    // In an archive a link that leaves it leads nowhere: the blob is not there.
    let layout_of_links = Layout::open(&layout.tar(&["."])).await.unwrap();
    assert!(layout_of_links.store().get(&root).await.unwrap().is_none());
    check_whole(&layout.tar(&["--dereference", "."]), &root).await;

    // One that stays inside is followed, and two names of one file are one file.
    fs::rename(&elsewhere, layout.path().join("inside")).unwrap();
    fs::remove_file(layout.blob_path(&root)).unwrap();
    symlink("../../inside", layout.blob_path(&root)).unwrap();
    check_whole(&layout.tar(&["."]), &root).await;
    fs::remove_file(layout.blob_path(&root)).unwrap();
    fs::hard_link(layout.path().join("inside"), layout.blob_path(&root)).unwrap();
    check_whole(&layout.tar(&["."]), &root).await;
}

#[tokio::test]
async fn what_builders_leave_out_is_tolerated() {
    let layout = OnDisk::new();
    let root = layout.image("a");
    let whole = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [root]});
    for marker in [None, Some(""), Some("{}"), Some(r#"{"imageLayoutVersion":"1.1.0"}"#)] {
        match marker {
            None => fs::remove_file(layout.path().join("oci-layout")).unwrap(),
            Some(marker) => layout.write("oci-layout", marker),
        }
        for index in [whole.clone(), json!({ "manifests": [root] })] {
            layout.write("index.json", index.to_string());
            check_whole(&layout.path(), &root).await;
        }
    }
}

#[tokio::test]
async fn a_layout_of_another_version_is_refused() {
    let layout = OnDisk::new();
    layout.index(&[layout.image("a")]);
    for version in ["2.0.0", "10.0", "0.9"] {
        layout.write("oci-layout", json!({ "imageLayoutVersion": version }).to_string());
        let error = layout.error().await;
        assert!(error.contains(&format!("version {version:?}; known is 1.0.0")), "{error}");
    }
}

#[tokio::test]
async fn what_is_no_layout_says_what_was_looked_for_and_where_it_may_be() {
    let layout = OnDisk::new();
    let error = layout.error().await;
    assert!(error.ends_with("looked for index.json in it and found none"), "{error}");
    layout.index(&[layout.image("a")]);
    let outside = layout.folder.path();
    let error = Layout::open(outside).await.unwrap_err().to_string();
    assert!(error.ends_with("; there is one in layout"), "{error}");
    let archive = layout.tar(&["-C", "..", "layout"]);
    let error = Layout::open(&archive).await.unwrap_err().to_string();
    assert!(error.ends_with("; there is one in layout"), "{error}");
    let error = Layout::open(&outside.join("nothing")).await.unwrap_err().to_string();
    assert!(error.contains("cannot read") && error.contains("nothing"), "{error}");
    let error = Layout::open(&layout.tar(&["-z", "."])).await.unwrap_err().to_string();
    assert!(error.contains("decompress it first"), "{error}");
}

#[tokio::test]
async fn other_forms_of_images_are_told_from_layouts() {
    let layout = OnDisk::new();
    fs::remove_file(layout.path().join("oci-layout")).unwrap();
    layout.write("manifest.json", r#"[{"Config":"x.json","RepoTags":["a:b"],"Layers":[]}]"#);
    let archive = layout.tar(&["."]);
    for path in [layout.path(), archive.clone()] {
        let error = Layout::open(&path).await.unwrap_err().to_string();
        let way_out = format!("skopeo copy docker-archive:{} oci:DIRECTORY", path.display());
        assert!(error.contains("docker save") && error.contains(&way_out), "{error}");
    }
    layout.write("manifest.json", r#"{"schemaVersion":2,"layers":[]}"#);
    let error = layout.error().await;
    assert!(error.contains("`skopeo copy dir:"), "{error}");
    // Newer archives of Docker's are both, and then the layout counts.
    let root = layout.image("a");
    layout.index(std::slice::from_ref(&root));
    check_whole(&layout.tar(&["."]), &root).await;
}

#[tokio::test]
async fn an_index_that_cannot_be_understood_is_told() {
    let layout = OnDisk::new();
    for (index, expected) in [
        ("", "cannot understand index.json in"),
        ("{\"manifests\":[{}]}", "missing field `mediaType`"),
        ("{}", "lists no manifest"),
        ("{\"manifests\":null}", "lists no manifest"),
        ("{\"manifests\":[]}", "lists no manifest"),
    ] {
        layout.write("index.json", index);
        let error = layout.error().await;
        assert!(error.contains(expected), "{error}");
    }
    let file = fs::File::create(layout.path().join("index.json")).unwrap();
    file.set_len((16 << 20) + 1).unwrap();
    let error = layout.error().await;
    assert!(error.contains("16777217 bytes, more than the 16777216"), "{error}");
}

#[tokio::test]
async fn one_of_several_roots_is_chosen_or_all_are_listed() {
    let layout = OnDisk::new();
    let (one, two) = (layout.image("one"), layout.image("two"));
    let twice = named(one.clone(), "again");
    layout.index(&[named(one.clone(), "one"), twice.clone()]);
    let opened = layout.open().await.unwrap();
    assert_eq!(opened.root(None).unwrap().digest, one.digest);
    assert_eq!(opened.root(Some("again")).unwrap(), twice);
    assert_eq!(opened.roots().len(), 2);

    layout.index(&[named(one.clone(), "same"), twice, named(two.clone(), "same")]);
    let opened = layout.open().await.unwrap();
    assert_eq!(opened.root(Some(two.digest.as_str())).unwrap().digest, two.digest);
    assert_eq!(opened.root(Some(&two.digest.hex()[..7])).unwrap().digest, two.digest);
    for (selector, expected) in [
        (None, "has several images; say by digest or name"),
        (Some("same"), "\"same\" may mean several of the images"),
        (Some("other"), "has the digest or name \"other\"; it has:"),
    ] {
        let error = opened.root(selector).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        for line in [
            format!("\n  {} same", one.digest),
            format!("\n  {} again", one.digest),
            format!("\n  {} same", two.digest),
        ] {
            assert!(error.contains(&line), "{error}");
        }
    }
}

#[tokio::test]
async fn blobs_that_are_cut_or_corrupt_or_gone_are_told_by_their_files() {
    let layout = OnDisk::new();
    let root = layout.image("a");
    layout.index(std::slice::from_ref(&root));
    let large = Descriptor::of(MediaType::OCI_LAYER, &vec![7; 3 * PIECE]);
    let small = Descriptor::of(MediaType::OCI_LAYER, b"a");
    let config = Descriptor::of(MediaType::OCI_CONFIG, b"{\"name\":\"a\"}");
    fs::File::options().write(true).open(layout.blob_path(&large)).unwrap().set_len(9).unwrap();
    fs::write(layout.blob_path(&small), "b").unwrap();
    fs::remove_file(layout.blob_path(&config)).unwrap();
    fs::create_dir(layout.blob_path(&config)).unwrap();
    for path in [layout.path(), layout.tar(&["."])] {
        let opened = Layout::open(&path).await.unwrap();
        let error = Graph::read(&root, &*opened.store(), &GraphOptions::default()).await;
        let error = error.unwrap_err().to_string();
        let line = |descriptor: &Descriptor, expected: &str| {
            error
                .lines()
                .any(|line| line.contains(descriptor.digest.hex()) && line.contains(expected))
        };
        assert!(line(&large, "is cut short: it has 9 bytes"), "{error}");
        assert!(line(&small, "is corrupt"), "{error}");
        let is_folder = path == layout.path();
        assert_eq!(line(&config, "it is a directory"), is_folder, "{error}");
        assert!(error.contains(&path.display().to_string()), "{error}");
    }
}

#[tokio::test]
async fn sha512_blobs_have_a_folder_of_their_own() {
    let layout = OnDisk::new();
    let config = layout.blob(MediaType::OCI_CONFIG, b"{}");
    let content = json!({ "config": config }).to_string();
    let digest = Digest::of(Algorithm::Sha512, content.as_bytes());
    fs::create_dir(layout.path().join("blobs/sha512")).unwrap();
    layout.write(&format!("blobs/sha512/{}", digest.hex()), &content);
    let root = Descriptor::new(MediaType::OCI_MANIFEST, digest, content.len() as u64);
    layout.index(std::slice::from_ref(&root));
    let opened = layout.open().await.unwrap();
    let graph = Graph::read(&root, &*opened.store(), &GraphOptions::default()).await.unwrap();
    assert_eq!(graph.root().raw.digest(), &root.digest);
}

#[tokio::test]
async fn two_thousand_layers_are_found_in_a_directory_and_in_an_archive() {
    let layout = OnDisk::new();
    let config = layout.blob(MediaType::OCI_CONFIG, b"{}");
    let layers: Vec<_> = (0..2_000)
        .map(|number: usize| layout.blob(MediaType::OCI_LAYER, &number.to_le_bytes()))
        .collect();
    let manifest = json!({"config": config, "layers": layers}).to_string();
    let root = layout.blob(MediaType::OCI_MANIFEST, manifest.as_bytes());
    layout.index(std::slice::from_ref(&root));
    for path in [layout.path(), layout.tar(&["."])] {
        let opened = Layout::open(&path).await.unwrap();
        let graph = Graph::read(&root, &*opened.store(), &GraphOptions::default()).await.unwrap();
        assert_eq!(graph.blobs().len(), 2_001);
        assert!(graph.blobs().iter().all(|blob| blob.source.is_some()));
    }
}

#[test]
fn any_bytes_are_an_index_or_an_error() {
    use proptest::prelude::*;
    proptest!(|(bytes: Vec<u8>)| {
        let _ = parse_index(&bytes);
    });
    let index = json!({"manifests": [Descriptor::of(MediaType::OCI_MANIFEST, b"")], "more": 1});
    let text = index.to_string();
    assert_eq!(parse_index(text.as_bytes()).unwrap().len(), 1);
    for end in 0..text.len() {
        assert!(parse_index(&text.as_bytes()[..end]).is_err(), "{end}");
    }
    let wrong: Value = json!([1]);
    assert!(parse_index(wrong.to_string().as_bytes()).is_err());
}
