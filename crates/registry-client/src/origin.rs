//! Which scheme a host is spoken to in, and what may be sent to whom.

use http::Uri;
use http::uri::Scheme;
use windlass_oci::Registry;

/// How a registry is to be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTPS, as every host that is not on this machine.
    Https,
    /// Plain HTTP, because the user said so.
    PlainHttp,
    /// Plain HTTP first, HTTPS from then on where the answer is no registry's. For hosts on this
    /// machine: nobody listens in on the way to them.
    PlainFirst,
    /// HTTPS first, plain HTTP from then on where nobody speaks TLS. Because the user said so:
    /// whoever sits on the way can make it plain.
    TlsFirst,
}

/// What is known of a host's scheme so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Not,
    Plain,
    Tls,
}

impl Transport {
    /// What a registry gets where the user says nothing.
    #[must_use]
    pub fn default_for(registry: &Registry) -> Transport {
        if registry.is_loopback() { Transport::PlainFirst } else { Transport::Https }
    }

    pub(crate) fn settled(self) -> Settled {
        match self {
            Transport::Https => Settled::Tls,
            Transport::PlainHttp => Settled::Plain,
            Transport::PlainFirst | Transport::TlsFirst => Settled::Not,
        }
    }
}

impl Settled {
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Settled::Not | Settled::Plain => "http",
            Settled::Tls => "https",
        }
    }
}

/// Whether two URIs have the same origin: scheme, host and port, with default ports filled in.
pub(crate) fn same_origin(a: &Uri, b: &Uri) -> bool {
    origin(a) == origin(b)
}

/// Whether to go from `from` to `to` would give up TLS.
pub(crate) fn is_downgrade(from: &Uri, to: &Uri) -> bool {
    from.scheme() == Some(&Scheme::HTTPS) && to.scheme() != Some(&Scheme::HTTPS)
}

fn origin(uri: &Uri) -> (Option<&str>, Option<String>, Option<u16>) {
    let default = match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    };
    (uri.scheme_str(), uri.host().map(str::to_ascii_lowercase), uri.port_u16().or(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        let check = |a: &str, b: &str, same: bool, downgrade: bool| {
            let (a, b): (Uri, Uri) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!(same_origin(&a, &b), same, "{a} {b}");
            assert_eq!(is_downgrade(&a, &b), downgrade, "{a} {b}");
        };
        check("https://a.io/x", "https://A.io:443/y", true, false);
        check("https://a.io/x", "http://a.io/x", false, true);
        check("http://a.io/x", "https://a.io/x", false, false);
        check("http://a.io:80/x", "http://a.io/x", true, false);
        check("http://a.io:5000/x", "http://a.io/x", false, false);
        check("https://a.io/x", "https://b.a.io/x", false, false);
        check("http://[::1]:5000/x", "http://[::1]:5000/y", true, false);
    }
}
