//! Which blobs a host is known to have, and who is just sending one: each is sent to a host once,
//! whoever wants it there, and mounted where it is wanted further.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::watch;
use windlass_oci::{Digest, Registry, Repository, RepositoryName};

/// What is known in this process.
#[derive(Debug, Default)]
pub(crate) struct KnownBlobs(Mutex<HashMap<Key, Entry>>);

type Key = (Registry, Digest);

#[derive(Debug)]
struct Entry {
    /// Repositories that have it.
    repositories: Vec<RepositoryName>,
    /// Whether somebody sends it: closed when that has come to an end.
    sending: Option<watch::Receiver<()>>,
}

/// What to do about a blob.
#[derive(Debug)]
pub(crate) enum Claim<'a> {
    /// The repository has it.
    Here,
    /// Another repository of the host has it.
    Elsewhere(RepositoryName),
    /// Nobody has it or sends it: it is the claimant's to send.
    Mine(Sending<'a>),
}

/// A blob that is being sent. Dropped without [`arrived`](Self::arrived), it is free again.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    known: &'a KnownBlobs,
    repository: Repository,
    digest: Digest,
    /// Closing it wakes those who wait.
    _alive: watch::Sender<()>,
}

impl KnownBlobs {
    /// Notes that `repository` has a blob.
    pub(crate) fn note(&self, repository: &Repository, digest: &Digest) {
        self.with(repository, digest, |entry| entry.add(repository.name()));
    }

    /// Forgets that `repository` has a blob: the registry says that it has not.
    pub(crate) fn forget(&self, repository: &Repository, digest: &Digest) {
        self.with(repository, digest, |entry| {
            entry.repositories.retain(|name| name != repository.name());
        });
    }

    /// Another repository of `repository`'s host that has a blob.
    pub(crate) fn sibling(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Option<RepositoryName> {
        self.with(repository, digest, |entry| {
            entry.repositories.iter().find(|name| *name != repository.name()).cloned()
        })
        .flatten()
    }

    /// Finds out what to do to get a blob into `repository`; waits while somebody sends it to the
    /// same host.
    pub(crate) async fn claim(&self, repository: &Repository, digest: &Digest) -> Claim<'_> {
        loop {
            let (alive, dead) = watch::channel(());
            let decision = self.with(repository, digest, |entry| {
                if entry.repositories.contains(repository.name()) {
                    return Decision::Here;
                }
                if let Some(name) = entry.repositories.first() {
                    return Decision::Elsewhere(name.clone());
                }
                match &entry.sending {
                    Some(sending) if sending.has_changed().is_ok() => {
                        Decision::Wait(sending.clone())
                    }
                    _ => {
                        entry.sending = Some(dead.clone());
                        Decision::Send
                    }
                }
            });
            match decision {
                Some(Decision::Here) => return Claim::Here,
                Some(Decision::Elsewhere(name)) => return Claim::Elsewhere(name),
                // Only ever closed: the change that is waited for is the sender's end.
                Some(Decision::Wait(mut sending)) => drop(sending.changed().await),
                Some(Decision::Send) | None => {
                    return Claim::Mine(Sending {
                        known: self,
                        repository: repository.clone(),
                        digest: digest.clone(),
                        _alive: alive,
                    });
                }
            }
        }
    }

    fn with<T>(
        &self,
        repository: &Repository,
        digest: &Digest,
        act: impl FnOnce(&mut Entry) -> T,
    ) -> Option<T> {
        let key = (repository.registry().clone(), digest.clone());
        let mut entries = self.0.lock().ok()?;
        let empty = || Entry { repositories: Vec::new(), sending: None };
        Some(act(entries.entry(key).or_insert_with(empty)))
    }
}

enum Decision {
    Here,
    Elsewhere(RepositoryName),
    Wait(watch::Receiver<()>),
    Send,
}

impl Entry {
    fn add(&mut self, name: &RepositoryName) {
        if !self.repositories.contains(name) {
            self.repositories.push(name.clone());
        }
    }
}

impl Sending<'_> {
    /// The blob has arrived.
    pub(crate) fn arrived(self) {
        self.known.note(&self.repository, &self.digest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn repository(text: &str) -> Repository {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_blob_is_sent_once_a_host() {
        let known = Arc::new(KnownBlobs::default());
        let digest = Digest::sha256(b"x");
        let (a, b) = (repository("host.io/a"), repository("host.io/b"));
        let Claim::Mine(sending) = known.claim(&a, &digest).await else { panic!() };
        let waiting = tokio::spawn({
            let (known, b, digest) = (known.clone(), b.clone(), digest.clone());
            async move {
                matches!(known.claim(&b, &digest).await, Claim::Elsewhere(name) if name.as_str() == "a")
            }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        sending.arrived();
        assert!(waiting.await.unwrap());
        assert!(matches!(known.claim(&a, &digest).await, Claim::Here));
        // Another host knows nothing of it.
        let other = repository("other.io/a");
        assert!(matches!(known.claim(&other, &digest).await, Claim::Mine(_)));
    }

    #[tokio::test]
    async fn one_that_failed_is_taken_over() {
        let known = Arc::new(KnownBlobs::default());
        let digest = Digest::sha256(b"x");
        let (a, b) = (repository("host.io/a"), repository("host.io/b"));
        let claim = known.claim(&a, &digest).await;
        let waiting = tokio::spawn({
            let (known, b, digest) = (known.clone(), b.clone(), digest.clone());
            async move { matches!(known.claim(&b, &digest).await, Claim::Mine(_)) }
        });
        tokio::task::yield_now().await;
        drop(claim);
        assert!(waiting.await.unwrap());
    }

    #[tokio::test]
    async fn what_is_gone_is_forgotten() {
        let known = KnownBlobs::default();
        let digest = Digest::sha256(b"x");
        let (a, b) = (repository("host.io/a"), repository("host.io/b"));
        known.note(&a, &digest);
        assert_eq!(known.sibling(&b, &digest).unwrap().as_str(), "a");
        assert_eq!(known.sibling(&a, &digest), None);
        known.forget(&a, &digest);
        assert!(matches!(known.claim(&a, &digest).await, Claim::Mine(_)));
    }
}
