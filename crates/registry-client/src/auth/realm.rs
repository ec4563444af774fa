//! Which token servers are asked.
//!
//! The registry names its token server, and it is the registry that is not trusted here: a
//! realm makes us send a request, and a credential with it, to an address of its choosing
//! (SSRF). So none of a cloud's metadata service, and none of the inner network for a registry
//! that is known to be outside.

use std::net::{IpAddr, Ipv6Addr};

use http::Uri;
use windlass_oci::Registry;

/// The URL of a token server that `registry` may name; otherwise what is wrong with it.
///
/// `plain_http` is whether the registry itself is asked in plain HTTP.
///
/// Addresses are looked at where they are written as such. What a name resolves to is not known
/// here: not for the token server, and not for the registry, which may well be inside itself.
pub(super) fn check(
    realm: &str,
    registry: &Registry,
    plain_http: bool,
) -> Result<Uri, &'static str> {
    let uri: Uri = realm.parse().map_err(|_| "it is no URL")?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("it is no URL with a host");
    };
    if authority.as_str().contains('@') {
        return Err("it has a user in it");
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let reach = Reach::of(host);
    match scheme {
        "https" => {}
        "http" if plain_http || reach == Reach::Loopback => {}
        "http" => return Err("a credential would go there unencrypted"),
        _ => return Err("it is neither https nor http"),
    }
    match reach {
        Reach::LinkLocal => Err("it is an address of this machine's own link"),
        Reach::Loopback | Reach::Private if Reach::of(registry.host()) == Reach::Public => {
            Err("it is a private address, and the registry's own address is not")
        }
        _ => Ok(uri),
    }
}

/// How far an address reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// It is a name, and not known.
    Unknown,
    Public,
    /// RFC 1918, RFC 6598, RFC 4193.
    Private,
    Loopback,
    /// RFC 3927, RFC 4291 §2.5.6: where clouds have their metadata; and what is no host's.
    LinkLocal,
}

impl Reach {
    fn of(host: &str) -> Reach {
        if host.eq_ignore_ascii_case("localhost")
            || host.len() > ".localhost".len() && host.to_ascii_lowercase().ends_with(".localhost")
        {
            return Reach::Loopback;
        }
        match host.parse::<IpAddr>() {
            Ok(address) => Reach::of_address(address.to_canonical()),
            Err(_) => Reach::Unknown,
        }
    }

    fn of_address(address: IpAddr) -> Reach {
        match address {
            _ if address.is_loopback() => Reach::Loopback,
            _ if address.is_unspecified() || address.is_multicast() => Reach::LinkLocal,
            IpAddr::V4(v4) if v4.is_link_local() || v4.is_broadcast() => Reach::LinkLocal,
            IpAddr::V6(v6) if v6.is_unicast_link_local() => Reach::LinkLocal,
            IpAddr::V4(v4)
                if v4.is_private() || v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64 =>
            {
                Reach::Private
            }
            // The one address outside the link's range under which a cloud serves metadata:
            // https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
            IpAddr::V6(v6) if v6 == METADATA => Reach::LinkLocal,
            IpAddr::V6(v6) if v6.is_unique_local() => Reach::Private,
            _ => Reach::Public,
        }
    }
}

const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(registry: &str, plain_http: bool, realm: &str, expected: Result<(), &str>) {
        let registry: Registry = registry.parse().unwrap();
        match (super::check(realm, &registry, plain_http), expected) {
            (Ok(uri), Ok(())) => assert_eq!(uri.to_string(), realm),
            (Err(problem), Err(expected)) => {
                assert!(problem.contains(expected), "{problem:?} lacks {expected:?}");
            }
            (got, _) => panic!("{realm}: {got:?}"),
        }
    }

    #[test]
    fn a_credential_goes_out_encrypted() {
        check("r.io", false, "https://auth.r.io/token", Ok(()));
        check("r.io", false, "https://auth.r.io:8443/token?x=y", Ok(()));
        check("r.io", false, "http://auth.r.io/token", Err("unencrypted"));
        check("r.io", true, "http://auth.r.io/token", Ok(()));
        check("localhost:5000", false, "http://127.0.0.1:5001/token", Ok(()));
        check("localhost:5000", false, "http://[::1]:5001/token", Ok(()));
        check("localhost:5000", false, "http://localhost:5001/token", Ok(()));
        check("r.io", false, "ftp://auth.r.io/token", Err("neither"));
    }

    #[test]
    fn nothing_on_the_link_is_asked() {
        for registry in ["r.io", "10.0.0.1", "localhost", "8.8.8.8"] {
            for host in [
                "169.254.169.254",
                "[fe80::1]",
                "[::ffff:169.254.169.254]",
                "0.0.0.0",
                "[fd00:ec2::254]",
                "255.255.255.255",
            ] {
                check(registry, true, &format!("https://{host}/token"), Err("own link"));
                check(registry, true, &format!("http://{host}/token"), Err("own link"));
            }
        }
    }

    #[test]
    fn what_is_inside_is_asked_for_a_registry_that_may_be_inside() {
        let inside = [
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "[fd12::1]",
            "127.0.0.1",
            "[::1]",
            "[::ffff:10.0.0.1]",
        ];
        for host in inside {
            let realm = format!("https://{host}/token");
            check("8.8.8.8", false, &realm, Err("private address"));
            check("[2001:db8::1]:5000", false, &realm, Err("private address"));
            check("10.0.0.1:5000", false, &realm, Ok(()));
            check("localhost:5000", false, &realm, Ok(()));
            check("registry.corp", false, &realm, Ok(()));
        }
        check("8.8.8.8", false, "https://8.8.4.4/token", Ok(()));
        check("8.8.8.8", false, "https://100.128.0.1/token", Ok(()));
    }

    #[test]
    fn what_is_no_url_is_not_asked() {
        check("r.io", false, "/token", Err("no URL"));
        check("r.io", false, "auth.r.io", Err("no URL"));
        check("r.io", false, "Artifactory Realm", Err("no URL"));
        check("r.io", false, "https://", Err("no URL"));
        check("r.io", false, "https://user:pw@auth.r.io/token", Err("has a user"));
        check("r.io", false, "https://r.io@evil.example/token", Err("has a user"));
    }
}
