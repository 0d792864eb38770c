//! A credential in use, and from when to when.

use super::{Credential, Fingerprint, IssuedCredential, fingerprint};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// A credential is renewed so long before its end, or a fifth of a shorter life, and up to half as much earlier, so that
/// replicas do not all come at once.
const EARLY: Duration = Duration::from_secs(5 * 60);

/// It is not lent any more so long before its end, or a twentieth of a shorter life: it has to last until it is sent.
const MARGIN: Duration = Duration::from_secs(10);

/// A credential lent for one request.
#[derive(Debug)]
pub struct CachedCredential {
    /// The credential.
    pub credential: Credential,
    /// When it expires, where that is known.
    pub expires_at: Option<SystemTime>,
    fingerprint: Fingerprint,
    /// What it was made from; its own fingerprint where it was ready.
    pub(super) basis: Fingerprint,
    /// From when on it is not lent any more.
    ends: Option<Instant>,
    /// From when on it is renewed.
    renew_at: Option<Instant>,
}

impl CachedCredential {
    /// Whether both leases carry one credential.
    pub fn same_as(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }

    pub(super) fn is(&self, found: &Fingerprint) -> bool {
        self.fingerprint == *found
    }

    /// Whether it was not asked for but found.
    pub(super) fn was_ready(&self) -> bool {
        self.basis == self.fingerprint
    }

    /// A credential that was found and never ends.
    pub(super) fn ready(credential: Credential, fingerprint: Fingerprint) -> Arc<Self> {
        Arc::new(Self { credential, expires_at: None, fingerprint, basis: fingerprint, ends: None, renew_at: None })
    }

    /// A credential that was asked for. `random` is uniform in [0, 1).
    pub(super) fn granted(grant: IssuedCredential, basis: Fingerprint, now: Instant, random: f64) -> Arc<Self> {
        let IssuedCredential { credential, expires_at, ends } = grant;
        let life = ends.map_or(Duration::MAX, |end| end.saturating_duration_since(now));
        let early = EARLY.min(life / 5).mul_f64(1.0 + random / 2.0);
        let fingerprint = fingerprint(&credential);
        let renew_at = ends.map(|end| end - early);
        let ends = ends.map(|end| end - MARGIN.min(life / 20));
        Arc::new(Self { credential, expires_at, fingerprint, basis, ends, renew_at })
    }

    /// Whether it may still be sent.
    pub fn holds(&self, now: Instant) -> bool {
        self.ends.is_none_or(|end| now < end)
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.renew_at.is_some_and(|at| at <= now)
    }
}

/// A lease for one request, alone with it as long as the credential has to prove itself.
#[derive(Debug)]
pub struct CredentialLease {
    /// The credential.
    pub lease: Arc<CachedCredential>,
    pub(super) _probe_lock: Option<OwnedMutexGuard<()>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::Secret;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_credential_is_renewed_before_it_ends_and_used_until_little_before(life in 1u64..400_000, random in 0.0f64..1.0) {
            let (now, life) = (Instant::now(), Duration::from_secs(life));
            let credential = Credential::Token(Secret::new("token".to_owned()));
            let grant = IssuedCredential { credential, expires_at: None, ends: Some(now + life) };
            let lease = CachedCredential::granted(grant, [0; 32], now, random);
            let (renew_at, ends) = (lease.renew_at.unwrap(), lease.ends.unwrap());
            prop_assert!(renew_at < ends && ends < now + life);
            prop_assert!(renew_at - now >= life * 6 / 10, "most of its life it is left alone");
            prop_assert!(now + life - ends <= Duration::from_secs(10));
            if life >= Duration::from_secs(1500) {
                let early = now + life - renew_at;
                prop_assert!((300..=450).contains(&early.as_secs()), "{early:?}");
            }
            prop_assert!(lease.holds(now) && !lease.is_due(now) && lease.is_due(renew_at) && !lease.holds(ends));
        }
    }
}
