//! For people: the largest repositories, and those that have grown most since this process first saw them.
//!
//! Made with the page, because whoever looks at it must not have to sort a million rows. What growth is counted from
//! costs eight bytes a repository: both snapshots are sorted, so one walk along the two hands the first sizes on.

use super::limit::RepositorySelection;
use crate::model::{Repository, Snapshot, Timestamp};
use std::cmp::Ordering;
use std::sync::Arc;

/// The length of each list at most.
pub const MOST_LEADERS: usize = 10;

/// Of the repositories that have series of their own, those at the front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopRepositories {
    /// By size, the largest first.
    pub largest: Vec<TopRepository>,
    /// By the bytes gained since they were first seen, the most first; none that did not grow.
    pub grown: Vec<TopRepository>,
    /// When the read began that growth is counted from; a repository that came later counts from when it came.
    pub since: Timestamp,
}

/// A repository and by how much it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopRepository {
    /// The organisation.
    pub namespace: Arc<str>,
    /// The name within it.
    pub repository: Box<str>,
    /// Its size or its growth.
    pub bytes: u64,
}

/// The size that each repository had when it was first seen, in the order of the snapshot.
#[derive(Debug)]
pub(super) struct Baseline {
    sizes: Box<[u64]>,
    since: Timestamp,
}

/// In the place of a size that is not known yet.
const UNKNOWN: u64 = u64::MAX;

impl Baseline {
    /// Takes over the sizes from the snapshot before, and notes those of repositories that were not in it.
    pub(super) fn new(snapshot: &Snapshot, before: Option<(&Snapshot, &Self)>) -> Self {
        let since = before.map_or(snapshot.read_at, |(_, baseline)| baseline.since);
        let known = before.into_iter().flat_map(|(old, baseline)| old.repositories.iter().zip(&baseline.sizes));
        let mut known = known.peekable();
        let first_size = |row: &Repository| {
            let mut size = UNKNOWN;
            while let Some((old, first)) = known.peek() {
                match old.key().cmp(&row.key()) {
                    Ordering::Less => {}
                    Ordering::Equal => size = **first,
                    Ordering::Greater => break,
                }
                known.next();
            }
            if size == UNKNOWN { row.size.unwrap_or(UNKNOWN) } else { size }
        };
        Self { sizes: snapshot.repositories.iter().map(first_size).collect(), since }
    }

    /// Who leads in the snapshot that this was made for.
    pub(super) fn leaders(&self, snapshot: &Snapshot, chosen: &RepositorySelection) -> TopRepositories {
        let (mut largest, mut grown) = (Front::default(), Front::default());
        for (place, (row, first)) in snapshot.repositories.iter().zip(&self.sizes).enumerate() {
            if let Some(size) = row.size.filter(|_| chosen.has(place)) {
                largest.offer(size, row);
                grown.offer(size.saturating_sub(*first), row);
            }
        }
        TopRepositories { largest: largest.leaders(), grown: grown.leaders(), since: self.since }
    }
}

/// The rows with the highest values so far; of equal ones, those that came first.
#[derive(Default)]
struct Front<'a>(Vec<(u64, &'a Repository)>);

impl<'a> Front<'a> {
    fn offer(&mut self, value: u64, row: &'a Repository) {
        let full = self.0.len() == MOST_LEADERS;
        if value == 0 || (full && self.0.last().is_some_and(|(least, _)| *least >= value)) {
            return;
        }
        if full {
            self.0.pop();
        }
        let place = self.0.partition_point(|(other, _)| *other >= value);
        self.0.insert(place, (value, row));
    }

    fn leaders(self) -> Vec<TopRepository> {
        let leader = |(bytes, row): (u64, &Repository)| TopRepository {
            namespace: row.namespace.clone(),
            repository: row.name.clone(),
            bytes,
        };
        self.0.into_iter().map(leader).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Options;
    use crate::exposition::testing::row;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn snapshot(read_at: i64, sizes: &[(&str, Option<u64>)]) -> Snapshot {
        let rows = sizes.iter().map(|(name, size)| Repository { size: *size, ..row("n", name) });
        Snapshot::new(Timestamp(read_at), rows.collect()).0
    }

    fn listed(leaders: &[TopRepository]) -> Vec<(&str, u64)> {
        leaders.iter().map(|leader| (&*leader.repository, leader.bytes)).collect()
    }

    #[test]
    fn growth_counts_from_the_first_sight_and_a_size_that_was_unknown_from_when_it_is_known() {
        let first = snapshot(1, &[("a", Some(5)), ("b", None), ("gone", Some(9)), ("shrinks", Some(9))]);
        let start = Baseline::new(&first, None);
        let leaders = start.leaders(&first, &RepositorySelection::All);
        assert_eq!((listed(&leaders.largest), leaders.grown.len()), (vec![("gone", 9), ("shrinks", 9), ("a", 5)], 0));
        let second = snapshot(2, &[("a", None), ("b", Some(3)), ("new", Some(50)), ("shrinks", Some(1))]);
        let then = Baseline::new(&second, Some((&first, &start)));
        assert!(then.leaders(&second, &RepositorySelection::All).grown.is_empty());
        let third = snapshot(3, &[("a", Some(8)), ("b", Some(4)), ("new", Some(70)), ("shrinks", Some(4))]);
        let now = Baseline::new(&third, Some((&second, &then))).leaders(&third, &RepositorySelection::All);
        assert_eq!(listed(&now.grown), [("new", 20), ("a", 3), ("b", 1)]);
        assert_eq!(now.since, Timestamp(1));
    }

    #[test]
    fn who_has_no_series_does_not_lead() {
        let snapshot = snapshot(1, &[("a", Some(5)), ("b", Some(6))]);
        let chosen = RepositorySelection::new(
            &snapshot,
            &Options { exclude: Some("n/b".parse().unwrap()), ..Options::default() },
            None,
        );
        assert_eq!(listed(&Baseline::new(&snapshot, None).leaders(&snapshot, &chosen).largest), [("a", 5)]);
    }

    proptest! {
        #[test]
        fn leaders_are_those_that_sorting_finds(
            snapshots in proptest::collection::vec(proptest::collection::btree_map("[a-f]{1,2}", 0u64..30, 0..40), 1..6)
        ) {
            let mut held: Option<(Snapshot, Baseline)> = None;
            let mut first: BTreeMap<String, u64> = BTreeMap::new();
            for sizes in snapshots {
                // Who was gone counts anew.
                first.retain(|name, _| sizes.contains_key(name));
                for (name, size) in &sizes {
                    first.entry(name.clone()).or_insert(*size);
                }
                let rows: Vec<_> = sizes.iter().map(|(name, size)| (name.as_str(), Some(*size))).collect();
                let snapshot = snapshot(0, &rows);
                let baseline = Baseline::new(&snapshot, held.as_ref().map(|(old, baseline)| (old, baseline)));
                let leaders = baseline.leaders(&snapshot, &RepositorySelection::All);
                for (found, value) in [
                    (&leaders.largest, &(|name: &str| sizes[name]) as &dyn Fn(&str) -> u64),
                    (&leaders.grown, &|name| sizes[name].saturating_sub(first[name])),
                ] {
                    let mut want: Vec<_> = sizes.keys().map(|name| (name.as_str(), value(name))).collect();
                    want.retain(|(_, value)| *value > 0);
                    want.sort_by_key(|(_, value)| std::cmp::Reverse(*value));
                    want.truncate(MOST_LEADERS);
                    prop_assert_eq!(listed(found), want);
                }
                held = Some((snapshot, baseline));
            }
        }
    }
}
