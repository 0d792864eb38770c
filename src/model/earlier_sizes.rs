//! What each repository held a week or two ago: the sizes that its growth is counted from, also after a restart.
//!
//! Two sizes per repository, whatever time passes. Once the later ones are a week old they take the place of the earlier
//! ones, so growth is counted over one to two weeks. Most repositories hold what they held then, and take no memory here.

use super::chunks::Chunk;
use super::{RepositoryRef, Snapshot, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

const WEEK: i64 = 7 * 24 * 3_600 * 1_000_000_000;

/// Stands for a size that is not known yet.
const UNKNOWN: u64 = u64::MAX;

/// Two earlier sizes of each repository of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierSizes {
    /// When the sizes that growth is counted from were taken.
    since: Timestamp,
    /// When those that are to follow were taken; the same as `since` for the first week.
    next_since: Timestamp,
    /// The sizes that are not those of the snapshot, in its order.
    changed: Box<[Changed]>,
}

/// The size that growth is counted from, and the one that is to follow.
type Pair = [u64; 2];

/// The earlier sizes of the repository at an index of the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Changed {
    index: u32,
    earlier: Pair,
}

/// Collects earlier sizes, repository by repository.
#[derive(Default)]
pub(super) struct EarlierSizesBuilder {
    changed: Vec<Changed>,
    repositories: u32,
}

impl EarlierSizesBuilder {
    fn push(&mut self, earlier: Pair, now: Option<u64>) {
        if earlier != unchanged(now) {
            self.changed.push(Changed { index: self.repositories, earlier });
        }
        self.repositories += 1;
    }

    /// Adds those of a repository from their differences, as [`EarlierSizes::differences`] returns them.
    pub(super) fn push_differences(&mut self, differences: [i64; 2], now: Option<u64>) {
        let earlier = |difference: i64| now.unwrap_or(UNKNOWN).wrapping_add(difference.cast_unsigned());
        self.push(differences.map(earlier), now);
    }

    pub(super) fn finish(self, (since, next_since): (Timestamp, Timestamp)) -> EarlierSizes {
        EarlierSizes { since, next_since, changed: self.changed.into() }
    }
}

/// Those of a repository whose size never changed.
fn unchanged(size: Option<u64>) -> Pair {
    [size.unwrap_or(UNKNOWN); 2]
}

/// The earlier sizes of repositories from an index on.
fn pairs<'a>(
    start: usize,
    rows: impl Iterator<Item = RepositoryRef<'a>>,
    changed: &[Changed],
) -> impl Iterator<Item = (RepositoryRef<'a>, Pair)> {
    let mut changed = changed.iter().peekable();
    (start..).zip(rows).map(move |(index, row)| {
        let own = changed.next_if(|own| own.index as usize == index);
        (row, own.map_or_else(|| unchanged(row.size), |own| own.earlier))
    })
}

impl EarlierSizes {
    /// Carries the earlier sizes of the previous snapshot over. What is new counts from its size in this one.
    pub fn carried(snapshot: &Snapshot, before: Option<&Snapshot>) -> Self {
        let now = snapshot.read_at;
        let known = before.and_then(|old| Some((old, old.earlier_sizes.as_deref()?)));
        let (mut since, mut next_since) =
            known.map_or((now, now), |(_, known)| (known.since.min(now), known.next_since.min(now)));
        let is_week_old = now.0.saturating_sub(next_since.0) >= WEEK;
        if is_week_old {
            (since, next_since) = (next_since, now);
        }
        let mut sizes = EarlierSizesBuilder::default();
        let mut add = |row: RepositoryRef<'_>, [counted, next]: Pair| {
            let now = row.size.unwrap_or(UNKNOWN);
            let earlier = if is_week_old { [next, now] } else { [counted, next] };
            sizes.push(earlier.map(|size| if size == UNKNOWN { now } else { size }), row.size);
        };
        carry(snapshot, known.map(|(old, known)| (old, &*known.changed)), &mut add);
        sizes.finish((since, next_since))
    }

    /// What growth is counted from: when those sizes were taken. A repository that came later counts from when it came.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// The growth of each repository of the snapshot that this was made for; 0 if it shrank or is not known.
    pub fn growth(&self, snapshot: &Snapshot) -> impl Iterator<Item = u64> {
        let pairs = pairs(0, snapshot.repositories.iter(), &self.changed);
        pairs.map(|(row, [counted, _])| row.size.unwrap_or_default().saturating_sub(counted))
    }

    pub(super) fn times(&self) -> (Timestamp, Timestamp) {
        (self.since, self.next_since)
    }

    /// The sizes as differences from the size now, which are mostly 0, for a state file.
    pub(super) fn differences(&self, snapshot: &Snapshot) -> impl Iterator<Item = [i64; 2]> {
        let pairs = pairs(0, snapshot.repositories.iter(), &self.changed);
        pairs.map(|(row, pair)| pair.map(|size| size.wrapping_sub(row.size.unwrap_or(UNKNOWN)).cast_signed()))
    }
}

/// Calls `add` for each row with what was known of it, or twice [`UNKNOWN`]. Both snapshots are sorted, so one walk along both finds it.
fn carry(snapshot: &Snapshot, before: Option<(&Snapshot, &[Changed])>, add: &mut impl FnMut(RepositoryRef<'_>, Pair)) {
    let old_chunks = before.iter().flat_map(|(old, changed)| {
        let (mut start, mut rest) = (0, *changed);
        old.repositories.chunks().iter().map(move |chunk: &Arc<Chunk>| {
            let (here, end) = (rest, start + chunk.len());
            rest = &rest[rest.partition_point(|own| (own.index as usize) < end)..];
            let pairs = pairs(start, chunk.iter(), here);
            start = end;
            (chunk, pairs)
        })
    });
    let mut old_chunks = old_chunks.peekable();
    // The old rows that are left of the chunks that were looked at.
    let mut known: VecDeque<((&str, &str), Pair)> = VecDeque::new();
    for chunk in snapshot.repositories.chunks() {
        if let Some((_, old)) = old_chunks.next_if(|(old, _)| Arc::ptr_eq(old, chunk)) {
            old.for_each(|(row, pair)| add(row, pair));
            known.clear();
            continue;
        }
        let Some(last) = chunk.iter().next_back().map(|row| row.key()) else { continue };
        while let Some((_, old)) = old_chunks.next_if(|(old, _)| old.iter().next().is_some_and(|row| row.key() <= last))
        {
            known.extend(old.map(|(row, pair)| (row.key(), pair)));
        }
        for row in chunk.iter() {
            while known.front().is_some_and(|(key, _)| *key < row.key()) {
                known.pop_front();
            }
            let pair = known.front().filter(|(key, _)| *key == row.key());
            add(row, pair.map_or([UNKNOWN; 2], |(_, pair)| *pair));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Repository;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const DAY: i64 = WEEK / 7;

    fn next(at: i64, sizes: &[(&str, Option<u64>)], before: Option<&Snapshot>) -> Snapshot {
        let row = |(name, size): &(&str, Option<u64>)| Repository {
            name: (*name).into(),
            size: *size,
            ..Repository::unknown("n".into())
        };
        let (mut snapshot, _) = Snapshot::new(Timestamp(at), sizes.iter().map(row).collect());
        snapshot.earlier_sizes = Some(Arc::new(EarlierSizes::carried(&snapshot, before)));
        snapshot
    }

    fn growth(snapshot: &Snapshot) -> Vec<u64> {
        snapshot.earlier_sizes.as_ref().unwrap().growth(snapshot).collect()
    }

    #[test]
    fn growth_counts_from_the_first_known_size() {
        let first = next(1, &[("a", Some(5)), ("b", None), ("gone", Some(9)), ("shrinks", Some(9))], None);
        assert_eq!(growth(&first), [0; 4]);
        let second = next(2, &[("a", None), ("b", Some(3)), ("new", Some(50)), ("shrinks", Some(1))], Some(&first));
        assert_eq!(growth(&second), [0; 4]);
        let third = next(3, &[("a", Some(8)), ("b", Some(4)), ("new", Some(70)), ("shrinks", Some(4))], Some(&second));
        assert_eq!(growth(&third), [3, 1, 20, 0]);
        assert_eq!(third.earlier_sizes.unwrap().since(), Timestamp(1));
    }

    #[test]
    fn growth_counts_over_one_to_two_weeks() {
        // A byte an hour.
        let mut held: Option<Snapshot> = None;
        for hour in 0..24 * 60 {
            let at = hour * DAY / 24;
            let snapshot = next(at, &[("a", Some(hour.cast_unsigned()))], held.as_ref());
            let since = snapshot.earlier_sizes.as_ref().unwrap().since();
            assert_eq!(growth(&snapshot), [((at - since.0) * 24 / DAY).cast_unsigned()], "{hour}");
            let weeks = at / WEEK;
            assert_eq!(since.0, (weeks - 1).max(0) * WEEK, "{hour}");
            held = Some(snapshot);
        }
    }

    #[test]
    fn a_clock_that_was_ahead_holds_nothing_up() {
        let ahead = next(900 * DAY, &[("a", Some(1))], None);
        let back = next(0, &[("a", Some(2))], Some(&ahead));
        assert_eq!(back.earlier_sizes.as_ref().unwrap().since(), Timestamp(0));
        let later = next(WEEK, &[("a", Some(4))], Some(&back));
        assert_eq!(growth(&later), [3]);
        assert_eq!(growth(&next(2 * WEEK, &[("a", Some(5))], Some(&later))), [1]);
    }

    proptest! {
        #[test]
        fn growth_is_what_a_map_of_names_tells(
            snapshots in vec(btree_map("[a-f]{1,2}", 0u64..30, 0..40), 1..6)
        ) {
            let mut held: Option<Snapshot> = None;
            let mut first: BTreeMap<String, u64> = BTreeMap::new();
            for sizes in snapshots {
                // A repository that was gone starts anew.
                first.retain(|name, _| sizes.contains_key(name));
                for (name, size) in &sizes {
                    first.entry(name.clone()).or_insert(*size);
                }
                let rows: Vec<_> = sizes.iter().map(|(name, size)| (name.as_str(), Some(*size))).collect();
                let snapshot = next(0, &rows, held.as_ref());
                let want: Vec<_> = sizes.iter().map(|(name, size)| size.saturating_sub(first[name])).collect();
                prop_assert_eq!(growth(&snapshot), want);
                held = Some(snapshot);
            }
        }
    }
}
