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
    let unverified = |mandatory| Unverified { mandatory, provider: Arc::clone(provider) };
    let verifier: Arc<dyn ClientCertVerifier> = match clients {
        Clients::Anonymous => WebPkiClientVerifier::no_client_auth(),
        Clients::Asked => Arc::new(unverified(false)),
        Clients::Some(names) => named(Arc::new(unverified(true)), names),
        Clients::VerifiedIfGiven(authorities) => by_authorities(authorities, provider, true)?,
        Clients::Verified(authorities, names) => named(by_authorities(authorities, provider, false)?, names),
    };
    Ok(if optional { Arc::new(Optional(verifier)) } else { verifier })
}

fn by_authorities(
    pem: &[u8],
    provider: &Arc<CryptoProvider>,
    optional: bool,
) -> Result<Arc<dyn ClientCertVerifier>, Problem> {
    let mut problems = Vec::new();
    let Some(authorities) = certificates(pem, Part::Authorities, &mut problems) else { return Err(problems.remove(0)) };
    let unusable = |error: String| Problem::new(Part::Authorities, format!("it cannot be used: {error}"));
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(|error| unusable(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = if optional { builder.allow_unauthenticated() } else { builder };
    builder.build().map_err(|error| unusable(error.to_string()))
}

fn named(inner: Arc<dyn ClientCertVerifier>, names: &[String]) -> Arc<dyn ClientCertVerifier> {
    if names.is_empty() { inner } else { Arc::new(Named { inner, names: names.to_vec() }) }
}

/// Delegates what a verifier does to another, but for what is overridden.
macro_rules! delegate {
    ($inner:tt) => {
        fn root_hint_subjects(&self) -> &[DistinguishedName] {
            self.$inner.root_hint_subjects()
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.$inner.verify_tls12_signature(message, certificate, signature)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.$inner.verify_tls13_signature(message, certificate, signature)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.$inner.supported_verify_schemes()
        }
    };
}

/// Takes any certificate whose key the client has.
#[derive(Debug)]
struct Unverified {
    mandatory: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Unverified {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
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

/// Takes only certificates with one of some names.
#[derive(Debug)]
struct Named {
    inner: Arc<dyn ClientCertVerifier>,
    names: Vec<String>,
}

impl ClientCertVerifier for Named {
    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(certificate, intermediates, now)?;
        let found =
            subject_alternative_names(certificate).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        if found.iter().any(|found| self.names.iter().any(|name| is_same(name, found))) {
            return Ok(verified);
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    delegate!(inner);
}

/// Exact, but that an address may be written in several ways.
fn is_same(name: &str, found: &str) -> bool {
    name == found || name.parse::<IpAddr>().is_ok_and(|name| found.parse() == Ok(name))
}

/// Lets clients without a certificate through the handshake.
#[derive(Debug)]
struct Optional(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Optional {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.0.verify_client_cert(certificate, intermediates, now)
    }

    delegate!(0);
}
