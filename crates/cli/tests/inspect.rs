//! `windlass inspect`, from outside: the tree as it looks, JSON, and what is wrong with an image.

#![expect(clippy::unwrap_used, reason = "whatever goes wrong shall end the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_oci::{Descriptor, Digest, MediaType};
use windlass_testkit::{ImageBuilder, Layer, Layout};

/// A layout that is written by hand, so that every byte of it is known.
struct Handmade(TempDir);

impl Handmade {
    fn new() -> Handmade {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("blobs/sha256")).unwrap();
        fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Handmade(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, digest: &Digest) -> std::path::PathBuf {
        self.path().join("blobs/sha256").join(digest.hex())
    }

    fn add(&self, media_type: &str, content: &[u8]) -> Value {
        let descriptor = Descriptor::of(MediaType::new(media_type), content);
        fs::write(self.file(&descriptor.digest), content).unwrap();
        json!(descriptor)
    }

    fn add_json(&self, mut content: Value) -> Value {
        content["schemaVersion"] = json!(2);
        let media_type = content["mediaType"].as_str().unwrap().to_owned();
        self.add(&media_type, content.to_string().as_bytes())
    }

    fn layer(&self, size: usize) -> Value {
        self.add("application/vnd.oci.image.layer.v1.tar+gzip", &vec![b'x'; size])
    }

    fn config(&self, text: &str) -> Value {
        self.add("application/vnd.oci.image.config.v1+json", text.as_bytes())
    }

    fn roots(&self, roots: &[Value]) {
        let index = json!({ "schemaVersion": 2, "manifests": roots });
        fs::write(self.path().join("index.json"), index.to_string()).unwrap();
    }
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn inspect(image: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    let command = command.env_clear().arg("inspect").arg(image).args(arguments);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[track_caller]
fn check(image: &Path, arguments: &[&str], expected: &str) {
    let (code, stdout, stderr) = inspect(image, arguments);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert!(stdout == expected, "{stdout}\nis not\n{expected}");
}

fn with(mut descriptor: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        descriptor[name] = value.clone();
    }
    descriptor
}

/// An index of two platforms that share a layer, and BuildKit's attestation of one of them. One
/// layer is missing.
fn index_of_platforms() -> Handmade {
    let layout = Handmade::new();
    let shared = layout.layer(3_000_000);
    let mut manifests = Vec::new();
    for (architecture, size) in [("amd64", 1000), ("arm64", 2000)] {
        let own = layout.layer(size);
        if architecture == "arm64" {
            fs::remove_file(layout.file(&own["digest"].as_str().unwrap().parse().unwrap()))
                .unwrap();
        }
        let manifest = layout.add_json(json!({
            "mediaType": MANIFEST,
            "config": layout.config(architecture),
            "layers": [shared, own],
        }));
        let platform = json!({ "platform": { "os": "linux", "architecture": architecture } });
        manifests.push(with(manifest, &platform));
    }
    let attestation = layout.add_json(json!({
        "mediaType": MANIFEST,
        "config": layout.config("{}"),
        "layers": [layout.add("application/vnd.in-toto+json", b"{\"statement\":1}")],
    }));
    manifests.push(with(
        attestation,
        &json!({
            "platform": { "os": "unknown", "architecture": "unknown" },
            "annotations": {
                "vnd.docker.reference.digest": manifests[0]["digest"],
                "vnd.docker.reference.type": "attestation-manifest",
            },
        }),
    ));
    layout.roots(&[layout.add_json(json!({ "mediaType": INDEX, "manifests": manifests }))]);
    layout
}

#[test]
fn an_index_of_platforms() {
    check(
        index_of_platforms().path(),
        &[],
        "\
image           oci index         d4203fd5a195    868 B
├─ linux/amd64  oci manifest      33e7bbcae36b    558 B
│  ├─ config    oci config        5861314d7fcc      5 B
│  ├─ layer     tar+gzip          e55b8bdf621d  2.9 MiB
│  └─ layer     tar+gzip          44f8354494a5   1000 B
├─ linux/arm64  oci manifest      f7178d5ba717    558 B
│  ├─ config    oci config        f69162950f23      5 B
│  ├─ layer     tar+gzip          e55b8bdf621d  2.9 MiB  as above
│  └─ layer     tar+gzip          5c0e0ea42157  2.0 KiB  missing here
└─ attestation  oci manifest      089c252d44c2    383 B
   │  vnd.docker.reference.digest: sha256:33e7bbcae36b9d77a7b803bd5fbd46bc6f77…
   │  vnd.docker.reference.type: attestation-manifest
   ├─ config    oci config        44136fa355b3      2 B
   └─ layer     vnd.in-toto+json  ca200c7e5c40     15 B

digest   sha256:d4203fd5a1954b5339034de4a7596a74b76290490a53ba04878ba884af057b38
total    4 manifests, 7 blobs, 2.9 MiB
missing  1 blob, 2.0 KiB; fine where the registry has it
checked  all sizes of what is here, and all digests but of 1 blob over 1 MiB
",
    );
}

#[test]
fn digests_are_whole_where_all_is_asked_for() {
    let layout = index_of_platforms();
    let (_, text, _) = inspect(layout.path(), &["-v"]);
    let (_, json, _) = inspect(layout.path(), &["--output", "json"]);
    let report: Value = serde_json::from_str(&json).unwrap();
    for list in ["manifests", "blobs"] {
        for part in report[list].as_array().unwrap() {
            assert!(text.contains(part["digest"].as_str().unwrap()), "{part} {text}");
        }
    }
}

/// An artifact about another image, with more annotations than are shown, one of them hostile, and
/// a layer that stays elsewhere.
fn artifact() -> Handmade {
    let layout = Handmade::new();
    let subject = Descriptor::of(MediaType::OCI_MANIFEST, b"another image");
    let foreign = with(
        layout.layer(5000),
        &json!({
            "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "urls": ["https://example.com/layer"],
        }),
    );
    layout.roots(&[layout.add_json(json!({
        "mediaType": MANIFEST,
        "artifactType": "application/vnd.example.report",
        "config": layout.add("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [
            foreign,
            layout.add("application/vnd.example.report.section.long-name.v1+json", b"[]"),
        ],
        "subject": subject,
        "annotations": {
            "a": "plain",
            "b": "one\n\u{1b}[31mtwo",
            "c": "very long ".repeat(20),
            "d": "not shown",
        },
    }))]);
    layout
}

#[test]
fn an_artifact() {
    check(
        artifact().path(),
        &[],
        "\
image      oci manifest              81059087b9d4  1.1 KiB
│  artifact type: application/vnd.example.report
│  subject: oci manifest 210277cb6266
│  a: plain
│  b: one\\n\\u{1b}[31mtwo
│  c: very long very long very long very long very long very long very long ve…
│  1 more annotation, told with -v
├─ config  empty                     44136fa355b3      2 B
├─ layer   tar.gzip                  c59d3c0480cc  4.9 KiB  not distributable
└─ layer   vnd.example.report.sect…  4f53cda18c2b      2 B

digest   sha256:81059087b9d4620c1d83fd226f515b86aad47a179a3183111c14513f058cc84e
total    1 manifest, 2 blobs, 1.1 KiB
checked  all sizes and digests
skipped  1 non-distributable layer, 4.9 KiB
",
    );
}

#[test]
fn lines_fit_a_terminal_unless_all_is_asked_for() {
    for layout in [index_of_platforms(), artifact()] {
        let (_, text, _) = inspect(layout.path(), &[]);
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("digest ")).collect();
        assert!(lines.iter().all(|line| line.chars().count() < 80), "{text}");
    }
    let (_, text, _) = inspect(artifact().path(), &["-v"]);
    assert!(text.contains("d: not shown") && text.contains(&"very long ".repeat(20)), "{text}");
    assert!(text.contains("application/vnd.example.report"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn a_manifest_named_twice_is_laid_open_once() {
    let layout = Handmade::new();
    let manifest = layout.add_json(json!({
        "mediaType": MANIFEST,
        "config": layout.config("c"),
        "layers": [layout.layer(10)],
    }));
    let mut root = manifest;
    // Each index names the one below it twice: laid open each time, these would be 2^10 lines.
    for _ in 0..10 {
        root = layout.add_json(json!({ "mediaType": INDEX, "manifests": [root, root] }));
    }
    layout.roots(&[root]);
    let (code, text, _) = inspect(layout.path(), &[]);
    assert_eq!(code, 0);
    assert_eq!(text.matches("as above").count(), 10);
    assert_eq!(text.lines().count(), 11 + 10 + 2 + 4, "{text}");
    assert!(text.contains("total    11 manifests, 2 blobs, "), "{text}");
}

#[test]
fn as_json() {
    let layout = index_of_platforms();
    let (code, text, stderr) = inspect(layout.path(), &["--output", "json"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["version"], 1);
    assert_eq!(report["mediaType"], INDEX);
    assert_eq!(report["total"]["manifests"], 4);
    assert_eq!(report["total"]["blobs"], 7);
    assert_eq!(report["missing"], json!({ "manifests": 0, "blobs": 1, "bytes": 2000 }));
    let manifests = report["manifests"].as_array().unwrap();
    assert_eq!(manifests.last().unwrap()["digest"], report["digest"]);
    assert_eq!(manifests.last().unwrap()["manifests"].as_array().unwrap().len(), 3);
    assert_eq!(manifests[1]["platform"]["architecture"], "arm64");
    let blobs = report["blobs"].as_array().unwrap();
    let missing: Vec<_> = blobs.iter().filter(|blob| blob["present"] == false).collect();
    assert_eq!(missing.len(), 1);
    assert_eq!((missing[0]["size"].as_u64(), &missing[0]["role"]), (Some(2000), &json!("layer")));

    let (_, text, _) = inspect(artifact().path(), &["--output", "json"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["manifests"][0]["artifactType"], "application/vnd.example.report");
    assert_eq!(report["manifests"][0]["annotations"]["d"], "not shown");
    assert_eq!(report["subject"]["digest"], Digest::sha256(b"another image").as_str());
    assert_eq!(report["skipped"][0]["size"], 5000);
}

#[test]
fn all_that_is_wrong_is_listed() {
    let image = ImageBuilder::new(1).layers(2, 1000).platforms(&["linux/amd64"]).build();
    let layout = image.directory();
    let [one, two, config] = image.blobs().try_into().unwrap();
    fs::write(layout.blob(&one.digest), vec![0; 1000]).unwrap();
    fs::write(layout.blob(&two.digest), "short").unwrap();
    let (code, stdout, stderr) = inspect(layout.path(), &[]);
    assert_eq!((code, stdout.as_str()), (3, ""));
    assert!(stderr.starts_with("error: "), "{stderr}");
    for words in [one.digest.as_str(), "is corrupt", two.digest.as_str(), "is cut short"] {
        assert!(stderr.contains(words), "{stderr}");
    }
    assert!(!stderr.contains(config.digest.as_str()), "{stderr}");

    let (code, stdout, _) = inspect(layout.path(), &["--output", "json"]);
    assert_eq!(code, 3);
    let problems: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(problems["problems"].as_array().unwrap().len(), 2, "{problems}");
}

#[test]
fn a_root_is_chosen_where_there_are_several() {
    let (one, two) = (ImageBuilder::new(1).build(), ImageBuilder::new(2).build());
    for layout in [
        Layout::directory(&[(&one, Some("one")), (&two, Some("two"))]),
        Layout::archive(&[(&one, Some("one")), (&two, Some("two"))]),
    ] {
        let (code, stdout, stderr) = inspect(layout.path(), &[]);
        assert_eq!((code, stdout.as_str()), (2, ""));
        assert!(stderr.contains(&format!("{} one", one.digest())), "{stderr}");
        assert!(stderr.contains(&format!("{} two", two.digest())), "{stderr}");
        for selector in ["two", two.digest().as_str(), two.digest().short()] {
            let (code, stdout, _) = inspect(layout.path(), &["--manifest", selector]);
            assert_eq!(code, 0);
            assert!(stdout.contains(&format!("digest   {}", two.digest())), "{stdout}");
        }
    }
}

#[test]
fn dockers_types_are_named_so() {
    let image =
        ImageBuilder::new(1).docker().layer(Layer::random(10)).platforms(&["linux/arm/v7"]).build();
    let (code, text, _) = inspect(image.archive().path(), &[]);
    assert_eq!(code, 0);
    for words in
        ["docker index", "linux/arm/v7", "docker manifest", "docker config", "docker tar+gzip"]
    {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn what_is_no_layout_is_told() {
    let (code, stdout, stderr) = inspect(Path::new("/nowhere"), &[]);
    assert_eq!((code, stdout.as_str()), (3, ""));
    assert!(stderr.contains("/nowhere"), "{stderr}");
}
