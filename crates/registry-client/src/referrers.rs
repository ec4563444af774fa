//! What refers to a manifest: signatures, attestations, bills of materials.
//! Distribution-spec, §"Listing Referrers".

use windlass_oci::{Descriptor, Digest, Manifest, MediaType, RawManifest, Reference, Tag};

use crate::client::RepositoryClient;
use crate::error::Error;

impl RepositoryClient {
    /// The manifests whose subject is `digest`: by the API, and where the registry has none, by
    /// the fall-back tag.
    pub async fn referrers(&self, digest: &Digest) -> Result<Vec<Descriptor>, Error> {
        match self.referrers_by_api(digest).await? {
            Some(referrers) => Ok(referrers),
            None => self.referrers_by_tag(digest).await,
        }
    }

    /// The same by the API alone; `None` where the registry has none.
    pub async fn referrers_by_api(
        &self,
        digest: &Digest,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        let operation = format!("list what refers to {digest} in {}", self.repository);
        let mut pages = self.pages(operation, &format!("referrers/{digest}"));
        let mut referrers = Vec::new();
        loop {
            let page = match pages.next().await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(Some(referrers)),
                // Registries without the API answer 404 as a rule, some another refusal.
                Err(error) if referrers.is_empty() && is_no_api(&error) => return Ok(None),
                Err(error) => return Err(error),
            };
            match RawManifest::new(MediaType::OCI_INDEX, page).view() {
                Ok(Manifest::Index(index)) => referrers.extend(index.manifests),
                Ok(Manifest::Image(_)) => {}
                // A page for people, such as some give to every address that they do not know.
                Err(_) if referrers.is_empty() => return Ok(None),
                Err(error) => return Err(pages.error(error.to_string())),
            }
        }
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

fn is_no_api(error: &Error) -> bool {
    let is_no_api = |status: u16| status == 501 || (400..500).contains(&status) && status != 401;
    error.status().is_some_and(|status| is_no_api(status.as_u16()))
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
