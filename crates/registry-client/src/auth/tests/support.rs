//! A token server on a real socket, and those who have to do with it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use windlass_oci::Repository;

use super::super::*;
use crate::http::{Http, HttpConfig};

/// A request as a token server sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) authorization: Option<String>,
    pub(super) form: String,
}

impl Seen {
    pub(super) fn scopes(&self) -> Vec<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let text = if self.method == "POST" { &self.form } else { query };
        let scopes = text.split('&').filter_map(|pair| pair.strip_prefix("scope="));
        let decode = |text: &str| {
            text.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",").replace("%20", " ")
        };
        scopes.map(decode).collect()
    }
}

/// A status line's number, headers and a body.
pub(super) type Reply = (u16, &'static str, String);

pub(super) fn grant(token: impl std::fmt::Display) -> Reply {
    (200, "", format!(r#"{{"token":"{token}","expires_in":300}}"#))
}

pub(super) fn refuse(status: u16) -> Reply {
    let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
    (status, "", body.to_owned())
}

/// A server that answers by a function of the request, and remembers what it saw.
pub(super) struct Server {
    pub(super) address: std::net::SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(super) async fn start(
        answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone(), log.clone()));
            }
        });
        Server { address, seen }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The challenge of a registry whose token server this is.
    pub(super) fn challenge(&self, scope: &str) -> HeaderMap {
        let address = self.address;
        challenge(&format!(
            r#"Bearer realm="http://{address}/token",service="registry.example",scope="{scope}""#
        ))
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: Arc<impl Fn(&Seen, usize) -> Reply>,
    log: Arc<Mutex<Vec<Seen>>>,
) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let header = |name: &str| {
            let lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
        };
        let length = header("content-length").map_or(0, |length| length.parse().unwrap());
        while bytes.len() < length {
            stream.read_buf(&mut bytes).await.ok()?;
        }
        let mut line = head.split(' ');
        let seen = Seen {
            method: line.next()?.to_owned(),
            target: line.next()?.to_owned(),
            authorization: header("authorization").map(str::to_owned),
            form: String::from_utf8(bytes.drain(..length).collect()).unwrap(),
        };
        let index = {
            let mut log = log.lock().unwrap();
            log.push(seen.clone());
            log.len() - 1
        };
        let (status, headers, body) = answer(&seen, index);
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}

pub(super) fn challenge(value: &str) -> HeaderMap {
    HeaderMap::from_iter([(WWW_AUTHENTICATE, HeaderValue::from_str(value).unwrap())])
}

pub(super) fn repository() -> Repository {
    "registry.example/org/app".parse().unwrap()
}

pub(super) fn push() -> Scopes {
    Scopes::push(repository().name())
}

pub(super) fn mount() -> Scopes {
    Scopes::mount(repository().name(), &"base/image".parse().unwrap())
}

/// A provider with these credentials: the first, and each time that one is refused the next.
#[derive(Debug)]
pub(super) struct Purse {
    credentials: Vec<Credential>,
    pub(super) asked: AtomicU32,
}

#[async_trait]
impl CredentialProvider for Purse {
    async fn credential(
        &self,
        _: &Repository,
        refused: Option<&Found>,
    ) -> Result<Option<Found>, CredentialError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let refused = refused.map(|found| &found.credential);
        let position = self.credentials.iter().position(|own| Some(own) == refused);
        let index = position.map_or(0, |position| position + 1);
        let credential = self.credentials.get(index).or(self.credentials.last()).cloned();
        let found =
            |credential| Found { credential, origin: Origin::new("a purse"), expires: None };
        Ok(credential.map(found))
    }
}

pub(super) fn purse(credentials: impl IntoIterator<Item = Credential>) -> Arc<Purse> {
    let credentials = credentials.into_iter().collect();
    Arc::new(Purse { credentials, asked: AtomicU32::new(0) })
}

pub(super) fn password() -> Credential {
    Credential::basic("user", "hunter2")
}

pub(super) fn login(provider: Arc<dyn CredentialProvider>) -> Authenticator {
    let registry = repository().registry().clone();
    let http = Http::new(HttpConfig::default());
    Authenticator::new(http, registry, provider, AuthOptions::default())
}

pub(super) fn carries(authorization: Option<&Authorization>) -> Option<&str> {
    authorization.map(|authorization| authorization.header().to_str().unwrap())
}

/// The first 401 of a request, then whatever becomes of it.
pub(super) async fn first(
    login: &Authenticator,
    challenge: &HeaderMap,
    scopes: &Scopes,
) -> Authorization {
    login.refused(challenge, None, &repository(), scopes).await.unwrap().unwrap()
}
