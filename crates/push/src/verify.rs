//! Whether all of an image is at a registry: asks for everything that a root reaches.
//!
//! Manifests are fetched, checked and read; blobs are asked for, and their sizes compared. Read
//! deeply, every byte comes over and is hashed; nothing of it is kept.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use windlass_oci::{Descriptor, Digest, Manifest, RawManifest, Reference, Tag};
use windlass_registry_client::{BlobStat, Error, ErrorKind, RepositoryClient};

use crate::failure::Failure;

/// How thoroughly blobs are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// They are asked for, and their sizes compared.
    #[default]
    Sizes,
    /// All of their bytes are read and hashed.
    Bytes,
}

/// What was found below a root.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// The root's digest; `None` where there is no such tag.
    pub digest: Option<Digest>,
    /// The manifests and indexes that it reaches, itself among them, there or not.
    pub manifests: u64,
    /// The blobs that it reaches, there or not. Layers that are not to be distributed are not
    /// among them: they are elsewhere.
    pub blobs: u64,
    /// The bytes of all of them, by their descriptors.
    pub bytes: u64,
    /// What is not as it should be. Nothing, where all of the image is there.
    pub flaws: Vec<Flaw>,
}

/// How far a look at an image has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Manifests and blobs that were looked at.
    pub done: u64,
    /// All of them that are known; more may be found in what is still to be read.
    pub known: u64,
    /// Bytes that were read, or that need not be, of blobs and manifests that are known. Goes back
    /// where a read begins anew.
    pub read: u64,
    /// All their bytes, by their descriptors.
    pub bytes: u64,
}

/// Is told how far it is, often and from several places at once. Must return at once.
pub type Watcher<'a> = dyn Fn(Looked) + Send + Sync + 'a;

/// Something that is not as it should be at a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// `tag`, `manifest` or `blob`.
    pub kind: &'static str,
    /// Its digest, where it has one.
    pub digest: Option<Digest>,
    /// How it is not as it should be.
    pub problem: FlawProblem,
}

/// How something is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlawProblem {
    /// It is not there.
    Missing,
    /// A tag names another image than was expected.
    OtherImage {
        /// What it should name.
        expected: Digest,
    },
    /// It has another size than what names it says.
    Size {
        /// What names it says.
        expected: u64,
        /// It has.
        found: u64,
    },
    /// Its bytes have another digest.
    Digest {
        /// They have.
        found: Digest,
    },
    /// A manifest that is not what it should be; in words.
    Odd(String),
}

/// How much is under way at once, and how much of that is read to the end.
const AT_ONCE: usize = 16;
const READ_AT_ONCE: usize = 4;

/// How many manifests are looked at.
const MOST: u64 = 100_000;

/// Looks for all that `root` reaches in a repository. `expected` is the digest that it should have.
///
/// # Errors
///
/// Where the registry does not answer, or does not let us look, or the image has more manifests
/// than anybody's. That something is not there is no error, but a [flaw](Verification::flaws).
pub async fn verify(
    client: &RepositoryClient,
    root: &Reference,
    expected: Option<&Digest>,
    depth: Depth,
    watcher: &Watcher<'_>,
) -> Result<Verification, Failure> {
    let mut found = Verification { manifests: 1, ..Verification::default() };
    let root = match fetch(client, root).await? {
        Ok(root) => root,
        Err(flaw) => {
            if let Reference::Digest(digest) = root {
                found.digest = Some(digest.clone());
            }
            found.flaws.push(flaw);
            return Ok(found);
        }
    };
    let digest = root.digest().clone();
    if let Some(expected) = expected.filter(|expected| **expected != digest) {
        let problem = FlawProblem::OtherImage { expected: expected.clone() };
        found.flaws.push(Flaw { kind: "tag", digest: Some(digest.clone()), problem });
    }
    found.bytes = root.size();
    found.digest = Some(digest.clone());
    let meter = Meter::new(watcher);
    meter.done.store(1, Ordering::Relaxed);
    meter.read.store(found.bytes, Ordering::Relaxed);
    let seen = HashSet::from([digest]);
    let mut walk = Walk { client, depth, found, seen, due: VecDeque::new(), meter: &meter };
    walk.take(&root)?;
    walk.run().await?;
    Ok(walk.found)
}

/// A walk through all that a root reaches.
struct Walk<'a> {
    client: &'a RepositoryClient,
    depth: Depth,
    found: Verification,
    seen: HashSet<Digest>,
    due: VecDeque<Descriptor>,
    meter: &'a Meter<'a>,
}

/// Counts for a watcher.
struct Meter<'a> {
    watcher: &'a Watcher<'a>,
    done: AtomicU64,
    known: AtomicU64,
    read: AtomicU64,
    bytes: AtomicU64,
}

impl<'a> Meter<'a> {
    fn new(watcher: &'a Watcher<'a>) -> Meter<'a> {
        let [done, known, read, bytes] = std::array::from_fn(|_| AtomicU64::new(0));
        Meter { watcher, done, known, read, bytes }
    }

    fn tell(&self) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let Meter { done, known, read, bytes, .. } = self;
        (self.watcher)(Looked {
            done: of(done),
            known: of(known),
            read: of(read),
            bytes: of(bytes),
        });
    }
}

/// What became of a look at something.
enum Seen {
    Manifest(RawManifest),
    Flaw(Flaw),
    Fine,
}

impl Walk<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        let mut under_way = FuturesUnordered::<BoxFuture<'_, Result<Seen, Failure>>>::new();
        let most = match self.depth {
            Depth::Sizes => AT_ONCE,
            Depth::Bytes => READ_AT_ONCE,
        };
        loop {
            while under_way.len() < most
                && let Some(descriptor) = self.due.pop_front()
            {
                under_way.push(look(self.client, descriptor, self.depth, self.meter).boxed());
            }
            match under_way.next().await {
                None => return Ok(()),
                Some(seen) => match seen? {
                    Seen::Manifest(manifest) => self.take(&manifest)?,
                    Seen::Flaw(flaw) => self.found.flaws.push(flaw),
                    Seen::Fine => {}
                },
            }
        }
    }

    /// Notes what a manifest names.
    fn take(&mut self, manifest: &RawManifest) -> Result<(), Failure> {
        let view = match manifest.view() {
            Ok(view) => view,
            Err(error) => {
                let problem = FlawProblem::Odd(error.to_string());
                let digest = Some(manifest.digest().clone());
                self.found.flaws.push(Flaw { kind: "manifest", digest, problem });
                return Ok(());
            }
        };
        let is_index = matches!(view, Manifest::Index(_));
        for child in view.children() {
            let is_manifest = is_index && child.media_type.is_manifest();
            if child.media_type.is_non_distributable() || !self.seen.insert(child.digest.clone()) {
                continue;
            }
            if is_manifest {
                self.found.manifests += 1;
            } else {
                self.found.blobs += 1;
            }
            self.found.bytes = self.found.bytes.saturating_add(child.size);
            if self.found.manifests > MOST {
                let repository = self.client.repository().clone();
                return Err(Failure::TooMany { repository, limit: MOST });
            }
            self.due.push_back(child.clone());
        }
        let Verification { manifests, blobs, bytes, .. } = &self.found;
        self.meter.known.store(manifests + blobs, Ordering::Relaxed);
        self.meter.bytes.store(*bytes, Ordering::Relaxed);
        self.meter.tell();
        Ok(())
    }
}

/// Looks at something, and counts it.
async fn look(
    client: &RepositoryClient,
    descriptor: Descriptor,
    depth: Depth,
    meter: &Meter<'_>,
) -> Result<Seen, Failure> {
    let size = descriptor.size;
    let position = AtomicU64::new(0);
    let move_to = |to: u64| {
        let from = position.swap(to, Ordering::Relaxed);
        meter.read.fetch_add(to.wrapping_sub(from), Ordering::Relaxed);
        meter.tell();
    };
    let seen = look_at(client, descriptor, depth, &move_to).await?;
    meter.done.fetch_add(1, Ordering::Relaxed);
    move_to(size);
    Ok(seen)
}

async fn look_at(
    client: &RepositoryClient,
    descriptor: Descriptor,
    depth: Depth,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Seen, Failure> {
    let Descriptor { digest, size, media_type, .. } = descriptor;
    if media_type.is_manifest() {
        let manifest = match fetch(client, &Reference::Digest(digest.clone())).await? {
            Ok(manifest) => manifest,
            Err(flaw) => return Ok(Seen::Flaw(flaw)),
        };
        let problem = if manifest.size() != size {
            FlawProblem::Size { expected: size, found: manifest.size() }
        } else if *manifest.media_type() != media_type {
            let found = manifest.media_type();
            FlawProblem::Odd(format!("it is served as {found}, but described as {media_type}"))
        } else {
            return Ok(Seen::Manifest(manifest));
        };
        return Ok(Seen::Flaw(Flaw { kind: "manifest", digest: Some(digest), problem }));
    }
    let problem = match depth {
        Depth::Sizes => match client.stat_blob(&digest).await? {
            BlobStat::Absent => Some(FlawProblem::Missing),
            BlobStat::Present(Some(found)) if found != size => {
                Some(FlawProblem::Size { expected: size, found })
            }
            BlobStat::Present(_) => None,
        },
        Depth::Bytes => match client.hash_blob(&digest, size, progress).await? {
            None => Some(FlawProblem::Missing),
            Some(hashed) if hashed.size != size => {
                Some(FlawProblem::Size { expected: size, found: hashed.size })
            }
            Some(hashed) if hashed.digest != digest => {
                Some(FlawProblem::Digest { found: hashed.digest })
            }
            Some(_) => None,
        },
    };
    Ok(match problem {
        None => Seen::Fine,
        Some(problem) => Seen::Flaw(Flaw { kind: "blob", digest: Some(digest), problem }),
    })
}

/// A manifest, or how it is not as it should be.
async fn fetch(
    client: &RepositoryClient,
    reference: &Reference,
) -> Result<Result<RawManifest, Flaw>, Failure> {
    let (kind, digest) = match reference {
        Reference::Tag(_) => ("tag", None),
        Reference::Digest(digest) => ("manifest", Some(digest.clone())),
    };
    let flaw = |problem| Ok(Err(Flaw { kind, digest, problem }));
    match client.get_manifest(reference).await {
        Ok(Some(manifest)) => Ok(Ok(manifest)),
        Ok(None) => flaw(FlawProblem::Missing),
        Err(error) => match error.kind() {
            ErrorKind::Protocol(problem) => flaw(FlawProblem::Odd(problem.clone())),
            _ => Err(error.into()),
        },
    }
}

/// Whether the tags name `root`, as far as the registry tells: the first that does not.
pub(crate) async fn first_astray<'a>(
    client: &RepositoryClient,
    tags: &'a [Tag],
    root: &Digest,
) -> Result<Option<&'a Tag>, Error> {
    use windlass_registry_client::ManifestPresence::{Absent, Present, Unknown};
    for tag in tags {
        match client.head_manifest(&Reference::Tag(tag.clone())).await? {
            Present(found) if found == *root => {}
            Unknown => {}
            Present(_) | Absent => return Ok(Some(tag)),
        }
    }
    Ok(None)
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Flaw { kind, digest, problem } = self;
        f.write_str(kind)?;
        match (digest, problem) {
            (Some(found), FlawProblem::OtherImage { expected }) => {
                return write!(f, " names {found}, and the image is {expected}");
            }
            (Some(digest), _) => write!(f, " {digest}")?,
            (None, _) => {}
        }
        match problem {
            FlawProblem::Missing => f.write_str(" is missing"),
            FlawProblem::OtherImage { expected } => write!(f, " does not name {expected}"),
            FlawProblem::Size { expected, found } => {
                write!(f, " has {found} bytes, and should have {expected}")
            }
            FlawProblem::Digest { found } => write!(f, " has bytes of the digest {found}"),
            FlawProblem::Odd(problem) => write!(f, ": {problem}"),
        }
    }
}
