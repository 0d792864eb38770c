//! The rules of the cache as values: how long, how old, how soon again.

use std::time::Duration;
use tokio::time::Instant;

/// Settings of the cache.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a value is served without asking again.
    pub window: Duration,
    /// How long a scrape waits for a refresh when it has something older to serve.
    pub wait: Wait,
    /// Older values are not served.
    pub max_age: Duration,
    /// The longest that a refresh may take.
    pub refresh_timeout: Duration,
}

/// How long a scrape waits for a refresh when it has something older to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until the scrape's own deadline.
    Deadline,
    /// So long, and not beyond the scrape's deadline.
    AtMost(Duration),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(300),
            wait: Wait::Deadline,
            max_age: Duration::from_secs(3600),
            refresh_timeout: Duration::from_secs(300),
        }
    }
}

/// The wait after the first failure; a scrape or two later the upstream is asked again.
const FIRST: Duration = Duration::from_secs(5);

/// With the longest wait an upstream that has recovered is noticed within a minute.
const LONGEST: Duration = Duration::from_secs(45);

/// How long to leave the upstream alone after failures.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// No wait is longer than the window: a failing upstream is asked at least as often as a healthy one.
    pub(super) fn new(options: &Options) -> Self {
        let longest = LONGEST.min(options.window);
        Self { first: FIRST.min(longest), longest, failures: 0, until: None }
    }

    pub(super) fn allows(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// How many refreshes failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn reset(&mut self) {
        (self.failures, self.until) = (0, None);
    }

    /// `random` is uniform in [0, 1): replicas that failed together do not come back together.
    pub(super) fn failed(&mut self, now: Instant, retry_after: Option<Duration>, random: f64) {
        self.failures = self.failures.saturating_add(1);
        let ceiling = self.first.saturating_mul(2u32.saturating_pow(self.failures - 1)).min(self.longest);
        let wait = ceiling.mul_f64(0.75 + random.clamp(0.0, 1.0) / 4.0);
        self.until = Some(now + wait.max(retry_after.unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_back_off_grows_within_its_bounds(window in 1u64..1_000_000, failures in 1usize..60, random in 0.0f64..1.0) {
            let options = Options { window: Duration::from_millis(window), ..Options::default() };
            let mut backoff = Backoff::new(&options);
            let now = Instant::now();
            let mut before = Duration::ZERO;
            for _ in 0..failures {
                backoff.failed(now, None, random);
                let wait = backoff.until().unwrap() - now;
                prop_assert!(wait >= before && wait <= options.window && wait <= LONGEST);
                before = wait;
            }
            prop_assert!(!backoff.allows(now) && backoff.allows(now + before));
            backoff.failed(now, Some(Duration::from_secs(100)), random);
            prop_assert!(backoff.until().unwrap() >= now + Duration::from_secs(100), "the upstream's word counts");
            backoff.reset();
            prop_assert!(backoff.allows(now));
        }
    }
}
