//! Files that others wait for: they appear whole, or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::problem::Problem;

/// A file that is to be written when all is done. That it can be is known from the beginning.
#[derive(Debug)]
pub(crate) struct ResultFile {
    /// As it was typed.
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Put there by a rename.
    File { target: PathBuf, draft: NamedTempFile },
    /// A pipe or a device, which nothing can take the place of.
    Stream(fs::File),
}

impl ResultFile {
    /// Opens a file beside `path`, so that a place that cannot be written to is found before
    /// anything is done.
    pub(crate) fn prepare(path: &Path) -> Result<ResultFile, Problem> {
        let place = open(path)
            .map_err(|error| Problem::usage(format!("cannot write {}: {error}", path.display())))?;
        Ok(ResultFile { path: path.to_owned(), place })
    }

    /// The file that is there until then, and is to go where the process ends without it.
    pub(crate) fn draft(&self) -> Option<PathBuf> {
        match &self.place {
            Place::File { draft, .. } => Some(draft.path().to_owned()),
            Place::Stream(_) => None,
        }
    }

    /// Writes the lines, and nothing where that fails.
    pub(crate) fn write(self, lines: &[String]) -> Result<(), Problem> {
        let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
        let written = match self.place {
            Place::Stream(mut stream) => stream.write_all(text.as_bytes()),
            Place::File { target, mut draft } => draft
                .write_all(text.as_bytes())
                .and_then(|()| draft.persist(target).map(drop).map_err(|error| error.error)),
        };
        written.map_err(|error| {
            Problem::other(format!("cannot write {}: {error}", self.path.display()))
        })
    }
}

fn open(path: &Path) -> io::Result<Place> {
    // A link is followed, so that what it leads to is written.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&target) {
        Ok(there) if there.is_dir() => return Err(io::Error::other("it is a folder")),
        Ok(there) if !there.is_file() => {
            return OpenOptions::new().write(true).open(&target).map(Place::Stream);
        }
        _ => {}
    }
    let folder = match target.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".windlass-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // As any program makes files; the user's mask takes from it.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let draft = builder.tempfile_in(folder).map_err(without_draft)?;
    Ok(Place::File { target, draft })
}

/// The error without the draft's name, which nobody typed.
fn without_draft(error: io::Error) -> io::Error {
    let text = error.to_string();
    let told = text.split_once(" at path ").map(|(told, _)| told.to_owned());
    told.map_or(error, io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn it_takes_the_place_of_what_was_there_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("receipt.json");
        fs::write(&path, "old").unwrap();
        let file = ResultFile::prepare(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        file.write(&["one".to_owned(), "two".to_owned()]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(entries(folder.path()), ["receipt.json"]);
    }

    #[test]
    fn nothing_is_left_behind_where_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        drop(ResultFile::prepare(&folder.path().join("receipt.json")).unwrap());
        assert_eq!(entries(folder.path()), Vec::<String>::new());
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_found_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let problem = ResultFile::prepare(folder.path()).unwrap_err();
        assert!(problem.message.ends_with("it is a folder"), "{}", problem.message);
        let problem = ResultFile::prepare(&folder.path().join("none/receipt.json")).unwrap_err();
        assert!(problem.message.contains("receipt.json: "), "{}", problem.message);
        assert!(!problem.message.contains(".windlass-"), "{}", problem.message);
    }

    #[test]
    #[cfg(unix)]
    fn devices_and_links_are_written_through() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        ResultFile::prepare(Path::new("/dev/null")).unwrap().write(&["x".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        fs::write(&target, "old").unwrap();
        symlink(&target, &link).unwrap();
        ResultFile::prepare(&link).unwrap().write(&["new".to_owned()]).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new\n");
        let mode = fs::metadata(&target).unwrap().permissions().mode();
        assert_eq!(mode & 0o400, 0o400);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
