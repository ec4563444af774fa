//! Listing referrers. Distribution-spec, §"Listing Referrers".

use axum::body::Body;
use http::header::HeaderName;
use http::{HeaderValue, Response};
use serde_json::json;
use windlass_oci::{Digest, MediaType, RepositoryName};

use crate::exchange::{self, Exchange};
use crate::failure::Failure;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// `GET …/referrers/<digest>`; nothing known is an empty list.
pub(crate) async fn list(
    exchange: &mut Exchange,
    repository: RepositoryName,
    subject: Digest,
) -> Result<Response<Body>, Failure> {
    let query = exchange.query();
    let wanted = query.get("artifactType").filter(|wanted| !wanted.is_empty());
    let mut referrers =
        exchange.blocking(move |inner| inner.store.referrers(&repository, &subject)).await?;
    if let Some(wanted) = wanted {
        referrers.retain(|referrer| referrer.artifact_type.as_deref() == Some(wanted));
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX,
        "manifests": referrers,
    });
    let mut response = exchange::json("application/vnd.oci.image.index.v1+json", &index);
    if wanted.is_some() {
        let filter = HeaderValue::from_static("artifactType");
        response.headers_mut().insert(FILTERS_APPLIED, filter);
    }
    Ok(response)
}
