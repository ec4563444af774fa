//! SIGINT, SIGTERM and SIGHUP, on Windows Ctrl-C: the first asks the command to end well, the second
//! ends the process at once.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use windlass_push::Interrupt;

use crate::exit_code::Exit;
use crate::problem::Problem;

/// Waits for the process to be told to stop. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    told: watch::Receiver<Option<Told>>,
    drafts: Arc<Mutex<Vec<PathBuf>>>,
}

/// What told the process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Interrupt,
    Terminate,
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has it"))]
    HangUp,
}

impl Stop {
    /// Listens from now on. Call it within a runtime.
    ///
    /// Where the system does not let a process listen, it ends as processes do.
    pub(crate) fn listen() -> Stop {
        let (told, stop) = watch::channel(None);
        let drafts = Arc::<Mutex<Vec<PathBuf>>>::default();
        let to_remove = drafts.clone();
        if let Ok(mut signals) = Signals::new() {
            tokio::spawn(async move {
                let first = signals.next().await;
                told.send_replace(Some(first));
                let second = signals.next().await;
                // Nothing is dropped any more.
                for draft in to_remove.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                    let _ = fs::remove_file(draft);
                }
                std::process::exit(Exit::from(second) as i32);
            });
        }
        Stop { told: stop, drafts }
    }

    /// A file that is removed before a second signal ends the process.
    pub(crate) fn remove_at_second(&self, draft: PathBuf) {
        self.drafts.lock().unwrap_or_else(PoisonError::into_inner).push(draft);
    }

    /// The exit code where this may have been why a command ended with `exit`: SIGHUP has its own.
    pub(crate) fn exit(&self, exit: Exit) -> Exit {
        match (exit, *self.told.borrow()) {
            (Exit::Terminated, Some(told)) => told.into(),
            _ => exit,
        }
    }

    /// The same for a problem.
    pub(crate) fn names_exit(&self, problem: Problem) -> Problem {
        Problem { exit: self.exit(problem.exit), ..problem }
    }

    /// Is done when the process was told to stop.
    pub(crate) async fn wait(mut self) -> Interrupt {
        let told = match self.told.wait_for(Option::is_some).await {
            Ok(told) => *told,
            Err(_) => None,
        };
        match told {
            Some(Told::Interrupt) => Interrupt::Interrupt,
            // To a push it is the same: end well, and tell.
            Some(Told::Terminate | Told::HangUp) => Interrupt::Terminate,
            // Nobody listens, so nobody will tell.
            None => std::future::pending().await,
        }
    }
}

impl From<Told> for Exit {
    fn from(told: Told) -> Exit {
        match told {
            Told::Interrupt => Exit::Interrupted,
            Told::Terminate => Exit::Terminated,
            Told::HangUp => Exit::HungUp,
        }
    }
}

/// Whether SIGHUP ends this process. To listen for it would undo what `nohup` did, and whether it
/// did is told by Linux alone.
#[cfg(unix)]
fn hang_up_counts(status: &str) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The lowest bit is signal 1.
    ignored.is_some_and(|mask| mask & 1 == 0)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        let hang_up = fs::read_to_string("/proc/self/status").is_ok_and(|s| hang_up_counts(&s));
        Ok(Signals {
            hang_up: hang_up.then(|| signal(SignalKind::hangup())).transpose()?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Told {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Told::Interrupt,
            _ = self.terminate.recv() => Told::Terminate,
            _ = hang_up => Told::HangUp,
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> std::io::Result<Signals> {
        tokio::signal::windows::ctrl_c().map(Signals)
    }

    async fn next(&mut self) -> Told {
        self.0.recv().await;
        Told::Interrupt
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_hang_up_that_is_ignored_stays_so() {
        let check = |status: &str, expected: bool| assert_eq!(hang_up_counts(status), expected);
        check("Name:\tx\nSigIgn:\t0000000000000000\n", true);
        check("SigIgn:\t0000000000001000\n", true);
        check("SigIgn:\t0000000000001001\n", false);
        check("SigIgn:\tx\n", false);
        check("", false);
    }
}
