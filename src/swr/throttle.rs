//! The client's rate limit: one token bucket for all requests, and pauses that the upstream asks for.

use super::error::ApiError;
use super::metrics::Purpose;
use crate::base::deadline::Deadline;
use crate::base::rate_limit::{Rate, TokenBucket};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// The gate before every request. Dropping the future ends the wait.
#[derive(Debug)]
pub struct Throttle {
    rate: Rate,
    state: Mutex<ThrottleState>,
}

#[derive(Debug)]
struct ThrottleState {
    bucket: TokenBucket,
    paused_until: Option<Instant>,
}

impl Throttle {
    /// A throttle with a full bucket.
    pub fn new(rate: Rate) -> Self {
        Self { rate, state: Mutex::new(ThrottleState { bucket: TokenBucket::full(rate), paused_until: None }) }
    }

    /// Waits until a request may be sent, and returns how long that took.
    ///
    /// # Errors
    /// When the wait, for a pause or the rate, would end after the deadline. Nothing is taken from the bucket then.
    pub async fn acquire(&self, deadline: Deadline) -> Result<Duration, ApiError> {
        let start = Instant::now();
        let mut ready_at = self.reserve(start, deadline)?;
        while ready_at > Instant::now() {
            tokio::time::sleep_until(ready_at).await;
            // A pause that began meanwhile holds for waiting requests too.
            let paused_until = self.state.lock().paused_until;
            if let Some(until) = paused_until.filter(|until| *until > ready_at) {
                let wait = until.saturating_duration_since(Instant::now());
                if !deadline.allows(wait) {
                    return Err(ApiError::WaitTooLong { wait });
                }
                ready_at = until;
            }
        }
        Ok(start.elapsed())
    }

    /// Stops all requests for this long.
    pub fn pause(&self, duration: Duration) {
        let until = Instant::now() + duration;
        let mut state = self.state.lock();
        state.paused_until = Some(state.paused_until.map_or(until, |before| before.max(until)));
    }

    /// Takes a token without waiting: later requests wait longer.
    pub fn charge(&self) {
        self.state.lock().bucket.reserve(self.rate, 1.0);
    }

    fn reserve(&self, now: Instant, deadline: Deadline) -> Result<Instant, ApiError> {
        let mut state = self.state.lock();
        let refilled_at = now + state.bucket.reserve(self.rate, 1.0);
        let ready_at = state.paused_until.map_or(refilled_at, |until| until.max(refilled_at));
        let wait = ready_at - now;
        if !wait.is_zero() && !deadline.allows(wait) {
            state.bucket.give(self.rate, 1.0);
            let is_paused = state.paused_until.is_some_and(|until| until > now && !deadline.allows(until - now));
            return Err(if is_paused { ApiError::WaitTooLong { wait } } else { ApiError::RateLimited { wait } });
        }
        Ok(ready_at)
    }
}

/// Pauses that the upstream asked for in response to calls of one purpose. A call during such a pause fails at once: it
/// is optional, and the listing may be waiting for it.
#[derive(Debug, Default)]
pub struct Cooldowns(Mutex<HashMap<Purpose, Instant>>);

impl Cooldowns {
    /// Starts a pause for calls of this purpose.
    pub fn start(&self, purpose: Purpose, duration: Duration) {
        self.0.lock().insert(purpose, Instant::now() + duration);
    }

    /// Checks whether a call of this purpose may be sent.
    pub fn check(&self, purpose: Purpose) -> Result<(), ApiError> {
        let until = self.0.lock().get(&purpose).copied();
        let left = until.map(|until| until.saturating_duration_since(Instant::now())).unwrap_or_default();
        if left.is_zero() { Ok(()) } else { Err(ApiError::WaitTooLong { wait: left }) }
    }
}

/// The bound on the wait for one call, a year. It never passes; every wait has a deadline.
const MAX_WAIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// A second rate limit, below the client's, that also gives each call its deadline: work that lasts for hours leaves room
/// for the listing.
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

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(100))
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_leaves_at_once_and_the_rest_at_the_rate() {
        let throttle = Throttle::new(Rate { per_second: 10.0, burst: 5.0 });
        let start = Instant::now();
        for _ in 0..5 {
            throttle.acquire(soon()).await.unwrap();
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..20 {
            throttle.acquire(soon()).await.unwrap();
        }
        let took = start.elapsed().as_secs_f64();
        assert!((1.9..=2.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_for_those_already_in_the_queue() {
        let throttle = Arc::new(Throttle::new(Rate { per_second: 1.0, burst: 1.0 }));
        throttle.acquire(soon()).await.unwrap();
        let start = Instant::now();
        let queued = tokio::spawn({
            let throttle = throttle.clone();
            async move { throttle.acquire(soon()).await }
        });
        tokio::task::yield_now().await;
        throttle.pause(Duration::from_secs(7));
        queued.await.unwrap().unwrap();
        assert_eq!(start.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_beyond_the_deadline_is_refused_at_once_and_takes_no_token() {
        let throttle = Throttle::new(Rate { per_second: 0.1, burst: 1.0 });
        throttle.acquire(soon()).await.unwrap();
        let start = Instant::now();
        for _ in 0..3 {
            let refused = throttle.acquire(Deadline::after(Duration::from_secs(1))).await.unwrap_err();
            let ApiError::RateLimited { wait } = refused else { panic!("{refused}") };
            assert_eq!(wait, Duration::from_secs(10), "refusals do not lengthen the queue");
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

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
