//! Flags that request files bring: what they may be, and how they go before what was typed.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};

use super::{Cli, Command, PushArgs};

/// The subcommand that they are flags of.
const PUSH: &str = "push";

/// Whether these are flags of `windlass push`, and no image or request; an error in words where
/// they are not.
pub(crate) fn check_flags(flags: &[String]) -> Result<(), String> {
    let words = ["windlass", PUSH, "--request", "-"].into_iter();
    let parsed = Cli::try_parse_from(words.chain(flags.iter().map(String::as_str)));
    let problem = match parsed.map(|cli| cli.command) {
        Ok(Command::Push(args)) => match *args {
            PushArgs { image: Some(image), .. } => format!("{image:?} is no flag"),
            PushArgs { requests, .. } if requests.len() > 1 => {
                "--request cannot be one of them".to_owned()
            }
            _ => return Ok(()),
        },
        Ok(_) => "they are not those of windlass push".to_owned(),
        Err(said) if !said.use_stderr() => "help cannot be one of them".to_owned(),
        Err(said) => in_short(&said),
    };
    Err(format!("its flags are not right: {problem}"))
}

/// What was typed, with `flags` before it: a typed flag that is given once takes the place of one
/// of those, and one that may be given several times is added to them.
pub(crate) fn parse_with_flags(typed: &[OsString], flags: &[String]) -> Result<Cli, clap::Error> {
    // Typed both are a mistake; typed against a flag, the later counts.
    let either = |push: clap::Command| {
        push.mut_arg("quiet", |quiet| quiet.overrides_with("verbose"))
            .mut_arg("verbose", |verbose| verbose.overrides_with("quiet"))
    };
    let mut command = Cli::command().args_override_self(true).mut_subcommand(PUSH, either);
    let words = with_flags(typed, flags);
    let parsed = command.try_get_matches_from_mut(words);
    parsed
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|said| said.format(&mut command))
}

/// What was typed before the subcommand may be typed after it too, and counts more than the flags.
fn with_flags(typed: &[OsString], flags: &[String]) -> Vec<OsString> {
    let is_push = |word: &OsString| word == PUSH;
    let place = typed.iter().position(is_push).unwrap_or(typed.len());
    let (before, after) = typed.split_at(place);
    let (program, before) = before.split_at(before.len().min(1));
    let flags = flags.iter().map(OsString::from);
    let words = program.iter().cloned().chain([OsString::from(PUSH)]).chain(flags);
    words.chain(before.iter().chain(after.iter().skip(1)).cloned()).collect()
}

/// What clap says, without how the command is used.
fn in_short(said: &clap::Error) -> String {
    let whole = said.to_string();
    let lines = whole.lines().take_while(|line| !line.is_empty());
    let what: Vec<_> = lines.map(|line| line.trim_start_matches("error:").trim()).collect();
    let what = what.join(" ");
    match said.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(meant)) => format!("{what}; a similar one is {meant}"),
        _ => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Form, TagPolicyArg, When};

    #[test]
    fn flags_are_checked_without_what_will_be_typed() {
        #[track_caller]
        fn check(flags: &[&str], expected: Result<(), &str>) {
            let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
            match (check_flags(&flags), expected) {
                (Ok(()), Ok(())) => {}
                (Err(problem), Err(words)) => assert!(problem.contains(words), "{problem}"),
                (checked, expected) => panic!("{checked:?}, not {expected:?}"),
            }
        }
        check(&[], Ok(()));
        check(&["--tag-policy", "create", "-v", "--color=never"], Ok(()));
        check(
            &["--tag-polcy", "create"],
            Err("'--tag-polcy' found; a similar one is --tag-policy"),
        );
        check(&["--tag-policy", "never"], Err("invalid value 'never' for '--tag-policy <POLICY>'"));
        check(&["--tag-policy"], Err("--tag-policy <POLICY>"));
        check(&["--dry-run", "image"], Err("\"image\" is no flag"));
        check(&["image", "a.io/x"], Err("\"image\" is no flag"));
        check(&["--request", "x"], Err("--request cannot be one of them"));
        check(&["--help"], Err("help cannot be one of them"));
        check(&["--cert", "x"], Err("--key"));
    }

    fn parsed(typed: &[&str], flags: &[&str]) -> Result<Cli, clap::Error> {
        let typed: Vec<_> = ["windlass"].iter().chain(typed).map(OsString::from).collect();
        let flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        parse_with_flags(&typed, &flags)
    }

    #[test]
    fn what_is_typed_counts_more_than_flags() {
        let typed = [
            "--color",
            "never",
            PUSH,
            "--request",
            "x",
            "--tag-policy",
            "move",
            "--output",
            "json",
            "-t",
            "v2",
            "--dry-run",
            "--jobs",
            "3",
        ];
        let flags = [
            "--color",
            "always",
            "--tag-policy",
            "create",
            "--output=text",
            "-t",
            "v1",
            "--dry-run",
            "--jobs=2",
            "--jobs=1",
            "--receipt",
            "r.json",
        ];
        let Cli { common, command } = parsed(&typed, &flags).unwrap();
        let Command::Push(args) = command else { panic!("that is no push") };
        assert_eq!(common.color, When::Never);
        assert_eq!((args.tag_policy, args.form.output), (TagPolicyArg::Move, Form::Json));
        assert_eq!(args.tags, ["v1".parse().unwrap(), "v2".parse().unwrap()]);
        assert_eq!((args.dry_run, args.jobs), (true, Some(3)));
        assert_eq!(args.receipt.as_deref(), Some(std::path::Path::new("r.json")));
    }

    #[test]
    fn flags_stand_where_nothing_is_typed() {
        let Cli { common, command } =
            parsed(&[PUSH, "--request", "x"], &["--color", "always", "-v"]).unwrap();
        let Command::Push(args) = command else { panic!("that is no push") };
        assert_eq!((common.color, args.verbosity.verbose), (When::Always, 1));
    }

    #[test]
    fn a_loud_word_that_is_typed_counts_more_than_a_quiet_flag() {
        let check = |typed: &str, flag: &str, expected: (bool, u8)| {
            let cli = parsed(&[PUSH, "--request", "x", typed], &[flag]);
            let Command::Push(args) = cli.unwrap().command else { panic!("that is no push") };
            assert_eq!((args.verbosity.quiet, args.verbosity.verbose), expected);
        };
        check("-v", "--quiet", (false, 1));
        check("--quiet", "-vv", (true, 0));
    }
}
