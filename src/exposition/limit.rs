//! Which repositories get series of their own: those that the filters let through, and where their number is limited,
//! the largest of these, steadily chosen.
//!
//! The rest stay in the sums of their organisation. A limit that were drawn anew each time would let series come and go
//! as sizes cross it, so a repository that has series keeps them until another is larger by a tenth.

use super::{Options, Pattern};
use crate::model::{Repository, Snapshot};
use std::cmp::{Ordering, Reverse};

/// The choice for one snapshot.
#[derive(Debug)]
pub(super) enum RepositorySelection {
    /// Every repository.
    All,
    /// Some of them.
    Some {
        /// By the place in the snapshot.
        places: Box<[bool]>,
        /// How many are left out.
        omitted: Omitted,
    },
}

/// How many repositories have no series of their own, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Omitted {
    /// The filters keep them out.
    pub(super) filter: usize,
    /// There are too many larger ones.
    pub(super) limit: usize,
}

impl RepositorySelection {
    /// Chooses by these options. `before` is the snapshot that was shown so far, and its choice.
    pub(super) fn new(snapshot: &Snapshot, options: &Options, before: Option<(&Snapshot, &Self)>) -> Self {
        let rows = &snapshot.repositories;
        let (include, exclude) = (options.include.as_ref(), options.exclude.as_ref());
        let unfiltered = include.is_none() && exclude.is_none();
        let limit = if options.most_repositories == 0 { rows.len() } else { options.most_repositories };
        if unfiltered && rows.len() <= limit {
            return Self::All;
        }
        let meant = |pattern: &Pattern, row: &Repository| pattern.matches(&row.namespace, &row.name);
        let mut places: Box<[bool]> = rows
            .iter()
            .map(|row| include.is_none_or(|it| meant(it, row)) && !exclude.is_some_and(|it| meant(it, row)))
            .collect();
        let candidates = places.iter().filter(|place| **place).count();
        let omitted = Omitted { filter: rows.len() - candidates, limit: candidates.saturating_sub(limit) };
        if omitted.limit > 0 {
            let weights = weights(rows, before).map(Reverse).zip(0..);
            let mut largest: Vec<(Reverse<u128>, usize)> = weights.filter(|(_, place)| places[*place]).collect();
            // Among equals the place decides, which is the order of names.
            largest.select_nth_unstable(limit - 1);
            for (_, place) in &largest[limit..] {
                places[*place] = false;
            }
        }
        Self::Some { places, omitted }
    }

    /// The chosen rows of the snapshot that this was made for.
    pub(super) fn rows<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Repository> + Clone {
        snapshot.repositories.iter().enumerate().filter(|(place, _)| self.has(*place)).map(|(_, row)| row)
    }

    /// Their places in it.
    pub(super) fn places(&self, snapshot: &Snapshot) -> impl Iterator<Item = usize> {
        (0..snapshot.repositories.len()).filter(|place| self.has(*place))
    }

    /// How many are left out.
    pub(super) fn omitted(&self) -> Omitted {
        match self {
            Self::All => Omitted::default(),
            Self::Some { omitted, .. } => *omitted,
        }
    }

    /// Whether the repository at this place of the snapshot is chosen.
    pub(super) fn has(&self, place: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some { places, .. } => places[place],
        }
    }
}

/// Sizes, ten times as large for those without series, eleven times for those with.
fn weights<'a>(
    rows: &'a [Repository],
    before: Option<(&'a Snapshot, &'a RepositorySelection)>,
) -> impl Iterator<Item = u128> + 'a {
    let mut held = before.into_iter().flat_map(|(snapshot, chosen)| chosen.rows(snapshot)).peekable();
    rows.iter().map(move |row| {
        // Both are sorted by key, so one walk along both finds what they share.
        while held.next_if(|old| old.key().cmp(&row.key()) == Ordering::Less).is_some() {}
        let had = held.peek().is_some_and(|old| old.key() == row.key());
        u128::from(row.size.unwrap_or(0)) * if had { 11 } else { 10 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::testing::row;
    use crate::model::Timestamp;
    use proptest::prelude::*;

    fn snapshot(sizes: &[u64]) -> Snapshot {
        let sized = |(index, size): (usize, &u64)| Repository { size: Some(*size), ..row("n", &format!("{index:03}")) };
        Snapshot::new(Timestamp(0), sizes.iter().enumerate().map(sized).collect()).0
    }

    fn names(chosen: &RepositorySelection, snapshot: &Snapshot) -> Vec<String> {
        chosen.rows(snapshot).map(|row| row.name.to_string()).collect()
    }

    fn limit(most_repositories: usize) -> Options {
        Options { most_repositories, ..Options::default() }
    }

    fn filter(include: &str, exclude: &str) -> Options {
        let pattern = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
        Options { include: pattern(include), exclude: pattern(exclude), ..Options::default() }
    }

    #[test]
    fn the_largest_are_chosen_and_keep_their_place_until_another_is_clearly_larger() {
        let first = snapshot(&[100, 200, 300, 90]);
        let chosen = RepositorySelection::new(&first, &limit(2), None);
        assert_eq!(names(&chosen, &first), ["001", "002"]);
        assert_eq!(chosen.omitted(), Omitted { filter: 0, limit: 2 });
        let near = snapshot(&[215, 200, 300, 90]);
        let second = RepositorySelection::new(&near, &limit(2), Some((&first, &chosen)));
        assert_eq!(names(&second, &near), ["001", "002"], "a little larger does not displace");
        let far = snapshot(&[230, 200, 300, 90]);
        assert_eq!(names(&RepositorySelection::new(&far, &limit(2), Some((&near, &second))), &far), ["000", "002"]);
    }

    #[test]
    fn a_limit_that_is_not_reached_leaves_all() {
        let snapshot = snapshot(&[1, 2, 3]);
        for most in [0, 3, 9] {
            assert!(matches!(RepositorySelection::new(&snapshot, &limit(most), None), RepositorySelection::All));
        }
    }

    #[test]
    fn what_is_excluded_is_left_out_of_what_is_included() {
        let snapshot = snapshot(&[1; 30]);
        for (include, exclude, want) in [
            ("n/00.", "", 10),
            ("", "n/00.", 20),
            ("n/0[01].", "n/.*5", 18),
            ("00.", "", 0),
            ("", "n/0", 30),
            ("n/.*", "n/.*", 0),
        ] {
            let chosen = RepositorySelection::new(&snapshot, &filter(include, exclude), None);
            assert_eq!(chosen.rows(&snapshot).count(), want, "{include} {exclude}");
            assert_eq!(chosen.omitted(), Omitted { filter: 30 - want, limit: 0 });
        }
    }

    #[test]
    fn the_limit_counts_only_what_the_filters_leave() {
        let snapshot = snapshot(&[900, 800, 30, 20, 10]);
        let chosen =
            RepositorySelection::new(&snapshot, &Options { most_repositories: 2, ..filter("", "n/00[01]") }, None);
        assert_eq!(names(&chosen, &snapshot), ["002", "003"]);
        assert_eq!(chosen.omitted(), Omitted { filter: 2, limit: 1 });
        let roomy = Options { most_repositories: 3, ..filter("", "n/00[01]") };
        assert_eq!(RepositorySelection::new(&snapshot, &roomy, None).omitted(), Omitted { filter: 2, limit: 0 });
    }

    #[test]
    fn a_newcomer_over_the_limit_displaces_nobody_unless_it_is_clearly_larger() {
        let full = snapshot(&[100, 200]);
        let all = RepositorySelection::new(&full, &limit(2), None);
        let near = snapshot(&[100, 200, 105]);
        assert_eq!(names(&RepositorySelection::new(&near, &limit(2), Some((&full, &all))), &near), ["000", "001"]);
        let far = snapshot(&[100, 200, 115]);
        assert_eq!(names(&RepositorySelection::new(&far, &limit(2), Some((&full, &all))), &far), ["001", "002"]);
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
            let kept: Vec<_> = new.rows(&now).collect();
            prop_assert_eq!(kept.len(), most.min(now.repositories.len()));
            let least = kept.iter().filter_map(|row| row.size).min().unwrap();
            for row in &now.repositories {
                prop_assert!(kept.iter().any(|kept| kept.key() == row.key()) || row.size.unwrap() * 10 <= least * 11);
            }
        }

        #[test]
        fn each_repository_is_shown_or_counted_once_as_left_out(
            sizes in proptest::collection::vec(0u64..100, 0..40), most in 0usize..20,
            exclude in proptest::sample::select(&["", "n/0[0-2].", "n/..[13579]", ".*"])
        ) {
            let snapshot = snapshot(&sizes);
            let options = Options { most_repositories: most, ..filter("n/.*", exclude) };
            let chosen = RepositorySelection::new(&snapshot, &options, None);
            let Omitted { filter, limit } = chosen.omitted();
            prop_assert_eq!(chosen.rows(&snapshot).count() + filter + limit, sizes.len());
            let excluded = |row: &Repository| options.exclude.as_ref().is_some_and(|it| it.matches("n", &row.name));
            prop_assert!(!chosen.rows(&snapshot).any(excluded));
        }
    }
}
