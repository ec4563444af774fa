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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        method: &Method,
        from: &str,
        status: u16,
        to: &str,
        expected: Result<Option<&str>, &str>,
    ) {
        let status = StatusCode::from_u16(status).unwrap();
        let location = HeaderValue::from_str(to).unwrap();
        let target = follow(method, &from.parse().unwrap(), status, Some(&location));
        let target = target.map(|uri| uri.map(|uri| uri.to_string())).map_err(|e| e.to_string());
        assert_eq!(target.as_ref().map(|uri| uri.as_deref()).map_err(String::as_str), expected);
    }

    #[test]
    fn questions_follow_every_redirect_and_other_methods_those_that_keep_them() {
        for status in [301, 302, 303, 307, 308] {
            for method in [Method::GET, Method::HEAD] {
                check(&method, "https://h/a", status, "/b", Ok(Some("https://h/b")));
            }
        }
        for method in [Method::PUT, Method::POST, Method::PATCH, Method::DELETE] {
            for status in [307, 308] {
                check(&method, "https://h/a", status, "/b", Ok(Some("https://h/b")));
            }
        }
        check(
            &Method::PUT,
            "https://h/a?sig=secret",
            302,
            "https://g/b?sig=secret",
            Err(
                "https://h/a answers a PUT with 302 to https://g/b, which would turn it into a GET",
            ),
        );
    }

    #[test]
    fn other_answers_are_answers_whatever_their_location() {
        for status in [200, 201, 202, 300, 304, 305, 400] {
            check(&Method::GET, "https://h/a", status, "/b", Ok(None));
        }
        let uri = "https://h/a".parse().unwrap();
        assert!(follow(&Method::GET, &uri, StatusCode::FOUND, None).unwrap().is_none());
    }

    #[test]
    fn https_is_never_left() {
        let refusal = Err("https://h/a redirects from https to http://h/b");
        check(&Method::GET, "https://h/a", 307, "http://h/b?sig=secret", refusal);
        check(&Method::GET, "http://h/a", 307, "https://h/b", Ok(Some("https://h/b")));
        check(&Method::GET, "http://h/a", 307, "http://g/b", Ok(Some("http://g/b")));
    }

    #[test]
    fn what_cannot_be_asked_is_not_followed() {
        let refusal = Err("https://h/a redirects to what is no URL");
        check(&Method::GET, "https://h/a", 307, "https://", refusal);
        check(
            &Method::GET,
            "https://h/a",
            307,
            "ftp://h/b",
            Err("ftp://h/b is no http or https URL"),
        );
    }

    #[test]
    fn secrets_go_to_their_own_origin_only() {
        #[track_caller]
        fn check(home: &str, target: &str, expected: &[&str]) {
            let origin = |uri: &str| Origin::of(&uri.parse().unwrap()).unwrap();
            let mut headers = HeaderMap::new();
            headers.insert("accept", HeaderValue::from_static("*/*"));
            headers.insert("authorization", HeaderValue::from_static("Bearer x"));
            headers.insert("cookie", HeaderValue::from_static("x"));
            let mut secret = HeaderValue::from_static("x");
            secret.set_sensitive(true);
            headers.insert("x-secret", secret);
            let headers = headers_for(&headers, &origin(home), &origin(target));
            let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, expected);
            assert!(headers.get("authorization").is_none_or(HeaderValue::is_sensitive));
        }
        let all = &["accept", "authorization", "cookie", "x-secret"];
        check("https://h", "https://h:443/x", all);
        check("https://h", "https://H/x", all);
        check("https://h", "https://h:444", &["accept"]);
        check("https://h", "http://h:443", &["accept"]);
        check("http://h", "https://h", &["accept"]);
        check("https://h", "https://h.h", &["accept"]);
    }
}
