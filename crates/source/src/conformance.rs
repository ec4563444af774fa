//! What every [`BlobSource`] must do, whatever its bytes come from.

use std::sync::Arc;

use windlass_oci::Digest;

use crate::{BlobReader, BlobSource, PIECE};

/// How many readers of one source are open at the same time.
const MANY: usize = 64;

/// Reads `source`, which has `content`, in every way that a push does. The error says what it got
/// wrong.
pub async fn check(source: Arc<dyn BlobSource>, content: &[u8]) -> Result<(), String> {
    let size = content.len();
    demand(source.size() == size as u64, || format!("size() is {}", source.size()))?;
    let digest = Digest::of(source.digest().algorithm(), content);
    demand(*source.digest() == digest, || format!("digest() is {}", source.digest()))?;
    demand(!source.origin().is_empty(), || "origin() is empty".to_owned())?;

    let around = |place: usize| [place.saturating_sub(1), place, place + 1];
    let places = [0, size / 2, PIECE, 2 * PIECE, size.saturating_sub(PIECE), size];
    for offset in places.into_iter().flat_map(around).filter(|offset| *offset <= size) {
        read_from(&*source, content, offset).await?;
    }
    for _ in 0..3 {
        read_from(&*source, content, 0).await?;
    }
    past_the_end(&*source).await?;
    two_in_turn(&*source, content).await?;
    many_at_once(&source, content).await?;
    dropped_midway(&*source, content).await
}

async fn read_from(source: &dyn BlobSource, content: &[u8], offset: usize) -> Result<(), String> {
    let mut reader = open(source, offset).await?;
    let mut position = offset;
    while step(&mut *reader, content, &mut position).await? {}
    demand(position == content.len(), || {
        format!("opened at {offset} it ended at {position} of {}", content.len())
    })?;
    let more = reader.next().await.is_some();
    demand(!more, || format!("opened at {offset} it went on after its end"))
}

async fn past_the_end(source: &dyn BlobSource) -> Result<(), String> {
    let opened = source.open(source.size() + 1).await;
    demand(opened.is_err(), || "it could be opened past its end".to_owned())
}

async fn two_in_turn(source: &dyn BlobSource, content: &[u8]) -> Result<(), String> {
    let starts = [0, content.len() / 2];
    let (mut one, mut two) = (open(source, starts[0]).await?, open(source, starts[1]).await?);
    let [mut at_one, mut at_two] = starts;
    loop {
        let more = step(&mut *one, content, &mut at_one).await?;
        if !more & !step(&mut *two, content, &mut at_two).await? {
            break;
        }
    }
    demand(at_one == content.len() && at_two == content.len(), || {
        format!("two readers ended at {at_one} and {at_two} of {}", content.len())
    })
}

async fn many_at_once(source: &Arc<dyn BlobSource>, content: &[u8]) -> Result<(), String> {
    let mut readers = Vec::new();
    for number in 0..MANY {
        let offset = content.len() / MANY * number;
        readers.push((open(&**source, offset).await?, offset));
    }
    for (reader, position) in &mut readers {
        while step(&mut **reader, content, position).await? {}
        demand(*position == content.len(), || format!("one of many ended at {position}"))?;
    }
    Ok(())
}

async fn dropped_midway(source: &dyn BlobSource, content: &[u8]) -> Result<(), String> {
    for pieces in [0, 1, 2] {
        let mut reader = open(source, 0).await?;
        let mut position = 0;
        for _ in 0..pieces {
            step(&mut *reader, content, &mut position).await?;
        }
        drop(reader);
        read_from(source, content, position).await?;
    }
    Ok(())
}

async fn open(source: &dyn BlobSource, offset: usize) -> Result<Box<dyn BlobReader>, String> {
    let opened = source.open(offset as u64).await;
    opened.map_err(|error| format!("it could not be opened at {offset}: {error}"))
}

/// Takes one piece and compares it; `false` at the end.
async fn step(
    reader: &mut dyn BlobReader,
    content: &[u8],
    position: &mut usize,
) -> Result<bool, String> {
    let Some(piece) = reader.next().await else { return Ok(false) };
    let piece = piece.map_err(|error| format!("at {position}: {error}"))?;
    demand(!piece.is_empty(), || format!("an empty piece at {position}"))?;
    let end = *position + piece.len();
    demand(content.get(*position..end) == Some(&*piece), || {
        format!("wrong bytes between {position} and {end}")
    })?;
    *position = end;
    Ok(true)
}

fn demand(held: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if held { Ok(()) } else { Err(problem()) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::task::{Context, Poll};

    use async_trait::async_trait;
    use bytes::Bytes;
    use windlass_oci::{Descriptor, MediaType};

    use super::*;
    use crate::{
        ArchiveStore, DirectoryStore, FileSource, FilesStore, MemorySource, MemoryStore,
        SourceError, Store, Stores,
    };

    const SIZES: [usize; 7] = [0, 1, 511, PIECE - 1, PIECE, PIECE + 1, 7 * PIECE + 12_345];

    fn content(size: usize) -> Vec<u8> {
        (0..size).map(|place| (place * 31 / 7 % 251) as u8).collect()
    }

    async fn check_store(store: &dyn Store) {
        for size in SIZES {
            let content = content(size);
            let descriptor = Descriptor::of(MediaType::OCI_LAYER, &content);
            let source = store.get(&descriptor).await.unwrap().unwrap();
            check(source, &content).await.unwrap();
        }
    }

    #[tokio::test]
    async fn memory_conforms() {
        let store: MemoryStore =
            SIZES.iter().map(|size| MemorySource::new(content(*size))).collect();
        check_store(&store).await;
        check_store(&Stores(vec![Arc::new(MemoryStore::new()), Arc::new(store)])).await;
    }

    #[tokio::test]
    async fn files_directories_and_archives_conform() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = folder.path().join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        let mut paths = Vec::new();
        let mut archive = tar::Builder::new(Vec::new());
        for size in SIZES {
            let content = content(size);
            let digest = Digest::sha256(&content);
            let path = blobs.join(digest.hex());
            fs::write(&path, &content).unwrap();
            check(Arc::new(FileSource::find(&path, digest.clone()).unwrap()), &content)
                .await
                .unwrap();
            archive.append_path_with_name(&path, format!("blobs/sha256/{}", digest.hex())).unwrap();
            paths.push((digest, path));
        }
        check_store(&FilesStore::from_iter(paths)).await;
        check_store(&DirectoryStore::new(folder.path())).await;
        let path = folder.path().join("archive");
        fs::write(&path, archive.into_inner().unwrap()).unwrap();
        check_store(&ArchiveStore::open(&path).await.unwrap()).await;
    }

    /// A source that is wrong in one way.
    #[derive(Debug)]
    struct Wrong(MemorySource, &'static str);

    struct WrongReader(Box<dyn BlobReader>, &'static str);

    #[async_trait]
    impl BlobSource for Wrong {
        fn digest(&self) -> &Digest {
            self.0.digest()
        }

        fn size(&self) -> u64 {
            self.0.size() + u64::from(self.1 == "size")
        }

        async fn open(&self, offset: u64) -> Result<Box<dyn BlobReader>, SourceError> {
            let offset = match self.1 {
                "offset" => 0,
                "past" => offset.min(self.0.size()),
                _ => offset,
            };
            Ok(Box::new(WrongReader(self.0.open(offset).await?, self.1)))
        }

        fn origin(&self) -> String {
            self.0.origin()
        }
    }

    impl BlobReader for WrongReader {
        fn poll_next(
            &mut self,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Bytes, SourceError>>> {
            match self.0.poll_next(context) {
                Poll::Ready(None) if self.1 == "endless" => {
                    Poll::Ready(Some(Ok(Bytes::from_static(b"more"))))
                }
                Poll::Ready(Some(_)) if self.1 == "short" => Poll::Ready(None),
                Poll::Ready(None) if self.1 == "empty" => Poll::Ready(Some(Ok(Bytes::new()))),
                other => other,
            }
        }
    }

    #[tokio::test]
    async fn the_suite_finds_what_is_wrong() {
        let content = content(1000);
        let source = |wrong| Arc::new(Wrong(MemorySource::new(content.clone()), wrong));
        check(source("nothing"), &content).await.unwrap();
        for (wrong, expected) in [
            ("size", "size() is 1001"),
            ("offset", "wrong bytes between 1 and"),
            ("past", "could be opened past its end"),
            ("endless", "wrong bytes between 1000 and"),
            ("short", "it ended at 0 of 1000"),
            ("empty", "an empty piece at 1000"),
        ] {
            let error = check(source(wrong), &content).await.unwrap_err();
            assert!(error.contains(expected), "{wrong}: {error}");
        }
        let error = check(source("nothing"), b"other").await.unwrap_err();
        assert!(error.contains("size"), "{error}");
    }
}
