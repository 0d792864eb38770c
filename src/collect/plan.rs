//! Whose tags and details are to be read, and in which order: pure, time included.
//!
//! The listing is read in full each time and shows what has changed: a repository's tags are read when it is new or when
//! its update time, its size or its number of tags differ from those under which they were read last. What that would
//! never show is caught by a slow round over everything: each repository has a moment of its own in a period that is two
//! thirds of the interval, and is read when the moment comes, unless it was read less than half a period before. So the round is
//! spread evenly, nothing is read much more often than it has to be, and no reading gets older than the interval.

use crate::model::{Repository, Timestamp};
use std::cmp::Reverse;
use std::time::Duration;

/// What the listing says of a repository that would change with its tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeStamp {
    /// `updated_at`
    pub updated: Option<Timestamp>,
    /// `size`
    pub size: Option<u64>,
    /// `num_images`
    pub images: Option<u64>,
}

impl ChangeStamp {
    /// As a listing shows it.
    pub fn of(row: &Repository) -> Self {
        Self { updated: row.updated, size: row.size, images: row.images }
    }
}

/// Why something is to be read, the most urgent first: what is shown and wrong, what is not shown, what may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The tags have changed since they were read.
    Changed,
    /// The tags were never read.
    Unread,
    /// The details were never read.
    Details,
    /// The slow round.
    Drift,
}

impl Need {
    /// Whether the tags that are shown, if any, are known to be out of date.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::Changed | Self::Unread)
    }
}

/// What was known of a repository's tags when they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastRead {
    /// The listing's word of then.
    pub mark: ChangeStamp,
    /// When, in seconds since 1970.
    pub at: u32,
}

/// Whether the tags of a repository are to be read. `phase` is any number that belongs to the repository.
pub fn need_of_tags(
    read: Option<&LastRead>,
    listed: ChangeStamp,
    phase: u32,
    now: u32,
    interval: Duration,
) -> Option<Need> {
    let Some(read) = read else { return Some(Need::Unread) };
    if read.mark != listed {
        return Some(Need::Changed);
    }
    is_due(read.at, phase, now, interval).then_some(Need::Drift)
}

/// Whether the slow round comes to a repository that was read at `read_at`.
fn is_due(read_at: u32, phase: u32, now: u32, interval: Duration) -> bool {
    let period = u32::try_from(interval.as_secs().saturating_mul(2) / 3).unwrap_or(u32::MAX).max(1);
    let rounds = |second: u32| (u64::from(second) + u64::from(phase % period)) / u64::from(period);
    now > read_at && rounds(now) > rounds(read_at.saturating_add(period / 2))
}

/// One call, or a row of them, for one repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FetchTask {
    /// Why.
    pub need: Need,
    /// Larger repositories first: their bytes matter most.
    pub size: Reverse<u64>,
    /// The repository's place in the book.
    pub place: u32,
    /// Tells apart repositories that had the same place one after the other.
    pub serial: u32,
}

impl FetchTask {
    /// What it is about: the repository, and whether its details or its tags.
    pub fn subject(&self) -> (u32, u32, bool) {
        (self.place, self.serial, self.need == Need::Details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn mark(updated: i64, size: u64) -> ChangeStamp {
        ChangeStamp { updated: Some(Timestamp(updated)), size: Some(size), images: Some(1) }
    }

    #[test]
    fn what_the_listing_shows_decides() {
        let now = 1_700_000_000;
        let read = LastRead { mark: mark(1, 1), at: now - 60 };
        let need = |read: Option<&LastRead>, listed| need_of_tags(read, listed, 7, now, DAY);
        assert_eq!(need(None, mark(1, 1)), Some(Need::Unread));
        assert_eq!(need(Some(&read), mark(1, 1)), None);
        for listed in [mark(2, 1), mark(1, 2), ChangeStamp { images: Some(2), ..mark(1, 1) }, ChangeStamp::default()] {
            assert_eq!(need(Some(&read), listed), Some(Need::Changed));
        }
    }

    #[test]
    fn the_most_urgent_errand_is_the_least() {
        let task = |need, size| FetchTask { need, size: Reverse(size), place: 0, serial: 0 };
        let mut tasks = [
            task(Need::Drift, 9),
            task(Need::Unread, 5),
            task(Need::Details, 9),
            task(Need::Unread, 50),
            task(Need::Changed, 1),
        ];
        tasks.sort();
        let order = tasks.map(|task| (task.need, task.size.0));
        let tags = [(Need::Changed, 1), (Need::Unread, 50), (Need::Unread, 5)];
        assert_eq!(order[..3], tags);
        assert_eq!(order[3..], [(Need::Details, 9), (Need::Drift, 9)]);
    }

    proptest! {
        #[test]
        fn the_slow_round_comes_within_its_interval_and_not_at_once(
            phase in any::<u32>(), hours in 1u64..100, start in 1_000_000_000u32..2_000_000_000
        ) {
            let interval = Duration::from_secs(hours * 3600);
            let (mut read_at, mut readings) = (start, 0u64);
            // Looked at every five minutes for four intervals.
            let end = start + 4 * u32::try_from(interval.as_secs()).unwrap();
            for now in (start..end).step_by(300) {
                if is_due(read_at, phase, now, interval) {
                    prop_assert!(u64::from(now - read_at) >= interval.as_secs() / 3);
                    (read_at, readings) = (now, readings + 1);
                }
                prop_assert!(u64::from(now - read_at) <= interval.as_secs() + 300);
            }
            prop_assert!((4..=7).contains(&readings), "{readings}");
        }

        #[test]
        fn a_clock_that_jumps_does_no_harm(read_at in any::<u32>(), now in any::<u32>(), phase in any::<u32>(), seconds in any::<u64>()) {
            let due = is_due(read_at, phase, now, Duration::from_secs(seconds));
            prop_assert!(!due || now > read_at);
        }
    }

    #[test]
    fn the_slow_round_is_spread_evenly() {
        // All read in one moment, as after a first round at a high rate.
        let start = 1_700_000_000;
        let mut read_at = vec![start; 10_000];
        let mut most = 0;
        for now in (start..start + 3 * 86_400).step_by(300) {
            let mut due = 0;
            for (number, at) in (0u32..).zip(&mut read_at) {
                if is_due(*at, number.wrapping_mul(0x9e37_79b9), now, DAY) {
                    (*at, due) = (now, due + 1);
                }
            }
            most = most.max(due);
        }
        // Evenly it would be 10,000 / 192 = 52 each time.
        assert!((50..100).contains(&most), "{most}");
    }
}
