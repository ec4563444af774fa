//! The bytes of a blob: given, or made from a seed without ever lying in memory as a whole.

use std::io::{self, Read, Write};

use bytes::Bytes;
use windlass_oci::{Algorithm, Digest, Hasher};

/// How many bytes are made at a time.
const BLOCK: usize = 1 << 20;

/// The bytes of a blob.
#[derive(Clone, Debug)]
pub enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// Bytes that no compressor can shrink, the same for the same seed.
    Random {
        /// What they are made from.
        seed: u64,
        /// How many there are.
        size: u64,
    },
    /// Zeros, which take no place on disk in a layout directory.
    Sparse {
        /// How many there are.
        size: u64,
    },
}

impl Content {
    /// How many bytes there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Random { size, .. } | Content::Sparse { size } => *size,
        }
    }

    /// Their digest.
    #[must_use]
    pub fn digest(&self, algorithm: Algorithm) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        self.for_each_block(|block| {
            hasher.update(block);
            Ok(())
        })
        .expect("hashing cannot fail");
        hasher.finish()
    }

    /// All of them at once.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        if let Content::Bytes(bytes) = self {
            return bytes.clone();
        }
        let mut all = Vec::with_capacity(usize::try_from(self.size()).expect("it fits memory"));
        self.write_to(&mut all).expect("a vector takes everything");
        all.into()
    }

    /// Writes them all.
    pub fn write_to(&self, to: &mut dyn Write) -> io::Result<()> {
        self.for_each_block(|block| to.write_all(block))
    }

    /// A reader from the first to the last.
    pub(crate) fn reader(&self) -> ContentReader {
        ContentReader { content: self.clone(), block: 0, left: Bytes::new() }
    }

    fn for_each_block(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut blocks = Blocks::of(self);
        while let Some(block) = blocks.next() {
            take(block)?;
        }
        Ok(())
    }
}

/// Gives the blocks one after another out of one buffer.
///
/// A random blob is one block of random bytes, stamped with its number and so different each
/// time: copying is much cheaper than making new ones, and a megabyte is further back than gzip
/// and what registries use look for repetitions.
struct Blocks<'a> {
    content: &'a Content,
    buffer: Vec<u8>,
    given: u64,
}

impl<'a> Blocks<'a> {
    fn of(content: &'a Content) -> Blocks<'a> {
        let length = usize::try_from(content.size().min(BLOCK as u64)).expect("at most a block");
        let buffer = match content {
            Content::Bytes(_) => Vec::new(),
            Content::Sparse { .. } => vec![0; length],
            Content::Random { seed, .. } => {
                let mut buffer = vec![0; length];
                fastrand::Rng::with_seed(*seed).fill(&mut buffer);
                buffer
            }
        };
        Blocks { content, buffer, given: 0 }
    }

    fn next(&mut self) -> Option<&[u8]> {
        let size = self.content.size();
        if self.given >= size {
            return None;
        }
        let length = usize::try_from((size - self.given).min(BLOCK as u64)).expect("a block");
        let at = self.given;
        self.given += length as u64;
        match self.content {
            Content::Bytes(bytes) => {
                let at = usize::try_from(at).expect("it is in memory");
                Some(&bytes[at..at + length])
            }
            Content::Sparse { .. } => Some(&self.buffer[..length]),
            Content::Random { seed, .. } => {
                if at > 0 {
                    let stamp = (at ^ seed.rotate_left(32)).to_le_bytes();
                    let stamped = stamp.len().min(length);
                    self.buffer[..stamped].copy_from_slice(&stamp[..stamped]);
                }
                Some(&self.buffer[..length])
            }
        }
    }
}

/// Reads a [`Content`] block by block.
pub(crate) struct ContentReader {
    content: Content,
    block: u64,
    left: Bytes,
}

impl Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() {
            let mut blocks = Blocks::of(&self.content);
            blocks.given = self.block;
            let Some(block) = blocks.next() else { return Ok(0) };
            self.left = Bytes::copy_from_slice(block);
            self.block += self.left.len() as u64;
        }
        let length = buffer.len().min(self.left.len());
        buffer[..length].copy_from_slice(&self.left.split_to(length));
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content: &Content) {
        let bytes = content.to_bytes();
        assert_eq!(bytes.len() as u64, content.size());
        assert_eq!(Digest::sha256(&bytes), content.digest(Algorithm::Sha256));
        let mut read = Vec::new();
        content.reader().read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes, "{content:?}");
    }

    #[test]
    fn every_way_to_the_bytes_gives_the_same() {
        for size in [0, 1, 7, 8, 9, BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 7, 2 * BLOCK + 100] {
            check(&Content::Random { seed: 5, size: size as u64 });
            check(&Content::Sparse { size: size as u64 });
            check(&Content::Bytes(vec![7; size].into()));
        }
    }

    #[test]
    fn other_seeds_and_later_blocks_are_other_bytes() {
        let random = |seed, size| Content::Random { seed, size }.to_bytes();
        assert_ne!(random(1, 1000), random(2, 1000));
        assert_eq!(random(1, 1000), random(1, 1000));
        let long = random(1, 2 * BLOCK as u64);
        assert_ne!(long[..BLOCK], long[BLOCK..]);
    }
}
