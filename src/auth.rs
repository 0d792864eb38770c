//! Where a credential comes from, how long it may be used, and how a request is signed with it.
//!
//! Each source is a file of its own. What it keeps locally is its [`ProviderState`]: a credential that is ready, or an
//! [`CredentialRequest`], which a request to IAM or to a service of the machine turns into one. The [`Authenticator`] keeps what is
//! in use, renews it early, and guards it: the cloud locks keys and users after a few failures, so a refused secret is
//! tried at most [`MOST_REJECTIONS`] times in [`REJECTION_PERIOD`] until it changes. Deliberately absent: which requests
//! are made with it.

mod error;
mod secret_source;
pub mod sign;
pub mod token;
pub mod access_key;
mod token_client;
mod temporary;
pub mod iam;
pub mod oidc;
pub mod profile;
pub mod pod_identity;
pub mod metadata;
mod lockout_guard;
pub mod provider;
mod cached_credential;
mod state;
mod authenticator;

pub use authenticator::Authenticator;
pub use cached_credential::{CachedCredential, CredentialLease};
pub use error::AuthError;
pub use lockout_guard::{MOST_REJECTIONS, REJECTION_PERIOD};
pub use provider::ResolvedProvider;
pub use secret_source::SecretSource;
pub use token_client::{Metrics, Operation, TokenClient};

use crate::base::secret::Secret;
use sha2::{Digest, Sha256};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// What proves an identity to the API.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An IAM token, sent as `X-Auth-Token`.
    Token(Secret),
    /// An access key, with which each request is signed.
    AccessKey(AccessKey),
}

/// A permanent or temporary access key.
#[derive(Clone)]
pub struct AccessKey {
    /// The public half (AK).
    pub id: String,
    /// The secret half (SK).
    pub secret: Secret,
    /// Present for temporary keys only; sent and signed as `X-Security-Token`.
    pub security_token: Option<Secret>,
    /// The project that goes with it, where its source says so.
    pub project_id: Option<String>,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessKey(<secret>)")
    }
}

/// A credential with its end, as an errand brings it.
#[derive(Clone, Debug)]
pub struct IssuedCredential {
    /// The credential.
    pub credential: Credential,
    /// When it expires, by the clock of whoever gave it; `None` when nobody said.
    pub expires_at: Option<SystemTime>,
    /// The same on our monotonic clock, which no wrong wall clock can move.
    pub ends: Option<Instant>,
}

/// Where credentials come from. A new source is a file under `auth/` and a variant here.
#[derive(Debug)]
pub enum CredentialProvider {
    /// A ready-made token.
    Token(token::TokenProvider),
    /// An access key from the settings or from files.
    AccessKey(access_key::AccessKeyProvider),
    /// A login with a password.
    Password(iam::PasswordProvider),
    /// An identity token of the platform.
    Oidc(oidc::OidcProvider),
    /// The file of the vendor's SDK.
    Profile(profile::ProfileProvider),
    /// The agent of a CCE cluster.
    Pod(pod_identity::PodIdentityProvider),
    /// The metadata service of an ECS instance.
    Metadata(metadata::MetadataProvider),
}

impl CredentialProvider {
    /// The name that `--credentials.source` knows it by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::AccessKey(_) => "access-key",
            Self::Password(_) => "password",
            Self::Oidc(_) => "oidc",
            Self::Profile(_) => "profile",
            Self::Pod(_) => "pod-identity",
            Self::Metadata(_) => "metadata",
        }
    }

    /// Whose credential it is, as far as settings tell; the same when a secret is replaced by the next one.
    pub fn owner(&self) -> String {
        match self {
            Self::Token(token::TokenProvider(token)) => token.place(),
            Self::AccessKey(source) => source.id.place(),
            Self::Password(source) => format!("{}/{}", source.domain, source.user),
            Self::Oidc(source) => match &source.exchange {
                oidc::Exchange::Iam { idp_id, .. } => idp_id.clone(),
                oidc::Exchange::Sts { provider_urn, agency_urn, .. } => format!("{provider_urn} {agency_urn}"),
            },
            Self::Profile(source) => source.path.display().to_string(),
            Self::Pod(source) => source.url.clone(),
            Self::Metadata(source) => source.endpoint.clone(),
        }
    }

    /// What it has locally now. Files are read anew, so a rotated secret needs no restart.
    ///
    /// # Errors
    /// When a file cannot be read or holds nothing usable.
    pub fn state(&self) -> Result<ProviderState, AuthError> {
        match self {
            Self::Token(source) => source.read().map(ProviderState::Ready),
            Self::AccessKey(source) => source.read().map(ProviderState::Ready),
            Self::Password(source) => {
                source.read().map(|login| ProviderState::NeedsExchange(CredentialRequest::Login(login)))
            }
            Self::Oidc(source) => {
                source.read().map(|order| ProviderState::NeedsExchange(CredentialRequest::IdToken(order)))
            }
            Self::Profile(source) => source.read(),
            Self::Pod(source) => source.read().map(|order| ProviderState::NeedsExchange(CredentialRequest::Pod(order))),
            Self::Metadata(source) => Ok(ProviderState::NeedsExchange(CredentialRequest::Metadata(source.clone()))),
        }
    }
}

/// What a source has locally.
#[derive(Debug)]
pub enum ProviderState {
    /// A credential that can be used as it is.
    Ready(Credential),
    /// Something that has to be turned into one.
    NeedsExchange(CredentialRequest),
}

/// A request for a credential, with all that it needs.
#[derive(Debug)]
pub enum CredentialRequest {
    /// A login with a password.
    Login(iam::Login),
    /// An identity token to be exchanged.
    IdToken(oidc::ExchangeRequest),
    /// A question to the cluster's agent.
    Pod(pod_identity::ExchangeRequest),
    /// A question to the metadata service.
    Metadata(metadata::MetadataProvider),
}

impl CredentialRequest {
    /// Asks. Dropping the future cancels the request.
    ///
    /// # Errors
    /// When nobody answers, or with something else than a credential.
    async fn run(&self, door: &TokenClient) -> Result<IssuedCredential, AuthError> {
        match self {
            Self::Login(login) => login.run(door).await,
            Self::IdToken(order) => order.run(door).await,
            Self::Pod(order) => order.run(door).await,
            Self::Metadata(source) => source.run(door).await,
        }
    }

    /// Whether repeated refusals could lock somebody out.
    fn can_lock_out(&self) -> bool {
        match self {
            Self::Login(_) | Self::IdToken(_) => true,
            Self::Pod(_) | Self::Metadata(_) => false,
        }
    }
}

/// A hash by which a changed secret is told from an unchanged one.
pub(crate) type Fingerprint = [u8; 32];

impl ProviderState {
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Ready(credential) => fingerprint(credential),
            Self::NeedsExchange(CredentialRequest::Login(login)) => {
                hash(&[&login.domain, &login.user, login.password.expose()])
            }
            Self::NeedsExchange(CredentialRequest::IdToken(order)) => hash(&[order.id_token.expose()]),
            Self::NeedsExchange(CredentialRequest::Pod(order)) => hash(&[order.token.expose()]),
            Self::NeedsExchange(CredentialRequest::Metadata(_)) => hash(&[]),
        }
    }
}

fn fingerprint(credential: &Credential) -> Fingerprint {
    match credential {
        Credential::Token(token) => hash(&[token.expose()]),
        Credential::AccessKey(key) => {
            let token = key.security_token.as_ref().map_or("", |token| token.expose());
            hash(&[&key.id, key.secret.expose(), token])
        }
    }
}

fn hash(parts: &[&str]) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// The longest life that is believed.
const LONGEST_LIFE: Duration = Duration::from_secs(366 * 24 * 3600);

/// When something ends on the monotonic clock: its life is measured by the clock of whoever gave it.
fn ends(expires_at: SystemTime, given_at: SystemTime, asked_at: Instant) -> Instant {
    asked_at + expires_at.duration_since(given_at).unwrap_or_default().min(LONGEST_LIFE)
}
