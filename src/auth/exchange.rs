//! The one shape of all credential providers: load what is there locally and, if that is not a credential yet, exchange it
//! for one.

use super::credential::{Credential, IssuedCredential};
use super::{AuthError, TokenClient};
use crate::base::digest::Digest;
use futures_util::future::BoxFuture;

/// A source of credentials.
pub trait Provider: std::fmt::Debug + Send + Sync {
    /// Loads what is there now. Files are read again each time, so that a rotated secret needs no restart.
    ///
    /// # Errors
    /// If a file cannot be read or holds nothing usable.
    fn load(&self) -> Result<ProviderState, AuthError>;

    /// The identity that the credentials are of, as far as the settings tell. It stays the same when a secret is rotated.
    fn owner(&self) -> String;
}

/// What a provider has locally.
#[derive(Debug)]
pub enum ProviderState {
    /// A credential that can be used as it is.
    Ready(Credential),
    /// A secret that has to be exchanged for one.
    NeedsExchange(Box<dyn CredentialRequest>),
}

impl ProviderState {
    /// A digest that changes when the local secret changes.
    pub(super) fn fingerprint(&self) -> Digest {
        match self {
            Self::Ready(credential) => credential.fingerprint(),
            Self::NeedsExchange(request) => request.fingerprint(),
        }
    }
}

/// A request for a credential, with everything that it needs.
pub trait CredentialRequest: std::fmt::Debug + Send + Sync {
    /// Sends the request. Dropping the future cancels it.
    ///
    /// # Errors
    /// If there is no answer, or one without a credential.
    fn exchange<'a>(&'a self, client: &'a TokenClient) -> BoxFuture<'a, Result<IssuedCredential, AuthError>>;

    /// A digest that changes when the local secret changes.
    fn fingerprint(&self) -> Digest;

    /// Whether repeated refusals could lock the user.
    fn can_lock_out(&self) -> bool;
}
