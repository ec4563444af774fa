//! The demo's registry: the embedded one, on a free port of this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use windlass_registry::{Config, Registry};

use super::witness::{Seen, Witness};
use crate::problem::Problem;

/// How long what still runs at the end may take.
const GRACE: Duration = Duration::from_secs(1);

/// A registry that runs.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    witness: Witness,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts one with its content in `data`.
    pub(super) async fn start(data: &Path) -> Result<Server, Problem> {
        let witness = Witness::default();
        let mut config = Config::new(data);
        // It lives for seconds: no crash of the machine is to be survived.
        config.sync = false;
        config.shutdown_grace = GRACE;
        config.on_tag = Some(witness.hook());
        let registry = Registry::open(config).await;
        let registry = registry.map_err(|error| Problem::other(error.to_string()))?;
        let listen = async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            Ok((listener.local_addr()?, listener))
        };
        let (address, listener) = listen.await.map_err(|error: std::io::Error| {
            Problem::other(format!("cannot listen on a free port of 127.0.0.1: {error}"))
        })?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            // Whoever talks to it learns that it is gone.
            drop(registry.serve(listener, stopped).await);
        });
        Ok(Server { address, witness, stop, task })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was seen when tags were set.
    pub(super) fn seen(&self) -> Seen {
        self.witness.seen()
    }

    /// Stops it, and waits until it has let go of its folder.
    pub(super) async fn stop(self) {
        drop(self.stop);
        drop(self.task.await);
    }
}
