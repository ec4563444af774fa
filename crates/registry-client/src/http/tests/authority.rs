//! A private certificate authority, and servers that hold its certificates.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::support::{Peer, serve};

/// An authority, and a directory for its files.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: rcgen::Certificate,
    pub(super) directory: TempDir,
}

impl Authority {
    pub(super) fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        Authority { issuer: Issuer::new(params, key), certificate, directory }
    }

    /// A file with its certificate.
    pub(super) fn file(&self) -> PathBuf {
        self.write("authority.pem", &self.certificate.pem())
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for `name` and its key, as PEM; `year` is its last.
    pub(super) fn issue(&self, name: &str, year: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn acceptor(&self, name: &str, year: i32, asks_for_client: bool) -> TlsAcceptor {
        let (certificate, key) = self.issue(name, year);
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if asks_for_client {
            let mut roots = RootCertStore::empty();
            roots.add(self.certificate.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let chain =
            vec![rustls_pki_types::CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// A server with a certificate for `name`. Handshakes that fail are the client's to notice.
    pub(super) async fn serve<F, P>(&self, name: &str, play: P) -> SocketAddr
    where
        P: Fn(Peer<TlsStream<TcpStream>>) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        accept(self.acceptor(name, 2999, false), play).await
    }

    /// One whose certificate has expired.
    pub(super) async fn serve_expired<F, P>(&self, name: &str, play: P) -> SocketAddr
    where
        P: Fn(Peer<TlsStream<TcpStream>>) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        accept(self.acceptor(name, 2021, false), play).await
    }

    /// One that wants a certificate of this authority from its clients.
    pub(super) async fn serve_known<F, P>(&self, name: &str, play: P) -> SocketAddr
    where
        P: Fn(Peer<TlsStream<TcpStream>>) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        accept(self.acceptor(name, 2999, true), play).await
    }
}

async fn accept<F, P>(acceptor: TlsAcceptor, play: P) -> SocketAddr
where
    P: Fn(Peer<TlsStream<TcpStream>>) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    serve(move |peer, _| {
        let (acceptor, play) = (acceptor.clone(), play.clone());
        async move {
            if let Ok(stream) = acceptor.accept(peer.stream).await {
                play(Peer::new(stream)).await;
            }
        }
    })
    .await
}
