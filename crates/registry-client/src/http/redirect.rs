//! Which redirects are followed, and what goes along (RFC 9110 §15.4).

use http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};

use super::origin::{Origin, bare};
use super::{HttpError, location};

/// How many redirects one request may meet.
pub(super) const MAX_HOPS: usize = 10;

/// Where `status` and `location` send a request that `uri` gave them for; `None` where they are
/// the answer itself.
pub(super) fn follow(
    method: &Method,
    uri: &Uri,
    status: StatusCode,
    location: Option<&HeaderValue>,
) -> Result<Option<Uri>, HttpError> {
    let keeps_method = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => false,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => return Ok(None),
    };
    let Some(location) = location else { return Ok(None) };
    let refuse = |why: &str| Err(HttpError::Redirect(format!("{} {why}", bare(uri))));
    let Ok(target) = location::resolve(uri, location) else {
        return refuse("redirects to what is no URL");
    };
    if !keeps_method && !matches!(*method, Method::GET | Method::HEAD) {
        return refuse(&format!(
            "answers a {method} with {} to {}, which would turn it into a GET",
            status.as_u16(),
            bare(&target)
        ));
    }
    if Origin::of(uri)?.secure && !Origin::of(&target)?.secure {
        return refuse(&format!("redirects from https to {}", bare(&target)));
    }
    Ok(Some(target))
}

/// The headers of a request to `home` as they may go to `target`: credentials stay at home.
pub(super) fn headers_for(headers: &HeaderMap, home: &Origin, target: &Origin) -> HeaderMap {
    let mut headers = headers.clone();
    for (name, value) in &mut headers {
        if *name == AUTHORIZATION {
            value.set_sensitive(true);
        }
    }
    if home != target {
        let is_secret = |name: &HeaderName, value: &HeaderValue| {
            value.is_sensitive() || *name == AUTHORIZATION || *name == COOKIE
        };
        let secrets: Vec<HeaderName> = headers
            .iter()
            .filter(|(name, value)| is_secret(name, value))
            .map(|(name, _)| name.clone())
            .collect();
        for name in secrets {
            headers.remove(name);
        }
    }
    headers
}
