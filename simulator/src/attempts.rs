//! Failures of users and access keys, and the locks that follow from them.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;

use super::identity::Lockout;

/// Names that are remembered. More names than that are more than any test tries; the rest is never locked.
const MOST_NAMES: usize = 1_000;

/// Who has failed lately, and who is locked.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    records: HashMap<String, Record>,
    /// Attempts that were right.
    pub(super) succeeded: u64,
    /// Attempts that were wrong, or right while locked.
    pub(super) failed: u64,
}

#[derive(Debug, Default)]
struct Record {
    failures: VecDeque<Instant>,
    locked_until: Option<Instant>,
}

impl Attempts {
    /// Whether a name is locked now.
    pub(super) fn is_locked(&self, name: &str) -> bool {
        let until = self.records.get(name).and_then(|record| record.locked_until);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Counts an attempt on a locked name, which has no further consequence.
    pub(super) fn rejected(&mut self) {
        self.failed += 1;
    }

    /// Counts a failure, and locks if it is one too many.
    pub(super) fn failed(&mut self, name: &str, lockout: &Lockout) {
        self.failed += 1;
        if self.records.len() >= MOST_NAMES && !self.records.contains_key(name) {
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

    /// Counts a success, which makes the failures before it forgotten.
    pub(super) fn succeeded(&mut self, name: &str) {
        self.succeeded += 1;
        self.records.remove(name);
    }

    /// Opens every lock and forgets every failure. Counts go on.
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
        let mut attempts = Attempts::default();
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
        let mut attempts = Attempts::default();
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
