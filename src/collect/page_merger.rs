//! Joins overlapping pages: the pure half of the verified walk.
//!
//! The list is ordered by name, and repositories that exist all the time keep their order, so a page contains all of them
//! between its first and its last row. Two pages that share a row therefore leave none of them out, whenever each page
//! was read. A page is joined only when it shares a row with the page before.

use super::page_windows::Window;
use crate::model::Row;
use crate::model::chunks::{RowKey, RowMap};
use crate::swr::pages::OffsetPage;

pub(super) type Page = OffsetPage<Row>;

/// Why a page cannot be used as it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PageDefect {
    /// Fewer rows than the page's own total allows.
    Short { received: u64, expected: u64 },
    /// Repositories that are there twice; a surplus if the page is complete without them.
    Duplicate { times: u64, is_surplus: bool },
}

impl std::fmt::Display for PageDefect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short { received, expected } => write!(f, "{received} rows instead of {expected}"),
            Self::Duplicate { times, .. } => write!(f, "{times} repositories twice"),
        }
    }
}

/// Compares a page with its own total, and its rows with each other.
pub(super) fn check_page(window: Window, page: &Page) -> Result<(), PageDefect> {
    let expected = page.total.map(|total| total.saturating_sub(window.offset).min(window.limit));
    if let Some(expected) = expected.filter(|expected| page.received < *expected) {
        return Err(PageDefect::Short { received: page.received, expected });
    }
    match (page.rows.len() - keys(page).map(|key| (key, ())).collect::<RowMap<'_, _>>().len()) as u64 {
        0 => Ok(()),
        times => {
            let is_surplus = expected.is_some_and(|expected| page.received - times >= expected);
            Err(PageDefect::Duplicate { times, is_surplus })
        }
    }
}

/// Whether the duplicates are part of the list: two reads agree, and each duplicate is where the order by name puts it. A
/// row in another's place would be out of order.
pub(super) fn repeats_in_place(first: &Page, second: &Page) -> bool {
    let mut positions = RowMap::default();
    keys(first).eq(keys(second))
        && second.rows.iter().enumerate().all(|(position, row)| {
            let before = *positions.entry(RowKey(row)).or_insert(position);
            second.rows[before..position].iter().all(|between| between.key().1 == row.key().1)
        })
}

/// Each repository once, as it was read last.
pub(super) fn deduplicated(rows: &[Row]) -> Vec<Row> {
    let mut unique: Vec<Row> = Vec::with_capacity(rows.len());
    let mut positions = RowMap::default();
    for row in rows {
        let next = unique.len();
        match *positions.entry(RowKey(row)).or_insert(next) {
            position if position == next => unique.push(row.clone()),
            position => unique[position] = row.clone(),
        }
    }
    unique
}

fn keys(page: &Page) -> impl Iterator<Item = RowKey<'_>> {
    page.rows.iter().map(RowKey)
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// The page joined, and more rows follow.
    More,
    /// The page joined, and the list ends with it.
    Last,
    /// The page shares no row with the page before: the list moved.
    Gap,
}

/// The pages that have joined so far.
#[derive(Debug)]
pub(super) struct PageMerger {
    /// In the order of reading.
    pub(super) rows: Vec<Row>,
    /// The index in `rows` where the latest page that brought new rows begins.
    tail: usize,
    /// The position in the list after the latest page that joined.
    pub(super) end: u64,
    /// Rows without a usable name, which count in the total but are not in `rows`.
    nameless: u64,
    pub(super) total: Option<u64>,
    /// Two pages had different totals: the list moved.
    pub(super) total_changed: bool,
    /// Pages whose overlap was not, row for row, what had been read before.
    pub(super) moved_borders: u64,
}

impl PageMerger {
    /// Begins with the first page of the list, which may be all of it.
    pub(super) fn begin(page: Page, page_size: u64) -> (Self, Joined) {
        // Rows may follow a full page even if they exceed the total.
        let is_last = page.total.is_none_or(|total| page.received >= total) && page.received != page_size;
        let merger = Self {
            tail: 0,
            end: page.received,
            nameless: nameless(&page),
            total: page.total,
            total_changed: false,
            moved_borders: 0,
            rows: page.rows,
        };
        (merger, if is_last { Joined::Last } else { Joined::More })
    }

    /// Whether a later page begins like the list itself: the server ignores the offset.
    pub(super) fn repeats_its_beginning(&self, window: Window, page: &Page) -> bool {
        window.offset > 0 && page.rows.first().zip(self.rows.first()).is_some_and(|(new, old)| new.key() == old.key())
    }

    /// Adds a page, if it shares a row with the page before.
    pub(super) fn join(&mut self, window: Window, page: Page) -> Joined {
        if self.total.is_some() && page.total.is_some() && self.total != page.total {
            self.total_changed = true;
        }
        self.total = page.total.or(self.total);

        let known: RowMap<'_, _> =
            self.rows[self.tail..].iter().enumerate().map(|(index, row)| (RowKey(row), self.tail + index)).collect();
        let positions: Vec<Option<usize>> = page.rows.iter().map(|row| known.get(&RowKey(row)).copied()).collect();
        let Some(border) = positions.iter().rposition(Option::is_some) else {
            return Joined::Gap;
        };
        if !self.is_in_place(window, &page, &positions, border) {
            self.moved_borders += 1;
        }
        let has_new_rows = border + 1 < positions.len();
        if has_new_rows {
            // Starts with the first row that this page shares, so that the next page finds enough rows even after a small page.
            self.tail = positions.iter().flatten().copied().min().unwrap_or(self.tail);
        }
        let (received, total) = (page.received, page.total);
        self.nameless += nameless(&page);
        for (row, position) in page.rows.into_iter().zip(positions) {
            match position {
                // The later read wins.
                Some(index) => self.rows[index] = row,
                None => self.rows.push(row),
            }
        }
        self.end = window.offset + received;
        let is_last = match total {
            Some(total) => self.end >= total && received != window.limit,
            None => received < window.limit,
        };
        if is_last { Joined::Last } else { Joined::More }
    }

    /// Whether the overlap is exactly the rows from the window's offset to the end, as in a list at rest. Rows without a name
    /// make that impossible to tell.
    fn is_in_place(&self, window: Window, page: &Page, positions: &[Option<usize>], border: usize) -> bool {
        if self.nameless > 0 || nameless(page) > 0 {
            return true;
        }
        let expected = self.end.saturating_sub(window.offset);
        let rows = self.rows.len();
        border as u64 + 1 == expected
            && positions[..=border].iter().rev().enumerate().all(|(back, position)| *position == Some(rows - 1 - back))
    }

    /// The number of rows missing from the total, if the total never changed. A total that changes includes rows that came
    /// and went, so then the overlaps alone are the proof.
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
    use crate::model::Repository;

    fn page(names: &str, total: u64) -> Page {
        let rows: Vec<_> = names.chars().map(|name| row(&name.to_string())).collect();
        Page { received: rows.len() as u64, rows, total: Some(total) }
    }

    fn row(name: &str) -> Row {
        Row::from(&Repository { name: name.into(), ..Repository::unknown("n".into()) })
    }

    fn names(merger: &PageMerger) -> String {
        merger.rows.iter().map(|row| row.key().1).collect()
    }

    #[test]
    fn pages_that_share_a_row_join_and_the_total_ends_the_list() {
        let (mut merger, joined) = PageMerger::begin(page("abc", 6), 3);
        assert_eq!(joined, Joined::More);
        assert_eq!(merger.join(Window { offset: 2, limit: 3 }, page("cde", 6)), Joined::More);
        assert_eq!(merger.join(Window { offset: 4, limit: 3 }, page("ef", 6)), Joined::Last);
        assert_eq!((names(&merger).as_str(), merger.moved_borders, merger.missing(6)), ("abcdef", 0, None));
    }

    #[test]
    fn a_deletion_before_the_cursor_leaves_a_gap() {
        let (mut merger, _) = PageMerger::begin(page("abc", 6), 3);
        // a was deleted: c stands before the window now.
        assert_eq!(merger.join(Window { offset: 2, limit: 3 }, page("def", 5)), Joined::Gap);
        assert!(merger.total_changed);
        assert_eq!(merger.join(Window { offset: 1, limit: 3 }, page("cde", 5)), Joined::More);
        assert_eq!(merger.moved_borders, 1);
    }

    #[test]
    fn an_insertion_before_the_cursor_overlaps_more_and_loses_nothing() {
        let (mut merger, _) = PageMerger::begin(page("bcd", 6), 3);
        assert_eq!(merger.join(Window { offset: 2, limit: 3 }, page("cde", 7)), Joined::More);
        assert_eq!(merger.join(Window { offset: 4, limit: 3 }, page("efg", 7)), Joined::More, "it may go on");
        assert_eq!(merger.join(Window { offset: 6, limit: 3 }, page("g", 7)), Joined::Last);
        assert_eq!(names(&merger), "bcdefg");
    }

    #[test]
    fn a_total_that_stood_still_must_be_reached() {
        let (mut merger, _) = PageMerger::begin(page("abc", 6), 3);
        merger.join(Window { offset: 2, limit: 4 }, page("cdff", 6));
        assert_eq!(merger.missing(5), Some(1));
        merger.total_changed = true;
        assert_eq!(merger.missing(5), None);
    }

    #[test]
    fn rows_that_repeat_are_told_from_rows_that_replace_others() {
        let window = Window { offset: 0, limit: 3 };
        let duplicates = |page: &Page| match check_page(window, page) {
            Err(PageDefect::Duplicate { times, is_surplus }) => (times, is_surplus),
            other => panic!("{other:?}"),
        };
        assert_eq!([("abca", 9), ("aab", 2)].map(|(names, total)| duplicates(&page(names, total))), [(1, true); 2]);
        assert_eq!(duplicates(&page("aba", 9)), (1, false));
        let unknown = Page { total: None, ..page("abca", 9) };
        assert_eq!(duplicates(&unknown), (1, false), "a full page must not become the last one");
        assert!(repeats_in_place(&page("aab", 3), &page("aab", 3)));
        assert!(!repeats_in_place(&page("aab", 3), &page("abb", 3)), "two reads that differ");
        assert!(!repeats_in_place(&page("aba", 3), &page("aba", 3)), "out of order");
        let rows = deduplicated(&page("aabca", 3).rows);
        assert_eq!(rows.iter().map(|row| row.key().1).collect::<String>(), "abc");
    }

    #[test]
    fn pages_with_defects_are_told_from_usable_ones() {
        let window = Window { offset: 2, limit: 3 };
        assert_eq!(check_page(window, &page("abc", 9)), Ok(()));
        assert_eq!(check_page(window, &page("ab", 4)), Ok(()), "the last page");
        assert_eq!(check_page(window, &page("ab", 9)), Err(PageDefect::Short { received: 2, expected: 3 }));
        assert_eq!(check_page(window, &page("aba", 9)), Err(PageDefect::Duplicate { times: 1, is_surplus: false }));
        assert_eq!(check_page(window, &page("", 1)), Ok(()), "behind the end");
    }
}
