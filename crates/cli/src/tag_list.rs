//! Files of tags: one a line; blank lines and lines that begin with `#` are skipped.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use windlass_oci::Tag;

use crate::problem::Problem;

/// A thousand tags of the longest kind are a tenth of it.
const LARGEST: u64 = 1 << 20;

/// Reads the tags in `file`, in its order.
pub(crate) fn read(file: &Path) -> Result<Vec<Tag>, Problem> {
    let shown = file.display();
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|open| open.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| Problem::usage(format!("cannot read tags from {shown}: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Problem::usage(format!("{shown} has more than {LARGEST} bytes of tags")));
    }
    let text = match str::from_utf8(&bytes) {
        Ok(text) if !text.contains('\0') => text,
        _ => return Err(Problem::usage(format!("{shown} is no text file in UTF-8"))),
    };
    parse(text).map_err(|(line, problem)| Problem::usage(format!("{shown}:{line}: {problem}")))
}

/// The tags in `text`, or the number of the first bad line and what is wrong with it.
fn parse(text: &str) -> Result<Vec<Tag>, (usize, String)> {
    let mut tags = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        tags.push(line.parse().map_err(|error| (index + 1, format!("{error}")))?);
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], usize>) {
        let parsed = parse(text);
        let shown = parsed.as_ref().map(|tags| tags.iter().map(Tag::as_str).collect::<Vec<_>>());
        assert_eq!(shown.map_err(|(line, _)| *line), expected.map(<[_]>::to_vec), "{text:?}");
    }

    #[test]
    fn tags_stand_one_a_line() {
        check("", Ok(&[]));
        check("v1", Ok(&["v1"]));
        check("v1\nlatest\n", Ok(&["v1", "latest"]));
        check("v1\r\nlatest\r\n", Ok(&["v1", "latest"]));
        check("# all\n\n  v1 \n\t\n#latest\nv2", Ok(&["v1", "v2"]));
        check("\u{feff}v1\n", Ok(&["v1"]));
        check("v1\nv2 # the newest\n", Err(2));
        check("v1\n\n-bad\n", Err(3));
        check("v\u{fffd}", Err(1));
        check("v1,v2", Err(1));
    }

    #[test]
    fn what_is_no_text_is_told_in_one_short_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tags.txt");
        let check = |bytes: &[u8], expected: &str| {
            std::fs::write(&file, bytes).unwrap();
            let message = read(&file).unwrap_err().message;
            let told = message.strip_prefix(file.to_str().unwrap()).unwrap();
            assert!(told.contains(expected), "{told}");
            assert!(told.len() < 200 && !told.contains(char::is_control), "{told}");
        };
        check(b"\x7fELF\x02\x01\0\0\0", " is no text file in UTF-8");
        check(b"\xff\xfev\x001\0", " is no text file in UTF-8");
        check("v1\u{7}".as_bytes(), ":1: tag \"v1\\u{7}\" is malformed");
        check("v1\nv\u{feff}2".as_bytes(), ":2: tag \"v\\u{feff}2\" is malformed");
        check("\u{1}".repeat(500).as_bytes(), "…\" is malformed");
    }

    #[test]
    fn a_bad_line_is_named_by_its_file_and_number() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tags.txt");
        std::fs::write(&file, "v1\r\n:latest\r\n").unwrap();
        let problem = read(&file).unwrap_err();
        let place = format!("{}:2: tag \":latest\" is malformed", file.display());
        assert!(problem.message.starts_with(&place), "{}", problem.message);
        let missing = read(&folder.path().join("gone")).unwrap_err();
        assert!(missing.message.contains("gone: "), "{}", missing.message);
    }
}
