//! Credentials, and the ones that a service issued with their expiry.

use crate::base::digest::{self, Sha256Digest};
use crate::base::secret::Secret;
use std::time::SystemTime;
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
    /// Of temporary keys only; sent and signed as `X-Security-Token`.
    pub security_token: Option<Secret>,
    /// The project that goes with the key, if its source says so.
    pub project_id: Option<String>,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessKey(<secret>)")
    }
}

impl Credential {
    /// The project that goes with it, if its source says so.
    pub fn project_id(&self) -> Option<&str> {
        match self {
            Self::Token(_) => None,
            Self::AccessKey(key) => key.project_id.as_deref(),
        }
    }

    /// A digest that tells a changed credential from an unchanged one.
    pub(super) fn fingerprint(&self) -> Sha256Digest {
        match self {
            Self::Token(token) => digest::of([token.expose()]),
            Self::AccessKey(key) => {
                let token = key.security_token.as_ref().map_or("", |token| token.expose());
                digest::of([&key.id, key.secret.expose(), token])
            }
        }
    }
}

/// A credential that a service issued, with its expiry.
#[derive(Clone, Debug)]
pub struct IssuedCredential {
    /// The credential.
    pub credential: Credential,
    /// When it expires, by the issuer's clock; `None` if unknown.
    pub expires_at: Option<SystemTime>,
    /// When it expires on our monotonic clock, which no wrong wall clock can move.
    pub expires_monotonic: Option<Instant>,
}
