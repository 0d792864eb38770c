//! Which repositories get series of their own, where their number is limited: the largest, steadily chosen.
//!
//! The rest stay in the sums of their organisation. A limit that were drawn anew each time would let series come and go
//! as sizes cross it, so a repository that has series keeps them until another is larger by a tenth.

use crate::model::{Repository, Snapshot};
use std::cmp::{Ordering, Reverse};

/// The choice for one snapshot.
#[derive(Debug)]
pub(super) enum Chosen {
    /// Every repository.
    All,
    /// Those whose place in the snapshot is true here.
    Some(Box<[bool]>),
}

impl Chosen {
    /// Chooses at most `limit` repositories; 0 is no limit. `before` is the snapshot that was shown so far, and its choice.
    pub(super) fn new(snapshot: &Snapshot, limit: usize, before: Option<(&Snapshot, &Self)>) -> Self {
        let rows = &snapshot.repositories;
        if limit == 0 || rows.len() <= limit {
            return Self::All;
        }
        let mut places: Vec<(Reverse<u128>, usize)> = weights(rows, before).map(Reverse).zip(0..).collect();
        // Among equals the place decides, which is the order of names.
        places.select_nth_unstable(limit - 1);
        let mut chosen = vec![false; rows.len()].into_boxed_slice();
        for (_, place) in &places[..limit] {
            chosen[*place] = true;
        }
        Self::Some(chosen)
    }

    /// The chosen rows of the snapshot that this was made for.
    pub(super) fn rows<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a Repository> + Clone {
        snapshot.repositories.iter().enumerate().filter(|(place, _)| self.has(*place)).map(|(_, row)| row)
    }

    /// How many are left out.
    pub(super) fn omitted(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Some(chosen) => chosen.iter().filter(|chosen| !**chosen).count(),
        }
    }

    fn has(&self, place: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some(chosen) => chosen[place],
        }
    }
}

/// Sizes, ten times as large for those without series, eleven times for those with.
fn weights<'a>(rows: &'a [Repository], before: Option<(&'a Snapshot, &'a Chosen)>) -> impl Iterator<Item = u128> + 'a {
    // Without a limit before, none was preferred before.
    let mut held = before
        .filter(|(_, chosen)| matches!(chosen, Chosen::Some(_)))
        .map(|(snapshot, chosen)| chosen.rows(snapshot))
        .into_iter()
        .flatten()
        .peekable();
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

    fn names(chosen: &Chosen, snapshot: &Snapshot) -> Vec<String> {
        chosen.rows(snapshot).map(|row| row.name.to_string()).collect()
    }

    #[test]
    fn the_largest_are_chosen_and_keep_their_place_until_another_is_clearly_larger() {
        let first = snapshot(&[100, 200, 300, 90]);
        let chosen = Chosen::new(&first, 2, None);
        assert_eq!((names(&chosen, &first), chosen.omitted()), (vec!["001".into(), "002".into()], 2));
        let near = snapshot(&[215, 200, 300, 90]);
        let second = Chosen::new(&near, 2, Some((&first, &chosen)));
        assert_eq!(names(&second, &near), ["001", "002"], "a little larger does not displace");
        let far = snapshot(&[230, 200, 300, 90]);
        assert_eq!(names(&Chosen::new(&far, 2, Some((&near, &second))), &far), ["000", "002"]);
    }

    #[test]
    fn a_limit_that_is_not_reached_leaves_all() {
        let snapshot = snapshot(&[1, 2, 3]);
        for limit in [0, 3, 9] {
            assert!(matches!(Chosen::new(&snapshot, limit, None), Chosen::All));
        }
    }

    proptest! {
        #[test]
        fn as_many_as_the_limit_says_and_no_other_is_larger_by_a_tenth(
            before in proptest::collection::vec(0u64..100, 1..40),
            now in proptest::collection::vec(0u64..100, 1..40), limit in 1usize..20
        ) {
            let (before, now) = (snapshot(&before), snapshot(&now));
            let old = Chosen::new(&before, limit, None);
            let new = Chosen::new(&now, limit, Some((&before, &old)));
            let kept: Vec<_> = new.rows(&now).collect();
            prop_assert_eq!(kept.len(), limit.min(now.repositories.len()));
            let least = kept.iter().filter_map(|row| row.size).min().unwrap();
            for row in &now.repositories {
                prop_assert!(kept.iter().any(|kept| kept.key() == row.key()) || row.size.unwrap() * 10 <= least * 11);
            }
        }
    }
}
