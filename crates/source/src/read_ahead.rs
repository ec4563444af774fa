//! Reads what blocks in a thread of its own, a few pieces ahead of who consumes them.
//!
//! Reading in the thread that drives the network, or in small pieces, costs several times the
//! throughput. So one blocking task reads forward in pieces of [`PIECE`] bytes and hands them over
//! through a bounded channel. Its buffers come back when their last user drops them and are filled
//! again: a fresh one for every piece would halve the speed where the allocator returns its pages
//! to the system (musl).

use std::io::{self, Read};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::memory::Pieces;
use crate::{BlobReader, SourceError};

/// The most bytes that a piece of a file has.
pub const PIECE: usize = 256 * 1024;

/// How many buffers of [`PIECE`] bytes a reader has in use.
const BUFFERS: usize = 4;

/// How many of them wait to be taken: one more is being filled, one is with the consumer.
const WAITING: usize = BUFFERS - 2;

/// What is to be read: a blob from some offset to its end.
#[derive(Clone, Debug)]
pub struct Extent {
    /// What a person calls the blob.
    pub origin: String,
    /// Where reading begins.
    pub offset: u64,
    /// How many bytes the whole blob has.
    pub size: u64,
}

/// Reads `extent` from what `open` returns, which stands at the extent's offset and ends where the
/// blob ends. `open` runs where it may block.
///
/// The reader gives exactly the promised bytes. Input that ends early, or goes on past the promised
/// size, is [`SourceError::Changed`] *instead of* the last piece: nobody who counts bytes takes a
/// changed blob for a finished one.
///
/// What fits one piece is read, and its input closed, before this returns: it costs its own size
/// and nothing else however long the reader lives. More than that holds a thread of the runtime's
/// blocking pool until it is read or dropped.
pub async fn read_ahead<R, F>(extent: Extent, open: F) -> Result<Box<dyn BlobReader>, SourceError>
where
    R: Read + Send + 'static,
    F: FnOnce() -> Result<R, SourceError> + Send + 'static,
{
    let length = extent.length()?;
    let origin = extent.origin.clone();
    let opening = spawn_blocking(move || {
        let mut input = open()?;
        match usize::try_from(length) {
            Ok(length) if length <= PIECE => {
                let mut whole = vec![0; length];
                fill(&mut input, &mut whole, &extent, extent.offset)?;
                Ok(Opened::Whole(whole.into()))
            }
            _ => Ok(Opened::Long(input, extent)),
        }
    });
    let opened = match opening.await {
        Ok(opened) => opened?,
        // The runtime is shutting down, or `open` panicked.
        Err(error) => return Err(SourceError::io(&origin, io::Error::other(error))),
    };
    Ok(match opened {
        Opened::Whole(bytes) => Box::new(Pieces::new(bytes)),
        Opened::Long(input, extent) => {
            let (sender, pieces) = mpsc::channel(WAITING);
            spawn_blocking(move || pump(input, &extent, &sender));
            Box::new(ReadAhead { pieces, left: length, origin })
        }
    })
}

impl Extent {
    /// How many bytes there are to read; an error where it begins past the blob's end.
    pub(crate) fn length(&self) -> Result<u64, SourceError> {
        self.size.checked_sub(self.offset).ok_or_else(|| {
            let problem = format!("offset {} is past its {} bytes", self.offset, self.size);
            let error = io::Error::new(io::ErrorKind::InvalidInput, problem);
            SourceError::io(&self.origin, error)
        })
    }
}

enum Opened<R> {
    Whole(Bytes),
    Long(R, Extent),
}

/// The consumer's end. The thread ends with it: its next hand-over fails.
struct ReadAhead {
    pieces: mpsc::Receiver<Result<Bytes, SourceError>>,
    left: u64,
    origin: String,
}

impl BlobReader for ReadAhead {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, SourceError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let next = ready!(self.pieces.poll_recv(context)).unwrap_or_else(|| {
            // Never mistake a thread that died for the end of the blob.
            let error = io::Error::other("the thread that reads it has ended early");
            Err(SourceError::io(&self.origin, error))
        });
        self.left = match &next {
            Ok(piece) => self.left.saturating_sub(piece.len() as u64),
            Err(_) => 0,
        };
        Poll::Ready(Some(next))
    }
}

/// Reads everything and hands it over, until done, failed, or nobody listens any more.
fn pump<R: Read>(mut input: R, extent: &Extent, pieces: &mpsc::Sender<Result<Bytes, SourceError>>) {
    let (home, spare) = sync_channel(BUFFERS);
    let mut position = extent.offset;
    while position < extent.size {
        let mut buffer = spare.try_recv().unwrap_or_else(|_| vec![0; PIECE]);
        let left = extent.size - position;
        let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        let piece = fill(&mut input, &mut buffer[..length], extent, position)
            .map(|()| Bytes::from_owner(Lent { buffer, length, home: home.clone() }));
        position += length as u64;
        let failed = piece.is_err();
        if pieces.blocking_send(piece).is_err() || failed {
            return;
        }
    }
}

/// Fills `buffer` with what stands at `position`; where that is the last of the extent, sees to it
/// that the input ends there too.
fn fill<R: Read>(
    input: &mut R,
    buffer: &mut [u8],
    extent: &Extent,
    position: u64,
) -> Result<(), SourceError> {
    let changed = |found| SourceError::Changed {
        origin: extent.origin.clone(),
        expected: extent.size,
        found,
    };
    let failed = |error| SourceError::io(&extent.origin, error);
    let got = read_full(input, buffer).map_err(failed)?;
    let end = position + got as u64;
    if got < buffer.len() {
        return Err(changed(end));
    }
    if end == extent.size && read_full(input, &mut [0]).map_err(failed)? > 0 {
        return Err(changed(end + 1));
    }
    Ok(())
}

/// Reads until `buffer` is full or the input ends, and says how much was read.
fn read_full<R: Read>(input: &mut R, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A buffer that goes back to its reader when the last user of the piece is done with it.
struct Lent {
    buffer: Vec<u8>,
    length: usize,
    home: SyncSender<Vec<u8>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Freed where the reader is gone or has buffers enough.
        let _ = self.home.try_send(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use super::*;

    /// Endless input that lives as long as its `Arc`, in reads of an awkward size.
    struct Input {
        left: u64,
        _alive: Arc<()>,
    }

    impl Read for Input {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(100_003).min(usize::try_from(self.left).unwrap());
            buffer[..count].fill(7);
            self.left -= count as u64;
            Ok(count)
        }
    }

    async fn open(promised: u64, there: u64) -> (Box<dyn BlobReader>, Arc<()>) {
        let alive = Arc::new(());
        let input = Input { left: there, _alive: alive.clone() };
        let extent = Extent { origin: "it".to_owned(), offset: 0, size: promised };
        (read_ahead(extent, || Ok(input)).await.unwrap(), alive)
    }

    /// Returns when the thread has let go of its input, which takes it microseconds.
    fn ended(alive: &Arc<()>) {
        for _ in 0..10_000 {
            if Arc::strong_count(alive) == 1 {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        panic!("the thread is still there");
    }

    #[tokio::test]
    async fn a_dropped_reader_ends_its_thread() {
        let (mut reader, alive) = open(u64::MAX, u64::MAX).await;
        assert_eq!(reader.next().await.unwrap().unwrap().len(), PIECE);
        assert_eq!(Arc::strong_count(&alive), 2);
        drop(reader);
        ended(&alive);
    }

    #[tokio::test]
    async fn buffers_are_used_again() {
        let pieces = 200;
        let size = PIECE as u64 * pieces;
        let (mut reader, alive) = open(size, size).await;
        let mut places = HashSet::new();
        let mut count = 0;
        while let Some(piece) = reader.next().await {
            places.insert(piece.unwrap().as_ptr());
            count += 1;
        }
        assert_eq!(count, pieces);
        assert!(places.len() <= BUFFERS, "{} buffers for {count} pieces", places.len());
        ended(&alive);
    }

    #[tokio::test]
    async fn what_fits_a_piece_holds_no_thread_and_no_input() {
        for size in [0, 1, PIECE as u64] {
            let (mut reader, alive) = open(size, size).await;
            assert_eq!(Arc::strong_count(&alive), 1, "{size}");
            assert_eq!(reader.read_to_end().await.unwrap().len() as u64, size);
        }
    }

    /// The bytes that come before the end or the error.
    async fn read(promised: u64, there: u64) -> (u64, Option<String>) {
        let extent = Extent { origin: "it".to_owned(), offset: 0, size: promised };
        let input = Input { left: there, _alive: Arc::default() };
        let mut reader = match read_ahead(extent, || Ok(input)).await {
            Ok(reader) => reader,
            Err(error) => return (0, Some(error.to_string())),
        };
        let mut count = 0;
        while let Some(piece) = reader.next().await {
            match piece {
                Ok(piece) => count += piece.len() as u64,
                Err(error) => {
                    assert!(reader.next().await.is_none());
                    return (count, Some(error.to_string()));
                }
            }
        }
        (count, None)
    }

    #[tokio::test]
    async fn gives_what_was_promised_or_says_that_it_has_changed() {
        #[track_caller]
        fn check(got: (u64, Option<String>), count: u64, error: Option<&str>) {
            assert_eq!(got.0, count);
            match (got.1, error) {
                (None, None) => {}
                (Some(got), Some(error)) => assert!(got.contains(error), "{got}"),
                (got, _) => panic!("{got:?}"),
            }
        }
        let piece = PIECE as u64;
        check(read(10, 10).await, 10, None);
        check(
            read(10, 9).await,
            0,
            Some("it has changed while it was read: expected 10 bytes, found 9"),
        );
        check(read(10, 11).await, 0, Some("expected 10 bytes, found 11"));
        check(read(0, 1).await, 0, Some("expected 0 bytes, found 1"));
        check(read(3 * piece + 1, 3 * piece + 1).await, 3 * piece + 1, None);
        check(read(3 * piece, 3 * piece).await, 3 * piece, None);
        // The last piece is kept back, so that nobody has all bytes of a blob that has grown.
        check(read(3 * piece, 4 * piece).await, 2 * piece, Some("found 786433"));
        check(read(3 * piece, 3 * piece - 1).await, 2 * piece, Some("found 786431"));
    }

    #[tokio::test]
    async fn an_error_in_the_middle_is_told_and_is_the_last_word() {
        struct Broken(u64);
        impl Read for Broken {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if self.0 == 0 {
                    return Err(io::Error::other("the disk is on fire"));
                }
                self.0 -= 1;
                Ok(buffer.len())
            }
        }
        let extent = Extent { origin: "it".to_owned(), offset: 0, size: PIECE as u64 * 9 };
        let mut reader = read_ahead(extent, || Ok(Broken(2))).await.unwrap();
        assert!(reader.next().await.unwrap().is_ok());
        assert!(reader.next().await.unwrap().is_ok());
        let error = reader.next().await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "cannot read it: the disk is on fire");
        assert!(reader.next().await.is_none());
    }

    #[tokio::test]
    async fn a_thread_that_dies_is_not_taken_for_the_end() {
        struct Panicking;
        impl Read for Panicking {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                panic!("as this test wants");
            }
        }
        let extent = Extent { origin: "it".to_owned(), offset: 0, size: PIECE as u64 * 9 };
        let mut reader = read_ahead(extent, || Ok(Panicking)).await.unwrap();
        let error = reader.next().await.unwrap().unwrap_err();
        assert!(error.to_string().contains("ended early"), "{error}");
        assert!(reader.next().await.is_none());
    }
}
