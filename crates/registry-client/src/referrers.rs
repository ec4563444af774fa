//! What refers to a manifest: signatures, attestations, bills of materials.
//! Distribution-spec, §"Listing Referrers".

use windlass_oci::{Descriptor, Digest, Manifest, MediaType, RawManifest, Reference, Tag};

use crate::auth::Scopes;
use crate::client::RepositoryClient;
use crate::error::{Error, ErrorKind};
use crate::exchange::Call;
use crate::manifest::next_page;

const LARGEST_PAGE: usize = 8 << 20;
const MOST_PAGES: usize = 1000;

impl RepositoryClient {
    /// The manifests whose subject is `digest`: by the API, and where the registry has none, by
    /// the fall-back tag.
    pub async fn referrers(&self, digest: &Digest) -> Result<Vec<Descriptor>, Error> {
        let operation = format!("list what refers to {digest} in {}", self.repository);
        let mut call = self.call(operation.clone(), &format!("referrers/{digest}"));
        let mut referrers = Vec::new();
        for page in 0..MOST_PAGES {
            call = call.scopes(Scopes::pull(self.repository.name()));
            let reply = call.send().await?;
            // Registries without the API answer 404 as a rule, some another refusal.
            if page == 0 && reply.status.is_client_error() && reply.status.as_u16() != 401 {
                return self.referrers_by_tag(digest).await;
            }
            if !reply.status.is_success() {
                return Err(call.error(reply.into_error_kind()));
            }
            let next = next_page(&call, &reply)?;
            let bytes = reply
                .bytes(LARGEST_PAGE)
                .await
                .map_err(|error| call.error(ErrorKind::Http(error)))?;
            let index = RawManifest::new(MediaType::OCI_INDEX, bytes);
            match index.view() {
                Ok(Manifest::Index(index)) => referrers.extend(index.manifests),
                Ok(Manifest::Image(_)) => {}
                Err(error) => return Err(call.error(ErrorKind::Protocol(error.to_string()))),
            }
            match next {
                Some(target) => call = Call::new(self, operation.clone(), target),
                None => break,
            }
        }
        Ok(referrers)
    }

    async fn referrers_by_tag(&self, digest: &Digest) -> Result<Vec<Descriptor>, Error> {
        let Ok(tag) = fallback_tag(digest).parse::<Tag>() else {
            return Ok(Vec::new());
        };
        let found = self.get_manifest(&Reference::Tag(tag)).await?;
        Ok(match found.map(|manifest| manifest.view()) {
            Some(Ok(Manifest::Index(index))) => index.manifests,
            // GitLab resolves this tag as the digest and gives the subject itself,
            // <https://github.com/oras-project/oras-go/issues/1396>.
            _ => Vec::new(),
        })
    }
}

/// The tag that lists referrers where there is no API for them (distribution-spec, §"Referrers
/// Tag Schema"): algorithm and encoded part with `-` between, at most 32 and 64 characters.
#[must_use]
pub fn fallback_tag(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}-{}", digest.algorithm(), &hex[..hex.len().min(64)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_oci::Algorithm;

    #[test]
    fn fall_back_tags_are_tags() {
        let sha256 = fallback_tag(&Digest::sha256(b""));
        assert_eq!(
            sha256,
            "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        let sha512 = fallback_tag(&Digest::of(Algorithm::Sha512, b""));
        assert!(sha512.parse::<Tag>().is_ok());
        assert_eq!(sha512.len(), "sha512-".len() + 64);
    }
}
