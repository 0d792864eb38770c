//! Calls at a pace of their own, below the client's rate: what goes on for hours leaves room for what is waited for.

use super::throttle::{Rate, Throttle};
use crate::base::deadline::Deadline;
use std::time::Duration;

/// No turn is further off; a wait without an end would be one without a deadline.
const FURTHEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Turns at a rate, and how long a call may take from its turn on.
#[derive(Debug)]
pub struct TagRateLimiter {
    turns: Throttle,
    longest_call: Duration,
}

impl TagRateLimiter {
    /// Nobody has waited yet. `longest_call` is for one call with its retries.
    pub fn new(rate: Rate, longest_call: Duration) -> Self {
        Self { turns: Throttle::new(rate), longest_call }
    }

    /// Waits for the turn of a call, and gives that call's deadline.
    pub(super) async fn turn(&self) -> Deadline {
        // The only error is a wait beyond the furthest.
        let _ = self.turns.turn(Deadline::after(FURTHEST)).await;
        Deadline::after(self.longest_call)
    }

    /// A call was sent once more. It has waited enough; the next one waits longer for it.
    pub(super) fn retried(&self) {
        self.turns.charge();
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
        let pace = Arc::new(TagRateLimiter::new(Rate { per_second: 2.0, burst: 1 }, Duration::from_secs(90)));
        let start = Instant::now();
        let mut effort = CallBudget::paced(pace.clone()).await;
        for _ in 0..5 {
            effort.next_turn().await;
            assert_eq!(effort.deadline.left(), Duration::from_secs(90), "counted from the turn");
        }
        assert_eq!(start.elapsed(), Duration::from_millis(2500));
        while effort.spend() {}
        let mut other = CallBudget::paced(pace).await;
        other.next_turn().await;
        assert_eq!(start.elapsed(), Duration::from_millis(4500), "two retries of the one, two calls of the other");
    }
}
