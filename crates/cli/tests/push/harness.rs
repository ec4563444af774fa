//! Runs the command with nothing of this machine's settings, and keeps what it said.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What came of a run.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The command under test.
pub(crate) fn windlass() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command.env_clear().stdin(Stdio::null());
    // A home that is not there: no credentials, no certificates.
    command.env("HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("nobody"));
    command
}

/// `windlass push` with these arguments.
pub(crate) fn push<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    run(windlass().arg("push").args(arguments))
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Run {
    command.output().unwrap().into()
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// Checks how it ended.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Run {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        self
    }

    /// Checks that standard error has this in it.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Run {
        assert!(self.stderr.contains(words), "no {words:?} in: {}", self.stderr);
        self
    }

    /// Checks that neither output has this in it.
    #[track_caller]
    pub(crate) fn never_says(self, words: &str) -> Run {
        let all = format!("{}{}", self.stdout, self.stderr);
        assert!(!all.contains(words), "{words:?} in: {all}");
        self
    }

    /// Standard output as JSON, one document a line.
    #[track_caller]
    pub(crate) fn documents(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
