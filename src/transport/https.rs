//! HTTP and HTTPS by reqwest and rustls.

use super::proxy::{ProxyError, ProxySettings};
use super::resolver::Resolver;
use super::{Request, Response, Transport, TransportError, gzip};
use crate::base::file;
use futures_util::future::BoxFuture;
use futures_util::stream::StreamExt;
use hyper::http::header;
use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, pem, pem::PemObject};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The largest CA file, in bytes. The bundle of a distribution has a quarter of a mebibyte.
const MAX_CA_FILE: u64 = 4 << 20;

/// How often an HTTP/2 connection is pinged, used or not, and how long the answer may take: a connection that is dead is
/// given up after both, at the latest.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// See [`PING_INTERVAL`].
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of [`Https`].
#[derive(Clone, Debug)]
pub struct HttpsOptions {
    /// PEM certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The longest that a connection may take, with name resolution and TLS.
    pub connect_timeout: Duration,
}

impl Default for HttpsOptions {
    fn default() -> Self {
        Self { ca_file: None, connect_timeout: Duration::from_secs(10) }
    }
}

/// Why no client could be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The CA file is missing, unreadable or not PEM.
    #[error("cannot read certificates from {}: {problem}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why, without quoting the file.
        problem: String,
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
    /// A proxy variable is unusable.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// TLS could not be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The HTTP client could not be set up.
    #[error("cannot set up the HTTP client")]
    Http(#[from] reqwest::Error),
}

/// The HTTP client. Clones share their connections.
#[derive(Clone)]
pub struct Https(Arc<Shared>);

struct Shared {
    tls: rustls::ClientConfig,
    build: Box<dyn Fn() -> reqwest::Result<reqwest::Client> + Send + Sync>,
    /// The client in use, with its connections.
    client: Mutex<Arc<reqwest::Client>>,
}

impl Https {
    /// Builds the client. It uses proxies as `HTTPS_PROXY`, `NO_PROXY` and related variables say.
    ///
    /// # Errors
    /// If the CA file or a proxy variable is unusable, or TLS cannot be set up.
    pub fn new(options: &HttpsOptions) -> Result<Self, BuildError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(trusted(options.ca_file.as_deref())?)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // All of them are problems of the settings, and told there.
        let proxies = ProxySettings::from_environment().map_err(|problems| problems[0].clone())?;
        Self::with(tls, options.connect_timeout, Some(Arc::new(proxies)))
    }

    /// A client with the same certificates for addresses of this machine, which no proxy reaches.
    ///
    /// # Errors
    /// If the client cannot be set up.
    pub fn for_this_machine(&self, connect_timeout: Duration) -> Result<Self, BuildError> {
        Self::with(self.0.tls.clone(), connect_timeout, None)
    }

    fn with(
        tls: rustls::ClientConfig,
        connect_timeout: Duration,
        proxies: Option<Arc<ProxySettings>>,
    ) -> Result<Self, BuildError> {
        let resolver = Arc::new(Resolver::default());
        let for_clients = tls.clone();
        let build = move || {
            let mut client = reqwest::Client::builder()
                .tls_backend_preconfigured(for_clients.clone())
                .user_agent(concat!("swr-exporter/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .connect_timeout(connect_timeout)
                .pool_idle_timeout(Duration::from_secs(60))
                // A listing is one burst a window; connections beyond the usual concurrency are not worth keeping.
                .pool_max_idle_per_host(8)
                .http2_keep_alive_interval(PING_INTERVAL)
                .http2_keep_alive_timeout(PING_TIMEOUT)
                .http2_keep_alive_while_idle(true)
                .tcp_nodelay(true)
                .dns_resolver(resolver.clone())
                .no_proxy();
            if let Some(proxies) = proxies.clone() {
                client = client
                    .proxy(reqwest::Proxy::custom(move |url| proxies.proxy_for(&url.as_str().parse().ok()?).cloned()));
            }
            client.build()
        };
        let client = Mutex::new(Arc::new(build()?));
        Ok(Self(Arc::new(Shared { tls, build: Box::new(build), client })))
    }
}

/// Gives up a client's connections if its request is dropped before a response came, which is how a request times out: an
/// HTTP/2 connection that a middlebox forgot would otherwise be used again and again. Requests that are under way on other
/// connections of that client go on.
struct GiveUpOnTimeout {
    https: Arc<Shared>,
    client: Arc<reqwest::Client>,
    is_answered: bool,
}

impl Drop for GiveUpOnTimeout {
    fn drop(&mut self) {
        let mut current = self.https.client.lock();
        if self.is_answered || !Arc::ptr_eq(&current, &self.client) {
            return;
        }
        if let Ok(client) = (self.https.build)() {
            *current = Arc::new(client);
        }
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
    let unreadable = |problem: String| BuildError::CaFile { path: path.to_owned(), problem };
    let text = read_ca_file(path).map_err(|error| unreadable(error.to_string()))?;
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        roots
            .add(certificate.map_err(|error| unreadable(pem_problem(&error).to_owned()))?)
            .map_err(|source| BuildError::Certificate { path: path.to_owned(), source })?;
    }
    if roots.len() == before { Err(BuildError::NoCertificate(path.to_owned())) } else { Ok(roots) }
}

/// What is wrong with a PEM file. The library's own words quote the file, which may hold a private key as well.
fn pem_problem(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end line, such as -----END CERTIFICATE-----",
        pem::Error::IllegalSectionStart { .. } => "the first line of a section is malformed",
        pem::Error::Base64Decode(_) => "a section is not valid base64",
        _ => "it is not in PEM form",
    }
}

/// The content of a CA file, a regular file of at most 4 MiB.
pub fn read_ca_file(path: &Path) -> std::io::Result<Vec<u8>> {
    file::read(path, MAX_CA_FILE)
}

impl Transport for Https {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        Box::pin(async move {
            let client = self.0.client.lock().clone();
            let mut watch = GiveUpOnTimeout { https: self.0.clone(), client, is_answered: false };
            let sent = watch
                .client
                .request(request.method, request.url)
                .headers(request.headers)
                .header(header::ACCEPT_ENCODING, "gzip")
                .body(request.body)
                .send();
            let answered = sent.await;
            watch.is_answered = true;
            let response = answered.map_err(|error| failed("no response", error))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = response
                .bytes_stream()
                .map(|piece| piece.map_err(|error| failed("the response broke off", error)))
                .boxed();
            let body = gzip::plain(&headers, body);
            Ok(Response { status, headers, body })
        })
    }
}

/// An error without the URL: the log line names the operation, and a query may hold more than the log should.
fn failed(what: &'static str, error: reqwest::Error) -> TransportError {
    TransportError { what, source: error.without_url().into() }
}
