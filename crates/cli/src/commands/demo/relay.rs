//! A line that breaks: a relay on loopback that resets all its connections once, in the middle of
//! what goes up, and is sound from then on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// How many bytes are relayed at a time.
const PIECE: usize = 64 << 10;

/// How much may wait in the kernel for the way to the target: it is lost when the line breaks, and
/// the less it is, the more of what went through has arrived.
const WAITING: u32 = 64 << 10;

/// How long to wait after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(10);

/// A relay. It ends, and its connections with it, when it is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    address: SocketAddr,
    task: AbortHandle,
    line: Arc<Line>,
}

/// What all connections share.
#[derive(Debug)]
struct Line {
    target: SocketAddr,
    /// How many bytes may go up before the line breaks, none while it does; `None` once it has.
    left: Mutex<Option<u64>>,
    /// Whether it has broken. All connections that see this change are reset.
    broken: watch::Sender<bool>,
}

/// What may go up of what has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Allowed {
    /// So many bytes.
    Bytes(usize),
    /// So many, the last before the line breaks.
    Last(usize),
    /// Nothing any more: the line is about to break.
    Nothing,
}

/// Breaks the line when it is dropped, however the last bytes fare.
struct Breaks<'a>(&'a Line);

impl Relay {
    /// Starts one to `target` that breaks when `bytes` bytes, at least one, have gone up, the heads
    /// of requests among them.
    pub(super) async fn start(target: SocketAddr, bytes: u64) -> io::Result<Relay> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let left = Mutex::new(Some(bytes.max(1)));
        let line = Arc::new(Line { target, left, broken: watch::Sender::new(false) });
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

impl Drop for Breaks<'_> {
    fn drop(&mut self) {
        self.0.break_now();
    }
}

impl Line {
    fn allow(&self, wanted: usize) -> Allowed {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(bytes) = *left else { return Allowed::Bytes(wanted) };
        let allowed = usize::try_from(bytes).unwrap_or(usize::MAX).min(wanted);
        *left = Some(bytes - allowed as u64);
        match (bytes, *left) {
            (0, _) => Allowed::Nothing,
            (_, Some(0)) => Allowed::Last(allowed),
            _ => Allowed::Bytes(allowed),
        }
    }

    fn break_now(&self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.broken.send_replace(true);
    }
}

async fn accept(listener: TcpListener, line: Arc<Line>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => drop(connections.spawn(relay(client, line.clone()))),
                // One that is gone already, or too many: there will be others.
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
        }
    }
}

/// Relays one connection. How it ends is the business of its two ends, who learn of it.
async fn relay(mut client: TcpStream, line: Arc<Line>) {
    let mut broken = line.broken.subscribe();
    let Ok(mut target) = connect(line.target).await else { return };
    drop(client.set_nodelay(true));
    {
        let (from_client, to_client) = client.split();
        let (from_target, to_target) = target.split();
        let both = async {
            tokio::try_join!(up(&line, from_client, to_target), down(from_target, to_client))
        };
        tokio::select! {
            _ = both => return,
            _ = broken.changed() => {}
        }
    }
    // Closed so, a connection is reset: neither end may take it for a good end.
    drop(client.set_zero_linger());
    drop(target.set_zero_linger());
}

async fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_send_buffer_size(WAITING)?;
    socket.set_nodelay(true)?;
    socket.connect(target).await
}

async fn up(line: &Line, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        match line.allow(read) {
            Allowed::Bytes(allowed) => to.write_all(&buffer[..allowed]).await?,
            Allowed::Last(allowed) => {
                let _breaks = Breaks(line);
                return to.write_all(&buffer[..allowed]).await;
            }
            Allowed::Nothing => std::future::pending().await,
        }
    }
}

async fn down(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends everything back.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(bytes).await?;
        let mut answer = vec![0; bytes.len()];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn it_breaks_once_and_all_connections_at_once() {
        let relay = Relay::start(echo().await, 10).await.unwrap();
        let mut one = TcpStream::connect(relay.address()).await.unwrap();
        let mut two = TcpStream::connect(relay.address()).await.unwrap();
        assert_eq!(ask(&mut one, b"12345").await.unwrap(), b"12345");
        assert_eq!(ask(&mut two, b"6789").await.unwrap(), b"6789");
        assert!(!relay.has_broken());
        let error = ask(&mut one, b"0 and more").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let error = two.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(relay.has_broken());

        let mut three = TcpStream::connect(relay.address()).await.unwrap();
        let much = vec![7; 300_000];
        let (mut from, mut to) = three.split();
        let (written, read) = tokio::join!(to.write_all(&much), async {
            let mut answer = vec![0; much.len()];
            from.read_exact(&mut answer).await.map(|_| answer)
        });
        written.unwrap();
        assert_eq!(read.unwrap(), much);
    }

    #[tokio::test]
    async fn what_is_allowed_ends_at_the_break_to_the_byte() {
        let line = Line {
            target: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
            left: Mutex::new(Some(10)),
            broken: watch::Sender::new(false),
        };
        assert_eq!(line.allow(4), Allowed::Bytes(4));
        assert_eq!(line.allow(7), Allowed::Last(6));
        assert_eq!(line.allow(7), Allowed::Nothing);
        line.break_now();
        assert_eq!(line.allow(7), Allowed::Bytes(7));
    }

    #[tokio::test]
    async fn its_end_is_the_end_of_its_connections() {
        let relay = Relay::start(echo().await, 10).await.unwrap();
        let mut stream = TcpStream::connect(relay.address()).await.unwrap();
        assert_eq!(ask(&mut stream, b"1").await.unwrap(), b"1");
        drop(relay);
        assert!(stream.read_u8().await.is_err());
    }
}
