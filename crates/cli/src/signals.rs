//! SIGINT and SIGTERM, on Windows Ctrl-C: the first asks the command to end well, the second ends
//! the process at once.

use tokio::sync::watch;
use windlass_push::Interrupt;

use crate::exit_code::Exit;

/// Waits for the process to be told to stop. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<Option<Interrupt>>);

impl Stop {
    /// Listens from now on. Call it within a runtime.
    ///
    /// Where the system does not let a process listen, it ends as processes do.
    pub(crate) fn listen() -> Stop {
        let (told, stop) = watch::channel(None);
        if let Ok(mut signals) = Signals::new() {
            tokio::spawn(async move {
                let first = signals.next().await;
                told.send_replace(Some(first));
                let second = signals.next().await;
                std::process::exit(Exit::from(second) as i32);
            });
        }
        Stop(stop)
    }

    /// Is done when the process was told to stop.
    pub(crate) async fn wait(mut self) -> Interrupt {
        let told = match self.0.wait_for(Option::is_some).await {
            Ok(told) => *told,
            Err(_) => None,
        };
        match told {
            Some(interrupt) => interrupt,
            // Nobody listens, so nobody will tell.
            None => std::future::pending().await,
        }
    }
}

impl From<Interrupt> for Exit {
    fn from(interrupt: Interrupt) -> Exit {
        match interrupt {
            Interrupt::Interrupt => Exit::Interrupted,
            Interrupt::Terminate => Exit::Terminated,
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Interrupt {
        tokio::select! {
            _ = self.interrupt.recv() => Interrupt::Interrupt,
            _ = self.terminate.recv() => Interrupt::Terminate,
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

    async fn next(&mut self) -> Interrupt {
        self.0.recv().await;
        Interrupt::Interrupt
    }
}
