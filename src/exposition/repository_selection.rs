//! Which repositories get series of their own: those that pass the filters and, if their number is limited, the largest
//! of these.
//!
//! The others still count in the sums of their organization. A limit drawn anew for each snapshot would let series come
//! and go as sizes cross it, so a repository keeps its series until another one is larger by a tenth.

use super::{Options, Pattern};
use crate::model::{Repositories, RepositoryRef, Snapshot};
use std::cmp::{Ordering, Reverse};
use std::ops::Range;

#[derive(Debug, Default)]
pub(super) struct RepositorySelection {
    /// Whether the repository at each index of the snapshot is selected; `None` if all are.
    selected: Option<Box<[bool]>>,
    /// The number of repositories that are not.
    omitted: Omitted,
}

/// The number of repositories without series of their own, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Omitted {
    pub(super) filter: usize,
    pub(super) limit: usize,
}

impl RepositorySelection {
    /// Selects by the options. `before` is the snapshot served until now with its selection.
    pub(super) fn new(snapshot: &Snapshot, options: &Options, before: Option<(&Snapshot, &Self)>) -> Self {
        let rows = &snapshot.repositories;
        let (include, exclude) = (options.include.as_ref(), options.exclude.as_ref());
        let unfiltered = include.is_none() && exclude.is_none();
        let limit = if options.max_series_repositories == 0 { rows.len() } else { options.max_series_repositories };
        if unfiltered && rows.len() <= limit {
            return Self::default();
        }
        let matches = |pattern: &Pattern, row: &RepositoryRef<'_>| pattern.matches(row.namespace, row.name);
        let mut selected: Box<[bool]> = rows
            .iter()
            .map(|row| include.is_none_or(|it| matches(it, &row)) && !exclude.is_some_and(|it| matches(it, &row)))
            .collect();
        let candidates = selected.iter().filter(|selected| **selected).count();
        let omitted = Omitted { filter: rows.len() - candidates, limit: candidates.saturating_sub(limit) };
        if omitted.limit > 0 {
            let weights = weights(rows, before).map(Reverse).zip(0..);
            let mut largest: Vec<(Reverse<u128>, usize)> = weights.filter(|(_, index)| selected[*index]).collect();
            // Among equals the index decides, which is the order of names.
            largest.select_nth_unstable(limit - 1);
            for (_, index) in &largest[limit..] {
                selected[*index] = false;
            }
        }
        Self { selected: Some(selected), omitted }
    }

    /// The selected repositories of the snapshot that this was made for.
    pub(super) fn repositories<'a>(
        &'a self,
        snapshot: &'a Snapshot,
    ) -> impl Iterator<Item = RepositoryRef<'a>> + Clone {
        snapshot.repositories.iter().enumerate().filter(|(index, _)| self.has(*index)).map(|(_, row)| row)
    }

    pub(super) fn omitted(&self) -> Omitted {
        self.omitted
    }

    /// Whether the repositories of a range of the snapshot are selected; `None` if all are.
    pub(super) fn in_range(&self, range: Range<usize>) -> Option<&[bool]> {
        Some(&self.selected.as_ref()?[range]).filter(|selected| selected.contains(&false))
    }

    /// Whether the repository at this index of the snapshot is selected.
    pub(super) fn has(&self, index: usize) -> bool {
        self.selected.as_ref().is_none_or(|selected| selected[index])
    }
}

/// The weight of each repository: its size times 11 if it was selected before, times 10 otherwise.
fn weights<'a>(
    rows: &'a Repositories,
    before: Option<(&'a Snapshot, &'a RepositorySelection)>,
) -> impl Iterator<Item = u128> + 'a {
    let mut before = before.into_iter().flat_map(|(snapshot, selection)| selection.repositories(snapshot)).peekable();
    rows.iter().map(move |row| {
        // Both are sorted by key, so one walk along both finds what they share.
        while before.next_if(|old| old.key().cmp(&row.key()) == Ordering::Less).is_some() {}
        let was_selected = before.peek().is_some_and(|old| old.key() == row.key());
        u128::from(row.size.unwrap_or(0)) * if was_selected { 11 } else { 10 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::testing::row;
    use crate::model::Timestamp;
    use proptest::prelude::*;

    fn snapshot(sizes: &[u64]) -> Snapshot {
        let sized = |(index, size): (usize, &u64)| crate::model::Repository {
            size: Some(*size),
            ..row("n", &format!("{index:03}"))
        };
        Snapshot::new(Timestamp(0), sizes.iter().enumerate().map(sized).collect()).0
    }

    fn names(selection: &RepositorySelection, snapshot: &Snapshot) -> Vec<String> {
        selection.repositories(snapshot).map(|row| row.name.to_string()).collect()
    }

    fn limit(max_series_repositories: usize) -> Options {
        Options { max_series_repositories, ..Options::default() }
    }

    fn filter(include: &str, exclude: &str) -> Options {
        let pattern = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        Options { include: pattern(include), exclude: pattern(exclude), ..Options::default() }
    }

    #[test]
    fn the_largest_are_selected_and_keep_their_place_until_another_is_clearly_larger() {
        let first = snapshot(&[100, 200, 300, 90]);
        let selection = RepositorySelection::new(&first, &limit(2), None);
        assert_eq!(names(&selection, &first), ["001", "002"]);
        assert_eq!(selection.omitted(), Omitted { filter: 0, limit: 2 });
        let near = snapshot(&[215, 200, 300, 90]);
        let second = RepositorySelection::new(&near, &limit(2), Some((&first, &selection)));
        assert_eq!(names(&second, &near), ["001", "002"], "a little larger does not displace");
        let far = snapshot(&[230, 200, 300, 90]);
        assert_eq!(names(&RepositorySelection::new(&far, &limit(2), Some((&near, &second))), &far), ["000", "002"]);
    }

    #[test]
    fn exclude_applies_to_what_include_selects() {
        let snapshot = snapshot(&[1; 30]);
        for (include, exclude, want) in [
            ("n/00.", "", 10),
            ("", "n/00.", 20),
            ("n/0[01].", "n/.*5", 18),
            ("00.", "", 0),
            ("", "n/0", 30),
            ("n/.*", "n/.*", 0),
        ] {
            let selection = RepositorySelection::new(&snapshot, &filter(include, exclude), None);
            assert_eq!(selection.repositories(&snapshot).count(), want, "{include} {exclude}");
            assert_eq!(selection.omitted(), Omitted { filter: 30 - want, limit: 0 });
        }
    }

    #[test]
    fn the_limit_applies_after_the_filters() {
        let snapshot = snapshot(&[900, 800, 30, 20, 10]);
        let selection = RepositorySelection::new(
            &snapshot,
            &Options { max_series_repositories: 2, ..filter("", "n/00[01]") },
            None,
        );
        assert_eq!(names(&selection, &snapshot), ["002", "003"]);
        assert_eq!(selection.omitted(), Omitted { filter: 2, limit: 1 });
        let roomy = Options { max_series_repositories: 3, ..filter("", "n/00[01]") };
        assert_eq!(RepositorySelection::new(&snapshot, &roomy, None).omitted(), Omitted { filter: 2, limit: 0 });
    }

    proptest! {
        #[test]
        fn as_many_as_the_limit_says_and_no_other_is_larger_by_a_tenth(
            before in proptest::collection::vec(0u64..100, 1..40),
            now in proptest::collection::vec(0u64..100, 1..40), most in 1usize..20
        ) {
            let (before, now) = (snapshot(&before), snapshot(&now));
            let old = RepositorySelection::new(&before, &limit(most), None);
            let new = RepositorySelection::new(&now, &limit(most), Some((&before, &old)));
            let kept: Vec<_> = new.repositories(&now).collect();
            prop_assert_eq!(kept.len(), most.min(now.repositories.len()));
            let least = kept.iter().filter_map(|row| row.size).min().unwrap();
            for row in now.repositories.iter() {
                prop_assert!(kept.iter().any(|kept| kept.key() == row.key()) || row.size.unwrap() * 10 <= least * 11);
            }
        }

        #[test]
        fn each_repository_is_shown_or_counted_once_as_left_out(
            sizes in proptest::collection::vec(0u64..100, 0..40), most in 0usize..20,
            exclude in proptest::sample::select(&["", "n/0[0-2].", "n/..[13579]", ".*"])
        ) {
            let snapshot = snapshot(&sizes);
            let options = Options { max_series_repositories: most, ..filter("n/.*", exclude) };
            let selection = RepositorySelection::new(&snapshot, &options, None);
            let Omitted { filter, limit } = selection.omitted();
            prop_assert_eq!(selection.repositories(&snapshot).count() + filter + limit, sizes.len());
            let excluded = |row: RepositoryRef<'_>| options.exclude.as_ref().is_some_and(|it| it.matches("n", row.name));
            prop_assert!(!selection.repositories(&snapshot).any(excluded));
        }
    }
}
