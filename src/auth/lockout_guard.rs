//! A limit on how often a refused secret is tried, so that the cloud does not lock the key or the user.

use crate::base::backoff::Backoff;
use crate::base::digest::Sha256Digest;
use std::time::Duration;
use tokio::time::Instant;

/// How often one credential may be refused in [`REJECTION_PERIOD`] before it is held back. The strictest login policy of IAM
/// locks after three failures in fifteen minutes, and another program may use the same key.
pub const MAX_REJECTIONS: usize = 2;

/// The period in which [`MAX_REJECTIONS`] are counted.
pub const REJECTION_PERIOD: Duration = Duration::from_secs(15 * 60);

/// The wait before each further attempt: it doubles up to six hours, which makes nine attempts a day.
const HOLD: Backoff = Backoff::new(Duration::from_secs(30 * 60), Duration::from_secs(6 * 3600));

const MAX_SECRETS: usize = 16;

#[derive(Clone, Debug, Default)]
pub(super) struct LockoutGuard(Vec<RejectedSecret>);

#[derive(Clone, Debug)]
struct RejectedSecret {
    secret: Sha256Digest,
    rejections: usize,
    first: Instant,
    latest: Instant,
}

impl RejectedSecret {
    fn held_until(&self) -> Option<Instant> {
        match self.rejections.checked_sub(MAX_REJECTIONS)? {
            0 => Some(self.first + REJECTION_PERIOD),
            more => Some(self.latest + HOLD.delay(u32::try_from(more).unwrap_or(u32::MAX))),
        }
    }
}

impl LockoutGuard {
    /// Until when this secret must not be tried; `None` if it may be tried now.
    pub(super) fn held_until(&self, secret: &Sha256Digest, now: Instant) -> Option<Instant> {
        self.find(secret).and_then(RejectedSecret::held_until).filter(|until| *until > now)
    }

    /// Whether this secret was refused lately and not accepted since; another one that works is preferred.
    pub(super) fn is_suspect(&self, secret: &Sha256Digest, now: Instant) -> bool {
        self.find(secret).is_some_and(|found| found.held_until().unwrap_or(found.latest + REJECTION_PERIOD) > now)
    }

    /// Counts a refusal. A secret that is held back already is not counted: that request was under way before. Returns
    /// whether this refusal makes it held back.
    pub(super) fn reject(&mut self, secret: &Sha256Digest, now: Instant) -> bool {
        if self.held_until(secret, now).is_some() {
            return false;
        }
        if let Some(found) = self.0.iter_mut().find(|found| found.secret == *secret) {
            (found.rejections, found.latest) = (found.rejections + 1, now);
            return found.held_until().is_some();
        }
        if self.0.len() == MAX_SECRETS
            && let Some(oldest) = (0..self.0.len()).min_by_key(|index| self.0[*index].latest)
        {
            self.0.swap_remove(oldest);
        }
        self.0.push(RejectedSecret { secret: *secret, rejections: 1, first: now, latest: now });
        false
    }

    pub(super) fn accept(&mut self, secret: &Sha256Digest) {
        self.0.retain(|found| found.secret != *secret);
    }

    fn find(&self, secret: &Sha256Digest) -> Option<&RejectedSecret> {
        self.0.iter().find(|found| found.secret == *secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_latest_sixteen_secrets_are_remembered() {
        let (mut guard, now) = (LockoutGuard::default(), Instant::now());
        for byte in 0..100 {
            guard.reject(&[byte; 32], now + Duration::from_secs(byte.into()));
        }
        assert_eq!(guard.0.len(), MAX_SECRETS);
        assert!(guard.find(&[99; 32]).is_some() && guard.find(&[1; 32]).is_none());
        guard.accept(&[99; 32]);
        assert!(guard.find(&[99; 32]).is_none());
    }
}
