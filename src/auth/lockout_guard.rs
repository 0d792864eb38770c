//! How often a secret was refused, and when it may be tried again.

use super::Fingerprint;
use std::time::Duration;
use tokio::time::Instant;

/// How often one credential may be refused before it is held back. The strictest lock-out that IAM can be set to counts
/// three failures in fifteen minutes (IAM: login policy), and another program may use the same key.
pub const MOST_REJECTIONS: usize = 2;

/// The period in which [`MOST_REJECTIONS`] are counted.
pub const REJECTION_PERIOD: Duration = Duration::from_secs(15 * 60);

/// From then on each further attempt waits twice as long, up to this: nine attempts a day.
const LONGEST_HOLD: Duration = Duration::from_secs(6 * 3600);

/// So many different refused secrets are remembered.
const MOST_REMEMBERED: usize = 16;

/// The refused secrets of one account.
#[derive(Clone, Debug, Default)]
pub(super) struct LockoutGuard(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    secret: Fingerprint,
    times: usize,
    first: Instant,
    latest: Instant,
}

impl Entry {
    fn free_at(&self) -> Option<Instant> {
        match self.times.checked_sub(MOST_REJECTIONS)? {
            0 => Some(self.first + REJECTION_PERIOD),
            more => Some(self.latest + (REJECTION_PERIOD * (1 << more.min(8))).min(LONGEST_HOLD)),
        }
    }
}

impl LockoutGuard {
    /// Until when this secret must not be tried, if it must not.
    pub(super) fn held_until(&self, secret: &Fingerprint, now: Instant) -> Option<Instant> {
        self.entry(secret).and_then(Entry::free_at).filter(|free| *free > now)
    }

    /// Whether this secret was refused and not taken since, so that another one that works goes first.
    pub(super) fn knows(&self, secret: &Fingerprint, now: Instant) -> bool {
        self.entry(secret).is_some_and(|entry| entry.free_at().unwrap_or(entry.latest + REJECTION_PERIOD) > now)
    }

    /// It was refused. What was under way when it was held back already says nothing new. Whether it is held back from
    /// now on.
    pub(super) fn note(&mut self, secret: &Fingerprint, now: Instant) -> bool {
        if self.held_until(secret, now).is_some() {
            return false;
        }
        if let Some(entry) = self.0.iter_mut().find(|entry| entry.secret == *secret) {
            (entry.times, entry.latest) = (entry.times + 1, now);
            return entry.free_at().is_some();
        }
        if self.0.len() == MOST_REMEMBERED
            && let Some(oldest) = (0..self.0.len()).min_by_key(|index| self.0[*index].latest)
        {
            self.0.swap_remove(oldest);
        }
        self.0.push(Entry { secret: *secret, times: 1, first: now, latest: now });
        false
    }

    /// It was taken: what went before is forgotten.
    pub(super) fn forget(&mut self, secret: &Fingerprint) {
        self.0.retain(|entry| entry.secret != *secret);
    }

    fn entry(&self, secret: &Fingerprint) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.secret == *secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_unchanged_secret_is_tried_twice_in_fifteen_minutes_and_ten_times_a_day() {
        let (mut refusals, start) = (LockoutGuard::default(), Instant::now());
        let tried: Vec<u64> = (0..24 * 3600)
            .filter(|second| {
                let now = start + Duration::from_secs(*second);
                let free = refusals.held_until(&[1; 32], now).is_none();
                if free {
                    refusals.note(&[1; 32], now);
                }
                free
            })
            .collect();
        assert!(tried.windows(3).all(|three| three[2] - three[0] >= REJECTION_PERIOD.as_secs()), "{tried:?}");
        assert!((5..=10).contains(&tried.len()), "{tried:?}");
    }

    #[tokio::test]
    async fn only_so_many_are_remembered() {
        let (mut refusals, now) = (LockoutGuard::default(), Instant::now());
        for byte in 0..100 {
            refusals.note(&[byte; 32], now + Duration::from_secs(byte.into()));
        }
        assert_eq!(refusals.0.len(), MOST_REMEMBERED);
        assert!(refusals.entry(&[99; 32]).is_some() && refusals.entry(&[1; 32]).is_none());
        refusals.forget(&[99; 32]);
        assert!(refusals.entry(&[99; 32]).is_none());
    }
}
