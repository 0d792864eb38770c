//! How often the log is told of the same trouble: at once, and then not again and again.

use std::time::Duration;
use tokio::time::Instant;

/// One line of a kind in this time. A failing upstream is news; that it fails still is not, at the pace of scrapes.
pub const PAUSE: Duration = Duration::from_secs(30);

/// Decides which lines are written. `K` is the kind of trouble; there are few kinds.
#[derive(Debug)]
pub struct LogLimiter<K> {
    kinds: Vec<Kind<K>>,
}

#[derive(Debug)]
struct Kind<K> {
    kind: K,
    said: Instant,
    suppressed: u64,
}

impl<K> Default for LogLimiter<K> {
    fn default() -> Self {
        Self { kinds: Vec::new() }
    }
}

impl<K: PartialEq> LogLimiter<K> {
    /// Whether a line of this kind is to be written now: then, how many were left out since the one before.
    pub fn admit(&mut self, kind: K, now: Instant) -> Option<u64> {
        let Some(known) = self.kinds.iter_mut().find(|known| known.kind == kind) else {
            self.kinds.push(Kind { kind, said: now, suppressed: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(known.said) < PAUSE {
            known.suppressed += 1;
            return None;
        }
        known.said = now;
        Some(std::mem::take(&mut known.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;

    #[tokio::test(start_paused = true)]
    async fn an_hour_of_trouble_is_a_line_in_thirty_seconds_of_each_kind() {
        let mut quiet = LogLimiter::default();
        let mut said = [(0, 0); 2];
        for attempt in 0..7200 {
            // Two kinds take turns, twice a second in all.
            let (kind, reason) = if attempt % 2 == 0 { (0, Reason::Server) } else { (1, Reason::Timeout) };
            if let Some(suppressed) = quiet.admit(reason, Instant::now()) {
                said[kind].0 += 1;
                said[kind].1 += suppressed;
                assert_eq!(suppressed, if said[kind].0 == 1 { 0 } else { 29 });
            }
            tokio::time::advance(Duration::from_millis(500)).await;
        }
        assert_eq!(said, [(120, 119 * 29); 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_rare_is_always_said() {
        let mut quiet = LogLimiter::default();
        for _ in 0..10 {
            assert_eq!(quiet.admit((), Instant::now()), Some(0));
            tokio::time::advance(PAUSE).await;
        }
    }
}
