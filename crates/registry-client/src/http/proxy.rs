//! Which proxy a host is asked through, and the way through it.
//!
//! The way is opened here and not by hyper-util's `Tunnel`, which keeps to itself what a proxy
//! that refuses says.

use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request as Message, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;

use super::connect::Stream;
use super::origin::Origin;
use super::pool::Task;
use super::{HttpError, Proxies, words};

/// An HTTP proxy.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    pub(super) origin: Origin,
    /// From the user and password in its URL. Marked sensitive.
    pub(super) login: Option<HeaderValue>,
}

/// Chooses the proxy of each host.
pub(super) struct Chooser {
    http: Option<Result<Proxy, String>>,
    https: Option<Result<Proxy, String>>,
    /// Matches what is not to be reached directly.
    not_excepted: Matcher,
    /// The same for hosts that are to be reached directly on one port.
    not_excepted_ports: Vec<(u16, Matcher)>,
}

impl Chooser {
    pub(super) fn new(proxies: &Proxies) -> Chooser {
        let set = |value: &Option<String>| value.clone().filter(|value| !value.trim().is_empty());
        let all = set(&proxies.all);
        let no = proxies.no.as_deref().unwrap_or_default();
        Chooser {
            http: set(&proxies.http).or_else(|| all.clone()).map(|url| parse(&url)),
            https: set(&proxies.https).or(all).map(|url| parse(&url)),
            not_excepted: excepting(no),
            not_excepted_ports: no
                .split(',')
                .filter_map(|entry| {
                    let (host, port) = entry.trim().rsplit_once(':')?;
                    // An IPv6 address has colons of its own, unless it is in brackets.
                    let plain = !host.contains(':') || host.ends_with(']');
                    let host = host.trim_start_matches('[').trim_end_matches(']');
                    Some((port.parse().ok().filter(|_| plain)?, excepting(host)))
                })
                .collect(),
        }
    }

    /// The proxy for `origin`, where it is not reached directly.
    pub(super) fn choose(&self, origin: &Origin) -> Result<Option<Proxy>, HttpError> {
        let proxy = if origin.secure { &self.https } else { &self.http };
        let Some(proxy) = proxy else { return Ok(None) };
        if origin.is_loopback() || self.excepts(origin) {
            return Ok(None);
        }
        match proxy {
            Ok(proxy) => Ok(Some(proxy.clone())),
            Err(problem) => Err(HttpError::Connect(format!(
                "the proxy for {} {problem}",
                if origin.secure { "https" } else { "http" }
            ))),
        }
    }

    fn excepts(&self, origin: &Origin) -> bool {
        let Ok(uri) = format!("http://{}/", origin.host).parse::<Uri>() else { return false };
        self.not_excepted.intercept(&uri).is_none()
            || self
                .not_excepted_ports
                .iter()
                .any(|(port, others)| *port == origin.port && others.intercept(&uri).is_none())
    }
}

/// Matches every host but those in `no`.
fn excepting(no: &str) -> Matcher {
    Matcher::builder().all("http://proxy.invalid").no(no).build()
}

/// The proxy that a URL names. What is wrong is told without the URL, which may hold a password.
fn parse(url: &str) -> Result<Proxy, String> {
    let not_a_url = || "is set to what is no http:// or https:// URL".to_owned();
    let any = Uri::from_static("http://host.invalid/");
    let intercept = Matcher::builder().all(url.trim()).build().intercept(&any);
    let intercept = intercept.ok_or_else(not_a_url)?;
    if let Some(scheme @ ("socks4" | "socks4a" | "socks5" | "socks5h")) =
        intercept.uri().scheme_str()
    {
        return Err(format!("is a SOCKS proxy ({scheme}://): only HTTP proxies can be used"));
    }
    let origin = Origin::of(intercept.uri()).map_err(|_| not_a_url())?;
    Ok(Proxy { origin, login: intercept.basic_auth().cloned() })
}

/// Has `proxy`, at the other end of `stream`, connect to `target` (RFC 9110 §9.3.6).
pub(super) async fn tunnel(
    stream: Box<dyn Stream>,
    proxy: &Proxy,
    target: &Origin,
) -> Result<Box<dyn Stream>, HttpError> {
    let name = proxy.origin.host_and_port();
    let failed = |what: String| HttpError::Connect(format!("the proxy {name} {what}"));
    let broke = |error: hyper::Error| failed(format!("opens no way: {}", words::of_hyper(&error)));

    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broke)?;
    let task = tokio::spawn(async move { drop(connection.with_upgrades().await) });
    let _task = Task(task.abort_handle());
    let mut connect = Message::builder()
        .method(Method::CONNECT)
        .uri(target.host_and_port())
        .header(HOST, target.host_and_port());
    if let Some(login) = &proxy.login {
        connect = connect.header(PROXY_AUTHORIZATION, login.clone());
    }
    let connect =
        connect.body(Empty::<Bytes>::new()).map_err(|error| HttpError::Uri(error.to_string()))?;
    let answer = sender.send_request(connect).await.map_err(broke)?;
    let status = answer.status();
    if !status.is_success() {
        return Err(failed(format!("does not connect to {}: {status}", target.host_and_port())));
    }
    let upgraded = hyper::upgrade::on(answer).await.map_err(broke)?;
    match upgraded.downcast::<TokioIo<Box<dyn Stream>>>() {
        Ok(parts) if parts.read_buf.is_empty() => Ok(parts.io.into_inner()),
        _ => Err(failed("speaks out of turn".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(no: &str) -> Proxies {
        Proxies {
            http: Some("http://one:1".to_owned()),
            https: None,
            all: Some("https://u:p%40ss@two".to_owned()),
            no: Some(no.to_owned()),
        }
    }

    #[track_caller]
    fn check(no: &str, uri: &str, expected: Option<&str>) {
        let origin = Origin::of(&uri.parse().unwrap()).unwrap();
        let proxy = Chooser::new(&proxies(no)).choose(&origin).unwrap();
        assert_eq!(proxy.map(|proxy| proxy.origin.host_and_port()).as_deref(), expected);
    }

    #[test]
    fn the_scheme_and_the_exceptions_choose() {
        check("", "http://h", Some("one:1"));
        check("", "https://h", Some("two:443"));
        check("h", "https://h", None);
        check("h", "https://a.h", None);
        check(".h", "https://a.h", None);
        check("h", "https://ah", Some("two:443"));
        check("a, 10.0.0.0/8 ,b", "https://10.1.2.3:5000", None);
        check("*", "https://h", None);
        check("h:5000", "https://h:5000", None);
        check("h:5000", "https://a.h:5000", None);
        check("h:5000", "https://h", Some("two:443"));
        check("[fd00::1]:5000", "https://[fd00::1]:5000", None);
        check("fd00::1", "https://[fd00::1]:5000", None);
    }

    #[test]
    fn loopback_is_never_proxied() {
        check("", "http://localhost:5000", None);
        check("", "https://127.0.0.1", None);
        check("", "https://[::1]:5000", None);
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_an_error_without_its_password() {
        #[track_caller]
        fn check(url: &str, expected: &str) {
            let proxies = Proxies { https: Some(url.to_owned()), ..Proxies::default() };
            let origin = Origin::of(&"https://h".parse().unwrap()).unwrap();
            let error = Chooser::new(&proxies).choose(&origin).unwrap_err().to_string();
            assert_eq!(error, format!("no connection: the proxy for https {expected}"));
            assert!(!format!("{proxies:?}").contains("secret"));
        }
        check(
            "socks5://u:secret@h:1080",
            "is a SOCKS proxy (socks5://): only HTTP proxies can be used",
        );
        check("ftp://u:secret@h", "is set to what is no http:// or https:// URL");
        check("u:secret@h:99999", "is set to what is no http:// or https:// URL");
    }

    #[test]
    fn a_login_is_decoded_and_marked() {
        let origin = Origin::of(&"https://h".parse().unwrap()).unwrap();
        let proxy = Chooser::new(&proxies("")).choose(&origin).unwrap().unwrap();
        let login = proxy.login.unwrap();
        assert_eq!(login, "Basic dTpwQHNz");
        assert!(login.is_sensitive());
    }

    #[test]
    fn empty_settings_are_none() {
        let proxies = Proxies { https: Some(String::new()), ..Proxies::default() };
        let origin = Origin::of(&"https://h".parse().unwrap()).unwrap();
        assert!(Chooser::new(&proxies).choose(&origin).unwrap().is_none());
    }
}
