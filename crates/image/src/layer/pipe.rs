//! A pipe between two threads, of a few large buffers that go round and round.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// How large a buffer is: large enough that handing it over costs nothing, small enough that it
/// stays in a core's cache.
const BUFFER: usize = 256 << 10;

/// How many buffers are in a pipe.
const BUFFERS: usize = 8;

/// Where bytes are put in.
pub(crate) struct Inlet {
    filled: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
}

/// Where they come out, in the same order.
pub(crate) struct Outlet {
    filled: Receiver<Vec<u8>>,
    empty: Sender<Vec<u8>>,
    current: Vec<u8>,
    taken: usize,
}

/// A new pipe.
pub(crate) fn pipe() -> (Inlet, Outlet) {
    let (filled, to_read) = sync_channel(BUFFERS);
    // It never has more in it than there are buffers.
    let (give_back, empty) = channel();
    for _ in 0..BUFFERS {
        // The other end is in this function.
        let _ = give_back.send(Vec::new());
    }
    let outlet = Outlet { filled: to_read, empty: give_back, current: Vec::new(), taken: 0 };
    (Inlet { filled, empty }, outlet)
}

impl Inlet {
    /// Puts in all that is in `from`, and shows each piece to `see` first. Ends early, without an
    /// error, where nobody wants to read any more.
    pub(crate) fn pour(self, from: &mut impl Read, mut see: impl FnMut(&[u8])) -> io::Result<()> {
        while let Ok(mut buffer) = self.empty.recv() {
            buffer.resize(BUFFER, 0);
            let length = fill(from, &mut buffer)?;
            buffer.truncate(length);
            see(&buffer);
            if length == 0 || self.filled.send(buffer).is_err() {
                break;
            }
        }
        Ok(())
    }
}

impl Outlet {
    /// The next bytes, never empty before the end.
    fn current(&mut self) -> &[u8] {
        if self.taken == self.current.len()
            && let Ok(next) = self.filled.recv()
        {
            let used = std::mem::replace(&mut self.current, next);
            self.taken = 0;
            // Whoever fills them may be done.
            let _ = self.empty.send(used);
        }
        &self.current[self.taken..]
    }
}

impl BufRead for Outlet {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.current())
    }

    fn consume(&mut self, amount: usize) {
        self.taken = (self.taken + amount).min(self.current.len());
    }
}

impl Read for Outlet {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.current().read(into)?;
        self.consume(length);
        Ok(length)
    }
}

/// Reads until `buffer` is full or nothing is left; how much that was.
pub(crate) fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match from.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        for size in [0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 20 * BUFFER + 17] {
            let bytes: Vec<u8> = (0..size).map(|place| (place % 251) as u8).collect();
            let (inlet, mut outlet) = pipe();
            let mut seen = 0;
            let came = thread::scope(|scope| {
                scope.spawn(|| inlet.pour(&mut bytes.as_slice(), |piece| seen += piece.len()));
                let mut came = Vec::new();
                outlet.read_to_end(&mut came).unwrap();
                came
            });
            assert!(came == bytes, "{size}");
            assert_eq!(seen, size);
        }
    }

    #[test]
    fn it_ends_where_nobody_reads() {
        let (inlet, outlet) = pipe();
        thread::scope(|scope| {
            let poured = scope.spawn(|| inlet.pour(&mut io::repeat(1), |_| {}));
            let mut outlet = outlet;
            outlet.read_exact(&mut [0; 10]).unwrap();
            drop(outlet);
            poured.join().unwrap().unwrap();
        });
    }

    #[test]
    fn an_error_ends_it_and_is_given_back() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let (inlet, mut outlet) = pipe();
        let error = inlet.pour(&mut b"abc".chain(Broken), |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "broken");
        assert_eq!(outlet.read(&mut [0; 10]).unwrap(), 0);
    }
}
