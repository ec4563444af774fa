//! Archives as the `tar` command and Bazel make them, and broken ones.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use tar::{Builder, EntryType, Header};
use windlass_oci::{Descriptor, MediaType};

use super::index::Span;
use crate::{ArchiveIndex, ArchiveStore, Store};

/// Runs the real `tar` in `folder`.
#[track_caller]
fn tar(folder: &Path, arguments: &[&str]) {
    let output = Command::new("tar").current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn text(archive: &ArchiveStore, name: &str) -> Option<String> {
    let bytes = archive.read(name, 1 << 20).await.unwrap()?;
    Some(String::from_utf8(bytes.to_vec()).unwrap())
}

fn member(archive: &mut Builder<Vec<u8>>, name: &str, content: &str) {
    let mut header = Header::new_gnu();
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, name, content.as_bytes()).unwrap();
}

fn link(archive: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, target: &str) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    archive.append_link(&mut header, name, target).unwrap();
}

fn built(fill: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    fill(&mut archive);
    archive.into_inner().unwrap()
}

fn index(archive: &[u8]) -> Result<ArchiveIndex, String> {
    ArchiveIndex::read(Cursor::new(archive), archive.len() as u64)
}

/// What `name` holds in an archive in memory.
#[track_caller]
fn check(archive: &[u8], name: &str, expected: Option<&str>) {
    let found = index(archive).unwrap().find(name);
    let found = found.map(|span| {
        let start = usize::try_from(span.offset).unwrap();
        let end = start + usize::try_from(span.size).unwrap();
        std::str::from_utf8(&archive[start..end]).unwrap()
    });
    assert_eq!(found, expected, "{name}");
}

#[tokio::test]
async fn every_format_of_the_tar_command_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    let long = format!("{}/{}", "folder-".repeat(30), "name-".repeat(40));
    let blob = Descriptor::of(MediaType::OCI_LAYER, b"a blob");
    fs::create_dir_all(tree.join("blobs/sha256")).unwrap();
    fs::create_dir_all(tree.join(&long).parent().unwrap()).unwrap();
    fs::write(tree.join("index.json"), "{}").unwrap();
    fs::write(tree.join(&long), "long").unwrap();
    fs::write(tree.join("blobs/sha256").join(blob.digest.hex()), "a blob").unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("../index.json", tree.join("blobs/link")).unwrap();
        std::os::unix::fs::symlink(&long, tree.join("long-link")).unwrap();
        fs::hard_link(tree.join("index.json"), tree.join("z-hard-link")).unwrap();
    }
    for (format, start) in [("gnu", "."), ("pax", "."), ("gnu", "blobs"), ("pax", "blobs")] {
        let mut arguments = vec!["-cf", "../archive", "--format", format, start];
        let names: Vec<_> = fs::read_dir(&tree)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "blobs")
            .collect();
        if start == "blobs" {
            arguments.extend(names.iter().map(String::as_str));
        }
        tar(&tree, &arguments);
        let archive = ArchiveStore::open(&folder.path().join("archive")).await.unwrap();
        assert_eq!(text(&archive, "index.json").await.unwrap(), "{}");
        assert_eq!(text(&archive, &long).await.unwrap(), "long");
        assert_eq!(text(&archive, "nothing").await, None);
        #[cfg(unix)]
        for (name, content) in [("blobs/link", "{}"), ("long-link", "long"), ("z-hard-link", "{}")]
        {
            assert_eq!(text(&archive, name).await.unwrap(), content, "{format} {name}");
        }
        let source = archive.get(&blob).await.unwrap().unwrap();
        assert_eq!(source.read(6).await.unwrap(), "a blob");
        assert!(source.origin().contains("archive"), "{}", source.origin());
    }
    for format in ["v7", "ustar"] {
        tar(&tree, &["-cf", "../archive", "--format", format, "index.json", "blobs/sha256"]);
        let archive = ArchiveStore::open(&folder.path().join("archive")).await.unwrap();
        assert!(archive.get(&blob).await.unwrap().is_some(), "{format}");
    }
}

#[tokio::test]
async fn an_archive_that_is_replaced_is_still_read_as_it_was_opened() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("archive"), folder.path().join("other"));
    fs::write(&path, built(|archive| member(archive, "index.json", "old"))).unwrap();
    fs::write(&other, built(|archive| member(archive, "index.json", "new"))).unwrap();
    let archive = ArchiveStore::open(&path).await.unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!(text(&archive, "index.json").await.unwrap(), "old");
}

#[tokio::test]
async fn an_archive_that_is_cut_after_it_was_opened_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive");
    fs::write(&path, built(|archive| member(archive, "index.json", "content"))).unwrap();
    let archive = ArchiveStore::open(&path).await.unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_len(515).unwrap();
    let error = archive.read("index.json", 100).await.unwrap_err().to_string();
    assert!(error.contains("expected 7 bytes, found 3"), "{error}");
    assert!(error.starts_with("index.json in "), "{error}");
}

#[tokio::test]
async fn compressed_and_sparse_archives_are_refused_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = fs::File::create(folder.path().join("holes")).unwrap();
    file.set_len(10 << 20).unwrap();
    fs::write(folder.path().join("file"), "content").unwrap();
    for (arguments, expected) in [
        (&["-czf", "archive", "file"][..], "compressed with gzip: decompress it first"),
        (&["-cSf", "archive", "--format", "gnu", "holes"], "without --sparse"),
        (&["-cSf", "archive", "--format", "pax", "holes"], "without --sparse"),
    ] {
        tar(folder.path(), arguments);
        let error = ArchiveStore::open(&folder.path().join("archive")).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.to_string().contains("archive is no tar archive that can be read"));
    }
    let error = index(b"\x28\xb5\x2f\xfd and more").unwrap_err();
    assert_eq!(error, "it is compressed with zstd: decompress it first");
}

#[tokio::test]
async fn what_is_no_archive_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for content in ["{}".to_owned(), "{}".repeat(600), "\u{7}é".repeat(600)] {
        fs::write(&path, content).unwrap();
        let error = ArchiveStore::open(&path).await.unwrap_err().to_string();
        assert!(error.ends_with("it does not begin with the header of a member"), "{error}");
    }
    fs::write(&path, "").unwrap();
    assert!(ArchiveStore::open(&path).await.is_err());
    fs::write(&path, [0; 1024]).unwrap();
    assert_eq!(ArchiveStore::open(&path).await.unwrap().names().count(), 0);
    let error = ArchiveStore::open(folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("cannot read"), "{error}");
    let error = ArchiveStore::open(&folder.path().join("nothing")).await.unwrap_err();
    assert!(error.is_not_found());
}

#[test]
fn later_members_win_and_hard_links_stay_with_what_they_named() {
    let archive = built(|archive| {
        member(archive, "a", "first");
        link(archive, EntryType::Link, "hard", "./a");
        link(archive, EntryType::Symlink, "soft", "a");
        link(archive, EntryType::Link, "early", "late");
        member(archive, "./a", "second");
        member(archive, "late", "late");
        member(archive, "became/a", "folder");
        member(archive, "gone", "gone");
        let mut folder = Header::new_gnu();
        folder.set_entry_type(EntryType::Directory);
        folder.set_size(0);
        archive.append_data(&mut folder, "gone/", &[][..]).unwrap();
    });
    check(&archive, "a", Some("second"));
    check(&archive, "./a", Some("second"));
    check(&archive, "a/", None);
    check(&archive, "a/b", None);
    check(&archive, "hard", Some("first"));
    check(&archive, "soft", Some("second"));
    check(&archive, "early", Some("late"));
    check(&archive, "gone", None);
    check(&archive, "became", None);
}

#[test]
fn links_are_followed_inside_the_archive_and_nowhere_else() {
    let archive = built(|archive| {
        member(archive, "real/blobs/x", "content");
        link(archive, EntryType::Symlink, "layout/blobs", "../real/./blobs");
        link(archive, EntryType::Symlink, "layout/deep", "blobs/x");
        link(archive, EntryType::Symlink, "outside", "../real/blobs/x");
        link(archive, EntryType::Symlink, "absolute", "/real/blobs/x");
        link(archive, EntryType::Symlink, "loop", "loop");
        link(archive, EntryType::Symlink, "one/two", "../two/one");
        link(archive, EntryType::Symlink, "two/one", "../one/two");
        link(archive, EntryType::Link, "hard-loop", "hard-loop");
        link(archive, EntryType::Symlink, "dangling", "nothing");
        link(archive, EntryType::Link, "hard-to-soft", "layout/deep");
    });
    check(&archive, "layout/blobs/x", Some("content"));
    check(&archive, "layout/deep", Some("content"));
    check(&archive, "layout/../layout/blobs/x", Some("content"));
    for name in ["outside", "absolute", "loop", "one/two", "hard-loop", "dangling", "..", ""] {
        check(&archive, name, None);
    }
    // The copy counts from its own folder, as it would on a disk.
    check(&archive, "hard-to-soft", None);
}

#[test]
fn names_that_lead_out_of_the_archive_are_nothing() {
    let mut archive = built(|archive| member(archive, "xx/index.json", "evil"));
    archive[..2].copy_from_slice(b"..");
    let header = Header::from_byte_slice(&archive[..512]);
    let mut header = header.clone();
    header.set_cksum();
    archive[..512].copy_from_slice(header.as_bytes());
    check(&archive, "../index.json", None);
    check(&archive, "index.json", None);
    assert_eq!(index(&archive).unwrap().names().count(), 0);
}

#[test]
fn a_cut_archive_is_told_wherever_the_cut_is() {
    let content = "x".repeat(2000);
    let archive = built(|archive| {
        member(archive, "a", &content);
        member(archive, &"long".repeat(60), &content);
    });
    let header = 512;
    let padded = header + 2048;
    let whole = archive.len() - 1024;
    for cut in [1, 511, header + 1, header + 1999, padded + 100, padded + 600, whole - 50] {
        assert!(index(&archive[..cut]).is_err(), "{cut}");
    }
    // Without its two empty blocks it is whole still, and some tools leave them out.
    for cut in [header + 2000, padded, whole, whole + 512] {
        index(&archive[..cut]).unwrap_or_else(|error| panic!("{cut}: {error}"));
    }
}

#[test]
fn garbage_between_members_is_an_error_that_can_be_printed() {
    let mut archive = built(|archive| member(archive, "a", "content"));
    archive.truncate(1024);
    archive.extend([0x1b; 512]);
    let error = index(&archive).unwrap_err();
    assert!(!error.contains(char::is_control) && error.len() < 300, "{error:?}");
}

#[test]
fn a_header_that_claims_a_giant_name_is_not_read_into_memory() {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(3 << 20);
    header.as_gnu_mut().unwrap().name[..13].copy_from_slice(b"././@LongLink");
    header.set_cksum();
    let mut archive = header.as_bytes().to_vec();
    archive.resize(512 + (3 << 20), b'x');
    member_after(&mut archive);
    let error = index(&archive).unwrap_err();
    assert!(error.contains("more than 1048576 bytes"), "{error}");

    fn member_after(archive: &mut Vec<u8>) {
        archive.extend(built(|archive| member(archive, "short", "content")));
    }
}

#[test]
fn whatever_one_byte_becomes_nothing_is_found_outside_the_archive() {
    let mut archive = built(|archive| {
        member(archive, &"long/".repeat(30), "content");
        link(archive, EntryType::Link, "hard", "a");
        link(archive, EntryType::Symlink, "soft", "hard");
    });
    for place in 0..archive.len() {
        for value in [b'7', 0xff] {
            let before = std::mem::replace(&mut archive[place], value);
            // Give every header its right sum again, or hardly anything would be read.
            let mut changed = archive.clone();
            for block in changed.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar")
            {
                let mut header = Header::from_byte_slice(block).clone();
                header.set_cksum();
                block.copy_from_slice(header.as_bytes());
            }
            if let Ok(index) = index(&changed) {
                for name in index.names() {
                    let span = index.find(name).unwrap_or(Span { offset: 0, size: 0 });
                    assert!(span.offset + span.size <= changed.len() as u64, "{place} {value}");
                }
            }
            archive[place] = before;
        }
    }
}

#[test]
fn sizes_without_bounds_are_errors() {
    for size in [u64::MAX, u64::MAX / 2, 1 << 40] {
        let mut header = Header::new_gnu();
        header.set_path("big").unwrap();
        header.set_size(size);
        header.set_cksum();
        assert!(index(header.as_bytes()).is_err(), "{size}");
    }
}

#[test]
fn many_members_are_indexed_quickly_and_without_reading_them() {
    let archive = built(|archive| {
        for number in 0..20_000 {
            member(archive, &format!("blobs/sha256/{number}"), "content");
        }
    });
    let index = index(&archive).unwrap();
    assert_eq!(index.names().count(), 20_000);
    assert!(index.find("blobs/sha256/19999").is_some());
}
