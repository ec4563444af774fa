//! Looks, from within the registry and at the very moment a tag becomes visible, whether the image
//! that it names is there with all its parts.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use windlass_oci::{Digest, Manifest};
use windlass_registry::{TagHook, TagWrite};

/// What was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Witness(Arc<Mutex<Seen>>);

/// Tags that were created or moved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// How many.
    pub(super) tags: u64,
    /// Those whose image was not complete, in words.
    pub(super) incomplete: Vec<String>,
}

impl Witness {
    /// What the registry is to call.
    pub(super) fn hook(&self) -> TagHook {
        let seen = self.0.clone();
        Arc::new(move |write| {
            let missing = missing(&write);
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.tags += 1;
            let (repository, tag) = (write.repository, write.tag);
            match missing {
                Ok(None) => {}
                Ok(Some(digest)) => {
                    seen.incomplete.push(format!("{repository}:{tag} was set without {digest}"));
                }
                Err(error) => seen.incomplete.push(format!("{repository}:{tag}: {error}")),
            }
        })
    }

    /// What was seen so far.
    pub(super) fn seen(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The first part of the image that its repository does not have.
fn missing(write: &TagWrite<'_>) -> io::Result<Option<Digest>> {
    let (store, repository) = (write.store, write.repository);
    let mut seen = HashSet::new();
    let mut manifests = vec![write.digest.clone()];
    while let Some(digest) = manifests.pop() {
        if !seen.insert(digest.clone()) {
            continue;
        }
        let Some(manifest) = store.manifest(repository, &digest)? else { return Ok(Some(digest)) };
        let view = manifest.view().map_err(io::Error::other)?;
        for child in view.children() {
            if matches!(view, Manifest::Index(_)) && child.media_type.is_manifest() {
                manifests.push(child.digest.clone());
            } else if !child.media_type.is_non_distributable()
                && !store.blob_exists(repository, &child.digest)?
            {
                return Ok(Some(child.digest.clone()));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;
    use windlass_oci::{Digest, RawManifest, Reference, Registry, Repository, Tag};
    use windlass_registry::Config;
    use windlass_registry_client::auth::CredentialChain;
    use windlass_registry_client::http::{Http, HttpConfig};
    use windlass_registry_client::{Client, ClientOptions, RepositoryClient, Transport};
    use windlass_testkit::{Image, ImageBuilder};

    use super::*;

    /// A registry that takes images with parts missing, and tells `witness`.
    async fn careless_registry(witness: &Witness) -> (tempfile::TempDir, RepositoryClient) {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(folder.path());
        config.accept_incomplete = true;
        config.on_tag = Some(witness.hook());
        let registry = windlass_registry::Registry::open(config).await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let host: Registry = listener.local_addr().unwrap().to_string().parse().unwrap();
        tokio::spawn(registry.serve(listener, std::future::pending()));
        let options = ClientOptions { transport: Transport::PlainHttp, ..ClientOptions::default() };
        let credentials = Arc::new(CredentialChain::default());
        let http = Http::new(HttpConfig::default());
        let client = Client::new(http, host.clone(), credentials, options);
        let repository = Repository::new(host, "app".parse().unwrap()).unwrap();
        (folder, client.repository(repository))
    }

    async fn put(client: &RepositoryClient, image: &Image, digest: &Digest, tag: Option<&str>) {
        let manifests = image.manifests();
        let descriptor = manifests.iter().find(|manifest| manifest.digest == *digest).unwrap();
        let manifest = RawManifest::new(descriptor.media_type.clone(), image.bytes(digest));
        let reference = match tag {
            Some(tag) => Reference::Tag(tag.parse::<Tag>().unwrap()),
            None => Reference::Digest(digest.clone()),
        };
        client.put_manifest(&reference, &manifest).await.unwrap();
    }

    #[tokio::test]
    async fn a_part_that_is_missing_is_seen_wherever_it_is() {
        let witness = Witness::default();
        let (_folder, client) = careless_registry(&witness).await;
        let image = ImageBuilder::new(1).layers(1, 100).platforms(&["linux/amd64"]).build();
        let child = &image.manifests()[0].digest;

        put(&client, &image, image.digest(), Some("no-child")).await;
        put(&client, &image, child, None).await;
        put(&client, &image, image.digest(), Some("no-blobs")).await;
        let [layer, config] = image.blobs().try_into().unwrap();
        let push = async |digest: &Digest| {
            let source = windlass_source::MemorySource::new(image.bytes(digest));
            client.push_blob(Arc::new(source), None, None, None).await.unwrap();
        };
        push(&config.digest).await;
        put(&client, &image, image.digest(), Some("no-layer")).await;
        push(&layer.digest).await;
        put(&client, &image, image.digest(), Some("whole")).await;

        assert_eq!(
            witness.seen(),
            Seen {
                tags: 4,
                incomplete: vec![
                    format!("app:no-child was set without {child}"),
                    format!("app:no-blobs was set without {}", config.digest),
                    format!("app:no-layer was set without {}", layer.digest),
                ],
            }
        );
    }
}
