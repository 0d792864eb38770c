//! TLS: the settings of the server, and the handshake.
//!
//! rustls offers TLS 1.2 and 1.3 with forward secrecy and authenticated encryption. Settings for anything else are refused
//! with the reason, so that no setting is silently ineffective.

use super::client_certificates::{ClientAuth, verifier};
use super::monitored_stream::{ConnectionTimer, MonitoredStream, Overdue, Watchdog};
use super::pem::{TlsProblem, TlsSetting, certificates, private_key};
use crate::base::secret::Secret;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
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

/// The TLS settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's certificate and its intermediates, in PEM form.
    pub certificate: Vec<u8>,
    /// Its private key in PEM form: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: Secret,
    /// The certificates that clients must present.
    pub client_auth: ClientAuth,
    /// The oldest version offered.
    pub min_version: TlsVersion,
    /// The newest version offered.
    pub max_version: TlsVersion,
    /// Cipher suites in order of preference. A version of which none is named has all of its suites.
    pub cipher_suites: Vec<SupportedCipherSuite>,
    /// Whether the server's order of preference decides rather than the client's.
    pub prefer_server_order: bool,
    /// Key exchange groups in order of preference; empty: all.
    pub curves: Vec<&'static dyn SupportedKxGroup>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// 1.2.
    Tls12,
    /// 1.3.
    Tls13,
}

impl std::str::FromStr for TlsVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "TLS12" => Ok(Self::Tls12),
            "TLS13" => Ok(Self::Tls13),
            "TLS10" | "TLS11" => Err(format!("`{text}` is not spoken: it is broken; use TLS12 or TLS13")),
            _ => Err(format!("unknown TLS version `{text}` (use TLS12 or TLS13)")),
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

/// The standard's name; rustls adds the version to the suites of TLS 1.3.
fn name_of(suite: CipherSuite) -> String {
    format!("{suite:?}").replace("TLS13_", "TLS_")
}

/// Finds a key exchange group by the name that Go gives it.
///
/// # Errors
/// When there is none, or it is one that is not offered.
pub fn curve(name: &str) -> Result<&'static dyn SupportedKxGroup, String> {
    match name {
        "X25519" => Ok(ring::kx_group::X25519),
        "CurveP256" => Ok(ring::kx_group::SECP256R1),
        "CurveP384" => Ok(ring::kx_group::SECP384R1),
        "CurveP521" | "X25519MLKEM768" => Err(format!("`{name}` is not offered; there are {CURVES}")),
        _ => Err(format!("unknown curve `{name}` (known: {CURVES})")),
    }
}

const CURVES: &str = "X25519, CurveP256 and CurveP384";

/// Checked settings, ready to accept connections.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    config: Arc<ServerConfig>,
    /// The certificates that clients must present. Shared with the connections whose clients complied with it.
    pub(super) client_auth: Arc<ClientAuth>,
    /// The oldest version offered.
    pub(super) min_version: TlsVersion,
}

impl Tls {
    /// Checks the settings. `some_open`: some paths are open to all, so the handshake must succeed without a certificate.
    pub(super) fn new(options: Options, some_open: bool) -> Result<Self, Vec<TlsProblem>> {
        let mut problems = Vec::new();
        let chain = certificates(&options.certificate, TlsSetting::Certificate);
        let chain = chain.map_err(|problem| problems.push(problem)).ok();
        let key = private_key(options.key.expose()).map_err(|problem| problems.push(problem)).ok();
        let provider = Arc::new(provider(&options));
        let certified = chain.zip(key).and_then(|(chain, key)| {
            CertifiedKey::from_der(chain, key, &provider).map_err(|error| problems.push(of_pair(error))).ok()
        });
        let versions: &[&'static SupportedProtocolVersion] = match (options.min_version, options.max_version) {
            (TlsVersion::Tls12, TlsVersion::Tls12) => &[&TLS12],
            (TlsVersion::Tls12, TlsVersion::Tls13) => &[&TLS12, &TLS13],
            _ => &[&TLS13],
        };
        let verifier = verifier(&options.client_auth, &provider, some_open);
        let verifier = verifier.map_err(|problem| problems.push(problem)).ok();
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions);
        let unusable = |error: Error| TlsProblem::new(TlsSetting::Combination, error.to_string());
        let builder = builder.map_err(|error| problems.push(unusable(error))).ok();
        let (Some(certified), Some(verifier), Some(builder)) = (certified, verifier, builder) else {
            return Err(problems);
        };
        let resumes = !verifier.offer_client_auth();
        let mut config =
            builder.with_client_cert_verifier(verifier).with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        config.ignore_client_order = options.prefer_server_order;
        config.alpn_protocols = if options.http2 { vec![b"h2".to_vec()] } else { Vec::new() };
        config.alpn_protocols.push(b"http/1.1".to_vec());
        if !resumes {
            // A resumed session is not verified again, and the client's certificate may have expired since.
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        let client_auth = Arc::new(options.client_auth);
        Ok(Self { config: Arc::new(config), client_auth, min_version: options.min_version })
    }

    /// Whether a certificate is required, except for the paths that are open to all.
    pub(super) fn needs_certificate(&self) -> bool {
        self.client_auth.is_required()
    }

    /// Whether a client that complied with an earlier policy complies with this one: it must be the same policy.
    pub(super) fn still_accepts(&self, certified: Option<&Arc<ClientAuth>>) -> bool {
        certified.is_some_and(|policy| Arc::ptr_eq(policy, &self.client_auth) || *policy == self.client_auth)
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

fn of_pair(error: Error) -> TlsProblem {
    let (setting, reason) = match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            (TlsSetting::Key, "it is not the key of the certificate".to_owned())
        }
        Error::InvalidCertificate(error) => (TlsSetting::Certificate, format!("it cannot be used: {error}")),
        // The library could not read it, though it is a key by its PEM.
        Error::General(_) => (
            TlsSetting::Key,
            "it is of a kind that is not supported: use RSA of 2048 bits or more, ECDSA on P-256 or P-384, or Ed25519"
                .to_owned(),
        ),
        error => (TlsSetting::Key, format!("it cannot be used: {error}")),
    };
    TlsProblem::new(setting, reason)
}

pub(super) enum Handshake {
    Done(Box<TlsStream<MonitoredStream>>),
    /// The peer was sent an alert; the socket is still open.
    Failed(MonitoredStream),
    /// The peer was too slow.
    Overdue(Overdue),
}

/// The response to plain HTTP; Go's servers send the same.
const PLAIN_HTTP_RESPONSE: &[u8] =
    b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
    this server speaks HTTPS: the address begins with https://\n";

/// Performs the handshake within its deadline.
pub(super) async fn accept(tls: &Tls, socket: MonitoredStream, timer: &ConnectionTimer) -> Handshake {
    timer.handshake();
    let mut watchdog = Watchdog::new();
    let mut handshake = Box::pin(handshake(tls, socket));
    std::future::poll_fn(|cx| match handshake.as_mut().poll(cx) {
        Poll::Ready(end) => Poll::Ready(end),
        Poll::Pending => watchdog.poll(cx, timer.due()).map(Handshake::Overdue),
    })
    .await
}

async fn handshake(tls: &Tls, mut socket: MonitoredStream) -> Handshake {
    // A handshake begins with byte 22, a request in plain HTTP with a letter.
    let mut first = [0];
    if matches!(socket.socket.peek(&mut first).await, Ok(1)) && first[0].is_ascii_uppercase() {
        let _ = socket.write_all(PLAIN_HTTP_RESPONSE).await;
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

/// Whether ALPN agreed on HTTP/2.
pub(super) fn speaks_http2(stream: &TlsStream<MonitoredStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(b"h2")
}

/// The policy that the client complied with by presenting a certificate; `None` without a certificate.
pub(super) fn client_auth(tls: &Tls, stream: &TlsStream<MonitoredStream>) -> Option<Arc<ClientAuth>> {
    let presented = stream.get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty());
    presented.then(|| Arc::clone(&tls.client_auth))
}
