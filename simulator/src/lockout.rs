//! Failed attempts of users and access keys, and the locks that follow.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;

use super::credential_options::Lockout;

/// Names tracked. Further names are never locked.
const MAX_NAMES: usize = 1_000;

/// Tracks failures and locks by name.
#[derive(Debug, Default)]
pub(super) struct LockoutTracker {
    records: HashMap<String, Record>,
    /// Successful attempts.
    pub(super) succeeded: u64,
    /// Failed attempts, including those while locked.
    pub(super) failed: u64,
}

#[derive(Debug, Default)]
struct Record {
    failures: VecDeque<Instant>,
    locked_until: Option<Instant>,
}

impl LockoutTracker {
    /// Whether a name is locked now.
    pub(super) fn is_locked(&self, name: &str) -> bool {
        let until = self.records.get(name).and_then(|record| record.locked_until);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Counts an attempt on a locked name, without further effect.
    pub(super) fn rejected(&mut self) {
        self.failed += 1;
    }

    /// Counts a failure and locks at the limit.
    pub(super) fn failed(&mut self, name: &str, lockout: &Lockout) {
        self.failed += 1;
        if self.records.len() >= MAX_NAMES && !self.records.contains_key(name) {
            return;
        }
        let now = Instant::now();
        let record = self.records.entry(name.to_owned()).or_default();
        record.failures.retain(|failure| now.duration_since(*failure) < lockout.within);
        record.failures.push_back(now);
        if record.failures.len() >= lockout.after {
            record.failures.clear();
            record.locked_until = Some(now + lockout.lasts);
        }
    }

    /// Counts a success and clears earlier failures.
    pub(super) fn succeeded(&mut self, name: &str) {
        self.succeeded += 1;
        self.records.remove(name);
    }

    /// Clears all locks and failures. Counters continue.
    pub(super) fn unlock(&mut self) {
        self.records.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_last_failure_locks_and_time_opens() {
        let lockout = Lockout { after: 3, within: 10 * SECOND, lasts: 5 * SECOND };
        let mut attempts = LockoutTracker::default();
        for _ in 0..2 {
            attempts.failed("a", &lockout);
            assert!(!attempts.is_locked("a"));
        }
        attempts.failed("a", &lockout);
        assert!(attempts.is_locked("a") && !attempts.is_locked("b"));
        tokio::time::advance(5 * SECOND).await;
        assert!(!attempts.is_locked("a"));
        attempts.failed("a", &lockout);
        assert!(!attempts.is_locked("a"), "the count begins anew");
    }

    #[tokio::test(start_paused = true)]
    async fn old_failures_and_those_before_a_success_do_not_count() {
        let lockout = Lockout { after: 2, within: 10 * SECOND, lasts: 5 * SECOND };
        let mut attempts = LockoutTracker::default();
        attempts.failed("a", &lockout);
        tokio::time::advance(10 * SECOND).await;
        attempts.failed("a", &lockout);
        assert!(!attempts.is_locked("a"));
        attempts.succeeded("a");
        attempts.failed("a", &lockout);
        assert!(!attempts.is_locked("a"));
        assert_eq!((attempts.succeeded, attempts.failed), (1, 3));
    }
}
