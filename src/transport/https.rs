//! HTTP and HTTPS by reqwest and rustls.

use super::{Request, Response, Transport, TransportError};
use crate::base::file;
use futures_util::future::BoxFuture;
use futures_util::stream::StreamExt;
use rustls::pki_types::{CertificateDer, pem, pem::PemObject};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The largest CA file, in bytes. The bundle of a distribution has a quarter of a mebibyte.
const MAX_CA_FILE: u64 = 4 << 20;

/// Settings of [`Https`].
#[derive(Clone, Debug)]
pub struct HttpsOptions {
    /// PEM certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The longest that a connection may take, with name resolution and TLS.
    pub connect_timeout: Duration,
    /// Whether proxies are used.
    pub proxies: Proxies,
}

/// Whether a request may go through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxies {
    /// As `HTTPS_PROXY`, `NO_PROXY` and related variables say.
    FromEnvironment,
    /// Never: the address is of this machine alone.
    Never,
}

impl Default for HttpsOptions {
    fn default() -> Self {
        Self { ca_file: None, connect_timeout: Duration::from_secs(10), proxies: Proxies::FromEnvironment }
    }
}

/// Why no client could be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The CA file is missing, unreadable or not PEM.
    #[error("cannot read certificates from {}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// The CA file holds no certificate.
    #[error("{} holds no certificate in PEM form", .0.display())]
    NoCertificate(PathBuf),
    /// A certificate of the CA file cannot be a trust anchor.
    #[error("a certificate in {} cannot be used", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// TLS could not be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client")]
    Http(#[from] reqwest::Error),
}

/// The HTTP client. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Https(reqwest::Client);

impl Https {
    /// Builds the client.
    ///
    /// # Errors
    /// If the CA file is unusable or TLS cannot be set up.
    pub fn new(options: &HttpsOptions) -> Result<Self, BuildError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusted(options.ca_file.as_deref())?)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("swr-exporter/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(Duration::from_secs(60))
            // A listing is one burst a window; connections beyond the usual concurrency are not worth keeping.
            .pool_max_idle_per_host(8)
            .tcp_nodelay(true);
        if options.proxies == Proxies::Never {
            client = client.no_proxy();
        }
        Ok(Self(client.build()?))
    }
}

/// The system's roots, or Mozilla's if the system has none (an image without a certificate store), and those of the CA
/// file.
fn trusted(ca_file: Option<&Path>) -> Result<rustls::RootCertStore, BuildError> {
    let mut roots = rustls::RootCertStore::empty();
    let (usable, _broken) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if usable == 0 {
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    }
    let Some(path) = ca_file else { return Ok(roots) };
    let unreadable = |source| BuildError::CaFile { path: path.to_owned(), source };
    let text = read_ca_file(path).map_err(|error| unreadable(pem::Error::Io(error)))?;
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        roots
            .add(certificate.map_err(unreadable)?)
            .map_err(|source| BuildError::Certificate { path: path.to_owned(), source })?;
    }
    if roots.len() == before { Err(BuildError::NoCertificate(path.to_owned())) } else { Ok(roots) }
}

/// The content of a CA file.
///
/// # Errors
/// If it cannot be read, is not a regular file, or is larger than 4 MiB.
pub fn read_ca_file(path: &Path) -> std::io::Result<Vec<u8>> {
    file::read(path, MAX_CA_FILE)
}

impl Transport for Https {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        Box::pin(async move {
            let response = self
                .0
                .request(request.method, request.url)
                .headers(request.headers)
                .body(request.body)
                .send()
                .await
                .map_err(|error| failed("no answer came", error))?;
            Ok(Response {
                status: response.status(),
                headers: response.headers().clone(),
                body: response
                    .bytes_stream()
                    .map(|piece| piece.map_err(|error| failed("the answer broke off", error)))
                    .boxed(),
            })
        })
    }
}

/// An error without the URL: the log line names the operation, and a query may hold more than the log should.
fn failed(what: &'static str, error: reqwest::Error) -> TransportError {
    TransportError { what, source: error.without_url().into() }
}
