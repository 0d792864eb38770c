//! Deadlines on the monotonic clock: a wall clock that jumps does not move them, and tests can pause them.

use std::time::Duration;
use tokio::time::{Instant, error::Elapsed};

/// A point in time by which something must have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// The latest deadline, ten years from now, so that a huge setting cannot overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

impl Deadline {
    /// The deadline `duration` from now.
    pub fn after(duration: Duration) -> Self {
        Self(Instant::now() + duration.min(LONGEST))
    }

    /// The time left, zero once it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether the deadline has passed.
    pub fn passed(self) -> bool {
        self.left().is_zero()
    }

    /// Whether a wait of `duration` would end in time.
    pub fn allows(self, duration: Duration) -> bool {
        duration < self.left()
    }

    /// The earlier of this deadline and one `duration` from now.
    pub fn at_most(self, duration: Duration) -> Self {
        self.min(Self::after(duration))
    }

    /// Runs `future` until the deadline, then drops it.
    ///
    /// # Errors
    /// [`Elapsed`] when the deadline passed first.
    pub async fn bound<F: Future>(self, future: F) -> Result<F::Output, Elapsed> {
        tokio::time::timeout_at(self.0, future).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_runs_down_to_zero_and_stays_there() {
        let deadline = Deadline::after(Duration::from_secs(3));
        assert!(deadline.allows(Duration::from_secs(2)) && !deadline.allows(Duration::from_secs(3)));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(deadline.left(), Duration::ZERO);
        assert!(deadline.passed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_absurd_duration_is_merely_long() {
        assert!(Deadline::after(Duration::MAX).allows(Duration::from_secs(1 << 20)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_that_is_late_is_dropped() {
        let deadline = Deadline::after(Duration::from_secs(1));
        assert!(deadline.bound(std::future::pending::<()>()).await.is_err());
        assert!(Deadline::after(Duration::from_secs(9)).at_most(Duration::ZERO).passed());
    }
}
