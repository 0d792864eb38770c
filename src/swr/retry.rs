//! When a failed request may be sent again: attempts, back-off, and a budget that keeps retries from making overload worse.

use super::tag_rate_limiter::TagRateLimiter;
use crate::base::deadline::Deadline;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Attempts at one request, the first among them: where one request in ten fails, a listing of a thousand pages is still
/// complete in 99 of 100 refreshes. What keeps attempts few where all fail is the budget.
pub const MOST_ATTEMPTS: u32 = 5;

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

/// Retries that even a refresh of which nothing succeeds may spend.
const RESERVE: f64 = 2.0;

/// Retries that the first call to succeed adds: the upstream works, and failures come in clusters.
const ENCOURAGEMENT: f64 = 6.0;

/// Retries that each call that succeeded earns: with all the others at most a fifth of a refresh of 400 calls or more.
const EARNED: f64 = 0.18;

/// The means of one refresh, or of other calls that belong together: a deadline, a budget of retries, maybe a pace.
#[derive(Debug)]
pub struct CallBudget {
    /// Nothing is sent or awaited beyond it.
    pub deadline: Deadline,
    budget: Mutex<Budget>,
    pace: Option<Arc<TagRateLimiter>>,
}

#[derive(Debug)]
struct Budget {
    retries: f64,
    encouraged: bool,
}

impl CallBudget {
    /// The means of one refresh.
    pub fn until(deadline: Deadline) -> Self {
        Self { deadline, budget: Mutex::new(Budget { retries: RESERVE, encouraged: false }), pace: None }
    }

    /// The means of calls that keep a pace. Waits for the turn of the first one; retries count towards the pace.
    pub async fn paced(pace: Arc<TagRateLimiter>) -> Self {
        Self { pace: Some(pace.clone()), ..Self::until(pace.turn().await) }
    }

    /// To be awaited before each further call: where there is a pace, waits for its turn and gives it a deadline of its own.
    pub async fn next_turn(&mut self) {
        if let Some(pace) = &self.pace {
            self.deadline = pace.turn().await;
        }
    }

    /// A call succeeded.
    pub(super) fn earn(&self) {
        let mut budget = self.budget.lock();
        if !budget.encouraged {
            *budget = Budget { retries: budget.retries + ENCOURAGEMENT, encouraged: true };
        }
        budget.retries += EARNED;
    }

    /// Takes one retry from the budget, if there is one left.
    pub(super) fn spend(&self) -> bool {
        let mut budget = self.budget.lock();
        let enough = budget.retries >= 1.0;
        if enough {
            budget.retries -= 1.0;
            if let Some(pace) = &self.pace {
                pace.retried();
            }
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[tokio::test]
    async fn retries_stay_below_a_fifth_of_the_calls() {
        let effort = CallBudget::until(Deadline::after(Duration::from_secs(1)));
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
