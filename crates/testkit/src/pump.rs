//! One direction of a connection over a [`Link`](crate::Link): bytes go in at any speed, and come
//! out in their order, each after its delay.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::link::{Broken, Line, LinkOptions};

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the client to the target.
    Up,
    /// From the target to the client.
    Down,
}

/// What is under way.
enum Item {
    Data(Bytes),
    /// The sender has closed its side.
    Close,
    /// The sender has reset the connection.
    Reset,
}

/// How many bytes may be under way where the rate is unlimited: more than a fast loopback moves in
/// 20 ms.
const MOST_UNDER_WAY: usize = 64 << 20;

/// How much earlier than needed it is woken. Waking takes about so long, and now and then less.
const LEAD: Duration = Duration::from_micros(300);

/// How many bytes are read at a time, where the rate is unlimited.
const PIECE: usize = 256 * 1024;

/// Forwards until the sender closes; an error where the connection is to be reset.
pub(crate) async fn run(
    line: &Line,
    direction: Direction,
    from: &Arc<TcpStream>,
    to: &Arc<TcpStream>,
) -> Result<(), Broken> {
    let shared = &line.shared;
    let half = shared.options.round_trip / 2;
    let (piece, most_under_way) = sizes(&shared.options);
    let mut buffer = vec![0; piece];
    let mut all_stalled = shared.stalled.subscribe();
    let mut stalled = line.stalled.subscribe();
    let mut under_way: VecDeque<(Instant, Item)> = VecDeque::new();
    let mut bytes_under_way = 0;
    let mut sender_is_done = false;
    let mut last_passed = line.open;
    let mut alarm: Option<oneshot::Receiver<()>> = None;
    loop {
        let now = Instant::now();
        if let Some((due, _)) = under_way.front()
            && *due <= now + LEAD
            && let Some((due, item)) = under_way.pop_front()
        {
            alarm = None;
            while Instant::now() < due {
                tokio::task::yield_now().await;
            }
            let _ = all_stalled.wait_for(|stalled| !stalled).await;
            let _ = stalled.wait_for(|stalled| !stalled).await;
            match item {
                Item::Data(bytes) => {
                    bytes_under_way -= bytes.len();
                    match direction {
                        Direction::Up => hand_on(line, from, to, &bytes).await?,
                        Direction::Down => deliver(line, from, to, &bytes).await?,
                    }
                }
                Item::Close => {
                    if direction == Direction::Down {
                        line.closed();
                    }
                    let _ = SockRef::from(&**to).shutdown(std::net::Shutdown::Write);
                    return Ok(());
                }
                Item::Reset => return Err(Broken),
            }
            continue;
        }
        if alarm.is_none() {
            alarm = under_way.front().map(|(due, _)| shared.pacer.alarm(*due - LEAD));
        }
        let may_read = !sender_is_done && bytes_under_way < most_under_way;
        tokio::select! {
            biased;
            _ = wait(&mut alarm) => alarm = None,
            read = read(from, &mut buffer), if may_read => {
                let now = Instant::now();
                let item = match read {
                    Ok(bytes) if bytes.is_empty() => Item::Close,
                    Ok(bytes) => Item::Data(bytes),
                    Err(_) => Item::Reset,
                };
                sender_is_done = !matches!(item, Item::Data(_));
                let mut passed = now.max(line.open);
                if let Item::Data(bytes) = &item {
                    if direction == Direction::Up {
                        line.sent(bytes, now);
                    }
                    bytes_under_way += bytes.len();
                    passed = line.pass(direction, bytes.len(), passed);
                }
                // Nothing overtakes what was taken before it.
                passed = passed.max(last_passed);
                last_passed = passed;
                under_way.push_back((passed + half, item));
            }
        }
    }
}

async fn wait(alarm: &mut Option<oneshot::Receiver<()>>) {
    match alarm {
        Some(alarm) => drop(alarm.await),
        None => std::future::pending().await,
    }
}

impl Line {
    /// When so many bytes have passed that come to the way at `now`: it is shared by all connections,
    /// and free when the piece before has passed.
    fn pass(&self, direction: Direction, bytes: usize, now: Instant) -> Instant {
        let Some(rate) = self.shared.options.rate else { return now };
        let time = Duration::from_nanos(bytes as u64 * 1_000_000_000 / rate.max(1));
        let mut free_at = self.shared.free_at[direction as usize].lock().unwrap();
        *free_at = now.max(*free_at) + time;
        *free_at
    }
}

/// How many bytes are read at a time, and how many may be under way.
fn sizes(options: &LinkOptions) -> (usize, usize) {
    match options.rate {
        None => (PIECE, MOST_UNDER_WAY),
        Some(rate) => {
            let rate = usize::try_from(rate).unwrap_or(usize::MAX);
            let piece = (rate / 500).clamp(1_500, PIECE);
            let millis = usize::try_from(options.round_trip.as_millis()).unwrap_or(usize::MAX);
            (piece, (rate / 1000).saturating_mul(millis).min(MOST_UNDER_WAY) + 4 * piece)
        }
    }
}

async fn hand_on(
    line: &Line,
    from: &TcpStream,
    to: &TcpStream,
    bytes: &[u8],
) -> Result<(), Broken> {
    let mut left = bytes;
    loop {
        let (allowed, fault) = line.may_send(left.len() as u64);
        let (now, later) = left.split_at(usize::try_from(allowed).unwrap_or(left.len()));
        if write(to, now, |bytes| line.handed_on(bytes)).await.is_err() {
            // A target that takes no more may have an answer for the client; it goes first.
            tokio::time::sleep(line.shared.options.round_trip + PATIENCE).await;
            return Err(Broken);
        }
        match fault {
            Some(action) => return Err(line.suffer(action, from).await),
            None if later.is_empty() => return Ok(()),
            None => left = later,
        }
    }
}

/// How long an answer of a target that has broken off may take to the client, beyond the delay.
const PATIENCE: Duration = Duration::from_millis(20);

async fn deliver(
    line: &Line,
    from: &TcpStream,
    to: &TcpStream,
    bytes: &[u8],
) -> Result<(), Broken> {
    if let Err(action) = line.may_answer() {
        return Err(line.suffer(action, from).await);
    }
    // Noted before, for the client is quick and its next request must not be seen first.
    line.delivered(bytes);
    write(to, bytes, |_| ()).await.map_err(|_| Broken)
}

/// The bytes that are there, none at the end. What is given takes no more memory than it has bytes,
/// for many small ones may be under way.
async fn read(from: &TcpStream, buffer: &mut [u8]) -> io::Result<Bytes> {
    loop {
        from.readable().await?;
        match from.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read.map(|count| Bytes::copy_from_slice(&buffer[..count])),
        }
    }
}

async fn write(to: &TcpStream, mut bytes: &[u8], written: impl Fn(u64)) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(count) => {
                written(count as u64);
                bytes = &bytes[count..];
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
