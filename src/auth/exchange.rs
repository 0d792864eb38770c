//! The one shape of all credential providers: load what is there locally and, if that is not a credential yet, exchange it
//! for one.

use super::{AuthError, Credential, IssuedCredential, TokenClient};
use crate::base::digest::{self, Sha256Digest};
use crate::base::secret::Secret;
use futures_util::future::BoxFuture;

/// A source of credentials.
pub trait Provider: std::fmt::Debug + Send + Sync {
    /// Loads what is there now. Files are read again each time, so that a rotated secret needs no restart. Blocks as long as
    /// their file system does.
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
    /// A secret, and the service that exchanges it for a credential.
    NeedsExchange(Secret, Box<dyn TokenService>),
}

impl ProviderState {
    pub(super) fn needs_exchange(secret: Secret, service: impl TokenService + 'static) -> Self {
        Self::NeedsExchange(secret, Box::new(service))
    }

    /// A digest that changes when the local secret changes.
    pub(super) fn fingerprint(&self) -> Sha256Digest {
        match self {
            Self::Ready(credential) => credential.fingerprint(),
            Self::NeedsExchange(secret, _) => digest::of([secret.expose()]),
        }
    }
}

/// An exchange in progress.
pub type Issuing<'a> = BoxFuture<'a, Result<IssuedCredential, AuthError>>;

/// A service that exchanges a secret for a credential.
pub trait TokenService: std::fmt::Debug + Send + Sync {
    /// Requests a credential. Dropping the future cancels the request.
    ///
    /// # Errors
    /// If there is no response, or one without a credential.
    fn exchange<'a>(&'a self, secret: &'a Secret, client: &'a TokenClient) -> Issuing<'a>;

    /// Whether repeated refusals could lock the user.
    fn can_lock_out(&self) -> bool {
        false
    }
}
