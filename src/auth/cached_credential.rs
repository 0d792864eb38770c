//! A cached credential: when it is renewed and how long it may be sent.

use super::{Credential, IssuedCredential};
use crate::base::digest::Sha256Digest;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// Renew this long before expiry (a fifth of the lifetime if that is shorter), plus up to 50 % jitter, so that replicas do
/// not all renew at once.
const RENEW_EARLY: Duration = Duration::from_secs(5 * 60);

/// Stop using it this long before expiry (a twentieth of the lifetime if that is shorter): it must last until it is sent.
const EXPIRY_MARGIN: Duration = Duration::from_secs(10);

/// A credential, and from when to when it is used.
#[derive(Debug)]
pub struct CachedCredential {
    /// The credential.
    pub credential: Credential,
    /// When it expires, if that is known.
    pub expires_at: Option<SystemTime>,
    fingerprint: Sha256Digest,
    /// The fingerprint of the secret it was obtained with; its own if it was ready.
    pub(super) secret: Sha256Digest,
    unusable_at: Option<Instant>,
    pub(super) renew_at: Option<Instant>,
}

impl CachedCredential {
    /// Whether both are the same credential.
    pub fn same_as(&self, other: &Self) -> bool {
        self.has_fingerprint(&other.fingerprint)
    }

    pub(super) fn has_fingerprint(&self, fingerprint: &Sha256Digest) -> bool {
        self.fingerprint == *fingerprint
    }

    /// Whether it was found locally, not issued.
    pub(super) fn was_ready(&self) -> bool {
        self.secret == self.fingerprint
    }

    /// A credential that was found locally and never expires.
    pub(super) fn ready(credential: Credential) -> Arc<Self> {
        let fingerprint = credential.fingerprint();
        let secret = fingerprint;
        Arc::new(Self { credential, expires_at: None, fingerprint, secret, unusable_at: None, renew_at: None })
    }

    /// A credential that was issued for a secret. `random` is uniform in [0, 1).
    pub(super) fn issued(issued: IssuedCredential, secret: Sha256Digest, now: Instant, random: f64) -> Arc<Self> {
        let IssuedCredential { credential, expires_at, expires_monotonic } = issued;
        let lifetime = expires_monotonic.map_or(Duration::MAX, |end| end.saturating_duration_since(now));
        let early = RENEW_EARLY.min(lifetime / 5).mul_f64(1.0 + random / 2.0);
        let fingerprint = credential.fingerprint();
        let renew_at = expires_monotonic.map(|end| end - early);
        let unusable_at = expires_monotonic.map(|end| end - EXPIRY_MARGIN.min(lifetime / 20));
        Arc::new(Self { credential, expires_at, fingerprint, secret, unusable_at, renew_at })
    }

    /// Whether it may be sent at this time.
    pub fn is_valid(&self, now: Instant) -> bool {
        self.unusable_at.is_none_or(|end| now < end)
    }

    pub(super) fn needs_renewal(&self, now: Instant) -> bool {
        self.renew_at.is_some_and(|at| at <= now)
    }
}

/// A credential for one request. While the credential is unproven, only one lease exists at a time.
#[derive(Debug)]
pub struct CredentialLease {
    /// The credential.
    pub credential: Arc<CachedCredential>,
    pub(super) _probe_lock: Option<OwnedMutexGuard<()>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_credential_is_renewed_before_it_expires_and_used_until_shortly_before(life in 1u64..400_000, random in 0.0f64..1.0) {
            let (now, life) = (Instant::now(), Duration::from_secs(life));
            let credential = Credential::Token(Secret::new("token".to_owned()));
            let issued = IssuedCredential { credential, expires_at: None, expires_monotonic: Some(now + life) };
            let cached = CachedCredential::issued(issued, [0; 32], now, random);
            let (renew_at, ends) = (cached.renew_at.unwrap(), cached.unusable_at.unwrap());
            prop_assert!(renew_at < ends && ends < now + life);
            prop_assert!(renew_at - now >= life * 6 / 10, "most of its life it is left alone");
            prop_assert!(now + life - ends <= Duration::from_secs(10));
            if life >= Duration::from_secs(1500) {
                let early = now + life - renew_at;
                prop_assert!((300..=450).contains(&early.as_secs()), "{early:?}");
            }
            prop_assert!(cached.is_valid(now) && !cached.needs_renewal(now));
            prop_assert!(cached.needs_renewal(renew_at) && !cached.is_valid(ends));
        }
    }
}
