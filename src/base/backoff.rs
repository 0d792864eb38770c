//! Exponential back-off: how long to wait after the n-th failure in a row.

use std::time::Duration;

/// A delay that doubles with each failure, up to a maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    max: Duration,
}

impl Backoff {
    /// Waits `first` after the first failure and never longer than `max`.
    pub const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max }
    }

    /// The delay after `failures` failures in a row, without jitter; zero if there was none.
    pub fn delay(self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else { return Duration::ZERO };
        self.first.saturating_mul(2u32.saturating_pow(doublings)).min(self.max)
    }

    /// The delay shortened by up to the fraction `jitter` of itself, so that replicas that failed together do not retry
    /// together. `random` is uniform in [0, 1).
    pub fn jittered(self, failures: u32, jitter: f64, random: f64) -> Duration {
        self.delay(failures).mul_f64(1.0 - jitter.clamp(0.0, 1.0) * (1.0 - random.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn delays_double_from_the_first_to_the_maximum(first in 1u64..100_000, max in 1u64..10_000_000, failures in 1u32..) {
            let (first, max) = (Duration::from_millis(first), Duration::from_millis(max));
            let backoff = Backoff::new(first, max);
            prop_assert_eq!(backoff.delay(0), Duration::ZERO);
            prop_assert_eq!(backoff.delay(1), first.min(max));
            let (delay, next) = (backoff.delay(failures), backoff.delay(failures.saturating_add(1)));
            prop_assert!(delay <= max && next >= delay);
            prop_assert!(next == (delay * 2).min(max) || failures == u32::MAX);
        }

        #[test]
        fn jitter_shortens_by_at_most_its_fraction(failures in 0u32.., jitter in 0.0f64..=1.0, random in 0.0f64..1.0) {
            let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
            let delay = backoff.delay(failures);
            let jittered = backoff.jittered(failures, jitter, random);
            let rounding = Duration::from_micros(1);
            prop_assert!(jittered <= delay + rounding && jittered + rounding >= delay.mul_f64(1.0 - jitter));
            prop_assert!(backoff.jittered(failures, jitter, random / 2.0) <= jittered + rounding);
        }
    }
}
