//! Runs commands one after another and says what they took. In a process of its own, which is small:
//! a child's peak of memory begins with that of its parent, and a bench that holds images is large.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use wait4::Wait4 as _;

/// One command, with all of its environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Invocation {
    pub(crate) program: PathBuf,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
}

/// What some commands took together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Time {
    /// From the start of the first to the end of the last, in seconds.
    pub(crate) wall: f64,
    /// In user and in system mode, in seconds.
    pub(crate) cpu: f64,
    /// The most memory that one of them had, in bytes.
    pub(crate) peak: u64,
    /// How one of them failed, after which no other was begun.
    pub(crate) failure: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Order {
    commands: Vec<Invocation>,
    /// Where what they say goes.
    said: PathBuf,
    /// How long one of them may take, in seconds.
    limit: f64,
}

const WORD: &str = "__stopwatch";

/// Whether this process is to be the stopwatch.
pub(crate) fn is_wanted() -> bool {
    std::env::args().nth(1).is_some_and(|word| word == WORD)
}

/// Runs `commands` until one fails or they are all done. What they say goes to the file `said`.
pub(crate) fn run(commands: Vec<Invocation>, said: &Path, limit: Duration) -> Result<Time> {
    let order = Order { commands, said: said.to_owned(), limit: limit.as_secs_f64() };
    let itself = std::env::current_exe().context("where this program lies")?;
    let mut child = Command::new(itself)
        .arg(WORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the stopwatch")?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&serde_json::to_vec(&order)?)?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("the stopwatch ended with {}", output.status);
    }
    let mut time: Time = serde_json::from_slice(&output.stdout).context("the stopwatch's words")?;
    if let Some(failure) = &mut time.failure {
        let said = std::fs::read_to_string(said).unwrap_or_default();
        let line = said.lines().find(|line| line.to_ascii_lowercase().contains("error"));
        if let Some(line) = line.or_else(|| said.lines().rev().find(|line| !line.is_empty())) {
            failure.push_str(": ");
            failure.push_str(line.trim());
        }
    }
    Ok(time)
}

/// Is the stopwatch: takes its order from standard input.
pub(crate) fn serve() -> ExitCode {
    let mut order = String::new();
    let served = io::stdin().read_to_string(&mut order).map_err(anyhow::Error::from);
    let served = served.and_then(|_| measure(&serde_json::from_str(&order)?));
    match served.and_then(|time| Ok(serde_json::to_writer(io::stdout(), &time)?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "stopwatch: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(order: &Order) -> Result<Time> {
    let limit = Duration::from_secs_f64(order.limit);
    let mut time = Time { wall: 0.0, cpu: 0.0, peak: 0, failure: None };
    let start = Instant::now();
    for command in &order.commands {
        let said = File::options().create(true).append(true).open(&order.said)?;
        let child = Command::new(&command.program)
            .args(&command.args)
            .env_clear()
            .envs(command.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()
            .with_context(|| format!("starting {}", command.program.display()))?;
        let (ended, has_ended) = mpsc::channel();
        let pid = Pid::from_child(&child);
        let watch = thread::spawn(move || {
            let is_late = has_ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if is_late {
                let _ = kill_process(pid, Signal::KILL);
            }
            is_late
        });
        let result = child.wait4()?;
        let _ = ended.send(());
        let is_late = watch.join().unwrap_or(false);
        time.wall = start.elapsed().as_secs_f64();
        time.cpu += (result.rusage.utime + result.rusage.stime).as_secs_f64();
        time.peak = time.peak.max(result.rusage.maxrss);
        if !result.status.success() {
            let how = if is_late {
                format!("not at its end after {} s", order.limit)
            } else {
                result.status.to_string()
            };
            time.failure = Some(how);
            break;
        }
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Invocation {
        let args = vec!["-c".to_owned(), script.to_owned()];
        Invocation { program: "/bin/sh".into(), args, env: Vec::new() }
    }

    fn measured(commands: Vec<Invocation>, limit: f64) -> (Time, String) {
        let place = tempfile::tempdir().unwrap();
        let said = place.path().join("said");
        let time = measure(&Order { commands, said: said.clone(), limit }).unwrap();
        (time, std::fs::read_to_string(said).unwrap())
    }

    #[test]
    fn commands_run_one_after_another_until_one_fails() {
        let commands = vec![shell("echo one"), shell("exit 3"), shell("echo three")];
        let (time, said) = measured(commands, 60.0);
        assert_eq!((time.failure.as_deref(), said.as_str()), (Some("exit status: 3"), "one\n"));
        assert!(time.wall > 0.0 && time.peak > 0, "{time:?}");
    }

    #[test]
    fn one_that_does_not_end_is_ended() {
        let (time, _) = measured(vec![shell("exec sleep 1000")], 0.05);
        assert_eq!(time.failure.as_deref(), Some("not at its end after 0.05 s"));
    }

    #[test]
    fn nothing_of_the_environment_comes_through() {
        let (_, said) = measured(vec![shell("env | grep -c CARGO; echo done")], 60.0);
        assert_eq!(said, "0\ndone\n");
    }
}
