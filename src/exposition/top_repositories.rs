//! The totals and the short lists of the landing page: the largest organizations and repositories, those that grew most
//! since their earlier sizes, and the stale ones with what their deletion frees.
//!
//! They are found when a snapshot is encoded, so that viewing the page does not sort a million rows.

use super::repository_selection::RepositorySelection;
use crate::model::earlier_sizes::EarlierSizes;
use crate::model::{NamespaceSums, RepositoryImages, RepositoryRef, Snapshot, Timestamp};

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
    pub organizations: Vec<TopEntry>,
    /// The largest, by descending size.
    pub largest: Vec<TopEntry>,
    /// Those that grew, by descending growth.
    pub grown: Vec<TopEntry>,
    /// The number of stale repositories.
    pub stale_count: u64,
    /// The largest stale ones, by descending size.
    pub stale: Vec<TopEntry>,
    /// The stale ones whose deletion frees most, by descending bytes that no other repository refers to; empty while tags
    /// are not collected.
    pub reclaimable: Vec<TopEntry>,
    /// When the sizes were taken that growth is counted from. A repository that came later counts from when it came.
    pub since: Timestamp,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopEntry {
    /// The organization, or `organization/repository`.
    pub name: Box<str>,
    /// The size or the growth.
    pub bytes: u64,
}

pub(super) fn top(snapshot: &Snapshot, sums: &[NamespaceSums<'_>], selection: &RepositorySelection) -> TopRepositories {
    let (mut largest, mut grown) = (TopList::default(), TopList::default());
    let (mut stale, mut reclaimable, mut stale_count) = (TopList::default(), TopList::default(), 0);
    let stale_before = Timestamp(snapshot.read_at.0.saturating_sub(i64::from(STALE_DAYS) * NANOSECONDS_PER_DAY));
    let images = snapshot.images.as_ref().map_or(&[][..], |images| &images.repositories);
    let earlier = snapshot.earlier_sizes.as_deref();
    let mut growth = earlier.into_iter().flat_map(|earlier| earlier.growth(snapshot));
    for (index, row) in snapshot.repositories.iter().enumerate() {
        let growth = growth.next().unwrap_or_default();
        if !selection.has(index) {
            continue;
        }
        let is_stale = row.updated.is_some_and(|updated| updated < stale_before);
        stale_count += u64::from(is_stale);
        grown.offer(growth, row);
        if let Some(size) = row.size {
            largest.offer(size, row);
            stale.offer(if is_stale { size } else { 0 }, row);
        }
        if let Some(freed) = images.get(index).and_then(exclusive_bytes).filter(|_| is_stale) {
            reclaimable.offer(freed, row);
        }
    }
    let mut organizations = TopList::default();
    sums.iter().for_each(|sums| organizations.offer(saturated(sums.size.unwrap_or_default()), sums.name));
    let named = |row: RepositoryRef<'_>| format!("{}/{}", row.namespace, row.name).into();
    TopRepositories {
        bytes: saturated(sums.iter().filter_map(|sums| sums.size).sum()),
        organization_count: sums.len() as u64,
        organizations: organizations.entries(|name| (**name).into()),
        largest: largest.entries(named),
        grown: grown.entries(named),
        stale_count,
        stale: stale.entries(named),
        reclaimable: reclaimable.entries(named),
        since: earlier.map_or(snapshot.read_at, EarlierSizes::since),
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

    fn entries(self, name: impl Fn(T) -> Box<str>) -> Vec<TopEntry> {
        self.0.into_iter().map(|(bytes, item)| TopEntry { name: name(item), bytes }).collect()
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
    use std::sync::Arc;

    fn snapshot(read_at: i64, sizes: &[(&str, Option<u64>)]) -> Snapshot {
        let rows = sizes.iter().map(|(name, size)| Repository { size: *size, ..row("n", name) });
        Snapshot::new(Timestamp(read_at), rows.collect()).0
    }

    fn listed(entries: &[TopEntry]) -> Vec<(&str, u64)> {
        entries.iter().map(|entry| (entry.name.split_once('/').unwrap().1, entry.bytes)).collect()
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
            tags: Some(TagFigures { unique_bytes: bytes, exclusive_bytes: Some(bytes), ..TagFigures::default() }),
            ..RepositoryImages::default()
        };
        let repositories = vec![read(30), read(4), read(2), RepositoryImages::default()];
        snapshot.images = Some(Arc::new(Images { repositories, ..Images::default() }));
        let selection = RepositorySelection::new(
            &snapshot,
            &Options { exclude: Some("b/unread".parse().unwrap()), ..Options::default() },
            None,
        );
        let top = top(&snapshot, &snapshot.namespace_sums(), &selection);
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
        assert_eq!(listed(&top(&snapshot, &snapshot.namespace_sums(), &selection).largest), [("a", 5)]);
    }

    proptest! {
        #[test]
        fn the_lists_are_what_sorting_finds(
            snapshots in proptest::collection::vec(proptest::collection::btree_map("[a-f]{1,2}", 0u64..30, 0..40), 1..6)
        ) {
            let mut held: Option<Snapshot> = None;
            for sizes in snapshots {
                let rows: Vec<_> = sizes.iter().map(|(name, size)| (name.as_str(), Some(*size))).collect();
                let mut snapshot = snapshot(0, &rows);
                snapshot.earlier_sizes = Some(Arc::new(EarlierSizes::carried(&snapshot, held.as_ref())));
                let growth = snapshot.earlier_sizes.as_ref().unwrap().growth(&snapshot);
                let growth: BTreeMap<&str, u64> = sizes.keys().map(String::as_str).zip(growth).collect();
                let top = top(&snapshot, &snapshot.namespace_sums(), &RepositorySelection::default());
                for (found, value) in [
                    (&top.largest, &(|name: &str| sizes[name]) as &dyn Fn(&str) -> u64),
                    (&top.grown, &|name| growth[name]),
                ] {
                    let mut want: Vec<_> = sizes.keys().map(|name| (name.as_str(), value(name))).collect();
                    want.retain(|(_, value)| *value > 0);
                    want.sort_by_key(|(_, value)| std::cmp::Reverse(*value));
                    want.truncate(TOP_LENGTH);
                    prop_assert_eq!(listed(found), want);
                }
                held = Some(snapshot);
            }
        }
    }
}
