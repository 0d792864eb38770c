//! Certificates and keys in PEM form, and the problems that TLS settings can have.

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The TLS setting that a problem is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsSetting {
    /// The server's certificate.
    Certificate,
    /// The server's key.
    Key,
    /// The authorities that certify clients.
    ClientCa,
    /// Several settings together.
    Combination,
}

/// A TLS setting that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsProblem {
    /// The setting.
    pub setting: TlsSetting,
    /// The reason; contains no secret.
    pub reason: String,
}

impl TlsProblem {
    pub(super) fn new(setting: TlsSetting, reason: impl Into<String>) -> Self {
        Self { setting, reason: reason.into() }
    }
}

/// The certificates of a PEM text; at least one.
pub(super) fn certificates(pem: &[u8], setting: TlsSetting) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    found
        .and_then(|found| if found.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(found) })
        .map_err(|error| TlsProblem::new(setting, reason(&error, "no certificate")))
}

/// The first private key of a PEM text.
pub(super) fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, TlsProblem> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| TlsProblem::new(TlsSetting::Key, reason(&error, "no unencrypted key")))
}

/// Our own words: those of the library can contain bytes of the file.
fn reason(error: &pem::Error, missing: &str) -> String {
    match error {
        pem::Error::NoItemsFound => format!("there is {missing} in PEM form in it"),
        pem::Error::MissingSectionEnd { .. } => "it ends within a PEM section".to_owned(),
        _ => "it is not in PEM form".to_owned(),
    }
}
