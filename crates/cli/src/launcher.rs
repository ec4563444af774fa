//! A launcher: `windlass` under the name of a target, with that target's request file beside it.
//!
//! Bazel makes a link `push` to this program and writes `push.request.json` beside the link. Started
//! by that name, the program pushes what the file says; it needs no script around it. The name that
//! it was started by is all that tells, since the program itself lies somewhere else.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf, absolute};

use crate::request::{RUNFILES, SUFFIX};
use crate::settings::Environment;

/// So many links are followed from a name.
const MOST_LINKS: usize = 40;

/// What was typed, the program's name first; where the program was started as a launcher, what it
/// stands for. A program that was started by `bazel run` goes to where its user stands, so that
/// paths mean there what they mean to the user.
pub(crate) fn unfold(typed: Vec<OsString>, environment: &Environment) -> Vec<OsString> {
    let name = typed.first();
    let request = name.and_then(|name| request_of(name, environment));
    if let Some(folder) = name.and_then(|name| leave_runfiles(name, environment)) {
        // Where the user's folder is gone, there is none that paths could begin at.
        let _ = env::set_current_dir(folder);
    }
    let Some(request) = request else { return typed };
    let windlass = ["windlass", "push", "--request"].map(OsString::from);
    windlass.into_iter().chain([request.into()]).chain(typed.into_iter().skip(1)).collect()
}

/// The request file, by its absolute path, of the launcher that was started by `name`.
fn request_of(name: &OsStr, environment: &Environment) -> Option<PathBuf> {
    let mut program = absolute(find_program(Path::new(name), environment)?).ok()?;
    for _ in 0..=MOST_LINKS {
        let mut places = beside(&program, cfg!(windows)).into_iter();
        // A link that leads nowhere is told when it is read.
        if let Some(request) = places.find(|place| fs::symlink_metadata(place).is_ok()) {
            return Some(request);
        }
        let target = fs::read_link(&program).ok()?;
        program = program.parent()?.join(target);
    }
    None
}

/// Where the request file of a program may be.
fn beside(program: &Path, on_windows: bool) -> Vec<PathBuf> {
    let with_suffix = |program: &Path| {
        let mut place = program.as_os_str().to_owned();
        place.push(SUFFIX);
        PathBuf::from(place)
    };
    let is_exe = |extension: &OsStr| extension.eq_ignore_ascii_case("exe");
    match program.extension() {
        Some(extension) if on_windows && is_exe(extension) => {
            vec![with_suffix(program), with_suffix(&program.with_extension(""))]
        }
        _ => vec![with_suffix(program)],
    }
}

/// The program that was started by `name`: what has no folder in it was looked for on the path.
fn find_program(name: &Path, environment: &Environment) -> Option<PathBuf> {
    if name.components().count() > 1 || name.is_absolute() {
        return Some(name.to_owned());
    }
    let path = environment.path("PATH")?;
    let programs = env::split_paths(&path).map(|folder| folder.join(name));
    programs.into_iter().find_map(|program| {
        let exe = cfg!(windows).then(|| program.with_extension("exe"));
        [Some(program), exe].into_iter().flatten().find(|program| can_be_started(program))
    })
}

#[cfg(unix)]
fn can_be_started(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(program)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn can_be_started(program: &Path) -> bool {
    program.is_file()
}

/// Where the user of `bazel run` stands, if that has put the process into the runfiles of the program
/// that was started by `name`. In those of another, a script around it say, it is the script's choice.
fn leave_runfiles(name: &OsStr, environment: &Environment) -> Option<PathBuf> {
    let folder =
        environment.path("BUILD_WORKING_DIRECTORY").filter(|folder| folder.is_absolute())?;
    let mut runfiles = absolute(find_program(Path::new(name), environment)?).ok()?.into_os_string();
    runfiles.push(RUNFILES);
    let working = env::current_dir().and_then(fs::canonicalize).ok()?;
    working.starts_with(fs::canonicalize(runfiles).ok()?).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_lies_beside_its_launcher() {
        let check = |program: &str, on_windows: bool, expected: &[&str]| {
            let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(beside(Path::new(program), on_windows), expected, "{program}");
        };
        check("/a/push", false, &["/a/push.request.json"]);
        check("/a/push.exe", false, &["/a/push.exe.request.json"]);
        check("/a/push", true, &["/a/push.request.json"]);
        check("/a/push.EXE", true, &["/a/push.EXE.request.json", "/a/push.request.json"]);
        check("/a/v1.2", true, &["/a/v1.2.request.json"]);
    }

    #[cfg(unix)]
    mod on_disk {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        use super::*;

        /// A folder with programs `a/…` and links, and a request beside some of them.
        fn folder() -> tempfile::TempDir {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            for name in ["a", "b", "c", "d"] {
                fs::create_dir(at(name)).unwrap();
            }
            for name in ["a/windlass", "d/push"] {
                fs::write(at(name), "").unwrap();
            }
            fs::set_permissions(at("a/windlass"), fs::Permissions::from_mode(0o755)).unwrap();
            symlink("../a/windlass", at("b/push")).unwrap();
            symlink("../b/push", at("c/other")).unwrap();
            symlink("again", at("c/again")).unwrap();
            fs::write(at("b/push.request.json"), "").unwrap();
            folder
        }

        #[track_caller]
        fn check(name: &str, path: &[&str], expected: Option<&str>) {
            let folder = folder();
            let at = |name: &str| folder.path().join(name);
            let path = env::join_paths(path.iter().map(|name| at(name))).unwrap();
            let set = [("PATH", path.to_str().unwrap())];
            let name = if name.contains('/') { at(name).into_os_string() } else { name.into() };
            let found = request_of(&name, &Environment::from(set));
            let expected = expected.map(|name| fs::canonicalize(at(name)).unwrap());
            assert_eq!(found.map(|found| fs::canonicalize(found).unwrap()), expected);
        }

        #[test]
        fn the_name_that_it_was_started_by_tells_the_launcher() {
            let request = Some("b/push.request.json");
            check("b/push", &[], request);
            check("c/../b/push", &[], request);
            check("a/windlass", &[], None);
            check("c/other", &[], request);
            check("c/again", &[], None);
            check("c/none", &[], None);
        }

        #[test]
        fn a_bare_name_is_looked_for_on_the_path() {
            let request = Some("b/push.request.json");
            check("push", &["a", "b"], request);
            check("other", &["c"], request);
            check("push", &[], None);
            check("push", &["a"], None);
            check("windlass", &["a"], None);
            // What cannot be started was not.
            check("push", &["d", "b"], request);
        }
    }
}
