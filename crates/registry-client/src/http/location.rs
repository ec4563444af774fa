//! Resolving a `Location` and adding to its query, byte for byte.
//!
//! Upload locations are signed: a registry that finds one `%2B` turned into `+` refuses the
//! upload. So nothing here parses and prints a query; strings are only cut and joined.

use http::{HeaderValue, Uri};

use super::HttpError;

/// What `location` means where `base` gave it (RFC 3986 §5.2). All its bytes are kept, but for a
/// fragment and for the dot segments of a relative path.
///
/// # Errors
///
/// [`Uri`](HttpError::Uri) where it is none.
pub fn resolve(base: &Uri, location: &HeaderValue) -> Result<Uri, HttpError> {
    // The value is not shown: it may be signed.
    let unusable = || HttpError::Uri("its answer names a location that is no URL".to_owned());
    let location = std::str::from_utf8(location.as_bytes()).map_err(|_| unusable())?.trim();
    let location = location.split('#').next().unwrap_or_default();
    let scheme = base.scheme_str().ok_or_else(unusable)?;
    let authority = base.authority().ok_or_else(unusable)?.as_str();
    let path = base.path();
    let absolute = if has_scheme(location) {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.is_empty() {
        base.to_string()
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{path}{location}")
    } else {
        let folder = &path[..=path.rfind('/').unwrap_or_default()];
        let (relative, query) = split_query(location);
        let merged = without_dots(&format!("{folder}{relative}"));
        format!("{scheme}://{authority}{merged}{query}")
    };
    match absolute.parse::<Uri>() {
        Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        _ => Err(unusable()),
    }
}

/// `uri` with `pair` (`name=value`, already encoded) at the end of its query.
///
/// # Errors
///
/// [`Uri`](HttpError::Uri) where `pair` has bytes that a URL cannot have.
pub fn with_query(uri: &Uri, pair: &str) -> Result<Uri, HttpError> {
    let old = uri.path_and_query().map_or("/", |path| path.as_str());
    let joint = match old.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    let mut parts = uri.clone().into_parts();
    let unusable = |_| HttpError::Uri(format!("{pair} cannot be added to a URL"));
    parts.path_and_query = Some(format!("{old}{joint}{pair}").parse().map_err(unusable)?);
    Uri::from_parts(parts).map_err(|error| HttpError::Uri(error.to_string()))
}

/// Whether it begins as `scheme:` does, so that it is no path with a colon in it.
fn has_scheme(location: &str) -> bool {
    location.split_once(':').is_some_and(|(scheme, rest)| {
        rest.starts_with("//")
            && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    })
}

/// The path, and the query with its question mark.
fn split_query(reference: &str) -> (&str, &str) {
    reference.split_at(reference.find('?').unwrap_or(reference.len()))
}

/// Removes `.` and `..` from an absolute path (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://user.example:5000/v2/a/b/blobs/uploads/?state=1";

    #[track_caller]
    fn check(location: &str, expected: &str) {
        let base = BASE.parse().unwrap();
        let uri = resolve(&base, &HeaderValue::from_bytes(location.as_bytes()).unwrap()).unwrap();
        assert_eq!(uri.to_string(), expected);
    }

    #[track_caller]
    fn refused(location: &str) {
        let base = BASE.parse().unwrap();
        assert!(resolve(&base, &HeaderValue::from_str(location).unwrap()).is_err());
    }

    #[test]
    fn every_form_of_a_location_is_understood() {
        check("https://other/x?y", "https://other/x?y");
        check("HTTPS://other:443/x", "https://other:443/x");
        check("//cdn.example/x?y=1", "https://cdn.example/x?y=1");
        check("/v2/u/1?x=2", "https://user.example:5000/v2/u/1?x=2");
        check("?_state=2", "https://user.example:5000/v2/a/b/blobs/uploads/?_state=2");
        check("1234", "https://user.example:5000/v2/a/b/blobs/uploads/1234");
        check("./1234?x", "https://user.example:5000/v2/a/b/blobs/uploads/1234?x");
        check("../../1234", "https://user.example:5000/v2/a/b/1234");
        check("..", "https://user.example:5000/v2/a/b/blobs/");
        check(".", "https://user.example:5000/v2/a/b/blobs/uploads/");
        check("../../../../../../../x", "https://user.example:5000/x");
        check("a:b/c", "https://user.example:5000/v2/a/b/blobs/uploads/a:b/c");
        check("x?to=//../y", "https://user.example:5000/v2/a/b/blobs/uploads/x?to=//../y");
        check("", BASE);
        check("/x#fragment", "https://user.example:5000/x");
    }

    #[test]
    fn the_bytes_of_a_location_are_kept() {
        let query = "_state=aGVs%2BbG8%3D&X=%2f%2F+a/b..c&&z=".repeat(100);
        let given = format!("/v2/x/../y//z%2e/./u?{query}");
        check(&given, &format!("https://user.example:5000{given}"));
        check(&format!("https://s3.example{given}"), &format!("https://s3.example{given}"));
        check(
            &format!("u?{query}"),
            &format!("https://user.example:5000/v2/a/b/blobs/uploads/u?{query}"),
        );
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_shown() {
        refused("https://");
        refused("http://a b/secret");
        refused("///x");
        let error =
            resolve(&BASE.parse().unwrap(), &HeaderValue::from_static("https://h/ ?sig=secret"));
        assert!(!error.unwrap_err().to_string().contains("secret"));
    }

    #[test]
    fn a_query_grows_at_its_end_and_nowhere_else() {
        #[track_caller]
        fn check(uri: &str, expected: &str) {
            let uri = with_query(&uri.parse().unwrap(), "digest=sha256:ab").unwrap();
            assert_eq!(uri.to_string(), expected);
        }
        check("https://h/u", "https://h/u?digest=sha256:ab");
        check("https://h", "https://h/?digest=sha256:ab");
        check("https://h/u?", "https://h/u?digest=sha256:ab");
        check("https://h/u?a=b", "https://h/u?a=b&digest=sha256:ab");
        check("https://h/u?a=b&", "https://h/u?a=b&digest=sha256:ab");
        check("https://h/u?a=b?", "https://h/u?a=b?&digest=sha256:ab");
        let long = format!("https://h/u?_state={}", "a%2Bb%3D/+".repeat(400));
        check(&long, &format!("{long}&digest=sha256:ab"));
        assert!(with_query(&"https://h".parse().unwrap(), "a=b c").is_err());
    }
}
