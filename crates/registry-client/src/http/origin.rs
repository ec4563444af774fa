//! Scheme, host and port: what a connection and a credential belong to (RFC 9110 §4.3.1).

use http::Uri;
use http::uri::Authority;

use super::HttpError;

/// A scheme, a host and a port, normalised so that equal ones compare equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    /// Whether it is https.
    pub(super) secure: bool,
    /// In lower case; an IPv6 address in its brackets.
    pub(super) host: String,
    /// Its port, the scheme's default where none was given.
    pub(super) port: u16,
}

impl Origin {
    /// The origin of an absolute http or https URI.
    pub(super) fn of(uri: &Uri) -> Result<Origin, HttpError> {
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(HttpError::Uri(format!("{} is no http or https URL", bare(uri)))),
        };
        let authority = uri.authority().map(Authority::as_str).unwrap_or_default();
        let host = uri.host().unwrap_or_default();
        if host.is_empty() {
            return Err(HttpError::Uri(format!("{} has no host", bare(uri))));
        }
        let after_user = authority.rsplit('@').next().unwrap_or_default();
        let port = match after_user.strip_prefix(host).unwrap_or_default() {
            "" | ":" => default_port(secure),
            // The crate http takes a port that is too large for none.
            port => port
                .trim_start_matches(':')
                .parse()
                .map_err(|_| HttpError::Uri(format!("{} has no port that exists", bare(uri))))?,
        };
        Ok(Origin { secure, host: host.to_ascii_lowercase(), port })
    }

    /// `host[:port]`, as the `Host` header has it: without the scheme's default port.
    pub(super) fn authority(&self) -> String {
        if self.port == default_port(self.secure) {
            self.host.clone()
        } else {
            self.host_and_port()
        }
    }

    /// `host:port`, always with the port.
    pub(super) fn host_and_port(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Its host without the brackets of an IPv6 address.
    pub(super) fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether a user who wrote `HOST[:PORT]` means this one.
    pub(super) fn is(&self, authority: &str) -> bool {
        authority.eq_ignore_ascii_case(&self.host_and_port())
            || authority.eq_ignore_ascii_case(&self.authority())
    }

    /// Whether it is this very machine.
    pub(super) fn is_loopback(&self) -> bool {
        let host = self.bare_host();
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// A URI without its query, which may be signed and then is a secret.
pub(super) fn bare(uri: &Uri) -> String {
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => {
            let host = authority.as_str().rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{}", uri.path())
        }
        _ => uri.path().to_owned(),
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(uri: &str) -> Origin {
        Origin::of(&uri.parse().unwrap()).unwrap()
    }

    #[test]
    fn default_ports_and_letter_case_make_no_difference() {
        assert_eq!(origin("https://Ghcr.io/a"), origin("https://ghcr.io:443/b"));
        assert_eq!(origin("http://h"), origin("http://h:80/"));
        assert_eq!(origin("http://h"), origin("http://user@h:/"));
        assert_ne!(origin("http://h"), origin("https://h"));
        assert_ne!(origin("https://h:80"), origin("https://h"));
        assert_ne!(origin("https://h"), origin("https://h.h"));
    }

    #[test]
    fn a_user_means_it_with_or_without_the_default_port() {
        #[track_caller]
        fn check(uri: &str, authority: &str, expected: bool) {
            assert_eq!(origin(uri).is(authority), expected);
        }
        check("https://h", "h", true);
        check("https://h", "H:443", true);
        check("https://h:5000", "h:5000", true);
        check("https://h:5000", "h", false);
        check("http://h", "h:443", false);
        check("http://[::1]:5000", "[::1]:5000", true);
    }

    #[test]
    fn loopback_is_told_by_name_and_by_address() {
        #[track_caller]
        fn check(uri: &str, expected: bool) {
            assert_eq!(origin(uri).is_loopback(), expected);
        }
        check("http://localhost:5000", true);
        check("http://registry.localhost", true);
        check("http://127.8.9.1", true);
        check("http://[::1]:5000", true);
        check("http://localhost.example.com", false);
        check("http://128.0.0.1", false);
    }

    #[test]
    fn what_is_no_http_url_is_refused_without_its_query() {
        let error = Origin::of(&"ftp://u:secret@h/a?sig=secret".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "ftp://h/a is no http or https URL");
        assert!(Origin::of(&"/a".parse().unwrap()).is_err());
        let error = Origin::of(&"http://h:99999/".parse().unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "http://h:99999/ has no port that exists");
    }
}
