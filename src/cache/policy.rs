//! Settings of the cache, and its back-off after failures.

use crate::base::backoff;
use std::time::Duration;
use tokio::time::Instant;

/// Settings of the cache.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long a value is served before the next refresh.
    pub window: Duration,
    /// How long a scrape waits for a refresh if there is an older value to serve.
    pub wait: Wait,
    /// The age beyond which a value is not served.
    pub max_age: Duration,
    /// How long a refresh may take.
    pub refresh_timeout: Duration,
}

/// How long a scrape waits for a refresh if there is an older value to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until the scrape's own deadline.
    Deadline,
    /// At most this long, and never past the scrape's deadline.
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

/// The delay after the first failure: the upstream is called again a scrape or two later.
const FIRST_DELAY: Duration = Duration::from_secs(5);

/// The longest delay: an upstream that has recovered is noticed within a minute.
const MAX_DELAY: Duration = Duration::from_secs(45);

/// Delays are shortened by up to this fraction, so that replicas that failed together do not retry together.
const JITTER: f64 = 0.25;

/// The back-off of one cache.
#[derive(Debug)]
pub(super) struct Backoff {
    delays: backoff::Backoff,
    /// The number of failures in a row.
    pub(super) failures: u32,
    /// When the next refresh may start, if it has to wait.
    pub(super) until: Option<Instant>,
}

impl Backoff {
    /// No delay of our own is longer than the window: a failing upstream is called at least as often as a healthy one, unless
    /// it asks for more time.
    pub(super) fn new(options: &Options) -> Self {
        let max = MAX_DELAY.min(options.window);
        Self { delays: backoff::Backoff::new(FIRST_DELAY.min(max), max), failures: 0, until: None }
    }

    pub(super) fn allows(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    pub(super) fn reset(&mut self) {
        (self.failures, self.until) = (0, None);
    }

    /// Delays the next refresh, at least by what the upstream asked for. `random` is uniform in [0, 1).
    pub(super) fn failed(&mut self, now: Instant, retry_after: Option<Duration>, random: f64) {
        self.failures = self.failures.saturating_add(1);
        let delay = self.delays.jittered(self.failures, JITTER, random);
        self.until = Some(now + delay.max(retry_after.unwrap_or_default()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn delays_grow_within_their_bounds_and_the_upstream_may_ask_for_more(window in 1u64..1_000_000, failures in 1usize..60, random in 0.0f64..1.0) {
            let options = Options { window: Duration::from_millis(window), ..Options::default() };
            let mut backoff = Backoff::new(&options);
            let now = Instant::now();
            let mut before = Duration::ZERO;
            for _ in 0..failures {
                backoff.failed(now, None, random);
                let wait = backoff.until.unwrap() - now;
                prop_assert!(wait >= before && wait <= options.window && wait <= MAX_DELAY);
                before = wait;
            }
            prop_assert!(!backoff.allows(now) && backoff.allows(now + before));
            backoff.failed(now, Some(Duration::from_secs(100)), random);
            prop_assert!(backoff.until.unwrap() >= now + Duration::from_secs(100));
            backoff.reset();
            prop_assert!(backoff.allows(now));
        }
    }
}
