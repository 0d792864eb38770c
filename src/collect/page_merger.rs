//! Pages joined to a chain: the pure half of the verified walk.
//!
//! The list is ordered by name, and repositories that exist throughout keep their order, so a page holds all of them
//! between its first row and its last. Two pages that share a row therefore leave none out between them, whenever each
//! was read. A chain takes a page in only when it shares a row with the page before.

use super::windows::Window;
use crate::model::Repository;
use crate::swr::pages::Page;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Why a page proves nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unsound {
    /// Fewer rows than the page's own total says there are.
    Short { received: u64, expected: u64 },
    /// One repository twice.
    Duplicate { times: u64 },
}

impl std::fmt::Display for Unsound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short { received, expected } => write!(f, "{received} rows instead of {expected}"),
            Self::Duplicate { times } => write!(f, "{times} repositories twice"),
        }
    }
}

/// Whether a page is what its own total and its own names allow.
pub(super) fn sound(window: Window, page: &Page) -> Result<(), Unsound> {
    let expected = page.total.map_or(0, |total| total.saturating_sub(window.offset).min(window.limit));
    if page.received < expected {
        return Err(Unsound::Short { received: page.received, expected });
    }
    let unique = keys(page).collect::<HashSet<_>>().len();
    if unique < page.rows.len() {
        return Err(Unsound::Duplicate { times: (page.rows.len() - unique) as u64 });
    }
    Ok(())
}

/// Whether repeated rows are more than the page should hold: without them it is just what its total allows.
pub(super) fn is_surplus(window: Window, page: &Page) -> bool {
    let repeated = (page.rows.len() - keys(page).collect::<HashSet<_>>().len()) as u64;
    page.total.is_some_and(|total| {
        let expected = total.saturating_sub(window.offset).min(window.limit);
        repeated > 0 && page.received - repeated >= expected
    })
}

/// Whether repeated rows stand in the list itself: two reads agree, and each stands where the order by name puts it. A
/// row that took another's place would stand out of order.
pub(super) fn stand_repeated(first: &Page, second: &Page) -> bool {
    let mut places = HashMap::new();
    keys(first).eq(keys(second))
        && second.rows.iter().enumerate().all(|(place, row)| {
            let before = *places.entry(row.key()).or_insert(place);
            second.rows[before..place].iter().all(|between| between.name == row.name)
        })
}

/// Each repository once, as it was read last.
pub(super) fn once_each(rows: Vec<Repository>) -> Vec<Repository> {
    let mut unique: Vec<Repository> = Vec::with_capacity(rows.len());
    let mut places: HashMap<(Arc<str>, Box<str>), usize> = HashMap::new();
    for row in rows {
        let next = unique.len();
        match *places.entry((row.namespace.clone(), row.name.clone())).or_insert(next) {
            place if place == next => unique.push(row),
            place => unique[place] = row,
        }
    }
    unique
}

fn keys(page: &Page) -> impl Iterator<Item = (&str, &str)> {
    page.rows.iter().map(Repository::key)
}

/// What a page turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It shares a row with the page before, and more is to come.
    Joined,
    /// It joined, and the list ends with it.
    Last,
    /// It shares no row with the page before: the list moved.
    Gap,
}

/// What has joined so far.
#[derive(Debug)]
pub(super) struct PageMerger {
    /// In the order of reading.
    pub(super) rows: Vec<Repository>,
    /// The latest page that brought something new begins here.
    tail: usize,
    /// The place in the list behind the latest page that joined.
    pub(super) end: u64,
    /// Rows without a usable name: they stand in the total and not in `rows`.
    nameless: u64,
    /// The latest total.
    pub(super) total: Option<u64>,
    /// Two pages told different totals: the list moved.
    pub(super) total_changed: bool,
    /// Borders at which the overlap was not, row for row, what had been read before.
    pub(super) moved_borders: u64,
}

impl PageMerger {
    /// Begins with the first page of the list. The verdict is `Last` when it is the whole list.
    pub(super) fn begin(page: Page, page_size: u64) -> (Self, Verdict) {
        // A total alone ends nothing: behind a full page more may come, whatever is said.
        let last = page.total.is_none_or(|total| page.received >= total) && page.received != page_size;
        let chain = Self {
            tail: 0,
            end: page.received,
            nameless: nameless(&page),
            total: page.total,
            total_changed: false,
            moved_borders: 0,
            rows: page.rows,
        };
        (chain, if last { Verdict::Last } else { Verdict::Joined })
    }

    /// Whether a page from further on begins like the list itself: the server ignores the offset.
    pub(super) fn repeats_its_beginning(&self, window: Window, page: &Page) -> bool {
        window.offset > 0 && page.rows.first().zip(self.rows.first()).is_some_and(|(new, old)| new.key() == old.key())
    }

    /// Takes a page in, if it shares a row with the page before.
    pub(super) fn join(&mut self, window: Window, page: Page) -> Verdict {
        if self.total.is_some() && page.total.is_some() && self.total != page.total {
            self.total_changed = true;
        }
        self.total = page.total.or(self.total);

        let known: HashMap<_, _> =
            self.rows[self.tail..].iter().enumerate().map(|(index, row)| (row.key(), self.tail + index)).collect();
        let places: Vec<Option<usize>> = page.rows.iter().map(|row| known.get(&row.key()).copied()).collect();
        let Some(border) = places.iter().rposition(Option::is_some) else {
            return Verdict::Gap;
        };
        if !self.in_place(window, &page, &places, border) {
            self.moved_borders += 1;
        }
        let brings_new = border + 1 < places.len();
        if brings_new {
            // From the first row that the page knows on, so that a small page leaves enough to meet.
            self.tail = places.iter().flatten().copied().min().unwrap_or(self.tail);
        }
        let (received, total) = (page.received, page.total);
        self.nameless += nameless(&page);
        for (row, place) in page.rows.into_iter().zip(places) {
            match place {
                // The later read wins.
                Some(index) => self.rows[index] = row,
                None => self.rows.push(row),
            }
        }
        self.end = window.offset + received;
        let last = match total {
            Some(total) => self.end >= total && received != window.limit,
            None => received < window.limit,
        };
        if last { Verdict::Last } else { Verdict::Joined }
    }

    /// At rest, the overlap is exactly the rows from the window's offset to the end. Rows without a name blur that.
    fn in_place(&self, window: Window, page: &Page, places: &[Option<usize>], border: usize) -> bool {
        if self.nameless > 0 || nameless(page) > 0 {
            return true;
        }
        let expected = self.end.saturating_sub(window.offset);
        let rows = self.rows.len();
        border as u64 + 1 == expected
            && places[..=border].iter().rev().enumerate().all(|(back, place)| *place == Some(rows - 1 - back))
    }

    /// Rows that `unique` repositories leave unaccounted for, when the total stood still all the time. A moving total
    /// counts what came and went as well, so there the borders alone are the proof.
    pub(super) fn missing(&self, unique: u64) -> Option<u64> {
        let total = self.total.filter(|_| !self.total_changed)?;
        Some(total.saturating_sub(unique + self.nameless)).filter(|missing| *missing > 0)
    }
}

fn nameless(page: &Page) -> u64 {
    page.received.saturating_sub(page.rows.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(names: &str, total: u64) -> Page {
        let rows: Vec<_> = names.chars().map(|name| row(&name.to_string())).collect();
        Page { received: rows.len() as u64, rows, total: Some(total) }
    }

    fn row(name: &str) -> Repository {
        Repository { name: name.into(), ..Repository::unknown("n".into()) }
    }

    fn names(chain: &PageMerger) -> String {
        chain.rows.iter().map(|row| &*row.name).collect()
    }

    #[test]
    fn pages_that_share_a_row_join_and_the_total_ends_the_list() {
        let (mut chain, verdict) = PageMerger::begin(page("abc", 6), 3);
        assert_eq!(verdict, Verdict::Joined);
        assert_eq!(chain.join(Window { offset: 2, limit: 3 }, page("cde", 6)), Verdict::Joined);
        assert_eq!(chain.join(Window { offset: 4, limit: 3 }, page("ef", 6)), Verdict::Last);
        assert_eq!((names(&chain).as_str(), chain.moved_borders, chain.missing(6)), ("abcdef", 0, None));
    }

    #[test]
    fn a_deletion_before_the_cursor_leaves_a_gap() {
        let (mut chain, _) = PageMerger::begin(page("abc", 6), 3);
        // a was deleted: c stands before the window now.
        assert_eq!(chain.join(Window { offset: 2, limit: 3 }, page("def", 5)), Verdict::Gap);
        assert!(chain.total_changed);
        assert_eq!(chain.join(Window { offset: 1, limit: 3 }, page("cde", 5)), Verdict::Joined);
        assert_eq!(chain.moved_borders, 1);
    }

    #[test]
    fn an_insertion_before_the_cursor_overlaps_more_and_loses_nothing() {
        let (mut chain, _) = PageMerger::begin(page("bcd", 6), 3);
        assert_eq!(chain.join(Window { offset: 2, limit: 3 }, page("cde", 7)), Verdict::Joined);
        assert_eq!(chain.join(Window { offset: 4, limit: 3 }, page("efg", 7)), Verdict::Joined, "it may go on");
        assert_eq!(chain.join(Window { offset: 6, limit: 3 }, page("g", 7)), Verdict::Last);
        assert_eq!(names(&chain), "bcdefg");
    }

    #[test]
    fn a_total_that_stood_still_must_be_reached() {
        let (mut chain, _) = PageMerger::begin(page("abc", 6), 3);
        chain.join(Window { offset: 2, limit: 4 }, page("cdff", 6));
        assert_eq!(chain.missing(5), Some(1));
        chain.total_changed = true;
        assert_eq!(chain.missing(5), None);
    }

    #[test]
    fn rows_that_repeat_are_told_from_rows_that_replace_others() {
        let window = Window { offset: 0, limit: 3 };
        assert!(is_surplus(window, &page("abca", 9)) && is_surplus(window, &page("aab", 2)));
        assert!(!is_surplus(window, &page("aba", 9)) && !is_surplus(window, &page("abc", 9)));
        let unknown = Page { total: None, ..page("abca", 9) };
        assert!(!is_surplus(window, &unknown), "a full page must not become the last one");
        assert!(stand_repeated(&page("aab", 3), &page("aab", 3)));
        assert!(!stand_repeated(&page("aab", 3), &page("abb", 3)), "two reads that differ");
        assert!(!stand_repeated(&page("aba", 3), &page("aba", 3)), "out of order");
        let rows = once_each(page("aabca", 3).rows);
        assert_eq!(rows.iter().map(|row| &*row.name).collect::<String>(), "abc");
    }

    #[test]
    fn unsound_pages_are_told_from_sound_ones() {
        let window = Window { offset: 2, limit: 3 };
        assert_eq!(sound(window, &page("abc", 9)), Ok(()));
        assert_eq!(sound(window, &page("ab", 4)), Ok(()), "the last page");
        assert_eq!(sound(window, &page("ab", 9)), Err(Unsound::Short { received: 2, expected: 3 }));
        assert_eq!(sound(window, &page("aba", 9)), Err(Unsound::Duplicate { times: 1 }));
        assert_eq!(sound(window, &page("", 1)), Ok(()), "behind the end");
    }
}
