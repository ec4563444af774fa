//! Manifests and tags: whether they are there, putting them, reading them, listing.

use http::header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderName};
use http::{Method, StatusCode};
use windlass_oci::{Digest, MediaType, RawManifest, Reference, Tag};

use crate::auth::Scopes;
use crate::client::RepositoryClient;
use crate::error::{Error, ErrorKind};
use crate::exchange::{Call, Trouble};
use crate::reply::Reply;
use crate::retry::{Patience, Verdict};

/// What a registry says of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestPresence {
    /// It is there, with this digest.
    Present(Digest),
    /// It is not there.
    Absent,
    /// The registry will not tell; see [`Presence::Unknown`](crate::Presence::Unknown).
    Unknown,
}

/// What a registry says to a manifest that it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutManifest {
    /// Whether it lists the manifest as a referrer of its subject (`OCI-Subject`,
    /// distribution-spec §"Pushing Manifests with Subject"). Without that the client must.
    pub subject_is_listed: bool,
    /// The tags that it says it has set with it (`OCI-Tag`, §"Pushing Manifests"), of those that
    /// [`put_tagged`](RepositoryClient::put_tagged) asked for.
    pub tags: Vec<Tag>,
}

/// A manifest that was read.
pub(crate) struct ReadManifest {
    pub(crate) manifest: RawManifest,
    /// Its entity tag (`ETag`), where it came with one.
    pub(crate) etag: Option<String>,
}

/// The largest manifest that is read.
const LARGEST_MANIFEST: usize = 64 << 20;
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const TAG: HeaderName = HeaderName::from_static("oci-tag");

impl RepositoryClient {
    /// Whether there is a manifest of this name or digest. Distribution-spec, §"Checking if
    /// content exists in the registry".
    pub async fn head_manifest(&self, reference: &Reference) -> Result<ManifestPresence, Error> {
        let call = self.manifest_call("ask for", reference).method(Method::HEAD);
        let reply = call.send().await?;
        match reply.status.as_u16() {
            200..=299 if reply.is_page() => return Ok(ManifestPresence::Unknown),
            200..=299 => {}
            404 => return Ok(ManifestPresence::Absent),
            401 => return Err(call.error(reply.into_error_kind())),
            _ => return Ok(ManifestPresence::Unknown),
        }
        match (reference, reply.content_digest()) {
            (Reference::Digest(digest), _) if reply.is_about_other_than(digest) => {
                Ok(ManifestPresence::Unknown)
            }
            (Reference::Digest(digest), _) => Ok(ManifestPresence::Present(digest.clone())),
            (Reference::Tag(_), Some(digest)) => Ok(ManifestPresence::Present(digest)),
            // Old registries do not send the header; then the bytes tell.
            (Reference::Tag(_), None) => Ok(match self.get_manifest(reference).await {
                Ok(Some(manifest)) => ManifestPresence::Present(manifest.digest().clone()),
                Ok(None) => ManifestPresence::Absent,
                Err(error) if error.status().is_some_and(|status| status.is_client_error()) => {
                    ManifestPresence::Unknown
                }
                Err(error) => return Err(error),
            }),
        }
    }

    /// Reads a manifest; `None` where there is none. Asked for by digest, it has that digest.
    /// Distribution-spec, §"Pulling manifests".
    pub async fn get_manifest(&self, reference: &Reference) -> Result<Option<RawManifest>, Error> {
        Ok(self.read_manifest(reference).await?.map(|read| read.manifest))
    }

    /// The same, with the entity tag that it came with.
    pub(crate) async fn read_manifest(
        &self,
        reference: &Reference,
    ) -> Result<Option<ReadManifest>, Error> {
        let call = self.manifest_call("get", reference);
        let call = call.scopes(Scopes::pull(self.repository.name()));
        let reply = call.send().await?;
        if reply.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !reply.status.is_success() {
            return Err(call.error(reply.into_error_kind()));
        }
        let media_type = reply.header(CONTENT_TYPE).unwrap_or_default();
        let media_type = MediaType::new(media_type.split(';').next().unwrap_or_default().trim());
        let etag = reply.header(ETAG).map(str::to_owned);
        let bytes = reply
            .bytes(LARGEST_MANIFEST)
            .await
            .map_err(|error| call.error(ErrorKind::Http(error)))?;
        let manifest = match reference {
            Reference::Tag(_) => RawManifest::new(media_type, bytes),
            Reference::Digest(digest) => {
                match RawManifest::with_digest(media_type, digest.clone(), bytes) {
                    Some(manifest) => manifest,
                    None => {
                        return Err(call.error(ErrorKind::Protocol(
                            "the manifest it sends has another digest".to_owned(),
                        )));
                    }
                }
            }
        };
        Ok(Some(ReadManifest { manifest, etag }))
    }

    /// Puts a manifest under its digest or a tag. After a lost answer it asks whether the manifest
    /// is there before it puts it again. Distribution-spec, §"Pushing Manifests".
    pub async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &RawManifest,
    ) -> Result<PutManifest, Error> {
        let verb = match reference {
            Reference::Tag(_) => "set",
            Reference::Digest(_) => "put",
        };
        self.put(self.manifest_call(verb, reference), reference, manifest).await
    }

    /// Puts a manifest under its digest, and in the same request asks for `tags` to name it. Which
    /// of them do is told by the answer: many registries do not know of this, and set none.
    /// Distribution-spec, §"Pushing Manifests".
    ///
    /// Where the answer was lost and the manifest is there, none is told to be set.
    pub async fn put_tagged(
        &self,
        manifest: &RawManifest,
        tags: &[Tag],
    ) -> Result<PutManifest, Error> {
        let digest = manifest.digest();
        let names: Vec<_> = tags.iter().map(Tag::as_str).collect();
        let (repository, all) = (&self.repository, names.join(", "));
        let operation = format!("put manifest {digest} of {repository} with the tags {all}");
        let query = names.join("&tag=");
        let call = self.call(operation, &format!("manifests/{digest}?tag={query}"));
        let reference = Reference::Digest(digest.clone());
        let mut put = self.put(call, &reference, manifest).await?;
        put.tags.retain(|tag| tags.contains(tag));
        Ok(put)
    }

    async fn put(
        &self,
        call: Call<'_>,
        reference: &Reference,
        manifest: &RawManifest,
    ) -> Result<PutManifest, Error> {
        let call = call
            .method(Method::PUT)
            .header(CONTENT_TYPE, manifest.media_type().as_str())
            .bytes(manifest.bytes().clone());
        let mut patience = Patience::default();
        loop {
            let odd = match call.once().await {
                Ok(reply) if reply.status == StatusCode::CREATED => {
                    return judge_put(&call, &reply, manifest);
                }
                // A success that is none of those defined: look whether it is one.
                Ok(reply) if reply.status.is_success() => Some(reply.status),
                Ok(reply) => match reply.verdict() {
                    Verdict::Fatal => return Err(call.error(reply.into_error_kind())),
                    Verdict::Retry { pause } => {
                        let kind = reply.into_error_kind();
                        let trouble = Trouble { kind, pause, moved: false };
                        call.wait(&mut patience, trouble).await?;
                        None
                    }
                },
                Err(failure) => {
                    call.recover(&mut patience, failure).await?;
                    None
                }
            };
            // Without the answer it is not known whether the subject was listed: saying no makes
            // the caller look.
            let put = PutManifest::default();
            let Some(status) = odd else {
                if self.head_once(reference).await.as_ref() == Some(manifest.digest()) {
                    return Ok(put);
                }
                continue;
            };
            let problem = match self.head_manifest(reference).await? {
                ManifestPresence::Present(found) if found == *manifest.digest() => return Ok(put),
                ManifestPresence::Unknown => "and does not tell whether it is there",
                _ => "that is not there afterwards",
            };
            let problem = format!("{status} to a manifest {problem}");
            return Err(call.error(ErrorKind::Protocol(problem)));
        }
    }

    /// Deletes a tag, by its name; the manifest stays. Distribution-spec, §"Deleting tags".
    pub async fn delete_tag(&self, tag: &Tag) -> Result<(), Error> {
        let reference = Reference::Tag(tag.clone());
        let delete = crate::auth::Scope::delete(self.repository.name());
        let call = self
            .manifest_call("delete", &reference)
            .method(Method::DELETE)
            .scopes(Scopes::push(self.repository.name()).with(delete));
        let reply = call.send().await?;
        match reply.status.as_u16() {
            200..=299 | 404 => Ok(()),
            _ => Err(call.error(reply.into_error_kind())),
        }
    }

    /// All tags of the repository, in the registry's order. Distribution-spec, §"Listing Tags".
    pub async fn list_tags(&self) -> Result<Vec<String>, Error> {
        #[derive(serde::Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut tags = Vec::new();
        let mut pages = self.pages(format!("list the tags of {}", self.repository), "tags/list");
        while let Some(page) = pages.next().await? {
            let page: Page = serde_json::from_slice(&page)
                .map_err(|error| pages.error(format!("its list is no JSON: {error}")))?;
            tags.extend(page.tags.unwrap_or_default());
        }
        Ok(tags)
    }

    /// Asks once, for the digest alone; `None` where it is not there or there is no answer.
    async fn head_once(&self, reference: &Reference) -> Option<Digest> {
        let call = self.manifest_call("ask for", reference).method(Method::HEAD);
        let reply = call.once().await.ok()?;
        if !reply.status.is_success() || reply.is_page() {
            return None;
        }
        match (reference, reply.content_digest()) {
            (_, Some(digest)) => Some(digest),
            (Reference::Digest(digest), None) => Some(digest.clone()),
            (Reference::Tag(_), None) => None,
        }
    }

    pub(crate) fn manifest_call(&self, verb: &str, reference: &Reference) -> Call<'_> {
        let operation = match reference {
            Reference::Tag(tag) => format!("{verb} tag {tag} of {}", self.repository),
            Reference::Digest(digest) => format!("{verb} manifest {digest} of {}", self.repository),
        };
        let call = self.call(operation, &format!("manifests/{reference}"));
        if matches!(verb, "set" | "put" | "delete") {
            call
        } else {
            call.header(ACCEPT, &accepted())
        }
    }
}

/// Whether a registry that says yes has taken what was sent.
fn judge_put(call: &Call<'_>, reply: &Reply, manifest: &RawManifest) -> Result<PutManifest, Error> {
    if let Some(said) = reply.content_digest()
        && said.algorithm() == manifest.digest().algorithm()
        && said != *manifest.digest()
    {
        let problem = format!("it stored {said} when {} was sent", manifest.digest());
        return Err(call.error(ErrorKind::Protocol(problem)));
    }
    let lists = reply.headers.get_all(&TAG).into_iter().filter_map(|value| value.to_str().ok());
    let tags = lists.flat_map(|list| list.split(',')).filter_map(|tag| tag.trim().parse().ok());
    Ok(PutManifest { subject_is_listed: reply.header(&SUBJECT).is_some(), tags: tags.collect() })
}

/// All kinds of manifests, so that a registry never converts one.
fn accepted() -> String {
    let types = [
        MediaType::OCI_MANIFEST,
        MediaType::OCI_INDEX,
        MediaType::DOCKER_MANIFEST,
        MediaType::DOCKER_INDEX,
    ];
    types.iter().map(MediaType::as_str).collect::<Vec<_>>().join(", ")
}
