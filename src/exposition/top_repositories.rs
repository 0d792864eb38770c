//! The totals and the short lists of the landing page: the largest organizations and repositories, those that grew most
//! since this process first saw them, and the stale ones with what their deletion frees.
//!
//! They are found when a snapshot is encoded, so that viewing the page does not sort a million rows. The baseline of
//! growth costs eight bytes per repository: both snapshots are sorted, so one walk along both carries it over.

use super::repository_selection::RepositorySelection;
use crate::model::{NamespaceSums, RepositoryImages, RepositoryRef, Snapshot, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// The most entries in each list.
pub const TOP_LENGTH: usize = 5;

/// A repository that was not updated for this many days is stale.
pub const STALE_DAYS: u16 = 180;

/// The totals of all repositories, and the top ones among those that have series of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopRepositories {
    /// Bytes of all repositories whose size is known.
    pub bytes: u64,
    /// The number of organizations that have repositories.
    pub organization_count: u64,
    /// The largest organizations, by descending size.
    pub organizations: Vec<TopOrganization>,
    /// The largest, by descending size.
    pub largest: Vec<TopRepository>,
    /// Those that grew since they were first seen, by descending growth.
    pub grown: Vec<TopRepository>,
    /// The number of stale repositories.
    pub stale_count: u64,
    /// The largest stale ones, by descending size.
    pub stale: Vec<TopRepository>,
    /// The stale ones whose deletion frees most, by descending bytes that no other repository refers to; empty while tags
    /// are not collected.
    pub reclaimable: Vec<TopRepository>,
    /// Start of the first listing, which growth is counted from. A repository that came later counts from when it came.
    pub since: Timestamp,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopRepository {
    /// The organization.
    pub namespace: Arc<str>,
    /// The name within the organization.
    pub repository: Box<str>,
    /// The size or the growth.
    pub bytes: u64,
}

/// An organization in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopOrganization {
    /// Its name.
    pub name: Arc<str>,
    /// Bytes of its repositories.
    pub bytes: u64,
}

/// The size of each repository when it was first seen, in the order of the snapshot.
#[derive(Debug)]
pub(super) struct Baseline {
    sizes: Box<[u64]>,
    since: Timestamp,
}

/// Stands for a size that is not known yet.
const UNKNOWN: u64 = u64::MAX;

fn first_size(now: Option<u64>, first: u64) -> u64 {
    if first == UNKNOWN { now.unwrap_or(UNKNOWN) } else { first }
}

impl Baseline {
    /// Carries the baseline of the previous snapshot over and adds the sizes of new repositories.
    pub(super) fn new(snapshot: &Snapshot, before: Option<(&Snapshot, &Self)>) -> Self {
        let since = before.map_or(snapshot.read_at, |(_, baseline)| baseline.since);
        let mut sizes = Vec::with_capacity(snapshot.repositories.len());
        let old_chunks = before.iter().flat_map(|(old, baseline)| {
            let mut rest = &*baseline.sizes;
            old.repositories.chunks().iter().map(move |chunk| {
                let (sizes, after) = rest.split_at(chunk.len());
                rest = after;
                (chunk, sizes)
            })
        });
        let mut old_chunks = old_chunks.peekable();
        // The old rows that are left of the chunks that were looked at.
        let mut known: VecDeque<((&str, &str), u64)> = VecDeque::new();
        for chunk in snapshot.repositories.chunks() {
            if let Some((_, old)) = old_chunks.next_if(|(old, _)| Arc::ptr_eq(old, chunk)) {
                sizes.extend(chunk.iter().zip(old).map(|(row, first)| first_size(row.size, *first)));
                known.clear();
                continue;
            }
            let Some(last) = chunk.iter().next_back().map(|row| row.key()) else { continue };
            while let Some((old, first)) =
                old_chunks.next_if(|(old, _)| old.iter().next().is_some_and(|row| row.key() <= last))
            {
                known.extend(old.iter().map(|row| row.key()).zip(first.iter().copied()));
            }
            for row in chunk.iter() {
                while known.front().is_some_and(|(key, _)| *key < row.key()) {
                    known.pop_front();
                }
                let is_known = known.front().is_some_and(|(key, _)| *key == row.key());
                let first = if is_known { known.pop_front() } else { None }.map_or(UNKNOWN, |(_, first)| first);
                sizes.push(first_size(row.size, first));
            }
        }
        Self { sizes: sizes.into(), since }
    }

    /// The top repositories of the snapshot that this was made for.
    pub(super) fn top(
        &self,
        snapshot: &Snapshot,
        sums: &[NamespaceSums<'_>],
        selection: &RepositorySelection,
    ) -> TopRepositories {
        let (mut largest, mut grown) = (TopList::default(), TopList::default());
        let (mut stale, mut reclaimable, mut stale_count) = (TopList::default(), TopList::default(), 0);
        let stale_before = Timestamp(snapshot.read_at.0.saturating_sub(i64::from(STALE_DAYS) * NANOSECONDS_PER_DAY));
        let images = snapshot.images.as_ref().map_or(&[][..], |images| &images.repositories);
        for (index, (row, first)) in snapshot.repositories.iter().zip(&self.sizes).enumerate() {
            if !selection.has(index) {
                continue;
            }
            let is_stale = row.updated.is_some_and(|updated| updated < stale_before);
            stale_count += u64::from(is_stale);
            if let Some(size) = row.size {
                largest.offer(size, row);
                grown.offer(size.saturating_sub(*first), row);
                stale.offer(if is_stale { size } else { 0 }, row);
            }
            if let Some(freed) = images.get(index).and_then(exclusive_bytes).filter(|_| is_stale) {
                reclaimable.offer(freed, row);
            }
        }
        let (mut organization_count, mut organizations) = (0, TopList::default());
        for sums in sums {
            organization_count += 1;
            organizations.offer(saturated(sums.size.unwrap_or_default()), sums.name);
        }
        let organization = |(bytes, name): (u64, &Arc<str>)| TopOrganization { name: name.clone(), bytes };
        TopRepositories {
            bytes: saturated(sums.iter().filter_map(|sums| sums.size).sum()),
            organization_count,
            organizations: organizations.0.into_iter().map(organization).collect(),
            largest: largest.entries(),
            grown: grown.entries(),
            stale_count,
            stale: stale.entries(),
            reclaimable: reclaimable.entries(),
            since: self.since,
        }
    }
}

fn saturated(bytes: u128) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

const NANOSECONDS_PER_DAY: i64 = 24 * 3_600 * 1_000_000_000;

/// Bytes that the deletion of a repository frees, if that is known.
fn exclusive_bytes(images: &RepositoryImages) -> Option<u64> {
    let bytes = images.tags.as_ref()?.exclusive_bytes?;
    Some(saturated(bytes))
}

/// The items with the highest values so far; of equal ones, the first.
struct TopList<T>(Vec<(u64, T)>);

impl<T> Default for TopList<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> TopList<T> {
    fn offer(&mut self, value: u64, item: T) {
        let full = self.0.len() == TOP_LENGTH;
        if value == 0 || (full && self.0.last().is_some_and(|(least, _)| *least >= value)) {
            return;
        }
        if full {
            self.0.pop();
        }
        let index = self.0.partition_point(|(other, _)| *other >= value);
        self.0.insert(index, (value, item));
    }
}

impl TopList<RepositoryRef<'_>> {
    fn entries(self) -> Vec<TopRepository> {
        let entry = |(bytes, row): (u64, RepositoryRef<'_>)| TopRepository {
            namespace: row.namespace.clone(),
            repository: row.name.into(),
            bytes,
        };
        self.0.into_iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::Options;
    use crate::exposition::testing::row;
    use crate::model::tags::TagFigures;
    use crate::model::{Images, Repository};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn snapshot(read_at: i64, sizes: &[(&str, Option<u64>)]) -> Snapshot {
        let rows = sizes.iter().map(|(name, size)| Repository { size: *size, ..row("n", name) });
        Snapshot::new(Timestamp(read_at), rows.collect()).0
    }

    fn listed(entries: &[TopRepository]) -> Vec<(&str, u64)> {
        entries.iter().map(|entry| (&*entry.repository, entry.bytes)).collect()
    }

    #[test]
    fn growth_counts_from_the_first_known_size() {
        let first = snapshot(1, &[("a", Some(5)), ("b", None), ("gone", Some(9)), ("shrinks", Some(9))]);
        let start = Baseline::new(&first, None);
        let top = start.top(&first, &first.namespace_sums(), &RepositorySelection::All);
        assert_eq!((listed(&top.largest), top.grown.len()), (vec![("gone", 9), ("shrinks", 9), ("a", 5)], 0));
        let second = snapshot(2, &[("a", None), ("b", Some(3)), ("new", Some(50)), ("shrinks", Some(1))]);
        let then = Baseline::new(&second, Some((&first, &start)));
        assert!(then.top(&second, &second.namespace_sums(), &RepositorySelection::All).grown.is_empty());
        let third = snapshot(3, &[("a", Some(8)), ("b", Some(4)), ("new", Some(70)), ("shrinks", Some(4))]);
        let now = Baseline::new(&third, Some((&second, &then))).top(
            &third,
            &third.namespace_sums(),
            &RepositorySelection::All,
        );
        assert_eq!(listed(&now.grown), [("new", 20), ("a", 3), ("b", 1)]);
        assert_eq!(now.since, Timestamp(1));
    }

    #[test]
    fn totals_count_every_repository_and_only_stale_ones_are_reclaimable() {
        let day = NANOSECONDS_PER_DAY;
        let sized = |namespace: &str, name: &str, size, updated| Repository {
            size: Some(size),
            updated: Some(Timestamp(updated)),
            ..row(namespace, name)
        };
        let rows = vec![
            sized("a", "fresh", 40, 20 * day + 1),
            sized("a", "old", 5, 20 * day - 1),
            sized("b", "older", 7, 0),
            sized("b", "unread", 1, 0),
        ];
        let (mut snapshot, _) = Snapshot::new(Timestamp(200 * day), rows);
        let read = |bytes| RepositoryImages {
            tags: Some(TagFigures {
                tags: 1,
                unlayered: 0,
                by_age: [0; 5],
                unique_bytes: bytes,
                exclusive_bytes: Some(bytes),
                newest: None,
                oldest: None,
                series: None,
            }),
            ..RepositoryImages::default()
        };
        let repositories = vec![read(30), read(4), read(2), RepositoryImages::default()];
        snapshot.images = Some(Arc::new(Images { repositories, ..Images::default() }));
        let selection = RepositorySelection::new(
            &snapshot,
            &Options { exclude: Some("b/unread".parse().unwrap()), ..Options::default() },
            None,
        );
        let top = Baseline::new(&snapshot, None).top(&snapshot, &snapshot.namespace_sums(), &selection);
        assert_eq!((top.bytes, top.organization_count, top.stale_count), (53, 2, 2));
        let organizations: Vec<_> = top.organizations.iter().map(|one| (&*one.name, one.bytes)).collect();
        assert_eq!(organizations, [("a", 45), ("b", 8)]);
        assert_eq!(
            (listed(&top.stale), listed(&top.reclaimable)),
            (vec![("older", 7), ("old", 5)], vec![("old", 4), ("older", 2)])
        );
    }

    #[test]
    fn a_repository_without_series_is_not_listed() {
        let snapshot = snapshot(1, &[("a", Some(5)), ("b", Some(6))]);
        let selection = RepositorySelection::new(
            &snapshot,
            &Options { exclude: Some("n/b".parse().unwrap()), ..Options::default() },
            None,
        );
        assert_eq!(
            listed(&Baseline::new(&snapshot, None).top(&snapshot, &snapshot.namespace_sums(), &selection).largest),
            [("a", 5)]
        );
    }

    proptest! {
        #[test]
        fn the_lists_are_what_sorting_finds(
            snapshots in proptest::collection::vec(proptest::collection::btree_map("[a-f]{1,2}", 0u64..30, 0..40), 1..6)
        ) {
            let mut held: Option<(Snapshot, Baseline)> = None;
            let mut first: BTreeMap<String, u64> = BTreeMap::new();
            for sizes in snapshots {
                // A repository that was gone starts anew.
                first.retain(|name, _| sizes.contains_key(name));
                for (name, size) in &sizes {
                    first.entry(name.clone()).or_insert(*size);
                }
                let rows: Vec<_> = sizes.iter().map(|(name, size)| (name.as_str(), Some(*size))).collect();
                let snapshot = snapshot(0, &rows);
                let baseline = Baseline::new(&snapshot, held.as_ref().map(|(old, baseline)| (old, baseline)));
                let top = baseline.top(&snapshot, &snapshot.namespace_sums(), &RepositorySelection::All);
                for (found, value) in [
                    (&top.largest, &(|name: &str| sizes[name]) as &dyn Fn(&str) -> u64),
                    (&top.grown, &|name| sizes[name].saturating_sub(first[name])),
                ] {
                    let mut want: Vec<_> = sizes.keys().map(|name| (name.as_str(), value(name))).collect();
                    want.retain(|(_, value)| *value > 0);
                    want.sort_by_key(|(_, value)| std::cmp::Reverse(*value));
                    want.truncate(TOP_LENGTH);
                    prop_assert_eq!(listed(found), want);
                }
                held = Some((snapshot, baseline));
            }
        }
    }
}
