//! When a failed request may be sent again: attempts, back-off, and a budget that keeps retries from adding to overload.

use super::throttle::TagRateLimiter;
use crate::base::backoff::Backoff;
use crate::base::deadline::Deadline;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Attempts at one request, including the first. If one request in ten fails, a listing of a thousand pages is still
/// complete in 99 of 100 refreshes. The retry budget keeps attempts few when every request fails.
pub const MAX_ATTEMPTS: u32 = 5;

/// The wait between attempts, before jitter shortens it by up to half.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(400), Duration::from_secs(20));

/// How long to wait before attempt `attempt + 1`. The jitter keeps replicas that failed together from coming back
/// together. `random` is uniform in [0, 1).
pub fn backoff(attempt: u32, random: f64) -> Duration {
    BACKOFF.jittered(attempt, 0.5, random)
}

/// Retries that a refresh may make before any call has succeeded.
const INITIAL_RETRIES: f64 = 2.0;

/// Retries added by the first call that succeeds: the upstream works, and failures come in clusters.
const FIRST_SUCCESS_BONUS: f64 = 6.0;

/// Retries added by each call that succeeds. Together with the others, retries are at most a fifth of a refresh of 400
/// calls or more.
const RETRIES_PER_SUCCESS: f64 = 0.18;

/// The limits of calls that belong together, such as those of one refresh: a deadline, a number of retries, and
/// optionally a rate limit.
#[derive(Debug)]
pub struct CallBudget {
    /// No request is sent, and nothing is awaited, beyond it.
    pub deadline: Deadline,
    retries: Mutex<RetryTokens>,
    limiter: Option<Arc<TagRateLimiter>>,
}

#[derive(Debug)]
struct RetryTokens {
    left: f64,
    has_succeeded: bool,
}

impl CallBudget {
    /// The budget of one refresh.
    pub fn until(deadline: Deadline) -> Self {
        let retries = RetryTokens { left: INITIAL_RETRIES, has_succeeded: false };
        Self { deadline, retries: Mutex::new(retries), limiter: None }
    }

    /// The budget of calls under a rate limit of their own. Waits until the first one may begin; retries count too.
    pub async fn rate_limited(limiter: Arc<TagRateLimiter>) -> Self {
        Self { limiter: Some(limiter.clone()), ..Self::until(limiter.acquire().await) }
    }

    /// Prepares each further call: under a rate limit, waits for it and sets the call's own deadline.
    pub async fn next_call(&mut self) {
        if let Some(limiter) = &self.limiter {
            self.deadline = limiter.acquire().await;
        }
    }

    /// Adds the retries that a successful call earns.
    pub(super) fn record_success(&self) {
        let mut retries = self.retries.lock();
        if !std::mem::replace(&mut retries.has_succeeded, true) {
            retries.left += FIRST_SUCCESS_BONUS;
        }
        retries.left += RETRIES_PER_SUCCESS;
    }

    /// Takes one retry from the budget; `false` when none is left.
    pub(super) fn try_spend_retry(&self) -> bool {
        let mut retries = self.retries.lock();
        if retries.left < 1.0 {
            return false;
        }
        retries.left -= 1.0;
        if let Some(limiter) = &self.limiter {
            limiter.charge_retry();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn retries_stay_below_a_fifth_of_the_calls() {
        let budget = CallBudget::until(Deadline::after(Duration::from_secs(1)));
        let mut retries = 0;
        for _ in 0..1000 {
            budget.record_success();
            while budget.try_spend_retry() {
                retries += 1;
            }
        }
        assert!((150..=200).contains(&retries), "{retries}");
    }
}
