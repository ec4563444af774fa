//! TLS: whom to trust, as whom to appear, and what its failures mean. The only file that names
//! TLS's crates and its cryptography.
//!
//! Nothing is read before the first https host is met: a system's root certificates take longer
//! to read than a push to a local registry takes. What is read, is read once.

use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::certs_d::HostFiles;
use super::connect::Stream;
use super::origin::Origin;
use super::{HttpError, TlsConfig};

/// The TLS of a process.
pub(super) struct Tls {
    shared: Arc<Shared>,
    handshake_timeout: Duration,
    hosts: Mutex<HashMap<Origin, Arc<OnceCell<TlsConnector>>>>,
}

/// What all hosts have in common, in the threads that read files too.
struct Shared {
    config: TlsConfig,
    provider: Arc<CryptoProvider>,
    /// What trusts the system's authorities and the configured ones.
    common: Mutex<Option<Arc<dyn ServerCertVerifier>>>,
    root_reads: AtomicUsize,
}

impl Tls {
    pub(super) fn new(config: TlsConfig, handshake_timeout: Duration) -> Tls {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let shared = Shared {
            config,
            provider,
            common: Mutex::default(),
            root_reads: AtomicUsize::default(),
        };
        Tls { shared: Arc::new(shared), handshake_timeout, hosts: Mutex::default() }
    }

    /// A TLS connection to `origin` within `stream`.
    pub(super) async fn wrap(
        &self,
        origin: &Origin,
        stream: Box<dyn Stream>,
    ) -> Result<Box<dyn Stream>, HttpError> {
        let name = ServerName::try_from(origin.bare_host().to_owned())
            .map_err(|_| HttpError::Tls(format!("{} can be in no certificate", origin.host)))?;
        let connector = self.connector(origin).await?;
        match timeout(self.handshake_timeout, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(Box::new(stream)),
            Ok(Err(error)) => Err(match problem(&error, origin) {
                Some(problem) => problem,
                None => HttpError::Connect(format!(
                    "{}: in the TLS handshake {}",
                    origin.host_and_port(),
                    super::words::of_io(&error)
                )),
            }),
            Err(_) => Err(HttpError::Connect(format!(
                "{}: no TLS handshake within {:?}",
                origin.host_and_port(),
                self.handshake_timeout
            ))),
        }
    }

    async fn connector(&self, origin: &Origin) -> Result<TlsConnector, HttpError> {
        let cell = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(hosts.entry(origin.clone()).or_default())
        };
        let connector = cell.get_or_try_init(|| async {
            let (shared, origin) = (Arc::clone(&self.shared), origin.clone());
            let task = tokio::task::spawn_blocking(move || shared.client_config(&origin));
            let config = match task.await {
                Ok(config) => config.map_err(HttpError::Tls)?,
                Err(_) => return Err(HttpError::Tls("the process is ending".to_owned())),
            };
            Ok(TlsConnector::from(Arc::new(config)))
        });
        connector.await.cloned()
    }

    /// How often root certificates were read.
    #[cfg(test)]
    pub(super) fn root_reads(&self) -> usize {
        self.shared.root_reads.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// Blocks: reads files.
    fn client_config(&self, origin: &Origin) -> Result<ClientConfig, String> {
        let files = HostFiles::find(&self.config.certs_dirs, origin)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(origin, &files.authorities)?);
        let mut config = match self.config.client_cert.as_ref().or(files.identity.as_ref()) {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                    format!("cannot read a key from {}: {error}", key.display())
                })?;
                builder.with_client_auth_cert(chain, secret).map_err(|error| {
                    let (certificate, key) = (certificate.display(), key.display());
                    format!("cannot use {certificate} with {key}: {error}")
                })?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn verifier(
        &self,
        origin: &Origin,
        of_host: &[PathBuf],
    ) -> Result<Arc<dyn ServerCertVerifier>, String> {
        if !self.config.accept_invalid.checks(origin) {
            return Ok(Arc::new(Unchecked(Arc::clone(&self.provider))));
        }
        if !of_host.is_empty() {
            return self.read_roots(of_host);
        }
        let mut common = self.common.lock().unwrap_or_else(PoisonError::into_inner);
        match &*common {
            Some(verifier) => Ok(Arc::clone(verifier)),
            None => Ok(Arc::clone(common.insert(self.read_roots(&[])?))),
        }
    }

    /// The system's authorities, the configured ones and those of a host. A system that has none
    /// (a container built from scratch) gets Mozilla's, unless others were named.
    fn read_roots(&self, of_host: &[PathBuf]) -> Result<Arc<dyn ServerCertVerifier>, String> {
        self.root_reads.fetch_add(1, Ordering::SeqCst);
        let mut extra = Vec::new();
        for file in self.config.ca_files.iter().chain(of_host) {
            extra.extend(authorities(file)?);
        }
        let provider = || Arc::clone(&self.provider);
        if let Ok(verifier) = Verifier::new_with_extra_roots(extra.iter().cloned(), provider()) {
            return Ok(Arc::new(verifier));
        }
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(extra);
        match WebPkiServerVerifier::builder_with_provider(roots.into(), provider()).build() {
            Ok(verifier) => Ok(verifier),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The certificates in a PEM file, at least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(format!("{} holds no certificate", file.display())),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("cannot read certificates from {}: {error}", file.display())),
    }
}

/// The certificates in a PEM file, each of which can be an authority's.
fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = certificates(file)?;
    let mut tried = RootCertStore::empty();
    for certificate in &found {
        tried.add(certificate.clone()).map_err(|error| {
            format!("{} holds a certificate that is not understood: {error}", file.display())
        })?;
    }
    Ok(found)
}

/// Accepts every certificate, for hosts of which the user wants it so. That the other side holds
/// the certificate's key is still checked.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a failed handshake with `origin` comes from, where TLS itself is the reason.
fn problem(error: &io::Error, origin: &Origin) -> Option<HttpError> {
    Some(HttpError::Tls(match find(error)? {
        rustls::Error::InvalidCertificate(error) => certificate_problem(error, &origin.host),
        rustls::Error::InvalidMessage(_) => {
            let problem = format!("{} does not speak TLS on port {}", origin.host, origin.port);
            return Some(HttpError::NotTls(problem));
        }
        rustls::Error::AlertReceived(alert) => alert_problem(*alert, &origin.host),
        other => format!("{}: {other}", origin.host),
    }))
}

/// What a connection that stood already was ended for, where it is a matter of certificates: with
/// TLS 1.3 a server looks at the client's only then.
pub(super) fn late_problem(error: &(dyn Error + 'static), origin: &Origin) -> Option<String> {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked,
        CertificateUnknown, UnknownCA, UnsupportedCertificate,
    };
    let about_us = |alert| {
        matches!(
            alert,
            AccessDenied
                | BadCertificate
                | CertificateExpired
                | CertificateRequired
                | CertificateRevoked
                | CertificateUnknown
                | UnknownCA
                | UnsupportedCertificate
        )
    };
    match find(error)? {
        rustls::Error::AlertReceived(alert) if about_us(*alert) => {
            Some(alert_problem(*alert, &origin.host))
        }
        _ => None,
    }
}

fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return Some(error);
        }
        // What an I/O error was made from is not its source, but itself.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn certificate_problem(error: &CertificateError, host: &str) -> String {
    match error {
        // A bad signature is a trusted authority's name with another key: one that was made anew.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("the certificate of {host} is not signed by an authority that is trusted here")
        }
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            let names: Vec<&str> = presented.iter().map(|name| bare_name(name)).collect();
            format!("the certificate is not for {host}, it is for {}", names.join(", "))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the certificate is not for {host}")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of {host} has expired")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {host} is not valid yet; is the clock right?")
        }
        CertificateError::Revoked => format!("the certificate of {host} was revoked"),
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => format!(
            "the certificate of {host} is an authority's (CA:TRUE), which cannot be a server's"
        ),
        other => format!("the certificate of {host} is not accepted: {other}"),
    }
}

/// `name` of `DnsName("name")`, as rustls writes the names in a certificate.
fn bare_name(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}

fn alert_problem(alert: AlertDescription, host: &str) -> String {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            format!("{host} asks for a client certificate")
        }
        AlertDescription::UnknownCA => {
            format!("{host} does not trust the authority of the client certificate")
        }
        AlertDescription::ProtocolVersion => {
            format!("{host} speaks only versions of TLS that are too old")
        }
        AlertDescription::UnrecognisedName => format!("{host} does not know itself by this name"),
        other => format!("{host} refuses the handshake: {other:?}"),
    }
}
