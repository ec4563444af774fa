//! Layers: what a manifest and a config say of an archive, found out by reading it once. Image-spec,
//! [layer.md](https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md).

mod kind;
mod pipe;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::thread;

use serde::{Deserialize, Serialize};
use windlass_oci::{Algorithm, Descriptor, Digest, Hasher, MediaType};

use kind::{BEGINNING, Kind, kind};
use pipe::{fill, pipe};

/// What a manifest and a config say of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Layer {
    /// Says how it is compressed; always one of OCI's.
    pub media_type: MediaType,
    /// The digest of the file.
    pub digest: Digest,
    /// How many bytes the file has.
    pub size: u64,
    /// The digest of the archive, uncompressed.
    pub diff_id: Digest,
}

/// Why a file is no layer.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// The operating system said no.
    #[error("cannot read {path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// It is something else.
    #[error("{path} {problem}")]
    NotALayer {
        /// The file.
        path: PathBuf,
        /// What it is: "is empty".
        problem: String,
    },
    /// It is compressed, and there is something else in it.
    #[error("{path} is compressed with {compression}, but what is in it {problem}")]
    NotALayerInside {
        /// The file.
        path: PathBuf,
        /// How it is compressed.
        compression: &'static str,
        /// What is in it: "is empty".
        problem: String,
    },
    /// It cannot be decompressed to its end.
    #[error("{path} cannot be decompressed by {compression}: {problem}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// How it is compressed.
        compression: &'static str,
        /// What the decoder said.
        problem: String,
    },
}

impl Layer {
    /// Reads the archive at `path`, once: a tar archive, or one that gzip or zstd have compressed.
    /// Its content says which, not its name.
    ///
    /// Of a compressed one, the file is read and hashed, decompressed, and hashed again in three
    /// threads, with a few buffers between them.
    ///
    /// # Errors
    ///
    /// Where it cannot be read, is something else, or cannot be decompressed to its last byte: by
    /// far not everything that unpacks images ignores what trails behind the end.
    pub fn read(path: &Path) -> Result<Layer, LayerError> {
        let fail = |problem| problem_of(path, problem);
        let mut file = File::open(path).map_err(Trouble::Io).map_err(fail)?;
        read(&mut file).map_err(fail)
    }

    /// How a manifest refers to it.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest.clone(), self.size)
    }
}

/// What is wrong with a file, without its name.
#[derive(Debug)]
enum Trouble {
    Io(io::Error),
    Other(String),
    OtherInside(&'static str, String),
    Corrupt(&'static str, io::Error),
}

fn read(file: &mut (impl Read + Send)) -> Result<Layer, Trouble> {
    let mut beginning = [0; BEGINNING];
    let length = fill(file, &mut beginning).map_err(Trouble::Io)?;
    let beginning = &beginning[..length];
    let whole = beginning.chain(file);
    match kind(beginning) {
        Kind::Tar => plain(whole),
        Kind::Gzip => compressed(whole, MediaType::OCI_LAYER_GZIP, "gzip", |from| {
            Ok(flate2::bufread::MultiGzDecoder::new(from))
        }),
        Kind::Zstd => compressed(whole, MediaType::OCI_LAYER_ZSTD, "zstd", |from| {
            zstd::Decoder::with_buffer(from)
        }),
        Kind::Other(words) => Err(Trouble::Other(words)),
    }
}

/// A file and how much of it was seen.
struct Tally {
    hasher: Hasher,
    size: u64,
}

impl Tally {
    fn new() -> Tally {
        Tally { hasher: Hasher::new(Algorithm::Sha256), size: 0 }
    }

    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }
}

fn plain(mut from: impl Read + Send) -> Result<Layer, Trouble> {
    let mut tally = Tally::new();
    // The system reads while the rest is hashed.
    let (inlet, mut outlet) = pipe();
    let poured = thread::scope(|scope| {
        let poured = scope.spawn(move || inlet.pour(&mut from, |_| {}));
        drain(&mut outlet, |bytes| tally.add(bytes)).and(joined(poured))
    });
    poured.map_err(Trouble::Io)?;
    let digest = tally.hasher.finish();
    let media_type = MediaType::OCI_LAYER;
    Ok(Layer { media_type, digest: digest.clone(), size: tally.size, diff_id: digest })
}

fn compressed<D: Read>(
    mut from: impl Read + Send,
    media_type: MediaType,
    compression: &'static str,
    decoder: impl FnOnce(pipe::Outlet) -> io::Result<D>,
) -> Result<Layer, Trouble> {
    let mut file = Tally::new();
    let mut archive = Tally::new();
    let mut beginning = Vec::with_capacity(BEGINNING);
    let (file_inlet, file_outlet) = pipe();
    let (archive_inlet, mut archive_outlet) = pipe();
    let file_tally = &mut file;
    let (read, decompressed) = thread::scope(|scope| {
        let read = scope.spawn(move || file_inlet.pour(&mut from, |bytes| file_tally.add(bytes)));
        let hashed = scope.spawn(|| {
            drain(&mut archive_outlet, |bytes| {
                let missing = BEGINNING - beginning.len();
                beginning.extend_from_slice(&bytes[..bytes.len().min(missing)]);
                archive.add(bytes);
            })
        });
        let decompressed = decoder(file_outlet)
            .and_then(|mut decoder| archive_inlet.pour(&mut decoder, |_| {}))
            .and(joined(hashed));
        (joined(read), decompressed)
    });
    // Where the file cannot be read, the decoder only saw that it ended too early.
    read.map_err(Trouble::Io)?;
    let is_tar = match kind(&beginning) {
        Kind::Tar => Ok(()),
        Kind::Gzip => Err("is compressed with gzip once more".to_owned()),
        Kind::Zstd => Err("is compressed with zstd once more".to_owned()),
        Kind::Other(words) => Err(words),
    };
    decompressed.map_err(|error| Trouble::Corrupt(compression, error))?;
    is_tar.map_err(|words| Trouble::OtherInside(compression, words))?;
    Ok(Layer {
        media_type,
        digest: file.hasher.finish(),
        size: file.size,
        diff_id: archive.hasher.finish(),
    })
}

/// Takes all that comes.
fn drain(from: &mut pipe::Outlet, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    loop {
        let bytes = from.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        take(bytes);
        let length = bytes.len();
        from.consume(length);
    }
}

fn joined(thread: thread::ScopedJoinHandle<'_, io::Result<()>>) -> io::Result<()> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread of this process has died")))
}

fn problem_of(path: &Path, trouble: Trouble) -> LayerError {
    let path = path.to_owned();
    match trouble {
        Trouble::Io(error) => LayerError::Io { path, error },
        Trouble::Other(problem) => LayerError::NotALayer { path, problem },
        Trouble::OtherInside(compression, problem) => {
            LayerError::NotALayerInside { path, compression, problem }
        }
        Trouble::Corrupt(compression, error) => {
            let problem = match error.kind() {
                io::ErrorKind::UnexpectedEof => "it is cut short".to_owned(),
                _ => error.to_string(),
            };
            LayerError::Corrupt { path, compression, problem }
        }
    }
}
