//! A port that can be closed and opened again.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Whether a server takes connections.
#[derive(Debug)]
pub(crate) struct Door {
    address: SocketAddr,
    /// What is wanted, and what is.
    wanted: watch::Sender<bool>,
    actual: watch::Sender<bool>,
}

/// Listens; to be turned into a listener of tokio's by [`Door::keep`].
pub(crate) fn bind(address: SocketAddr) -> std::net::TcpListener {
    let listener = std::net::TcpListener::bind(address);
    let listener = listener.unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
    listener.set_nonblocking(true).expect("a socket can be non-blocking");
    listener
}

/// Waits until the other side has closed or reset the connection, without reading from it.
pub(crate) async fn hung_up(stream: &TcpStream) {
    loop {
        match stream.ready(Interest::READABLE).await {
            Ok(ready) if !ready.is_read_closed() => {}
            _ => return,
        }
        // There are bytes to read, so that it is ready all the time.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

impl Door {
    /// The door at an address that is listened on already.
    pub(crate) fn new(address: SocketAddr) -> Door {
        Door { address, wanted: watch::Sender::new(true), actual: watch::Sender::new(true) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands every connection to `take`, as long as the door is open; for ever.
    pub(crate) async fn keep(&self, listener: std::net::TcpListener, take: impl Fn(TcpStream)) {
        let mut wanted = self.wanted.subscribe();
        let mut listener = Some(listener);
        loop {
            let std_listener = match listener.take() {
                Some(listener) => listener,
                None => self.bind_again().await,
            };
            let open = TcpListener::from_std(std_listener).expect("a listener");
            self.actual.send_replace(true);
            loop {
                let accepted = tokio::select! {
                    biased;
                    () = async { drop(wanted.wait_for(|wanted| !wanted).await) } => break,
                    accepted = open.accept() => accepted,
                };
                match accepted {
                    Ok((stream, _)) => take(stream),
                    // Out of file descriptors, mostly: some may be free in a moment.
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
            drop(open);
            self.actual.send_replace(false);
            let _ = wanted.wait_for(|wanted| *wanted).await;
        }
    }

    /// Closes it; done when the port refuses.
    pub(crate) async fn close(&self) {
        self.wanted.send_replace(false);
        let _ = self.actual.subscribe().wait_for(|actual| !actual).await;
    }

    /// Opens it; done when the port takes connections.
    pub(crate) async fn open(&self) {
        self.wanted.send_replace(true);
        let _ = self.actual.subscribe().wait_for(|actual| *actual).await;
    }

    /// Somebody else may have got the port as the near end of a connection: those go soon.
    async fn bind_again(&self) -> std::net::TcpListener {
        for _ in 0..200 {
            if let Ok(listener) = std::net::TcpListener::bind(self.address) {
                listener.set_nonblocking(true).expect("a socket can be non-blocking");
                return listener;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bind(self.address)
    }
}
