//! Credentials, and the ones that a service issued with their expiry.

use crate::base::digest::{self, Sha256Digest};
use crate::base::secret::Secret;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The longest lifetime of an issued credential that is believed.
const MAX_LIFETIME: Duration = Duration::from_secs(366 * 24 * 3600);

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

impl IssuedCredential {
    /// A credential that was requested at `requested` and issued at `issued` by the issuer's clock. Its lifetime is the
    /// difference of two times of that clock, so it does not matter whether ours is right.
    pub(super) fn new(
        credential: Credential,
        expires_at: Option<SystemTime>,
        issued: SystemTime,
        requested: Instant,
    ) -> Self {
        let lifetime = |end: SystemTime| end.duration_since(issued).unwrap_or_default().min(MAX_LIFETIME);
        Self { credential, expires_at, expires_monotonic: expires_at.map(|end| requested + lifetime(end)) }
    }
}
