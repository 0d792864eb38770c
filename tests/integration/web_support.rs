//! Helpers for tests of the web configuration file: a folder with certificates, fixtures, an exporter, and clients.

use crate::support::{Exporter, command, start};
use crate::upstream_tls::{Authority, Issued, authority};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, SanType};
use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// The user of the fixtures.
pub const USER: &str = "prometheus";
pub const PASSWORD: &str = "correct horse: battery?";

/// A folder with a web configuration file and the files that it may name.
pub struct Folder {
    folder: TempDir,
    /// Certifies the server; its certificate is `ca.crt`.
    pub authority: Authority,
    /// Certifies clients; its certificate is `clients.crt`.
    pub clients: Authority,
}

impl Folder {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (servers, clients) = (authority("servers"), authority("clients"));
        let here = Self { folder, authority: servers, clients };
        let Issued { certificate, key } = here.server();
        here.write("half.crt", &certificate[..certificate.len() / 2]);
        here.write("chain.crt", &format!("{certificate}{}", here.authority.pem));
        here.write("server.crt", &certificate);
        here.write("server.key", &key);
        here.write("other.key", &here.server().key);
        here.write("ca.crt", &here.authority.pem);
        here.write("clients.crt", &here.clients.pem);
        here.write("words.txt", "not a certificate\n");
        here
    }

    /// One more certificate for the server.
    pub fn server(&self) -> Issued {
        self.authority.issue(&["localhost", "127.0.0.1"], |_| {})
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Writes a fixture to `web.yml`. `@hash@` becomes the hash of the password, another `@name@` the text of that file.
    pub fn fill_in(&self, fixture: &Path) {
        let mut filled = String::new();
        for line in std::fs::read_to_string(fixture).unwrap().lines() {
            let name = line.strip_prefix('@').and_then(|line| line.strip_suffix('@'));
            match name {
                Some(name) => self.read(name).lines().for_each(|line| filled += &format!("    {line}\n")),
                None => filled += &format!("{}\n", line.replace("@hash@", &hash(PASSWORD, 4))),
            }
        }
        self.write("web.yml", &filled);
    }

    /// An exporter with this `web.yml`.
    pub async fn exporter(&self, upstream: &str, flags: &[&str]) -> Exporter {
        let mut command = command();
        command.args(["--swr.endpoint", upstream, "--web.config.file"]).arg(self.path("web.yml")).args(flags);
        start(command).await
    }

    /// As [`Self::exporter`], with a fixture.
    pub async fn exporter_with(&self, fixture: &str, upstream: &str) -> Exporter {
        self.fill_in(&fixtures().join(format!("{fixture}.yml")));
        self.exporter(upstream, &[]).await
    }

    /// TLS of a client that trusts the server's authority and may present a certificate.
    pub fn tls(&self, identity: Option<&Issued>) -> rustls::ClientConfig {
        self.tls_by(rustls::crypto::ring::default_provider(), rustls::DEFAULT_VERSIONS, identity)
    }

    /// As [`Self::tls`], with a provider and versions.
    pub fn tls_by(
        &self,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
        identity: Option<&Issued>,
    ) -> rustls::ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem.as_bytes()).unwrap()).unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots);
        match identity {
            None => builder.with_no_client_auth(),
            Some(Issued { certificate, key }) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                // Unchecked: a thief has a certificate without its key.
                let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
                let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
                builder.with_client_cert_resolver(Arc::new(shown))
            }
        }
    }

    /// An HTTP client with [`Self::tls`].
    pub fn client(&self, identity: Option<&Issued>) -> reqwest::Client {
        let mut tls = self.tls(identity);
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let builder = reqwest::Client::builder().tls_backend_preconfigured(tls);
        builder.no_proxy().no_gzip().build().unwrap()
    }
}

/// Makes a certificate one for clients, with these names.
pub fn of_client(names: Vec<SanType>) -> impl FnOnce(&mut CertificateParams) {
    move |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names.extend(names);
    }
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/web-config")
}

pub fn hash(password: &str, cost: u32) -> String {
    bcrypt::hash(password, cost).unwrap()
}

/// The HTTPS URL of a path.
pub fn https(exporter: &Exporter, path: &str) -> String {
    format!("https://{}{path}", exporter.address())
}
