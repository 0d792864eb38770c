//! A limit on repeated log lines: the first of a kind is written at once, the next ones at most every 30 seconds.

use std::time::Duration;
use tokio::time::Instant;

/// At most one line of a kind in this time: scrapes would repeat a lasting failure every few seconds.
pub const PAUSE: Duration = Duration::from_secs(30);

/// Decides which lines are written. `K` is the kind of line; there are few kinds.
#[derive(Debug)]
pub struct LogLimiter<K> {
    kinds: Vec<Kind<K>>,
}

#[derive(Debug)]
struct Kind<K> {
    kind: K,
    last_line: Instant,
    suppressed: u64,
}

impl<K> Default for LogLimiter<K> {
    fn default() -> Self {
        Self { kinds: Vec::new() }
    }
}

impl<K: PartialEq> LogLimiter<K> {
    /// `Some` if a line of this kind is written now, with the number of lines suppressed since the one before.
    pub fn admit(&mut self, kind: K, now: Instant) -> Option<u64> {
        let Some(known) = self.kinds.iter_mut().find(|known| known.kind == kind) else {
            self.kinds.push(Kind { kind, last_line: now, suppressed: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(known.last_line) < PAUSE {
            known.suppressed += 1;
            return None;
        }
        known.last_line = now;
        Some(std::mem::take(&mut known.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_kind_has_one_line_every_thirty_seconds_and_counts_those_left_out() {
        let mut limiter = LogLimiter::default();
        let mut written = [0; 2];
        for attempt in 0..7200 {
            // Two kinds take turns, twice a second in all.
            let kind = attempt % 2;
            if let Some(suppressed) = limiter.admit(kind, Instant::now()) {
                assert_eq!(suppressed, if written[kind] == 0 { 0 } else { 29 });
                written[kind] += 1;
            }
            tokio::time::advance(Duration::from_millis(500)).await;
        }
        assert_eq!(written, [120; 2]);
        tokio::time::advance(PAUSE).await;
        assert!(limiter.admit(0, Instant::now()).is_some(), "a rare line is always written");
    }
}
