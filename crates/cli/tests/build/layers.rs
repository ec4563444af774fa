//! `windlass build layer`.

use serde_json::json;

use crate::harness::{Root, archive, digest, gzip, piped};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// More than all buffers of the command together.
fn large() -> Vec<u8> {
    let content: Vec<u8> = (0..12_000_000_u32).map(|place| (place ^ (place >> 9)) as u8).collect();
    archive("usr/lib/large", &content)
}

#[track_caller]
fn check(file: &[u8], media_type: &str, archive: &[u8]) {
    let root = Root::new();
    root.layer("app/layer", file);
    let expected = json!({
        "mediaType": media_type,
        "digest": digest(file),
        "size": file.len(),
        "diffId": digest(archive),
    });
    assert_eq!(root.json("app/layer.json"), expected);
}

#[test]
fn an_archive_is_described_by_its_content() {
    for archive in [archive("a", b"hello"), large()] {
        check(&archive, LAYER, &archive);
        check(&gzip(&archive), &format!("{LAYER}+gzip"), &archive);
    }
}

#[test]
fn what_the_common_tools_compress_is_read() {
    let archive = large();
    let tools: [(&str, &[&str], &str); 6] = [
        ("gzip", &["-c"], "gzip"),
        ("pigz", &["-c"], "gzip"),
        ("zstd", &["-c"], "zstd"),
        ("zstd", &["-c", "-T2", "-B1MiB", "--fast"], "zstd"),
        ("zstd", &["-c", "-19", "--long=27", "--no-check"], "zstd"),
        ("pzstd", &["-c", "-p2"], "zstd"),
    ];
    for (program, arguments, compression) in tools {
        if let Some(file) = piped(program, arguments, &archive) {
            check(&file, &format!("{LAYER}+{compression}"), &archive);
        }
    }
}

#[test]
fn what_is_no_layer_is_refused_by_its_name_and_what_it_is() {
    let check = |file: &[u8], words: &str| {
        let root = Root::new();
        root.write("app/notes.tar", file);
        let ended = root.describe("app/notes.tar");
        ended.failed(3, &format!("error: //app:layer: app/notes.tar {words}"));
        assert!(!root.path("app/notes.tar.json").exists());
    };
    check(b"", "is empty");
    check(b"hello", "is no archive: it begins with \"hello\"");
    check(&gzip(b"hello"), "is compressed with gzip, but what is in it is no archive");
    let whole = gzip(&archive("a", &[7; 100_000]));
    check(&whole[..whole.len() - 1], "cannot be decompressed by gzip: it is cut short");
    check(&[&whole, b"trailing".as_slice()].concat(), "cannot be decompressed by gzip");
    for (program, words) in [("xz", "is compressed with xz"), ("bzip2", "is compressed with bzip2")]
    {
        if let Some(file) = piped(program, &["-c"], &archive("a", b"hello")) {
            check(&file, &format!("{words}, which no image may have"));
        }
    }
    let root = Root::new();
    root.describe("app/gone.tar").failed(3, "error: //app:layer: cannot read app/gone.tar: ");
}
