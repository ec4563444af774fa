//! Where the files of a request lie: below its folder, or in the runfiles of a program that Bazel
//! runs.
//!
//! A build may be looked at from its output folder, from the runfiles of the program whose request
//! it is, or from those of another program that has it as data; there may be links or only a
//! manifest that stands for them. Each path is looked up on its own, and the program's own runfiles
//! count more than what the environment says, which may be about another program.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf, absolute};
use std::sync::OnceLock;

use super::runfiles_manifest::RunfilesManifest;
use crate::settings::Environment;

/// What a launcher's name has after it in the name of its request file.
pub(crate) const SUFFIX: &str = ".request.json";
/// What a program's name has after it in the name of its runfiles tree.
pub(crate) const RUNFILES: &str = ".runfiles";

/// Where the files of one request may lie.
#[derive(Debug)]
pub(crate) struct Places {
    /// The folder in each runfiles tree that they lie below; none where they are no runfiles.
    runfiles: Option<PathBuf>,
    trees: Vec<Tree>,
    folders: Vec<PathBuf>,
}

/// A runfiles tree, by its links or by its manifest.
#[derive(Debug)]
enum Tree {
    Folder(PathBuf),
    Manifest { file: PathBuf, read: OnceLock<Option<RunfilesManifest>> },
}

/// A million files by path are less.
const LARGEST_MANIFEST: u64 = 256 << 20;

impl Places {
    /// Where the files of the request `file` may lie, whose paths begin at `folder` and, in
    /// runfiles trees, at `runfiles`.
    pub(crate) fn new(
        file: &Path,
        folder: &Path,
        runfiles: Option<&Path>,
        environment: &Environment,
    ) -> Places {
        let trees = match (runfiles, absolute(file)) {
            (Some(_), Ok(file)) => trees(&file, environment),
            _ => Vec::new(),
        };
        let here = file.parent().unwrap_or(Path::new("")).join(folder);
        // Where the file is a link, its folders may be those of what it leads to.
        let there = fs::canonicalize(file).ok();
        let there = there.as_ref().and_then(|file| Some(file.parent()?.join(folder)));
        let folders = [Some(here), there].into_iter().flatten().collect();
        Places { runfiles: runfiles.map(Path::to_owned), trees, folders }
    }

    /// Where `path` lies; where it is nowhere, all the places that were looked at.
    pub(crate) fn find(&self, path: &Path) -> Result<PathBuf, Vec<PathBuf>> {
        let mut looked_at = Vec::new();
        for place in self.candidates(path) {
            if place.exists() {
                return Ok(place);
            }
            if !looked_at.contains(&place) {
                looked_at.push(place);
            }
        }
        Err(looked_at)
    }

    /// Where `path` lies, or would lie if it were there.
    pub(crate) fn find_or_guess(&self, path: &Path) -> PathBuf {
        let beside = |_| self.folders.first().map(|folder| folder.join(path));
        self.find(path).or_else(|looked_at| beside(looked_at).ok_or(())).unwrap_or(path.to_owned())
    }

    fn candidates(&self, path: &Path) -> impl Iterator<Item = PathBuf> {
        let in_tree = self.runfiles.as_ref().map(|runfiles| runfiles.join(path));
        let in_trees = self.trees.iter().filter_map(move |tree| tree.place_of(in_tree.as_ref()?));
        in_trees.chain(self.folders.iter().map(move |folder| folder.join(path)))
    }
}

impl Tree {
    fn manifest(file: PathBuf) -> Tree {
        Tree::Manifest { file, read: OnceLock::new() }
    }

    fn place_of(&self, path: &Path) -> Option<PathBuf> {
        match self {
            Tree::Folder(folder) => Some(folder.join(path)),
            Tree::Manifest { file, read } => {
                read.get_or_init(|| read_manifest(file)).as_ref()?.find(path)
            }
        }
    }
}

/// One that is not there, or cannot be read, is one of several places where something may be.
fn read_manifest(file: &Path) -> Option<RunfilesManifest> {
    let mut bytes = Vec::new();
    File::open(file).ok()?.take(LARGEST_MANIFEST).read_to_end(&mut bytes).ok()?;
    Some(RunfilesManifest::parse(&String::from_utf8_lossy(&bytes)))
}

/// The runfiles trees that a request file, by its absolute path, may have to do with, in the order
/// in which they count: its program's own, the one that it lies in, and what the environment names.
fn trees(file: &Path, environment: &Environment) -> Vec<Tree> {
    let mut trees = Vec::new();
    let name = file.file_name().and_then(|name| name.to_str());
    if let Some(program) = name.and_then(|name| name.strip_suffix(SUFFIX)) {
        for program in [program.to_owned(), format!("{program}.exe")] {
            let folder = file.with_file_name(format!("{program}{RUNFILES}"));
            let manifest = file.with_file_name(format!("{program}.runfiles_manifest"));
            trees.extend(of_folder(folder));
            trees.push(Tree::manifest(manifest));
        }
    }
    let around = file.ancestors().skip(1).find(|folder| is_runfiles(folder));
    trees.extend(around.map(Path::to_owned).into_iter().flat_map(of_folder));
    trees.extend(environment.path("RUNFILES_DIR").map(Tree::Folder));
    trees.extend(environment.path("RUNFILES_MANIFEST_FILE").map(Tree::manifest));
    trees
}

fn of_folder(folder: PathBuf) -> [Tree; 2] {
    let manifest = Tree::manifest(folder.join("MANIFEST"));
    [Tree::Folder(folder), manifest]
}

/// Whether a folder is a program's runfiles tree, by its name.
fn is_runfiles(folder: &Path) -> bool {
    folder.extension() == Some(&OsString::from("runfiles"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(file: &str, environment: &Environment) -> Vec<String> {
        let show = |tree: Tree| match tree {
            Tree::Folder(folder) => folder.display().to_string(),
            Tree::Manifest { file, .. } => format!("by {}", file.display()),
        };
        trees(Path::new(file), environment).into_iter().map(show).collect()
    }

    #[test]
    fn a_programs_own_runfiles_count_before_those_it_lies_in_and_those_of_the_environment() {
        let set = [("RUNFILES_DIR", "/other"), ("RUNFILES_MANIFEST_FILE", "/other/MANIFEST")];
        assert_eq!(
            shown("/t.runfiles/_main/u.runfiles/app/push.request.json", &Environment::from(set)),
            [
                "/t.runfiles/_main/u.runfiles/app/push.runfiles",
                "by /t.runfiles/_main/u.runfiles/app/push.runfiles/MANIFEST",
                "by /t.runfiles/_main/u.runfiles/app/push.runfiles_manifest",
                "/t.runfiles/_main/u.runfiles/app/push.exe.runfiles",
                "by /t.runfiles/_main/u.runfiles/app/push.exe.runfiles/MANIFEST",
                "by /t.runfiles/_main/u.runfiles/app/push.exe.runfiles_manifest",
                "/t.runfiles/_main/u.runfiles",
                "by /t.runfiles/_main/u.runfiles/MANIFEST",
                "/other",
                "by /other/MANIFEST",
            ]
        );
        assert_eq!(shown("/a/x.json", &Environment::from([])), Vec::<String>::new());
        let inside = shown("/p.runfiles/x.json", &Environment::from([]));
        assert_eq!(inside, ["/p.runfiles", "by /p.runfiles/MANIFEST"]);
    }

    /// A folder with these files, empty or with this content.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    /// Looks `out/x` up from `out/app/push.request.json`, where runfiles lie below `files`.
    #[track_caller]
    fn check(files: &[(&str, &str)], expected: Option<&str>) {
        let folder = folder(files);
        let request = folder.path().join("out/app/push.request.json");
        let environment = folder.path().join("env");
        let set = [("RUNFILES_DIR", environment.to_str().unwrap())];
        let runfiles = Some(Path::new("files"));
        let places = Places::new(&request, Path::new("../.."), runfiles, &Environment::from(set));
        let found = places.find(Path::new("out/x")).ok();
        let expected = expected.map(|name| fs::canonicalize(folder.path().join(name)).unwrap());
        assert_eq!(found.map(|found| fs::canonicalize(found).unwrap()), expected);
    }

    #[test]
    fn a_path_is_found_in_the_first_place_that_has_it() {
        let request = ("out/app/push.request.json", "");
        let own = ("out/app/push.runfiles/files/out/x", "");
        let beside = ("out/x", "");
        let elsewhere = ("env/files/out/x", "");
        check(&[request], None);
        check(&[request, beside], Some("out/x"));
        check(&[request, beside, elsewhere], Some("env/files/out/x"));
        check(&[request, beside, elsewhere, own], Some("out/app/push.runfiles/files/out/x"));
        // A tree without the file is as good as none.
        let other = ("out/app/push.runfiles/files/out/y", "");
        check(&[request, beside, other], Some("out/x"));
    }

    #[test]
    fn a_manifest_stands_for_links() {
        let there = folder(&[("real", "")]);
        let lines = format!("files/out/x {}\n", there.path().join("real").display());
        for manifest in ["out/app/push.runfiles/MANIFEST", "out/app/push.runfiles_manifest"] {
            let folder = folder(&[("out/app/push.request.json", ""), (manifest, &lines)]);
            let request = folder.path().join("out/app/push.request.json");
            let runfiles = Some(Path::new("files"));
            let places = Places::new(&request, Path::new(""), runfiles, &Environment::from([]));
            assert_eq!(places.find(Path::new("out/x")).unwrap(), there.path().join("real"));
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_link_to_a_request_has_the_files_of_either() {
        let folder = folder(&[
            ("out/app/push.request.json", ""),
            ("out/x", ""),
            ("out/y", ""),
            ("t.runfiles/out/y", ""),
        ]);
        let link = folder.path().join("t.runfiles/app/push.request.json");
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("../../out/app/push.request.json", &link).unwrap();
        let places = Places::new(&link, Path::new("../out"), None, &Environment::from([]));
        let found = |name: &str| fs::canonicalize(places.find(Path::new(name)).unwrap()).unwrap();
        assert!(found("y").ends_with("t.runfiles/out/y"), "{}", found("y").display());
        let places = Places::new(&link, Path::new(".."), None, &Environment::from([]));
        let found = places.find(Path::new("x")).unwrap();
        assert!(fs::canonicalize(found).unwrap().ends_with("out/x"));
    }

    #[test]
    fn what_is_nowhere_is_told_with_all_the_places_and_expected_beside_the_request() {
        let folder = folder(&[("a/request.json", "")]);
        let request = folder.path().join("a/request.json");
        let places = Places::new(&request, Path::new(""), None, &Environment::from([]));
        assert!(places.find(Path::new("x")).unwrap_err().contains(&folder.path().join("a/x")));
        assert_eq!(places.find_or_guess(Path::new("x")), folder.path().join("a/x"));
    }
}
