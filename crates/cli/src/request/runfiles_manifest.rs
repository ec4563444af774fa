//! The manifest of a runfiles tree: where the files lie that the tree would have links to. Bazel
//! writes one beside the tree, and instead of it where there are no links.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Places in a runfiles tree, and what lies there.
#[derive(Clone, Debug, Default)]
pub(super) struct RunfilesManifest(HashMap<String, PathBuf>);

impl RunfilesManifest {
    /// Reads its lines: a place, a space, and a path. A line that begins with a space has both
    /// escaped, since the place has a space in it. A place without a path is an empty file, which
    /// lies nowhere.
    pub(super) fn parse(text: &str) -> RunfilesManifest {
        RunfilesManifest(text.lines().filter_map(parse_line).collect())
    }

    /// What lies at a place, or below a folder that is there.
    pub(super) fn find(&self, place: &Path) -> Option<PathBuf> {
        let parts: Option<Vec<&str>> = place.iter().map(|part| part.to_str()).collect();
        let place = parts?.join("/");
        if let Some(path) = self.0.get(&place) {
            return Some(path.clone());
        }
        let mut slashes = place.rmatch_indices('/').map(|(at, _)| place.split_at(at));
        slashes.find_map(|(folder, below)| {
            Some(self.0.get(folder)?.join(below.trim_start_matches('/')))
        })
    }
}

fn parse_line(line: &str) -> Option<(String, PathBuf)> {
    let (place, path) = match line.strip_prefix(' ') {
        Some(escaped) => {
            let (place, path) = escaped.split_once(' ')?;
            (unescape(place), unescape(path))
        }
        None => {
            let (place, path) = line.split_once(' ')?;
            (Cow::from(place), Cow::from(path))
        }
    };
    (!path.is_empty()).then(|| (place.into_owned(), PathBuf::from(path.into_owned())))
}

/// A space is `\s`, a line's end `\n`, a backslash `\b`.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let escaped = match character {
            '\\' => characters.next(),
            _ => None,
        };
        match escaped {
            Some('s') => plain.push(' '),
            Some('n') => plain.push('\n'),
            Some('b') => plain.push('\\'),
            Some(other) => plain.extend([character, other]),
            None => plain.push(character),
        }
    }
    plain.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, place: &str, expected: Option<&str>) {
        let found = RunfilesManifest::parse(text).find(Path::new(place));
        assert_eq!(found.as_deref(), expected.map(Path::new), "{place} in {text:?}");
    }

    #[test]
    fn a_line_is_a_place_and_a_path() {
        check("_main/app/x /out/x\nfiles/y /out/y\n", "files/y", Some("/out/y"));
        check("files/y C:/out/y\r\n", "files/y", Some("C:/out/y"));
        check("files/y /with a space/y\n", "files/y", Some("/with a space/y"));
        check("files/y /out/y\n", "files", None);
        check("files/y /out/y\n", "y", None);
        check("files/y \n", "files/y", None);
        check("files/y\n", "files/y", None);
        check("", "files/y", None);
    }

    #[test]
    fn a_folder_stands_for_what_is_below_it() {
        check("files/image /out/image\n", "files/image/blobs/x", Some("/out/image/blobs/x"));
        check("files/image /out/image\n", "files/image2", None);
        let nested = "files /outer\nfiles/image /inner\n";
        check(nested, "files/image/x", Some("/inner/x"));
        check(nested, "files/other/x", Some("/outer/other/x"));
    }

    #[test]
    fn places_with_spaces_are_escaped() {
        check(" files/a\\sb /out/a b\n", "files/a b", Some("/out/a b"));
        check(" a\\sb\\nc\\bd /x\\ny\\bz\n", "a b\nc\\d", Some("/x\ny\\z"));
        check(" a\\x /y\n", "a\\x", Some("/y"));
        check(" a\\ /y\n", "a\\", Some("/y"));
        // Only a line that says so is escaped.
        check("a\\sb /x\n", "a\\sb", Some("/x"));
    }
}
