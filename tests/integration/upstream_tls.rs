//! An upstream behind TLS: only the certificate that should be trusted is, and nothing is ever sent in the clear.

use crate::support::{Exporter, exporter, simulator};
use crate::upstream_support::failures;
use futures_util::future::join_all;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swr_exporter::transport::{Https, HttpsOptions, Request, Transport};
use swr_simulator::Running;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// What stands before the simulator.
#[derive(Clone)]
pub enum Front {
    /// TLS with this certificate.
    Tls(TlsAcceptor),
    /// Accepts and says nothing.
    Stalls,
    /// Resets the connection once the client has begun.
    Resets,
    /// Answers as if it had been asked in the clear.
    Plain,
}

pub struct Guarded {
    /// Where the front is.
    pub address: SocketAddr,
    behind: Running,
    /// The first byte of each connection.
    first_bytes: Arc<Mutex<Vec<u8>>>,
}

/// Serves the simulator behind a front.
pub async fn guarded(front: Front) -> Guarded {
    let behind = simulator(20, 2).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (address, target) = (listener.local_addr().unwrap(), behind.addr());
    let first_bytes: Arc<Mutex<Vec<u8>>> = Arc::default();
    let noted = first_bytes.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(meet(stream, front.clone(), target, noted.clone()));
        }
    });
    Guarded { address, behind, first_bytes }
}

async fn meet(mut stream: TcpStream, front: Front, target: SocketAddr, noted: Arc<Mutex<Vec<u8>>>) {
    let mut first = [0];
    if stream.peek(&mut first).await.is_ok_and(|count| count == 1) {
        noted.lock().unwrap().push(first[0]);
    }
    match front {
        Front::Tls(acceptor) => {
            if let Ok(mut secured) = acceptor.accept(stream).await {
                let mut behind = TcpStream::connect(target).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut secured, &mut behind).await;
            }
        }
        Front::Stalls => while stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {},
        Front::Resets => {
            let _ = stream.read(&mut first).await;
            stream.set_zero_linger().unwrap();
        }
        Front::Plain => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]").await;
            while stream.read(&mut [0; 1024]).await.is_ok_and(|count| count > 0) {}
        }
    }
}

pub struct Authority {
    /// Its certificate.
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

pub fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { pem, issuer: Issuer::new(params, key) }
}

/// A certificate and its key, in PEM form.
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    /// Certifies somebody under these names; what else the certificate says can be changed.
    pub fn issue(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }
}

/// A server of HTTP/1.1 with a certificate, by an authority or by itself.
pub fn certified(name: &str, by: Option<&Authority>, change: impl FnOnce(&mut CertificateParams)) -> Front {
    Front::Tls(acceptor(name, by, change, "http/1.1"))
}

/// TLS with such a certificate and this protocol.
pub fn acceptor(
    name: &str,
    by: Option<&Authority>,
    change: impl FnOnce(&mut CertificateParams),
    protocol: &str,
) -> TlsAcceptor {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = match by {
        Some(authority) => params.signed_by(&key, &authority.issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![protocol.into()];
    TlsAcceptor::from(Arc::new(config))
}

pub const HERE: &str = "127.0.0.1";

pub fn as_it_is(_: &mut CertificateParams) {}

/// An exporter that trusts this authority besides the system's.
async fn trusting(guarded: &Guarded, authority: &Authority) -> (Exporter, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &authority.pem).unwrap();
    let ca = format!("--swr.ca-file={}", file.path().display());
    (exporter(&format!("https://{}", guarded.address), &[&ca, "--cache.window=100ms"]).await, file)
}

#[tokio::test]
async fn a_certificate_of_the_ca_file_is_trusted() {
    let ca = authority("ours");
    let upstream = guarded(certified(HERE, Some(&ca), as_it_is)).await;
    let (exporter, _file) = trusting(&upstream, &ca).await;
    let scrape = exporter.scrape().await;
    assert_eq!(scrape.get("swr_up"), Some(1.0), "{}", exporter.log());
    assert_eq!(scrape.series("swr_repository_size_bytes").len(), 20);
}

#[tokio::test]
async fn a_wrong_certificate_or_no_tls_is_a_network_failure_and_nothing_is_sent_in_the_clear() {
    let ca = authority("ours");
    let stranger = authority("a stranger");
    let cases = [
        ("expired", certified(HERE, Some(&ca), |params| params.not_after = date_time_ymd(2020, 1, 1))),
        ("not yet valid", certified(HERE, Some(&ca), |params| params.not_before = date_time_ymd(2100, 1, 1))),
        ("wrong name", certified("swr-api.example.com", Some(&ca), as_it_is)),
        ("wrong address", certified("127.0.0.2", Some(&ca), as_it_is)),
        ("self-signed", certified(HERE, None, as_it_is)),
        ("unknown authority", certified(HERE, Some(&stranger), as_it_is)),
        ("resets", Front::Resets),
        ("plain", Front::Plain),
    ];
    join_all(cases.map(|(name, front)| {
        let ca = &ca;
        async move { is_refused(name, front, ca).await }
    }))
    .await;
}

/// The exporter fails for the network's sake, says why, and sends nothing but the beginnings of TLS.
async fn is_refused(name: &str, front: Front, ca: &Authority) {
    let upstream = guarded(front).await;
    let (exporter, _file) = trusting(&upstream, ca).await;
    let start = Instant::now();
    let scrape = exporter.scrape_until(name, |scrape| failures(scrape, "network") >= 1.0).await;
    assert!(start.elapsed() < Duration::from_secs(10), "{name}: {:?}", start.elapsed());
    assert_eq!((scrape.get("swr_up"), scrape.get("swr_snapshot_timestamp_seconds")), (Some(0.0), None), "{name}");
    assert_eq!(upstream.behind.handle.total(), 0, "{name}");
    let first_bytes = upstream.first_bytes.lock().unwrap().clone();
    assert!(!first_bytes.is_empty() && first_bytes.iter().all(|byte| *byte == 0x16), "{name}: {first_bytes:?}");
}

#[tokio::test]
async fn a_handshake_that_stalls_ends_with_the_time_for_connecting() {
    assert_eq!(HttpsOptions::default().connect_timeout, Duration::from_secs(10));
    let upstream = guarded(Front::Stalls).await;
    let options = HttpsOptions { connect_timeout: Duration::from_millis(300), ..HttpsOptions::default() };
    let https = Https::new(&options).unwrap();
    let request = Request {
        method: hyper::Method::GET,
        url: format!("https://{}/v2/manage/repos", upstream.address),
        headers: hyper::HeaderMap::new(),
        body: bytes::Bytes::new(),
    };
    let start = Instant::now();
    let error = https.send(request).await.err().expect("no answer came");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert!(swr_exporter::failure::error_chain(&error).contains("timed out"), "{error:?}");
}

#[tokio::test]
async fn an_unusable_ca_file_is_refused_without_quoting_it() {
    let key = KeyPair::generate().unwrap().serialize_pem();
    let certificate = authority("ours").pem;
    for (content, problem) in [
        (format!("{certificate}{}", key.replace('\n', " ")), "a section has no end line"),
        (format!("{certificate}-----BEGIN PRIVATE KEY\n{}", &key[28..]), "the first line of a section is malformed"),
        (certificate.replacen("MII", "M!I", 1), "not valid base64"),
        (key.clone(), "holds no certificate"),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &content).unwrap();
        let options = HttpsOptions { ca_file: Some(file.path().to_owned()), ..HttpsOptions::default() };
        let said = swr_exporter::failure::error_chain(&Https::new(&options).err().unwrap());
        assert!(said.contains(problem) && said.contains(file.path().to_str().unwrap()), "{said}");
        // Neither as text nor in the decimal numbers of a byte string.
        assert!(!said.contains('[') && !said.contains(&key[40..60]), "{said}");
    }
}
