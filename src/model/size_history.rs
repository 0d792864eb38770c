//! The total size of an account over the last days, which shows its growth also after a restart.

use super::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// The time between samples. A sample takes some 15 bytes of the state file, and all of them 3 KB.
const INTERVAL: Duration = HOUR;

/// Samples are kept this long: a week, and what it may be off by.
const KEPT: Duration = Duration::from_secs(9 * 24 * 3_600);

/// Samples of the total size, about one an hour.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct SizeHistory(Vec<Sample>);

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Sample {
    at: Timestamp,
    bytes: u64,
}

impl SizeHistory {
    /// Adds a sample if the latest one is an hour old, and drops those that are too old. Samples from after `at` were taken
    /// by a wrong clock.
    pub fn record(&mut self, at: Timestamp, bytes: u64) {
        self.0.retain(|sample| sample.at <= at && sample.at >= before(at, KEPT));
        if self.0.last().is_none_or(|latest| latest.at <= before(at, INTERVAL)) {
            self.0.push(Sample { at, bytes });
        }
    }

    /// The change to `bytes` over `period` up to `now`; `None` unless there is a sample from then, or from at most a quarter
    /// of the period before.
    pub fn growth(&self, now: Timestamp, bytes: u64, period: Duration) -> Option<i128> {
        let start = before(now, period);
        let then = self.0.iter().rfind(|sample| sample.at <= start)?;
        (then.at >= before(start, period / 4)).then(|| i128::from(bytes) - i128::from(then.bytes))
    }
}

fn before(time: Timestamp, period: Duration) -> Timestamp {
    Timestamp(time.0.saturating_sub(i64::try_from(period.as_nanos()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn at(minutes: u64) -> Timestamp {
        Timestamp(i64::try_from(minutes * 60_000_000_000).unwrap())
    }

    #[test]
    fn growth_is_known_once_the_history_reaches_back_far_enough() {
        let mut history = SizeHistory::default();
        // Ten gigabytes an hour, read every ten minutes for ten days.
        for minutes in (0..10 * 24 * 60).step_by(10) {
            history.record(at(minutes), minutes / 60 * 10);
            let known = history.growth(at(minutes), minutes / 60 * 10, DAY);
            assert_eq!(known.is_some(), minutes >= 24 * 60, "after {minutes} minutes");
        }
        let now = 10 * 24 * 60 - 10;
        assert_eq!(history.growth(at(now), 2_390, DAY), Some(240));
        assert_eq!(history.growth(at(now), 2_390, 7 * DAY), Some(1_680));
        assert_eq!(history.growth(at(now), 0, DAY), Some(-2_150), "it may shrink");
        assert!(history.0.len() <= 9 * 24 + 1, "{}", history.0.len());
    }

    #[test]
    fn a_long_gap_and_a_wrong_clock_leave_growth_unknown() {
        let mut history = SizeHistory::default();
        history.record(at(0), 1);
        assert_eq!(history.growth(at(30 * 60), 5, DAY), Some(4), "six hours off");
        assert_eq!(history.growth(at(31 * 60), 5, DAY), None, "seven hours off");
        history.record(at(500), 9);
        history.record(at(100), 2);
        assert_eq!(history.0.len(), 2, "{history:?}");
    }
}
