use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

/// An archive of one file with `size` bytes.
fn archive(size: usize) -> Vec<u8> {
    let content: Vec<u8> = (0..size).map(|place| (place * place / 7) as u8).collect();
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(size as u64);
    archive.append_data(&mut header, "etc/file", content.as_slice()).unwrap();
    archive.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// RFC 8878, §3.1.2.
fn skippable(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [b"\x53\x2a\x4d\x18".as_slice(), &length, content].concat()
}

#[track_caller]
fn check(file: &[u8], media_type: MediaType, archive: &[u8]) {
    let layer = read(&mut &*file).unwrap();
    let expected = Layer {
        media_type,
        digest: Digest::sha256(file),
        size: file.len() as u64,
        diff_id: Digest::sha256(archive),
    };
    assert_eq!(layer, expected);
}

#[track_caller]
fn refused(file: &[u8], words: &str) {
    let error = problem_of(Path::new("app/layer"), read(&mut &*file).unwrap_err());
    assert!(error.to_string().contains(words), "{error}");
    assert!(error.to_string().starts_with("app/layer "), "{error}");
}

#[test]
fn plain_archives_are_hashed_once() {
    for size in [0, 1, 511, 512, 300_000, 5_000_000] {
        let archive = archive(size);
        check(&archive, MediaType::OCI_LAYER, &archive);
    }
    check(&[0; 1024], MediaType::OCI_LAYER, &[0; 1024]);
}

#[test]
fn compressed_archives_have_a_digest_inside_and_outside() {
    for size in [0, 1, 300_000, 5_000_000] {
        let archive = archive(size);
        check(&gzip(&archive), MediaType::OCI_LAYER_GZIP, &archive);
        check(&zstd(&archive), MediaType::OCI_LAYER_ZSTD, &archive);
    }
}

#[test]
fn what_was_compressed_in_parts_is_one_archive() {
    let archive = archive(3_000_000);
    let (one, rest) = archive.split_at(700_001);
    let (two, three) = rest.split_at(1);
    let members = [gzip(one), gzip(two), gzip(b""), gzip(three)].concat();
    check(&members, MediaType::OCI_LAYER_GZIP, &archive);
    let frames = [zstd(one), skippable(b"x"), zstd(two), zstd(b""), zstd(three), skippable(b"")];
    check(&frames.concat(), MediaType::OCI_LAYER_ZSTD, &archive);
    let frames = [skippable(&[7; 100_000]), zstd(&archive)].concat();
    check(&frames, MediaType::OCI_LAYER_ZSTD, &archive);
}

#[test]
fn the_first_header_may_come_in_several_parts() {
    let archive = archive(100);
    let members: Vec<_> = archive.chunks(100).flat_map(gzip).collect();
    check(&members, MediaType::OCI_LAYER_GZIP, &archive);
}

#[test]
fn what_is_cut_short_is_refused_wherever_it_is_cut() {
    let archive = archive(40_000);
    for (file, name) in [(gzip(&archive), "gzip"), (zstd(&archive), "zstd")] {
        for length in (5..file.len()).step_by(file.len() / 50).chain([file.len() - 1]) {
            let words = format!("cannot be decompressed by {name}: it is cut short");
            refused(&file[..length], &words);
        }
    }
}

#[test]
fn what_trails_behind_the_end_is_refused() {
    let archive = archive(40_000);
    for file in [gzip(&archive), zstd(&archive)] {
        for garbage in [b"garbage and more of it".as_slice(), &[0; 512]] {
            refused(&[&file, garbage].concat(), "cannot be decompressed by ");
        }
    }
}

#[test]
fn bits_that_have_flipped_are_noticed() {
    let archive = archive(40_000);
    for file in [gzip(&archive), zstd::bulk::compress(&archive, 1).unwrap()] {
        let mut flipped = file.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 0x10;
        let name = if file[0] == 0x1f { "gzip" } else { "zstd" };
        if let Ok(layer) = read(&mut flipped.as_slice()) {
            // Without a checksum in it, zstd cannot know.
            assert_eq!(name, "zstd");
            assert_ne!(layer.diff_id, Digest::sha256(&archive));
        }
    }
}

#[test]
fn what_is_no_archive_is_refused_by_what_it_is() {
    refused(b"", "is empty");
    refused(b"hello", "is no archive: it begins with \"hello\"");
    refused(&gzip(b""), "is compressed with gzip, but what is in it is empty");
    refused(&gzip(b"hello"), "but what is in it is no archive: it begins with \"hello\"");
    refused(&zstd(b"hello"), "is compressed with zstd, but what is in it is no archive");
    refused(&gzip(&gzip(&archive(1))), "what is in it is compressed with gzip once more");
    refused(&gzip(&zstd(&archive(1))), "what is in it is compressed with zstd once more");
}

#[test]
fn a_file_that_cannot_be_read_is_no_corrupt_one() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let archive = archive(40_000);
    for file in [archive.clone(), gzip(&archive), zstd(&archive)] {
        let error = read(&mut file[..file.len() / 2].chain(Broken)).unwrap_err();
        assert!(matches!(&error, Trouble::Io(error) if error.to_string() == "the disk is gone"));
    }
    let error = Layer::read(Path::new("/nonexistent/layer")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read /nonexistent/layer: "), "{error}");
    let error = Layer::read(&std::env::temp_dir()).unwrap_err().to_string();
    assert!(error.starts_with("cannot read "), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        start in prop::sample::select(vec![
            Vec::new(), vec![0x1f, 0x8b, 8], b"\x28\xb5\x2f\xfd".to_vec(), skippable(b"x"), archive(0),
            gzip(&archive(3)), zstd(&archive(3)),
        ]),
        rest: Vec<u8>,
    ) {
        let file = [start, rest].concat();
        if let Ok(layer) = read(&mut file.as_slice()) {
            prop_assert_eq!(layer.digest, Digest::sha256(&file));
            prop_assert_eq!(layer.size, file.len() as u64);
        }
    }
}
