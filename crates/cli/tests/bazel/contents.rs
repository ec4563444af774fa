//! What is in a layout, read and checked by nothing of Windlass's.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A layout of which every digest, size and diff id is right.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Of the one root.
    pub(crate) digest: String,
    /// The root itself.
    pub(crate) root: Value,
    /// In the order of the index; a single one where the root is an image.
    pub(crate) images: Vec<Image>,
}

#[derive(Debug)]
pub(crate) struct Image {
    /// The platform in its entry of the index.
    pub(crate) platform: Value,
    pub(crate) manifest: Value,
    pub(crate) config: Value,
    /// The layers, unpacked.
    pub(crate) archives: Vec<Vec<u8>>,
}

/// Reads a layout with one root. Blobs that nothing names must not be there.
#[track_caller]
pub(crate) fn of_layout(layout: &Path) -> Contents {
    let version: Value = json(&fs::read(layout.join("oci-layout")).unwrap());
    assert_eq!(version["imageLayoutVersion"], "1.0.0");
    let index = json(&fs::read(layout.join("index.json")).unwrap());
    let [entry] = index["manifests"].as_array().unwrap().as_slice() else {
        panic!("not one root: {index}")
    };
    let mut named = Vec::new();
    let root = json(&blob(layout, entry, &mut named));
    let images = match root.get("manifests") {
        Some(entries) => {
            let entries = entries.as_array().unwrap().iter();
            entries.map(|entry| image(layout, entry, &mut named)).collect()
        }
        None => vec![image(layout, entry, &mut named)],
    };
    named.sort();
    named.dedup();
    let mut there: Vec<String> = fs::read_dir(layout.join("blobs/sha256"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(there, named);
    Contents { digest: text(&entry["digest"]), root, images }
}

fn image(layout: &Path, entry: &Value, named: &mut Vec<String>) -> Image {
    let manifest = json(&blob(layout, entry, named));
    // Not every builder writes it twice.
    assert!(manifest.get("mediaType").is_none_or(|media_type| *media_type == entry["mediaType"]));
    let config = json(&blob(layout, &manifest["config"], named));
    let layers = manifest["layers"].as_array().unwrap();
    let archives: Vec<_> =
        layers.iter().map(|layer| unpacked(layer, blob(layout, layer, named))).collect();
    let diff_ids: Vec<_> =
        archives.iter().map(|archive| format!("sha256:{}", sha256(archive))).collect();
    assert_eq!(config["rootfs"]["diff_ids"], Value::from(diff_ids));
    let platform = entry["platform"].clone();
    for (key, value) in platform.as_object().into_iter().flatten() {
        assert_eq!(config.get(key), Some(value), "{key}");
    }
    Image { platform, manifest, config, archives }
}

/// The bytes that a descriptor names.
fn blob(layout: &Path, descriptor: &Value, named: &mut Vec<String>) -> Vec<u8> {
    let digest = text(&descriptor["digest"]);
    let hexadecimal = digest.strip_prefix("sha256:").unwrap();
    let bytes = fs::read(layout.join("blobs/sha256").join(hexadecimal)).unwrap();
    assert_eq!(Some(bytes.len() as u64), descriptor["size"].as_u64(), "{descriptor}");
    assert_eq!(sha256(&bytes), hexadecimal);
    named.push(hexadecimal.to_owned());
    bytes
}

fn unpacked(layer: &Value, bytes: Vec<u8>) -> Vec<u8> {
    match text(&layer["mediaType"]).rsplit_once(['+', '.']).map(|(_, ending)| ending.to_owned()) {
        Some(ending) if ending == "gzip" => through("gzip", bytes),
        Some(ending) if ending == "zstd" => through("zstd", bytes),
        _ => bytes,
    }
}

fn through(program: &str, bytes: Vec<u8>) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(["-d", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut input = process.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    output.stdout
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
