//! A token bucket: a burst, refilled at a fixed rate.

use std::time::Duration;
use tokio::time::Instant;

/// The size of a bucket and how fast it refills.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Tokens in a full bucket.
    pub burst: f64,
    /// Tokens added each second; more than 0.
    pub per_second: f64,
}

impl Rate {
    /// So many a second, with a bucket for two seconds.
    pub fn with_short_burst(per_second: f64) -> Self {
        Self { per_second, burst: (per_second * 2.0).trunc().max(1.0) }
    }
}

/// The longest wait that is reported, an hour.
const MAX_WAIT_SECONDS: f64 = 3600.0;

/// The longest wait of a reservation, a year: enough never to matter, and no overflow.
const MAX_RESERVATION_SECONDS: f64 = 365.0 * 24.0 * 3600.0;

/// A token bucket at one moment. The rate is passed to each call, so that many buckets share one.
#[derive(Clone, Copy, Debug)]
pub struct TokenBucket {
    /// Negative while tokens were reserved that are yet to come.
    tokens: f64,
    at: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub fn full(rate: Rate) -> Self {
        Self { tokens: rate.burst, at: Instant::now() }
    }

    /// Takes `amount` tokens.
    ///
    /// # Errors
    /// The wait until there are enough. Nothing is taken then.
    pub fn take(&mut self, rate: Rate, amount: f64) -> Result<(), Duration> {
        let wait = self.wait(rate, amount);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.tokens -= amount;
        Ok(())
    }

    /// Takes `amount` tokens even if they are yet to come, so that the next caller waits longer. Returns how long it takes
    /// until the bucket has made up for them.
    pub fn reserve(&mut self, rate: Rate, amount: f64) -> Duration {
        self.refill(rate);
        self.tokens -= amount;
        Duration::from_secs_f64((-self.tokens / rate.per_second).clamp(0.0, MAX_RESERVATION_SECONDS))
    }

    /// How long until `amount` tokens are there, an hour at most. Takes nothing.
    pub fn wait(&mut self, rate: Rate, amount: f64) -> Duration {
        self.refill(rate);
        let missing = amount - self.tokens;
        if missing <= 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64((missing / rate.per_second).min(MAX_WAIT_SECONDS))
    }

    /// Puts `amount` tokens back.
    pub fn give(&mut self, rate: Rate, amount: f64) {
        self.refill(rate);
        self.tokens = (self.tokens + amount).min(rate.burst);
    }

    /// Whether the bucket is full; a full bucket need not be kept.
    pub fn is_full(&mut self, rate: Rate) -> bool {
        self.refill(rate);
        self.tokens >= rate.burst
    }

    fn refill(&mut self, rate: Rate) {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.tokens = (self.tokens + elapsed * rate.per_second).min(rate.burst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However calls are spread over time, a bucket gives no more than its burst and what its rate adds.
        #[test]
        fn a_bucket_never_gives_more_than_its_rate_allows(
            burst in 1.0f64..50.0, per_second in 0.1f64..100.0, steps in prop::collection::vec((0u64..3_000, 0.1f64..3.0), 1..60),
        ) {
            let rate = Rate { burst, per_second };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let start = Instant::now();
                let mut bucket = TokenBucket::full(rate);
                let mut taken = 0.0;
                for (pause, amount) in steps {
                    tokio::time::advance(Duration::from_millis(pause)).await;
                    match bucket.take(rate, amount) {
                        Ok(()) => taken += amount,
                        Err(wait) => {
                            prop_assert!(wait > Duration::ZERO);
                            if amount <= burst {
                                tokio::time::advance(wait + Duration::from_nanos(2)).await;
                                prop_assert_eq!(bucket.take(rate, amount), Ok(()));
                                taken += amount;
                            }
                        }
                    }
                    prop_assert!(taken <= burst + start.elapsed().as_secs_f64() * per_second + 1e-6);
                }
                Ok(())
            })?;
        }
    }

    proptest! {
        /// Reservations that are made at once come due one after the other, at the rate.
        #[test]
        fn reservations_beyond_the_burst_are_spaced_by_the_rate(burst in 1u32..20, per_second in 0.001f64..100.0, more in 1u32..50) {
            let rate = Rate { burst: f64::from(burst), per_second };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let waits = runtime.block_on(async {
                let mut bucket = TokenBucket::full(rate);
                (0..burst + more).map(|_| bucket.reserve(rate, 1.0)).collect::<Vec<_>>()
            });
            for (number, wait) in (1u32..).zip(waits) {
                let expected = f64::from(number.saturating_sub(burst)) / per_second;
                prop_assert!((wait.as_secs_f64() - expected).abs() < 1e-6, "reservation {number}: {wait:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_costs_nothing_and_a_reservation_delays_the_next() {
        let rate = Rate { burst: 2.0, per_second: 0.5 };
        let mut bucket = TokenBucket::full(rate);
        assert_eq!((bucket.take(rate, 1.0), bucket.take(rate, 1.0)), (Ok(()), Ok(())));
        assert_eq!(bucket.take(rate, 1.0), Err(Duration::from_secs(2)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(bucket.take(rate, 1.0), Err(Duration::from_secs(1)));
        bucket.give(rate, 1.0);
        assert_eq!(bucket.take(rate, 1.0), Ok(()));
        bucket.reserve(rate, 1.0);
        assert_eq!(bucket.wait(rate, 1.0), Duration::from_secs(3));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(bucket.is_full(rate));
        assert!(bucket.take(rate, 2.5).is_err(), "more than a full bucket holds");
    }
}
