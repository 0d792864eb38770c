//! What to fetch of each repository, and in which order. Pure: the time is a parameter.
//!
//! The listing shows what has changed: tags are fetched when a repository is new, or when its update time, size or number
//! of tags differ from those of the last fetch. A slow full scan finds changes that the listing does not show: each
//! repository has its own moment in a period of two thirds of the interval, and is fetched at that moment, unless it was
//! fetched less than half a period before. So the scan is spread evenly, and no reading gets older than the interval.

use crate::model::{RepositoryRef, Timestamp};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::ops::{Index, IndexMut};
use std::time::Duration;
use strum::IntoStaticStr;

/// The properties in the listing that change with a repository's tags.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct ChangeStamp {
    /// `updated_at`
    pub updated: Option<Timestamp>,
    /// `size`
    pub size: Option<u64>,
    /// `num_images`
    pub images: Option<u64>,
}

impl ChangeStamp {
    /// The stamp of a row.
    pub fn of(row: RepositoryRef<'_>) -> Self {
        Self { updated: row.updated, size: row.size, images: row.images }
    }
}

/// Why something is fetched, the most urgent first: wrong values are shown, no values are shown, values may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// It has changed since the last fetch.
    Changed,
    /// It was never fetched.
    Unread,
    /// The slow full scan.
    Drift,
}

/// What is fetched of a repository, in the order of urgency. Calls of one kind share a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FetchKind {
    /// The tags with their manifests.
    Tags,
    /// What the listing does not show of the repository.
    Details,
    /// The rules by which the service deletes tags by itself.
    Retention,
}

impl FetchKind {
    /// Every kind, in the order of its number.
    pub const ALL: [Self; 3] = [Self::Tags, Self::Details, Self::Retention];

    /// The `collector` label.
    pub fn collector(self) -> &'static str {
        self.into()
    }

    /// What is fetched, as a plural noun for sentences.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Tags => "tags",
            Self::Details => "details",
            Self::Retention => "retention rules",
        }
    }
}

/// One value for each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerKind<T>([T; FetchKind::ALL.len()]);

impl<T> PerKind<T> {
    /// The value of each kind by a function.
    pub fn from_fn(mut value: impl FnMut(FetchKind) -> T) -> Self {
        Self(FetchKind::ALL.map(&mut value))
    }
}

impl<T> Index<FetchKind> for PerKind<T> {
    type Output = T;

    fn index(&self, kind: FetchKind) -> &T {
        &self.0[kind as usize]
    }
}

impl<T> IndexMut<FetchKind> for PerKind<T> {
    fn index_mut(&mut self, kind: FetchKind) -> &mut T {
        &mut self.0[kind as usize]
    }
}

/// The state of a repository when its tags were last fetched.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct LastRead {
    /// The stamp in the listing at that time.
    pub stamp: ChangeStamp,
    /// The time in seconds since 1970.
    pub at: u32,
}

/// Why the tags of a repository are to be fetched now, if at all. `phase` is a number that spreads repositories evenly.
pub fn need_of_tags(
    read: Option<&LastRead>,
    listed: ChangeStamp,
    phase: u32,
    now: u32,
    interval: Duration,
) -> Option<Need> {
    let Some(read) = read else { return Some(Need::Unread) };
    if read.stamp != listed {
        return Some(Need::Changed);
    }
    is_due(read.at, phase, now, interval).then_some(Need::Drift)
}

/// Whether the full scan is due for a repository that was fetched at `read_at`.
pub fn is_due(read_at: u32, phase: u32, now: u32, interval: Duration) -> bool {
    let period = u32::try_from(interval.as_secs().saturating_mul(2) / 3).unwrap_or(u32::MAX).max(1);
    let rounds = |second: u32| (u64::from(second) + u64::from(phase % period)) / u64::from(period);
    now > read_at && rounds(now) > rounds(read_at.saturating_add(period / 2))
}

/// The fetch of one kind from one repository. Tasks are ordered by urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FetchTask {
    /// The reason for the fetch.
    pub need: Need,
    /// What is fetched.
    pub kind: FetchKind,
    /// Larger repositories come first, because their bytes matter most.
    pub size: Reverse<u64>,
    /// The repository's slot in the inventory.
    pub slot: u32,
    /// Tells apart repositories that used the same slot one after the other.
    pub generation: u32,
}

impl FetchTask {
    /// The subject of the fetch: the repository and the kind.
    pub fn subject(&self) -> (u32, u32, FetchKind) {
        (self.slot, self.generation, self.kind)
    }

    /// Whether tags are missing, or known to be out of date.
    pub fn is_pending(&self) -> bool {
        self.kind == FetchKind::Tags && self.need != Need::Drift
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn stamp(updated: i64, size: u64) -> ChangeStamp {
        ChangeStamp { updated: Some(Timestamp(updated)), size: Some(size), images: Some(1) }
    }

    #[test]
    fn what_the_listing_shows_decides() {
        let now = 1_700_000_000;
        let read = LastRead { stamp: stamp(1, 1), at: now - 60 };
        let need = |read: Option<&LastRead>, listed| need_of_tags(read, listed, 7, now, DAY);
        assert_eq!(need(None, stamp(1, 1)), Some(Need::Unread));
        assert_eq!(need(Some(&read), stamp(1, 1)), None);
        for listed in [stamp(2, 1), stamp(1, 2), ChangeStamp { images: Some(2), ..stamp(1, 1) }, ChangeStamp::default()]
        {
            assert_eq!(need(Some(&read), listed), Some(Need::Changed));
        }
    }

    #[test]
    fn the_most_urgent_task_is_the_least() {
        use FetchKind::{Details, Retention, Tags};
        let task = |need, kind, size| FetchTask { need, kind, size: Reverse(size), slot: 0, generation: 0 };
        let expected = [
            (Need::Changed, Tags, 1),
            (Need::Unread, Tags, 50),
            (Need::Unread, Tags, 5),
            (Need::Unread, Details, 9),
            (Need::Unread, Retention, 9),
            (Need::Drift, Tags, 9),
            (Need::Drift, Retention, 99),
        ];
        let mut tasks = expected.map(|(need, kind, size)| task(need, kind, size));
        tasks.reverse();
        tasks.sort();
        assert_eq!(tasks.map(|task| (task.need, task.kind, task.size.0)), expected);
    }

    proptest! {
        #[test]
        fn the_full_scan_comes_within_its_interval_and_not_at_once(
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
    fn the_full_scan_is_spread_evenly() {
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
