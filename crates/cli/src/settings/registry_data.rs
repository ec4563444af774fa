//! Where the embedded registry keeps its content if nobody says where.

use std::path::PathBuf;

use super::Environment;
use super::system::System;
use crate::problem::Problem;

/// The default folder.
pub(crate) fn registry_data(environment: &Environment) -> Result<PathBuf, Problem> {
    let of_programs = data_home(System::THIS, environment).ok_or_else(|| {
        Problem::usage("there is no home folder to keep the registry's content in")
            .hint("say where: --data FOLDER")
    })?;
    Ok(of_programs.join("windlass").join("registry"))
}

fn data_home(system: System, environment: &Environment) -> Option<PathBuf> {
    let absolute = |name| system.absolute(environment, name);
    match system {
        System::Xdg => {
            absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))
        }
        System::MacOs => Some(absolute("HOME")?.join("Library/Application Support")),
        System::Windows => absolute("LOCALAPPDATA"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<const N: usize>(system: System, set: [(&str, &str); N], expected: Option<&str>) {
        let found = data_home(system, &Environment::from(set));
        assert_eq!(found, expected.map(PathBuf::from), "{set:?}");
    }

    #[test]
    fn every_system_has_its_place() {
        let home = ("HOME", "/home/me");
        check(System::Xdg, [home], Some("/home/me/.local/share"));
        check(System::Xdg, [("XDG_DATA_HOME", "/data"), home], Some("/data"));
        check(System::Xdg, [("XDG_DATA_HOME", "/data")], Some("/data"));
        check(System::Xdg, [("XDG_DATA_HOME", ""), home], Some("/home/me/.local/share"));
        check(System::Xdg, [], None);
        check(System::Xdg, [("HOME", "")], None);
        check(
            System::MacOs,
            [("HOME", "/Users/me")],
            Some("/Users/me/Library/Application Support"),
        );
        check(System::MacOs, [], None);
        check(System::Windows, [("LOCALAPPDATA", "/x")], Some("/x"));
        check(System::Windows, [home], None);
    }

    #[test]
    #[cfg(not(any(windows, target_os = "macos")))]
    fn a_relative_path_is_no_place() {
        let home = ("HOME", "/home/me");
        check(System::Xdg, [("XDG_DATA_HOME", "data"), home], Some("/home/me/.local/share"));
        check(System::Xdg, [("HOME", "me")], None);
    }
}
