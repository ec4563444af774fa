//! The registry on a listener: accepting, keeping within bounds, stopping in order.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{Registry, RegistryService};

/// How many connections are open at once; more wait to be accepted.
const CONNECTIONS: usize = 1024;
/// What a connection may hold of what it has read or is about to write. Small, since it is paid
/// once a connection and twice while a body comes in; throughput comes from the buffers behind.
const CONNECTION_BUFFER: usize = 32 * 1024;
/// How long the head of a request may take, and how long a connection may be idle before it.
const HEAD_WITHIN: Duration = Duration::from_secs(60);
/// How often in a row accepting may fail before that is the end.
const ACCEPT_TRIES: u32 = 100;
/// How long to wait after such a failure: as a rule there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn serve(
    registry: Registry,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let (stop, stopping) = watch::channel(());
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let mut failures = 0;
    let result = loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break Ok(()),
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &room) => accepted,
        };
        match accepted {
            Ok((stream, place)) => {
                failures = 0;
                let (service, stopping) = (registry.service(), stopping.clone());
                connections.spawn(async move {
                    let _place = place;
                    connection(stream, service, stopping).await;
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) if failures == ACCEPT_TRIES => break Err(error),
            Err(_) => {
                failures += 1;
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    };
    drop(listener);

    let grace = registry.config().shutdown_grace;
    // Which wakes all that wait for a change.
    drop(stop);
    let all = async { while connections.join_next().await.is_some() {} };
    if timeout(grace, all).await.is_err() {
        connections.shutdown().await;
    }
    // What arrived of uploads that were cut off is still on its way to the disk.
    registry.inner.settle(grace).await;
    result
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> io::Result<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = room.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

async fn connection(
    stream: TcpStream,
    service: RegistryService,
    mut stopping: watch::Receiver<()>,
) {
    // Answers are small and waited for.
    drop(stream.set_nodelay(true));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(CONNECTION_BUFFER)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    // How it ends is the client's business: whatever it was, the client knows.
    tokio::select! {
        result = &mut connection => return drop(result),
        _ = stopping.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    drop(connection.await);
}

/// Failures that say nothing about the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
