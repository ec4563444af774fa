//! What a file is, told by how it begins.

/// How much of a file is enough to tell: the first header of an archive.
pub(crate) const BEGINNING: usize = 512;

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A tar archive.
    Tar,
    /// Something that gzip has compressed.
    Gzip,
    /// Something that zstd has compressed.
    Zstd,
    /// None of them, in words: "is empty".
    Other(String),
}

/// How things begin that people take for layers.
const OTHERS: [(&[u8], &str); 10] = [
    (b"\xfd7zXZ\0", "is compressed with xz, which no image may have"),
    (b"BZh", "is compressed with bzip2, which no image may have"),
    (b"\x04\x22\x4d\x18", "is compressed with lz4, which no image may have"),
    (b"LZIP", "is compressed with lzip, which no image may have"),
    (b"\x1f\x9d", "is compressed with compress, which no image may have"),
    (b"PK\x03\x04", "is a zip archive, not a tar archive"),
    (b"PK\x05\x06", "is a zip archive, not a tar archive"),
    (b"!<arch>\n", "is a Debian package or another archive of ar, not a tar archive"),
    (b"\xed\xab\xee\xdb", "is an RPM package, not a tar archive"),
    (b"070701", "is a cpio archive, not a tar archive"),
];

/// What begins with `beginning`, which has [`BEGINNING`] bytes or is all there is.
pub(crate) fn kind(beginning: &[u8]) -> Kind {
    if is_tar(beginning) {
        return Kind::Tar;
    }
    match beginning {
        [] => Kind::Other("is empty".to_owned()),
        [0x1f, 0x8b, ..] => Kind::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Kind::Zstd,
        // A skippable frame, which tools that compress in parallel begin with. RFC 8878, §3.1.2.
        [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Kind::Zstd,
        _ => match OTHERS.iter().find(|(magic, _)| beginning.starts_with(magic)) {
            Some((_, words)) => Kind::Other((*words).to_owned()),
            None => Kind::Other(format!("is no archive: it begins with {}", shown(beginning))),
        },
    }
}

/// Whether it begins with the header of an archive's first entry, or with the end of an archive
/// that has none. The checksum is what all of tar's many forms have in common.
fn is_tar(beginning: &[u8]) -> bool {
    let Some(header) = beginning.first_chunk::<BEGINNING>() else { return false };
    if header.iter().all(|byte| *byte == 0) {
        return true;
    }
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    let Some(expected) = octal(&header[CHECKSUM]) else { return false };
    let byte_at = |(place, byte): (usize, &u8)| match CHECKSUM.contains(&place) {
        true => b' ',
        false => *byte,
    };
    let bytes = header.iter().enumerate().map(byte_at);
    let (unsigned, signed) = bytes.fold((0, 0), |(unsigned, signed), byte| {
        (unsigned + i64::from(byte), signed + i64::from(byte.cast_signed()))
    });
    // Old implementations added up signed characters.
    expected == unsigned || expected == signed
}

fn octal(field: &[u8]) -> Option<i64> {
    let text = str::from_utf8(field).ok()?.trim_matches(|c| c == ' ' || c == '\0');
    i64::from_str_radix(text, 8).ok()
}

/// A little of what cannot be understood: text as text, all else in hexadecimal.
fn shown(beginning: &[u8]) -> String {
    let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let start = &line[..line.len().min(24)];
    match str::from_utf8(start) {
        Ok(text) if !text.is_empty() && !text.contains(|c: char| c.is_control() && c != '\r') => {
            format!("{:?}", text.trim_end_matches('\r'))
        }
        _ => {
            let start = &beginning[..beginning.len().min(8)];
            let bytes: Vec<_> = start.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("the bytes {}", bytes.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(beginning: &[u8], expected: &Kind) {
        assert_eq!(kind(beginning), *expected);
    }

    #[track_caller]
    fn other(beginning: &[u8], words: &str) {
        check(beginning, &Kind::Other(words.to_owned()));
    }

    fn header(header: &tar::Header) -> [u8; 512] {
        *header.as_bytes()
    }

    #[test]
    fn archives_are_told_by_their_first_header() {
        for mut new in [tar::Header::new_ustar(), tar::Header::new_gnu(), tar::Header::new_old()] {
            new.set_path("BZh/etc/passwd").unwrap();
            new.set_size(17);
            new.set_cksum();
            check(&header(&new), &Kind::Tar);
            let mut broken = header(&new);
            broken[100] ^= 1;
            other(&broken, "is compressed with bzip2, which no image may have");
            other(&header(&new)[..511], "is compressed with bzip2, which no image may have");
        }
        check(&[0; 512], &Kind::Tar);
        let mut signed = tar::Header::new_old();
        signed.set_path("\u{e4}").unwrap();
        signed.set_cksum();
        let sum =
            i64::from_str_radix("0", 8).unwrap() + i64::from(signed.cksum().unwrap()) - 2 * 256;
        let mut bytes = header(&signed);
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        check(&bytes, &Kind::Tar);
    }

    #[test]
    fn compressed_things_are_told_by_their_magic() {
        check(b"\x1f\x8b\x08", &Kind::Gzip);
        check(b"\x28\xb5\x2f\xfd", &Kind::Zstd);
        check(b"\x50\x2a\x4d\x18", &Kind::Zstd);
        check(b"\x5f\x2a\x4d\x18\x04", &Kind::Zstd);
    }

    #[test]
    fn what_is_neither_is_told_in_words() {
        other(b"", "is empty");
        other(b"hello", "is no archive: it begins with \"hello\"");
        other(b"hello\r\nworld", "is no archive: it begins with \"hello\"");
        other(b"<html>\n<head>", "is no archive: it begins with \"<html>\"");
        other(&[b'x'; 600], "is no archive: it begins with \"xxxxxxxxxxxxxxxxxxxxxxxx\"");
        other(b"\x7fELF\x02\x01", "is no archive: it begins with the bytes 7f 45 4c 46 02 01");
        other(b"\nfoo", "is no archive: it begins with the bytes 0a 66 6f 6f");
        other(b"\x1f", "is no archive: it begins with the bytes 1f");
        other(&[0; 100], "is no archive: it begins with the bytes 00 00 00 00 00 00 00 00");
        other(b"\xfd7zXZ\0\0", "is compressed with xz, which no image may have");
        other(b"BZh91AY", "is compressed with bzip2, which no image may have");
        other(b"PK\x03\x04\x14", "is a zip archive, not a tar archive");
        other(
            b"!<arch>\ndebian",
            "is a Debian package or another archive of ar, not a tar archive",
        );
    }
}
