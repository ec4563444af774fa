//! Certificates for tests: an authority of one's own, and servers and clients that it vouches for.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

/// A certificate authority that nobody trusts who does not know it. Its files are removed when it
/// is dropped.
#[derive(Debug)]
pub struct TestCa {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
    place: TempDir,
}

/// How a server's TLS is.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// Who vouches for it.
    pub ca: Arc<TestCa>,
    /// For which names and addresses.
    pub names: Vec<String>,
    /// Whether the certificate has run out.
    pub is_expired: bool,
    /// Whether clients must show a certificate of the same authority.
    pub wants_client_certificate: bool,
}

/// A certificate and its key as files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

impl TestCa {
    /// A new one.
    #[must_use]
    pub fn new() -> TestCa {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "Test authority");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let place = TempDir::new().expect("a temporary directory");
        let ca = TestCa { certificate, issuer: Issuer::new(params, key), place };
        std::fs::write(ca.pem_file(), ca.pem()).expect("a file");
        ca
    }

    /// Its certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// The file with its certificate in PEM, to be trusted by clients.
    #[must_use]
    pub fn pem_file(&self) -> PathBuf {
        self.place.path().join("ca.pem")
    }

    /// A directory of its own, for other files of the same test.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.place.path()
    }

    /// A certificate for a client, as files.
    #[must_use]
    pub fn client_identity(&self, name: &str) -> Identity {
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        self.write(name, &self.sign(&[name.to_owned()], usage, false))
    }

    /// A certificate for a server, as files.
    #[must_use]
    pub fn server_identity(&self, names: &[&str]) -> Identity {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        self.write("server", &self.sign(&names, usage, false))
    }

    /// A certificate and its key for `names`.
    pub(crate) fn sign(
        &self,
        names: &[String],
        usage: ExtendedKeyUsagePurpose,
        is_expired: bool,
    ) -> (Certificate, KeyPair) {
        let mut params = CertificateParams::new(names).expect("names that a certificate can hold");
        params.distinguished_name.push(DnType::CommonName, "Test");
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        if is_expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.issuer).expect("a certificate"), key)
    }

    /// Trusts this authority and no other.
    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        Arc::new(config)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).expect("a certificate");
        roots
    }

    fn write(&self, name: &str, (certificate, key): &(Certificate, KeyPair)) -> Identity {
        let identity = Identity {
            certificate: self.place.path().join(format!("{name}.pem")),
            key: self.place.path().join(format!("{name}.key")),
        };
        std::fs::write(&identity.certificate, certificate.pem()).expect("a file");
        std::fs::write(&identity.key, key.serialize_pem()).expect("a file");
        identity
    }
}

impl Default for TestCa {
    fn default() -> TestCa {
        TestCa::new()
    }
}

impl TlsOptions {
    /// A good certificate for the loopback interface.
    #[must_use]
    pub fn new(ca: &Arc<TestCa>) -> TlsOptions {
        TlsOptions {
            ca: Arc::clone(ca),
            names: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec(),
            is_expired: false,
            wants_client_certificate: false,
        }
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        let (certificate, key) = self.ca.sign(&self.names, usage, self.is_expired);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider knows them");
        let config = if self.wants_client_certificate {
            let roots = Arc::new(self.ca.roots());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
            config.with_client_cert_verifier(verifier.expect("a verifier"))
        } else {
            config.with_no_client_auth()
        };
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = config.with_single_cert(chain, key).expect("a key that fits");
        TlsAcceptor::from(Arc::new(config))
    }
}
