//! Reads and checks what a root reaches.
//!
//! Manifests are read level by level, then blobs are looked up, [`AT_ONCE`] at a time: a store may
//! be at the other end of a network. Whether a local file is there is asked without leaving the
//! thread (see [`FileSource::find`](windlass_source::FileSource::find)).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::FuturesOrdered;
use windlass_oci::{Descriptor, Digest, Hasher, Manifest, MediaType, RawManifest};
use windlass_source::{BlobSource, MemorySource, Store};

use super::order::{Manifests, walk};
use super::part::{Part, parts};
use super::problem::{GraphError, Mention, Problem, Warning};
use super::{BlobNode, BlobRole, Graph, GraphOptions, ManifestContent};

/// How many things are asked of a store at once.
const AT_ONCE: usize = 16;

/// How many bytes of a manifest every registry takes.
const LARGE_MANIFEST: u64 = 4 << 20;

/// How many bytes a manifest may have.
const MAX_MANIFEST: u64 = 64 << 20;

/// How many manifests an image may have, and how many bytes all of them together: they are held in
/// memory.
const MAX_MANIFESTS: usize = 100_000;
const MAX_MANIFEST_BYTES: u64 = 512 << 20;

/// How many levels of manifests there may be: the root, what it names, and so on.
const MAX_LEVELS: usize = 16;

/// Blobs up to this size are read and their digest is checked.
const SMALL_BLOB: u64 = 1 << 20;

pub(super) async fn read(
    root: &Descriptor,
    store: &dyn Store,
    options: &GraphOptions,
) -> Result<Graph, GraphError> {
    if !root.media_type.is_manifest() {
        let (digest, media_type) = (root.digest.clone(), root.media_type.clone());
        return Err(vec![Problem::RootNoManifest { digest, media_type }].into());
    }
    let mut reader = Reader::new(store, options);
    reader.read_manifests(root).await;
    let order = walk(root, &reader.manifests, options);
    let blobs = reader.find_blobs(order.blobs).await;
    let root = match reader.manifests.remove(&root.digest) {
        Some(root) if reader.problems.is_empty() => root,
        Some(_) => return Err(reader.problems.into()),
        None => {
            if reader.problems.is_empty() {
                reader.problems.push(Problem::RootMissing { digest: root.digest.clone() });
            }
            return Err(reader.problems.into());
        }
    };
    let place = |(place, digest): (usize, &Digest)| (digest.clone(), place);
    let manifests = order.manifests;
    let manifest_places = manifests.iter().map(|node| &node.descriptor.digest).enumerate();
    let blob_places = blobs.iter().map(|node| &node.descriptor.digest).enumerate();
    Ok(Graph {
        root,
        manifest_places: manifest_places.map(place).collect(),
        blob_places: blob_places.map(place).collect(),
        manifests,
        blobs,
        skipped: order.skipped,
        warnings: reader.warnings,
    })
}

struct Reader<'a> {
    store: &'a dyn Store,
    options: &'a GraphOptions,
    /// What was said of a digest where it was met first, and where that was.
    mentions: HashMap<Digest, (u64, MediaType, Mention)>,
    /// Content that descriptors brought along.
    inline: HashMap<Digest, Bytes>,
    manifests: Manifests,
    manifest_bytes: u64,
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl<'a> Reader<'a> {
    fn new(store: &'a dyn Store, options: &'a GraphOptions) -> Reader<'a> {
        Reader {
            store,
            options,
            mentions: HashMap::new(),
            inline: HashMap::new(),
            manifests: Manifests::new(),
            manifest_bytes: 0,
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Reads all manifests that are there, one level after the other.
    async fn read_manifests(&mut self, root: &Descriptor) {
        self.mention(root, &Mention::Root, true);
        // Those that were asked for; a second time only where a descriptor then brings the content.
        let mut asked = HashSet::from([root.digest.clone()]);
        let mut absent = HashSet::new();
        let mut level = vec![root.clone()];
        for _ in 0..MAX_LEVELS {
            let read = each(&level, |descriptor| self.read_manifest(descriptor).boxed()).await;
            let mut below = Vec::new();
            for (descriptor, read) in level.iter().zip(read) {
                let content = match read {
                    Ok(Some(content)) => content,
                    Ok(None) => {
                        absent.insert(descriptor.digest.clone());
                        continue;
                    }
                    Err(problem) => {
                        self.problems.push(problem);
                        continue;
                    }
                };
                for (part, child) in parts(&content.view, self.options) {
                    if part == Part::Skipped {
                        continue;
                    }
                    let mention = Mention::Within(descriptor.digest.clone());
                    self.mention(child, &mention, part == Part::Manifest);
                    if part == Part::Manifest
                        && (asked.insert(child.digest.clone())
                            || self.inline.contains_key(&child.digest)
                                && absent.remove(&child.digest))
                    {
                        below.push(child.clone());
                    }
                }
                self.keep(content);
            }
            if let Some(problem) = self.too_much(below.len()) {
                self.problems.push(problem);
                return;
            }
            if below.is_empty() {
                return;
            }
            level = below;
        }
        let digest = level.swap_remove(0).digest;
        self.problems.push(Problem::TooDeep { digest, limit: MAX_LEVELS });
    }

    /// Takes note of a descriptor, and of what is wrong with it or between it and an earlier one.
    fn mention(&mut self, descriptor: &Descriptor, mention: &Mention, is_manifest: bool) {
        let digest = &descriptor.digest;
        match descriptor.inline() {
            None => {}
            Some(Ok(bytes)) => {
                self.inline.insert(digest.clone(), bytes);
            }
            Some(Err(problem)) => self.problems.push(Problem::InlineData {
                digest: digest.clone(),
                mention: mention.clone(),
                problem,
            }),
        }
        let (size, media_type, first) = self
            .mentions
            .entry(digest.clone())
            .or_insert_with(|| (descriptor.size, descriptor.media_type.clone(), mention.clone()));
        if *size != descriptor.size {
            self.problems.push(Problem::SizesDiffer {
                digest: digest.clone(),
                first: first.clone(),
                first_size: *size,
                second: mention.clone(),
                second_size: descriptor.size,
            });
        }
        // A blob may be called anything; a manifest is served as what it was pushed as.
        if is_manifest && media_type.is_manifest() && *media_type != descriptor.media_type {
            self.problems.push(Problem::MediaTypesDiffer {
                digest: digest.clone(),
                first: first.clone(),
                first_type: media_type.clone(),
                second: mention.clone(),
                second_type: descriptor.media_type.clone(),
            });
        }
    }

    fn keep(&mut self, content: ManifestContent) {
        let (digest, size) = (content.raw.digest().clone(), content.raw.size());
        self.manifest_bytes += size;
        if size > LARGE_MANIFEST {
            self.warnings.push(Warning::LargeManifest { digest: digest.clone(), size });
        }
        self.manifests.insert(digest, Arc::new(content));
    }

    /// Whether `more` manifests besides those that are there are too many.
    fn too_much(&self, more: usize) -> Option<Problem> {
        if self.manifests.len() + more > MAX_MANIFESTS {
            Some(Problem::TooMany { limit: MAX_MANIFESTS as u64, unit: "manifests" })
        } else if self.manifest_bytes > MAX_MANIFEST_BYTES {
            Some(Problem::TooMany { limit: MAX_MANIFEST_BYTES, unit: "bytes of manifests" })
        } else {
            None
        }
    }

    async fn read_manifest(
        &self,
        descriptor: &Descriptor,
    ) -> Result<Option<ManifestContent>, Problem> {
        let Some(source) = self.find(descriptor).await? else { return Ok(None) };
        let digest = || descriptor.digest.clone();
        if descriptor.size > MAX_MANIFEST {
            let size = descriptor.size;
            return Err(Problem::TooLarge { digest: digest(), size, limit: MAX_MANIFEST });
        }
        let bytes = source.read(MAX_MANIFEST).await;
        let bytes = bytes.map_err(|error| Problem::Unreadable { digest: digest(), error })?;
        let media_type = descriptor.media_type.clone();
        let raw = match RawManifest::with_digest(media_type, digest(), bytes.clone()) {
            Some(raw) => raw,
            None => {
                let found = Digest::of(descriptor.digest.algorithm(), &bytes);
                return Err(Problem::Digest { origin: source.origin(), expected: digest(), found });
            }
        };
        match raw.view() {
            Ok(view) => Ok(Some(content(raw, view, self.options))),
            Err(error) => Err(Problem::Manifest { digest: digest(), error }),
        }
    }

    async fn find_blobs(&mut self, blobs: Vec<(BlobRole, Descriptor)>) -> Vec<BlobNode> {
        let found =
            each(&blobs, |(role, descriptor)| self.find_blob(*role, descriptor).boxed()).await;
        let mut nodes = Vec::new();
        for ((role, descriptor), found) in blobs.into_iter().zip(found) {
            match found {
                Ok(source) => nodes.push(BlobNode { descriptor, role, source }),
                Err(problem) => self.problems.push(problem),
            }
        }
        nodes
    }

    async fn find_blob(
        &self,
        role: BlobRole,
        descriptor: &Descriptor,
    ) -> Result<Option<Arc<dyn BlobSource>>, Problem> {
        let Some(source) = self.find(descriptor).await? else { return Ok(None) };
        if role == BlobRole::Config || descriptor.size <= SMALL_BLOB {
            check_digest(&*source, descriptor).await?;
        }
        Ok(Some(source))
    }

    /// Where the content of `descriptor` is: in the store, or else in a descriptor's `data`. What
    /// is found has the descriptor's size.
    async fn find(&self, descriptor: &Descriptor) -> Result<Option<Arc<dyn BlobSource>>, Problem> {
        let digest = &descriptor.digest;
        let found = self.store.get(descriptor).await;
        let found = found.map_err(|error| Problem::Unreadable { digest: digest.clone(), error })?;
        let source = match (found, self.inline.get(digest)) {
            (Some(source), _) => source,
            (None, Some(bytes)) => {
                let source = MemorySource::with_digest(digest.clone(), bytes.clone());
                Arc::new(source.called(&format!("{digest} in its descriptor")))
            }
            (None, None) => return Ok(None),
        };
        if source.size() != descriptor.size {
            return Err(Problem::Size {
                digest: digest.clone(),
                origin: source.origin(),
                expected: descriptor.size,
                found: source.size(),
            });
        }
        Ok(Some(source))
    }
}

/// Does something with all `items`, [`AT_ONCE`] at a time; the results are in their order.
async fn each<'a, T, R>(items: &'a [T], start: impl Fn(&'a T) -> BoxFuture<'a, R>) -> Vec<R> {
    let mut running = FuturesOrdered::new();
    let mut results = Vec::with_capacity(items.len());
    for item in items {
        if running.len() == AT_ONCE {
            results.extend(running.next().await);
        }
        running.push_back(start(item));
    }
    results.extend(running.collect::<Vec<_>>().await);
    results
}

/// Reads all of `source`, piece by piece.
async fn check_digest(source: &dyn BlobSource, descriptor: &Descriptor) -> Result<(), Problem> {
    let expected = &descriptor.digest;
    let unreadable = |error| Problem::Unreadable { digest: expected.clone(), error };
    let mut reader = source.open(0).await.map_err(unreadable)?;
    let mut hasher = Hasher::new(expected.algorithm());
    while let Some(piece) = reader.next().await {
        hasher.update(&piece.map_err(unreadable)?);
    }
    let found = hasher.finish();
    if found == *expected {
        return Ok(());
    }
    Err(Problem::Digest { origin: source.origin(), expected: expected.clone(), found })
}

fn content(raw: RawManifest, view: Manifest, options: &GraphOptions) -> ManifestContent {
    let (mut manifests, mut blobs) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for (part, descriptor) in parts(&view, options) {
        let list = match part {
            Part::Manifest => &mut manifests,
            Part::Blob(_) => &mut blobs,
            Part::Skipped => continue,
        };
        if seen.insert((part == Part::Manifest, &descriptor.digest)) {
            list.push(descriptor.digest.clone());
        }
    }
    ManifestContent { raw, view, manifests, blobs }
}
