//! A line that breaks: a relay on loopback that resets all its connections once, in the middle of
//! what goes up, and is sound from then on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// How many bytes are relayed at a time.
const PIECE: usize = 64 << 10;

/// How much the relay's kernel may hold back on its way up: that is lost when the line breaks, and
/// the less it is the more of what went through has arrived.
const UNDER_WAY: u32 = 64 << 10;

/// A relay; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    task: AbortHandle,
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    target: SocketAddr,
    state: Mutex<State>,
    /// Whether the line has broken; what is open then is reset.
    broken: watch::Sender<bool>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    /// How many bytes may still go up before the line breaks; `None` once it has.
    left: Option<u64>,
}

impl Relay {
    /// Starts one to `target` that breaks after `bytes` bytes have gone up, the heads of requests
    /// among them.
    pub(super) async fn start(target: SocketAddr, bytes: u64) -> io::Result<Relay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Mutex::new(State { left: Some(bytes) });
        let line = Arc::new(Line { target, state, broken: watch::Sender::new(false) });
        let task = tokio::spawn(accept(listener, line.clone())).abort_handle();
        Ok(Relay { address, task, line })
    }

    /// Where to connect to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it has broken.
    pub(super) fn has_broken(&self) -> bool {
        *self.line.broken.borrow()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Takes connections until it is aborted, and all of them with it.
async fn accept(listener: TcpListener, line: Arc<Line>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(relay(client, line.clone()));
                }
                // One that is gone already, or no file descriptors: there will be others.
                Err(_) => tokio::task::yield_now().await,
            },
        }
    }
}

/// How one connection goes is its two ends' business: whatever happens, they learn of it.
async fn relay(client: TcpStream, line: Arc<Line>) {
    let mut broken = line.broken.subscribe();
    let Ok(target) = connect(line.target).await else { return };
    let _ = client.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_target, to_target) = target.into_split();
    let is_reset = {
        let up = up(from_client, to_target, &line);
        tokio::select! {
            _ = broken.changed() => true,
            ((from_client, to_target), (from_target, to_client)) =
                async { tokio::join!(up, down(from_target, to_client)) } => return,
        }
    };
}
