//! A second rate limit, below the client's, for the tag collector: work that lasts for hours leaves room for the listing.

use super::throttle::Throttle;
use crate::base::deadline::Deadline;
use crate::base::rate_limit::Rate;
use std::time::Duration;

/// The bound on the wait for one call, a year. It never passes; every wait has a deadline.
const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// A rate limit that also gives each call its deadline.
#[derive(Debug)]
pub struct TagRateLimiter {
    throttle: Throttle,
    call_timeout: Duration,
}

impl TagRateLimiter {
    /// A limiter with a full bucket. `call_timeout` is for one call with its retries.
    pub fn new(rate: Rate, call_timeout: Duration) -> Self {
        Self { throttle: Throttle::new(rate), call_timeout }
    }

    /// Waits until the next call may begin, and returns that call's deadline.
    pub(super) async fn acquire(&self) -> Deadline {
        // The only error is a wait beyond `MAX_WAIT`.
        let _ = self.throttle.acquire(Deadline::after(MAX_WAIT)).await;
        Deadline::after(self.call_timeout)
    }

    /// Counts a retry, which does not wait; the next call waits longer instead.
    pub(super) fn charge_retry(&self) {
        self.throttle.charge();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swr::CallBudget;
    use std::sync::Arc;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn calls_and_retries_together_keep_the_rate() {
        let limiter = Arc::new(TagRateLimiter::new(Rate { per_second: 2.0, burst: 1.0 }, Duration::from_secs(90)));
        let start = Instant::now();
        let mut budget = CallBudget::rate_limited(limiter.clone()).await;
        for _ in 0..5 {
            budget.next_call().await;
            assert_eq!(budget.deadline.left(), Duration::from_secs(90), "counted from the turn");
        }
        assert_eq!(start.elapsed(), Duration::from_millis(2500));
        while budget.try_spend_retry() {}
        let mut other = CallBudget::rate_limited(limiter).await;
        other.next_call().await;
        assert_eq!(start.elapsed(), Duration::from_millis(4500), "two retries of the one, two calls of the other");
    }
}
