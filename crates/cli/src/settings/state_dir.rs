//! Where pushes leave what lets the next one go on.

use std::path::PathBuf;
use std::sync::Arc;

use windlass_push::Journal;

use super::Environment;
use super::system::System;
use crate::args::PushArgs;
use crate::output::Output;

/// The journal of pushes. Nothing that is wrong with it is worth more than a line for those who look
/// for reasons.
pub(super) fn journal(args: &PushArgs, environment: &Environment, output: &Output) -> Journal {
    if args.no_resume {
        return Journal::none();
    }
    let given = args.state_dir.clone().or_else(|| environment.path("WINDLASS_STATE_DIR"));
    let Some(folder) = given.or_else(|| usual(System::THIS, environment)) else {
        return Journal::none();
    };
    let output = output.clone();
    Journal::new(
        folder,
        Arc::new(move |trouble| {
            output.detail(&format!("warning: {trouble}; the push goes on without it"));
        }),
    )
}

/// The usual folder, where there is a home to put it into.
fn usual(system: System, environment: &Environment) -> Option<PathBuf> {
    let set = |name| system.absolute(environment, name);
    // Accounts of services have homes that are not there, and should not come to be.
    let home = || set("HOME").filter(|home| home.is_dir());
    let of_programs = match system {
        System::Xdg => set("XDG_STATE_HOME").or_else(|| Some(home()?.join(".local/state"))),
        System::MacOs => Some(home()?.join("Library/Application Support")),
        System::Windows => set("LOCALAPPDATA"),
    };
    Some(of_programs?.join("windlass"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<const N: usize>(system: System, set: [(&str, &str); N], expected: Option<&str>) {
        let found = usual(system, &Environment::from(set));
        assert_eq!(found, expected.map(PathBuf::from), "{set:?}");
    }

    #[test]
    fn every_system_has_its_place() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().to_str().unwrap();
        let set = ("HOME", path);
        check(System::Xdg, [set], Some(&format!("{path}/.local/state/windlass")));
        check(System::Xdg, [("XDG_STATE_HOME", "/state"), set], Some("/state/windlass"));
        check(System::Xdg, [("XDG_STATE_HOME", "/state")], Some("/state/windlass"));
        check(System::MacOs, [set], Some(&format!("{path}/Library/Application Support/windlass")));
        check(System::Windows, [("LOCALAPPDATA", "/x")], Some("/x/windlass"));
    }

    #[test]
    fn without_a_home_there_is_none() {
        check(System::Xdg, [], None);
        check(System::Xdg, [("HOME", "")], None);
        check(System::Xdg, [("HOME", "/none/such")], None);
        check(System::MacOs, [], None);
        check(System::MacOs, [("HOME", "/none/such")], None);
        check(System::Windows, [("HOME", "/home/me")], None);
    }
}
