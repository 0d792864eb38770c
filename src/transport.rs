//! One request out, one answer in, by HTTPS.
//!
//! The API and whoever gives credentials are both reached through here. The trait is what the rules are tested against on
//! a paused clock; [`Https`] is the one implementation that
//! ships. Redirects are never followed, because `X-Auth-Token` would go along; nothing is retried here.

pub mod answer;
pub mod error_body;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};
use hyper::http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Those that systems trust have a quarter of a mebibyte.
const LONGEST_CA_FILE: u64 = 4 << 20;

/// A finished request.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The absolute address, encoded as it is to stand on the wire.
    pub url: String,
    /// Headers; those with secrets are marked sensitive.
    pub headers: HeaderMap<HeaderValue>,
    /// The body.
    pub body: Bytes,
}

impl std::fmt::Debug for Request {
    /// Without the body, which may be a password or an identity token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// An answer whose body is still arriving.
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body's pieces, decompressed.
    pub body: BoxStream<'static, Result<Bytes, TransportError>>,
}

/// A connection that could not be made, or broke.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct TransportError {
    /// What failed, in words.
    pub what: &'static str,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Sends requests.
pub trait Transport: Send + Sync + 'static {
    /// Sends one request; ends when the head of the answer is there. Dropping the future cancels the request.
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>>;
}

/// Settings of [`Https`].
#[derive(Clone, Debug)]
pub struct HttpsOptions {
    /// PEM certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a connection may take, with name resolution and TLS.
    pub connect_timeout: Duration,
    /// Whether proxies are used.
    pub proxies: Proxies,
}

/// Whether a request may go through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxies {
    /// As `HTTPS_PROXY`, `NO_PROXY` and their kin say.
    FromEnvironment,
    /// Never: the address means something on this machine alone.
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
    /// The CA file is missing, unreadable or no PEM.
    #[error("cannot read certificates from {}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
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

/// HTTP and HTTPS by reqwest and rustls.
#[derive(Clone, Debug)]
pub struct Https(reqwest::Client);

impl Https {
    /// Builds the client.
    ///
    /// # Errors
    /// When the CA file is unusable or TLS cannot be set up.
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

/// The system's roots, or Mozilla's where the system has none (an image without a certificate store), and the CA file's.
fn trusted(ca_file: Option<&Path>) -> Result<rustls::RootCertStore, BuildError> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    let (usable, _broken) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if usable == 0 {
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    }
    if let Some(path) = ca_file {
        let unreadable = |source| BuildError::CaFile { path: path.to_owned(), source };
        let mut found = false;
        let text = read_ca_file(path).map_err(|error| unreadable(rustls::pki_types::pem::Error::Io(error)))?;
        for certificate in CertificateDer::pem_slice_iter(&text) {
            roots
                .add(certificate.map_err(unreadable)?)
                .map_err(|source| BuildError::Certificate { path: path.to_owned(), source })?;
            found = true;
        }
        if !found {
            return Err(BuildError::NoCertificate(path.to_owned()));
        }
    }
    Ok(roots)
}

/// What a file of certificates holds.
///
/// # Errors
/// When it cannot be read, is no regular file, or is too large to be one of certificates.
pub fn read_ca_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    crate::base::file::open(path)?.take(LONGEST_CA_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST_CA_FILE {
        return Err(std::io::Error::other("it is larger than 4 MiB"));
    }
    Ok(text)
}

impl Transport for Https {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        Box::pin(async move {
            let answer = self
                .0
                .request(request.method, request.url)
                .headers(request.headers)
                .body(request.body)
                .send()
                .await
                .map_err(|error| failed("no answer came", error))?;
            Ok(Response {
                status: answer.status(),
                headers: answer.headers().clone(),
                body: answer
                    .bytes_stream()
                    .map(|piece| piece.map_err(|error| failed("the answer broke off", error)))
                    .boxed(),
            })
        })
    }
}

/// The address is left out: the log line names the operation, and a query may say more than it should.
fn failed(what: &'static str, error: reqwest::Error) -> TransportError {
    TransportError { what, source: error.without_url().into() }
}
