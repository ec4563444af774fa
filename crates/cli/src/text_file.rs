//! Small text files that people and builds write: one thing a line; blank lines and lines that
//! begin with `#` are skipped.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::problem::Problem;

/// A thousand tags of the longest kind are a tenth of it.
const LARGEST: u64 = 1 << 20;

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Which it is, from 1.
    pub(crate) number: usize,
    /// What stands there, without the blanks around it.
    pub(crate) text: String,
}

/// Reads a file of text. `what` names what is wanted from it, in messages.
pub(crate) fn read(file: &Path, what: &str) -> Result<String, Problem> {
    let shown = file.display();
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|open| open.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| Problem::usage(format!("cannot read {what} from {shown}: {error}")))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Problem::usage(format!("{shown} has more than {LARGEST} bytes of {what}")));
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(Problem::usage(format!("{shown} is no text file in UTF-8"))),
    }
}

/// The lines of a file that say something.
pub(crate) fn read_lines(file: &Path, what: &str) -> Result<Vec<Line>, Problem> {
    let text = read(file, what)?;
    let line = |(number, text): (usize, &str)| Line { number, text: text.to_owned() };
    Ok(lines(&text).map(line).collect())
}

/// The lines that say something, each with its number.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.trim_start_matches('\u{feff}').lines();
    let numbered = lines.enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_say_nothing_are_skipped_and_counted() {
        let check = |text: &str, expected: &[(usize, &str)]| {
            assert_eq!(lines(text).collect::<Vec<_>>(), expected, "{text:?}");
        };
        check("", &[]);
        check("v1", &[(1, "v1")]);
        check("v1\nlatest\n", &[(1, "v1"), (2, "latest")]);
        check("v1\r\nlatest\r\n", &[(1, "v1"), (2, "latest")]);
        check("# all\n\n  v1 \n\t\n#latest\nv2", &[(3, "v1"), (6, "v2")]);
        check("\u{feff}v1\n", &[(1, "v1")]);
        check("v2 # the newest\n", &[(1, "v2 # the newest")]);
    }

    #[test]
    fn a_file_is_text_of_moderate_size() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tags.txt");
        let shown = file.display();
        let check = |bytes: &[u8], expected: &str| {
            std::fs::write(&file, bytes).unwrap();
            let problem = read(&file, "tags").unwrap_err();
            assert_eq!(problem.message, format!("{shown} {expected}"));
        };
        check(b"\x7fELF\x02\x01\0\0\0", "is no text file in UTF-8");
        check(b"\xff\xfev\x001\0", "is no text file in UTF-8");
        check(&vec![b'a'; (1 << 20) + 1], "has more than 1048576 bytes of tags");
        let gone = read(&folder.path().join("gone"), "tags").unwrap_err();
        assert!(gone.message.starts_with("cannot read tags from "), "{}", gone.message);
    }
}
