//! Credentials: where they come from, how long they may be used, and how a request is signed with them.
//!
//! Each [`Provider`](exchange::Provider) is a file of its own. It loads what is there locally: a credential that is ready, or
//! what IAM or a service of this machine exchanges for one ([`ProviderState`]). The
//! [`Authenticator`] caches the credential in use, renews it early, and guards it: the cloud locks keys and users after a
//! few failures, so a refused secret is tried at most [`MAX_REJECTIONS`] times in [`REJECTION_PERIOD`] until it changes.
//! Deliberately absent: the requests that are made with a credential.

mod credential;
mod error;
mod token_client;
pub mod exchange;
mod secret_source;
mod secret_reader;
pub mod sign;
pub mod token;
pub mod access_key;
mod temporary;
pub mod iam;
pub mod oidc;
pub mod profile;
pub mod pod_identity;
pub mod metadata;
pub mod agency;
pub mod provider;
mod lockout_guard;
mod cached_credential;
mod state;
mod authenticator;
#[cfg(test)]
pub(crate) mod testing;

pub use authenticator::Authenticator;
pub use cached_credential::{CachedCredential, CredentialLease};
pub use credential::{AccessKey, Credential, IssuedCredential};
pub use error::AuthError;
pub use exchange::ProviderState;
pub use lockout_guard::{MAX_REJECTIONS, REJECTION_PERIOD};
pub use provider::{CredentialProvider, ResolvedProvider};
pub use secret_reader::SecretReader;
pub use secret_source::SecretSource;
pub use token_client::{Metrics, Operation, TokenClient};
