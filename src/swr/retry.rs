//! When a failed request may be sent again: attempts, back-off, and a budget that keeps retries from making overload worse.

use crate::deadline::Deadline;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Attempts at one request, the first among them.
pub const MOST_ATTEMPTS: u32 = 3;

/// The mean first wait is half of this.
const FIRST: Duration = Duration::from_millis(400);

/// No wait is longer, however many attempts went before.
const LONGEST: Duration = Duration::from_secs(20);

/// How long to wait before attempt `attempt + 1`: exponential, with jitter over the upper half, so that replicas that
/// failed together do not come back together. `random` is uniform in [0, 1).
pub fn backoff(attempt: u32, random: f64) -> Duration {
    let ceiling = FIRST.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1))).min(LONGEST);
    ceiling.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

/// Retries that even a refresh of one call may spend.
const RESERVE: f64 = 2.0;

/// Retries that each call earns: together with the reserve at most a fifth of any refresh of a hundred calls or more.
const EARNED: f64 = 0.18;

/// One refresh's means: its deadline and its budget of retries.
#[derive(Debug)]
pub struct Effort {
    /// Nothing is sent or awaited beyond it.
    pub deadline: Deadline,
    retries: Mutex<f64>,
}

impl Effort {
    /// The means of one refresh.
    pub fn until(deadline: Deadline) -> Self {
        Self { deadline, retries: Mutex::new(RESERVE) }
    }

    /// A call begins.
    pub(super) fn earn(&self) {
        *self.retries.lock().unwrap_or_else(PoisonError::into_inner) += EARNED;
    }

    /// Takes one retry from the budget, if there is one left.
    pub(super) fn spend(&self) -> bool {
        let mut retries = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = *retries >= 1.0;
        if enough {
            *retries -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[tokio::test]
    async fn u3_retries_stay_below_a_fifth_of_the_calls() {
        let effort = Effort::until(Deadline::after(Duration::from_secs(1)));
        let mut retries = 0;
        for _ in 0..1000 {
            effort.earn();
            while effort.spend() {
                retries += 1;
            }
        }
        assert!((150..=200).contains(&retries), "{retries}");
    }

    proptest! {
        #[test]
        fn back_off_stays_in_bounds_and_grows(attempt in 1u32.., random in 0.0f64..1.0) {
            let wait = backoff(attempt, random);
            prop_assert!(wait >= FIRST / 2 && wait <= LONGEST);
            prop_assert!(backoff(attempt.saturating_add(1), random) >= wait);
            prop_assert!(backoff(attempt, 0.0) <= wait && wait <= backoff(attempt, 1.0));
        }
    }
}
