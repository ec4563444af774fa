//! Files of tags, one a line.

use std::path::Path;

use windlass_oci::Tag;

use crate::problem::Problem;
use crate::text_file::{self, Line};

/// Reads the tags in `file`, in its order.
pub(crate) fn read(file: &Path) -> Result<Vec<Tag>, Problem> {
    let parse = |Line { number, text }: Line| {
        let shown = file.display();
        text.parse().map_err(|error| Problem::usage(format!("{shown}:{number}: {error}")))
    };
    text_file::read_lines(file, "tags")?.into_iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], &str>) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tags.txt");
        std::fs::write(&file, text).unwrap();
        match (read(&file), expected) {
            (Ok(tags), Ok(expected)) => {
                assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), expected);
            }
            (Err(problem), Err(expected)) => {
                let told = problem.message.strip_prefix(file.to_str().unwrap()).unwrap();
                assert!(told.contains(expected), "{told}");
                assert!(told.len() < 200 && !told.contains(char::is_control), "{told}");
            }
            (read, expected) => panic!("{read:?}, not {expected:?}"),
        }
    }

    #[test]
    fn tags_stand_one_a_line_and_a_bad_one_is_named_by_its_place() {
        check("", Ok(&[]));
        check("v1\r\n\r\n# all\r\n  latest\r\n", Ok(&["v1", "latest"]));
        check("v1\nv2 # the newest\n", Err(":2: tag \"v2 # the newest\" is malformed"));
        check("v1\r\n:latest\r\n", Err(":2: tag \":latest\" is malformed"));
        check("v1\n\n-bad\n", Err(":3: tag \"-bad\""));
        check("v1,v2", Err(":1: "));
        check("v1\u{7}", Err(":1: tag \"v1\\u{7}\" is malformed"));
        check("v1\nv\u{feff}2", Err(":2: tag \"v\\u{feff}2\" is malformed"));
        check("v\u{fffd}", Err(":1: "));
        check(&"\u{1}".repeat(500), Err("…\" is malformed"));
    }
}
