//! TLS: the settings that a server can have, and the handshake.
//!
//! rustls has TLS 1.2 and 1.3 with forward secrecy and authenticated encryption; what it does not have is refused here
//! with the reason, so that nothing is set and does not hold.

use super::client_certificates::{Clients, verifier};
use super::monitored_stream::{ConnectionTimer, MonitoredStream, Overdue, Watchdog};
use crate::base::secret::Secret;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CipherSuite, Error, InconsistentKeys, ProtocolVersion, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
};
use std::sync::Arc;
use std::task::Poll;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What may be chosen.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's certificate, and those that lead from it to a root, in PEM form.
    pub certificate: Vec<u8>,
    /// Its key, in PEM form: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: Secret,
    /// What is asked of clients.
    pub clients: Clients,
    /// The oldest version that is spoken.
    pub least: Version,
    /// The newest.
    pub most: Version,
    /// Which suites, in order of preference; those of a version of which none is named are all there.
    pub cipher_suites: Vec<SupportedCipherSuite>,
    /// Whether our preference counts rather than the client's.
    pub own_preference: bool,
    /// Which groups keys are exchanged in, in order of preference; none: all.
    pub curves: Vec<&'static dyn SupportedKxGroup>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

impl Options {
    /// The defaults, for a certificate and its key.
    pub fn new(certificate: Vec<u8>, key: Secret) -> Self {
        Self {
            certificate,
            key,
            clients: Clients::Anonymous,
            least: Version::Tls12,
            most: Version::Tls13,
            cipher_suites: Vec::new(),
            own_preference: true,
            curves: Vec::new(),
            http2: true,
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

impl std::str::FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "TLS12" => Ok(Self::Tls12),
            "TLS13" => Ok(Self::Tls13),
            "TLS10" | "TLS11" => Err(format!("`{text}` is not spoken: it is broken; use TLS12 or TLS13")),
            _ => Err(format!("`{text}` is no version of TLS; use TLS12 or TLS13")),
        }
    }
}

/// Finds a cipher suite by the name that Go gives it.
///
/// # Errors
/// When there is none, or it is one that is not offered.
pub fn cipher_suite(name: &str) -> Result<SupportedCipherSuite, String> {
    let suites = ring::ALL_CIPHER_SUITES;
    if let Some(suite) = suites.iter().find(|suite| name_of(suite.suite()) == name) {
        return Ok(*suite);
    }
    let known: Vec<String> = suites.iter().map(|suite| name_of(suite.suite())).collect();
    let reason = if !name.starts_with("TLS_") {
        "is no cipher suite"
    } else if name.starts_with("TLS_RSA_") {
        "is not offered: it has no forward secrecy"
    } else if name.contains("_CBC_") || name.contains("_RC4_") {
        "is not offered: its encryption is not authenticated"
    } else {
        "is not offered"
    };
    Err(format!("`{name}` {reason}; there are {}", known.join(", ")))
}

/// rustls names the suites of TLS 1.3 with their version, the standard and Go without.
fn name_of(suite: CipherSuite) -> String {
    format!("{suite:?}").replace("TLS13_", "TLS_")
}

/// Finds a group for the exchange of keys by the name that Go gives it.
///
/// # Errors
/// When there is none, or it is one that is not offered.
pub fn curve(name: &str) -> Result<&'static dyn SupportedKxGroup, String> {
    match name {
        "X25519" => Ok(ring::kx_group::X25519),
        "CurveP256" => Ok(ring::kx_group::SECP256R1),
        "CurveP384" => Ok(ring::kx_group::SECP384R1),
        "CurveP521" | "X25519MLKEM768" => Err(format!("`{name}` is not offered; there are {CURVES}")),
        _ => Err(format!("`{name}` is no curve; there are {CURVES}")),
    }
}

const CURVES: &str = "X25519, CurveP256 and CurveP384";

/// Which setting is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The certificate.
    Certificate,
    /// The key.
    Key,
    /// The authorities of clients.
    Authorities,
    /// How they go together.
    Together,
}

/// A setting that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which.
    pub part: Part,
    /// Why, free of secrets.
    pub reason: String,
}

impl Problem {
    /// A problem with one part.
    pub(super) fn new(part: Part, reason: impl Into<String>) -> Self {
        Self { part, reason: reason.into() }
    }
}

/// What connections are accepted with.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    config: Arc<ServerConfig>,
    /// What is asked of clients. Shared by the connections on which it was complied with.
    clients: Arc<Clients>,
}

impl Tls {
    /// Checks and prepares. `some_open`: some paths are open to all, so the handshake must let everybody pass.
    ///
    /// # Errors
    /// All problems at once.
    pub(super) fn new(options: Options, some_open: bool) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let chain = certificates(&options.certificate, Part::Certificate, &mut problems);
        let key = PrivateKeyDer::from_pem_slice(options.key.expose().as_bytes());
        let key =
            key.map_err(|error| problems.push(Problem::new(Part::Key, of_pem(&error, "no unencrypted key")))).ok();
        let provider = Arc::new(provider(&options));
        let certified = chain.zip(key).and_then(|(chain, key)| {
            CertifiedKey::from_der(chain, key, &provider).map_err(|error| problems.push(of_pair(error))).ok()
        });
        let versions: &[&'static SupportedProtocolVersion] = match (options.least, options.most) {
            (Version::Tls12, Version::Tls12) => &[&TLS12],
            (Version::Tls12, Version::Tls13) => &[&TLS12, &TLS13],
            _ => &[&TLS13],
        };
        let verifier = verifier(&options.clients, &provider, some_open).map_err(|problem| problems.push(problem)).ok();
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions);
        let builder = builder.map_err(|error| problems.push(Problem::new(Part::Together, error.to_string()))).ok();
        let (Some(certified), Some(verifier), Some(builder)) = (certified, verifier, builder) else {
            return Err(problems);
        };
        let resumes = !verifier.offer_client_auth();
        let mut config =
            builder.with_client_cert_verifier(verifier).with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.ignore_client_order = options.own_preference;
        config.alpn_protocols = if options.http2 { vec![b"h2".to_vec()] } else { Vec::new() };
        config.alpn_protocols.push(b"http/1.1".to_vec());
        if !resumes {
            // A session that is resumed is not verified again, and a certificate may have expired since.
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Ok(Self { config: Arc::new(config), clients: Arc::new(options.clients) })
    }

    /// Whether without a certificate only the paths are open that are open to all.
    pub(super) fn needs_certificate(&self) -> bool {
        matches!(*self.clients, Clients::Some(_) | Clients::Verified(..))
    }

    /// Whether a certificate that was good enough then is so still: the same is asked of clients, whatever the server shows.
    pub(super) fn still_takes(&self, certified: Option<&Arc<Clients>>) -> bool {
        certified.is_some_and(|clients| Arc::ptr_eq(clients, &self.clients) || *clients == self.clients)
    }
}

fn provider(options: &Options) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !options.cipher_suites.is_empty() {
        let named = |version| options.cipher_suites.iter().any(|suite| suite.version().version == version);
        let mut suites = options.cipher_suites.clone();
        for version in [ProtocolVersion::TLSv1_3, ProtocolVersion::TLSv1_2] {
            if !named(version) {
                let all = provider.cipher_suites.iter().filter(|suite| suite.version().version == version);
                suites.extend(all);
            }
        }
        provider.cipher_suites = suites;
    }
    if !options.curves.is_empty() {
        provider.kx_groups = options.curves.clone();
    }
    provider
}

/// The certificates in a PEM text; at least one.
pub(super) fn certificates(
    pem: &[u8],
    part: Part,
    problems: &mut Vec<Problem>,
) -> Option<Vec<CertificateDer<'static>>> {
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => return Some(found),
        Ok(_) => problems.push(Problem::new(part, of_pem(&pem::Error::NoItemsFound, "no certificate"))),
        Err(error) => problems.push(Problem::new(part, of_pem(&error, "no certificate"))),
    }
    None
}

/// The library's own words could show what stands in the file.
fn of_pem(error: &pem::Error, nothing: &str) -> String {
    match error {
        pem::Error::NoItemsFound => format!("there is {nothing} in PEM form in it"),
        pem::Error::MissingSectionEnd { .. } => "it ends within a PEM section".to_owned(),
        _ => "it is not in PEM form".to_owned(),
    }
}

fn of_pair(error: Error) -> Problem {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            Problem::new(Part::Key, "it is not the key of the certificate")
        }
        Error::InvalidCertificate(error) => Problem::new(Part::Certificate, format!("it cannot be used: {error}")),
        error => Problem::new(Part::Key, format!("it cannot be used: {error}")),
    }
}

/// How a handshake ended.
pub(super) enum Handshake {
    /// Well.
    Done(Box<TlsStream<MonitoredStream>>),
    /// The peer was told why not; the socket is still open.
    Failed(MonitoredStream),
    /// The peer took too long.
    Overdue(Overdue),
}

/// What somebody is told who speaks HTTP where TLS is spoken; Go's servers say the same.
const PLAIN: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
    this server speaks HTTPS: the address begins with https://\n";

/// Agrees on TLS within the time for it.
pub(super) async fn accept(tls: &Tls, socket: MonitoredStream, clock: &ConnectionTimer) -> Handshake {
    clock.handshake();
    let mut watchdog = Watchdog::new();
    let mut handshake = Box::pin(shake_hands(tls, socket));
    std::future::poll_fn(|cx| match handshake.as_mut().poll(cx) {
        Poll::Ready(end) => Poll::Ready(end),
        Poll::Pending => watchdog.poll(cx, clock.due()).map(Handshake::Overdue),
    })
    .await
}

async fn shake_hands(tls: &Tls, mut socket: MonitoredStream) -> Handshake {
    // Every handshake begins with the byte 22, every request in plain HTTP with a letter.
    let mut first = [0];
    if matches!(socket.socket().peek(&mut first).await, Ok(1)) && first[0].is_ascii_uppercase() {
        let _ = socket.write_all(PLAIN).await;
        return Handshake::Failed(socket);
    }
    match TlsAcceptor::from(Arc::clone(&tls.config)).accept(socket).into_fallible().await {
        Ok(stream) => Handshake::Done(Box::new(stream)),
        Err((error, socket)) => {
            tracing::debug!(%error, "a TLS handshake failed: {error}");
            Handshake::Failed(socket)
        }
    }
}

/// What was agreed upon.
pub(super) fn speaks_http2(stream: &TlsStream<MonitoredStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

/// What the client has complied with, if it has shown a certificate.
pub(super) fn certified(tls: &Tls, stream: &TlsStream<MonitoredStream>) -> Option<Arc<Clients>> {
    let shown = stream.get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty());
    shown.then(|| Arc::clone(&tls.clients))
}
