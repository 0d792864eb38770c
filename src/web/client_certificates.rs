//! Authentication of clients by certificate.
//!
//! rustls verifies certificates against their authorities. Added here is what Go's servers can do besides: accept any
//! certificate, require certain names, and let clients without a certificate through to the paths that are open to all.

use super::certificate_names::subject_alternative_names;
use super::pem::{TlsProblem, TlsSetting, certificates};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use std::net::IpAddr;
use std::sync::Arc;

/// The certificates that clients must present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// None.
    None,
    /// One is requested, but neither required nor verified.
    Requested,
    /// One of any authority, with one of these names; no names: with any.
    Any(Vec<String>),
    /// If one is presented, it must be of one of these authorities (in PEM form).
    VerifiedIfGiven(Vec<u8>),
    /// One of these authorities (in PEM form), with one of these names; no names: with any.
    Verified(Vec<u8>, Vec<String>),
}

impl ClientAuth {
    pub(super) fn is_required(&self) -> bool {
        matches!(self, Self::Any(_) | Self::Verified(..))
    }

    /// Whether `next` accepts clients for a reason that this policy does not know: no certificate, one that no authority
    /// verifies, or one with any name. Authorities and names themselves may change.
    pub(super) fn is_weakened_by(&self, next: &Self) -> bool {
        let is_verified = |policy: &Self| matches!(policy, Self::Verified(..) | Self::VerifiedIfGiven(_));
        let is_named =
            |policy: &Self| matches!(policy, Self::Any(names) | Self::Verified(_, names) if !names.is_empty());
        let properties = [Self::is_required, is_verified, is_named];
        properties.iter().any(|has| has(self) && !has(next))
    }
}

/// The verifier for a policy. `optional`: the handshake succeeds without a certificate too.
pub(super) fn verifier(
    policy: &ClientAuth,
    provider: &Arc<CryptoProvider>,
    optional: bool,
) -> Result<Arc<dyn ClientCertVerifier>, TlsProblem> {
    let (authorities, names, mandatory) = match policy {
        ClientAuth::None => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientAuth::Requested => (None, &[][..], false),
        ClientAuth::Any(names) => (None, &names[..], true),
        ClientAuth::VerifiedIfGiven(authorities) => (Some(authorities), &[][..], false),
        ClientAuth::Verified(authorities, names) => (Some(authorities), &names[..], true),
    };
    let authorities = authorities.map(|pem| by_authorities(pem, provider)).transpose()?;
    let (names, mandatory) = (names.to_vec(), mandatory && !optional);
    Ok(Arc::new(ClientCertificateVerifier { authorities, names, mandatory, provider: Arc::clone(provider) }))
}

fn by_authorities(pem: &[u8], provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsProblem> {
    let unusable = |error: String| TlsProblem::new(TlsSetting::ClientCa, format!("it cannot be used: {error}"));
    let mut roots = RootCertStore::empty();
    for authority in certificates(pem, TlsSetting::ClientCa)? {
        roots.add(authority).map_err(|error| unusable(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    builder.build().map_err(|error| unusable(error.to_string()))
}

/// Accepts certificates of certain authorities and names, if the client has their key.
#[derive(Debug)]
struct ClientCertificateVerifier {
    /// `None`: any authority.
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    /// A certificate must have one of these names; empty: any.
    names: Vec<String>,
    mandatory: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for ClientCertificateVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities.as_ref().map_or(&[], |authorities| authorities.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(authorities) = &self.authorities {
            authorities.verify_client_cert(certificate, intermediates, now)?;
        }
        if self.names.is_empty() {
            return Ok(ClientCertVerified::assertion());
        }
        let found =
            subject_alternative_names(certificate).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if found.iter().any(|found| self.names.iter().any(|name| is_same(name, found))) {
            return Ok(ClientCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Names are equal byte for byte, IP addresses in any notation.
fn is_same(name: &str, found: &str) -> bool {
    name == found || name.parse::<IpAddr>().is_ok_and(|name| found.parse() == Ok(name))
}
