//! Who of the clients is let in by a certificate.
//!
//! rustls verifies certificates by their authorities. What Go's servers can do besides is added around it: to take any
//! certificate, to ask for certain names, and to let those without one through to the paths that are open to all.

use super::names::subject_alternative_names;
use super::tls::{Part, Problem, certificates};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use std::net::IpAddr;
use std::sync::Arc;

/// What is asked of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// No certificate.
    Anonymous,
    /// A certificate, and nothing of it: whoever has none gets in too.
    Asked,
    /// Any certificate, whoever made it, with one of these names; no names: any.
    Some(Vec<String>),
    /// If there is a certificate, it comes from one of these authorities (in PEM form).
    VerifiedIfGiven(Vec<u8>),
    /// A certificate of one of these authorities (in PEM form), with one of these names; no names: any.
    Verified(Vec<u8>, Vec<String>),
}

/// Whoever judges the certificates of clients. `optional`: whoever has none gets through the handshake.
///
/// # Errors
/// When the authorities cannot be used.
pub(super) fn verifier(
    clients: &Clients,
    provider: &Arc<CryptoProvider>,
    optional: bool,
) -> Result<Arc<dyn ClientCertVerifier>, Problem> {
    let (authorities, names, mandatory) = match clients {
        Clients::Anonymous => return Ok(WebPkiClientVerifier::no_client_auth()),
        Clients::Asked => (None, &[][..], false),
        Clients::Some(names) => (None, &names[..], true),
        Clients::VerifiedIfGiven(authorities) => (Some(authorities), &[][..], false),
        Clients::Verified(authorities, names) => (Some(authorities), &names[..], true),
    };
    let authorities = authorities.map(|pem| by_authorities(pem, provider)).transpose()?;
    let (names, mandatory) = (names.to_vec(), mandatory && !optional);
    Ok(Arc::new(ClientCertificateVerifier { authorities, names, mandatory, provider: Arc::clone(provider) }))
}

fn by_authorities(pem: &[u8], provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, Problem> {
    let mut problems = Vec::new();
    let Some(authorities) = certificates(pem, Part::Authorities, &mut problems) else { return Err(problems.remove(0)) };
    let unusable = |error: String| Problem::new(Part::Authorities, format!("it cannot be used: {error}"));
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|error| unusable(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    builder.build().map_err(|error| unusable(error.to_string()))
}

/// Takes certificates whose key the client has, if they are those that were asked for.
#[derive(Debug)]
struct ClientCertificateVerifier {
    /// Who must have made them; `None`: anybody.
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    /// The names of which they must have one; none: any.
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

/// Exact, but that an address may be written in several ways.
fn is_same(name: &str, found: &str) -> bool {
    name == found || name.parse::<IpAddr>().is_ok_and(|name| found.parse() == Ok(name))
}
