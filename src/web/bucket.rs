//! Tokens that come back with time: the arithmetic of every "so many at once, and then so many a second" here.

use std::time::Duration;
use tokio::time::Instant;

/// How many there are, and how fast they come back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rate {
    /// The most that there can be.
    pub(super) burst: f64,
    /// How many come back each second; more than 0.
    pub(super) per_second: f64,
}

/// What is left at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn full(rate: Rate) -> Self {
        Self { left: rate.burst, at: Instant::now() }
    }

    /// Takes some.
    ///
    /// # Errors
    /// When there is not enough: nothing is taken, and so long it takes until there is.
    pub(super) fn take(&mut self, rate: Rate, amount: f64) -> Result<(), Duration> {
        self.refill(rate);
        if self.left < amount {
            // An hour says it as well as any longer time.
            let seconds = ((amount - self.left) / rate.per_second).min(3600.0);
            return Err(Duration::from_secs_f64(seconds));
        }
        self.left -= amount;
        Ok(())
    }

    /// Puts some in, or back.
    pub(super) fn give(&mut self, rate: Rate, amount: f64) {
        self.refill(rate);
        self.left = (self.left + amount).min(rate.burst);
    }

    /// Whether nothing is missing: such a bucket need not be remembered.
    pub(super) fn is_full(&mut self, rate: Rate) -> bool {
        self.refill(rate);
        self.left >= rate.burst
    }

    fn refill(&mut self, rate: Rate) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + passed * rate.per_second).min(rate.burst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_comes_back_with_time_and_never_more() {
        let rate = Rate { burst: 2.0, per_second: 0.5 };
        let mut bucket = Bucket::full(rate);
        assert_eq!((bucket.take(rate, 1.0), bucket.take(rate, 1.0)), (Ok(()), Ok(())));
        assert_eq!(bucket.take(rate, 1.0), Err(Duration::from_secs(2)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(bucket.take(rate, 1.0), Err(Duration::from_secs(1)), "a refusal costs nothing");
        bucket.give(rate, 1.0);
        assert_eq!(bucket.take(rate, 1.0), Ok(()));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(bucket.is_full(rate));
        assert!(bucket.take(rate, 2.5).is_err());
    }
}
