//! The verified walk: reads one listing page by page while it may change, and returns all of it or an error.
//!
//! The walk asks for overlapping windows and joins them in a [`PageMerger`]. A page that does not overlap the one before
//! shows that the list moved, and the walk goes back and reads that part again. A page that is shorter than its own total
//! allows, or that has a repository twice, is read again. If the total never changed, the number of rows must equal it in
//! the end, or the walk starts over: names repeat across organizations, and the order among equals is not specified.
//!
//! Bounds: [`MAX_STEPS_BACK`] attempts at a gap, some [`Walks`], each with a limit on pages, and the refresh's
//! deadline for all of it.

use super::Options;
use super::metrics::{Inconsistency, Metrics};
use super::page_merger::{Joined, Page, PageDefect, PageMerger, check_page, deduplicated, repeats_in_place};
use super::page_windows::{self, Window};
use super::walk::{WalkError, WalkFailure, Walks};
use crate::model::{Repositories, Row};
use crate::swr::client::PageSizes;
use crate::swr::pages::{FALLBACK_PAGE_SIZE, smaller_page};
use crate::swr::row_reader::KnownRows;
use crate::swr::{ApiError, CallBudget, Client};
use futures_util::{StreamExt, stream};
use std::sync::atomic::{AtomicU64, Ordering};

/// How often one gap is tried, each time from further back. The overlap grows fourfold: after five steps it is half a page,
/// and each step from there on goes back by half a page.
const MAX_STEPS_BACK: usize = 8;

/// The smallest page: a row to overlap and a new one.
const MIN_PAGE_SIZE: u64 = 2;

/// After this many pages that are smaller than requested, a larger page is tried.
const SMALL_PAGES: usize = 16;

/// What every read of a listing needs.
#[derive(Clone, Copy)]
pub struct ListingContext<'a> {
    /// The client of the account.
    pub client: &'a Client,
    /// What to collect.
    pub options: &'a Options,
    /// The rows of the listing before.
    pub known: &'a KnownRows,
    /// The limits of the refresh.
    pub budget: &'a CallBudget,
    /// The metrics of the collection.
    pub metrics: &'a Metrics,
}

/// Reads the listing of one organization, or of the whole account.
///
/// # Errors
/// When a call fails for good, or the listing is not complete by the deadline.
pub async fn read(context: ListingContext<'_>, namespace: Option<&str>) -> Result<Repositories, WalkFailure> {
    let ListingContext { client, options, known, budget, metrics } = context;
    let page = |window: Window| async move {
        let page = client.repositories(namespace, window.offset, window.limit, known, budget).await?;
        // The total of one organization does not cover the others.
        metrics.progress().add_page(page.received, page.total.filter(|_| namespace.is_none()));
        Ok(page)
    };
    let source =
        Source { page, concurrency: client.concurrency(), sizes: &client.page_sizes, before: known.repositories() };
    budget.deadline.bound(read_all(&source, options, metrics)).await.unwrap_or(Err(WalkFailure::NotInTime))
}

/// A list that is read by windows.
pub(super) struct Source<'a, P> {
    /// Reads a window.
    page: P,
    /// The most reads at once.
    concurrency: usize,
    sizes: &'a PageSizes,
    /// The repositories of the listing before.
    before: &'a Repositories,
}

/// Walks over the list until a walk is complete.
async fn read_all<P, Reading>(
    source: &Source<'_, P>,
    options: &Options,
    metrics: &Metrics,
) -> Result<Repositories, WalkFailure>
where
    P: Fn(Window) -> Reading,
    Reading: Future<Output = Result<Page, ApiError>>,
{
    let mut walks = Walks::default();
    loop {
        let size = options.page_size.min(source.sizes.accepted.get().unwrap_or(u64::MAX)).max(MIN_PAGE_SIZE);
        let walk = Walk {
            source,
            metrics,
            page_size: size,
            requested_size: size,
            largest_size: size,
            too_large: u64::MAX,
            is_clamped: false,
            max_rows: options.max_repositories,
            reads: AtomicU64::new(0),
        };
        if let Some(outcome) = walks.conclude(walk.run().await) {
            return outcome;
        }
    }
}

/// Sorts rows and removes duplicates, whose number it returns. A million rows take a while, so this runs on a thread for
/// blocking work.
pub(super) async fn sorted(rows: Vec<Row>, before: Repositories) -> (Repositories, usize) {
    let sorting = tokio::task::spawn_blocking(move || Repositories::merged(&rows, &before));
    sorting.await.expect("sorting does not panic")
}

struct Walk<'a, P> {
    source: &'a Source<'a, P>,
    metrics: &'a Metrics,
    page_size: u64,
    requested_size: u64,
    /// The largest size that is worth a try.
    largest_size: u64,
    /// The smallest page that was too large, unless a page of that size has succeeded since.
    too_large: u64,
    /// The server cuts larger pages to `page_size` rows.
    is_clamped: bool,
    max_rows: u64,
    reads: AtomicU64,
}

impl<P, Reading> Walk<'_, P>
where
    P: Fn(Window) -> Reading,
    Reading: Future<Output = Result<Page, ApiError>>,
{
    async fn run(mut self) -> Result<Repositories, WalkError> {
        let (mut merger, mut joined) = self.first().await?;
        let (mut overlap, mut offset_works) = (1, false);
        while joined != Joined::Last {
            self.check_bounds(&merger)?;
            let step = match joined {
                Joined::Gap => self.close_gap(&mut merger, &mut overlap).await,
                _ if offset_works => self.read_ahead(&mut merger, overlap).await,
                _ => self.second(&mut merger, overlap).await,
            };
            joined = match step {
                Err(WalkError::Final(WalkFailure::Call(ApiError::TooLarge { limit }))) => {
                    self.shrink(limit)?;
                    overlap = overlap.min(self.page_size / 2).max(1);
                    Joined::More
                }
                step => {
                    offset_works = true;
                    step?
                }
            };
        }
        self.check_bounds(&merger)?;
        self.finish(merger).await
    }

    /// Reads the first page, which shows the total and the server's real page size.
    async fn first(&mut self) -> Result<(PageMerger, Joined), WalkError> {
        let page = loop {
            let size = self.page_size;
            match (self.source.page)(Window { offset: 0, limit: size }).await {
                Err(ApiError::Refused(_)) if size > FALLBACK_PAGE_SIZE => {
                    (self.page_size, self.largest_size) = (FALLBACK_PAGE_SIZE, FALLBACK_PAGE_SIZE);
                }
                Err(ApiError::TooLarge { limit }) => self.shrink(limit)?,
                page => break page?,
            }
        };
        let mut window = Window { offset: 0, limit: self.page_size };
        let page = self.confirmed(window, page, None).await?;
        if page.total.is_none() && (1..window.limit).contains(&page.received) {
            // Nothing says that the list ends here: the server's pages may be that small.
            (self.page_size, self.is_clamped) = (page.received.max(2), true);
            (self.largest_size, window.limit) = (self.page_size, self.page_size);
        }
        if let Err(PageDefect::Short { received, .. }) = check_page(window, &page)
            && self.is_clamp(&page, page.total.unwrap_or(0)).await?
        {
            (self.page_size, self.is_clamped, window.limit) = (received, true, received);
        }
        let page = self.verified(window, page, None).await?;
        Ok(PageMerger::begin(page, self.page_size))
    }

    /// Whether the server cuts pages to as many rows as this first page has, and did not lose some by accident. It has to cut
    /// other pages too, and to return the same rows if so many are requested. In a list of a few such pages the latter is
    /// enough, and nothing is remembered.
    async fn is_clamp(&self, first: &Page, total: u64) -> Result<bool, WalkError> {
        let (rows, clamp) = (first.received, &self.source.sizes.clamp);
        if rows == 0 || clamp.get() == Some(rows) {
            return Ok(rows > 0);
        }
        clamp.forget();
        // A multiple of the rows, because the server may accept only offsets that are multiples of its own limit.
        let limit = self.page_size.min(total / 3) / rows * rows;
        let is_worth_it = limit > rows;
        for offset in [limit, 2 * limit].into_iter().filter(|_| is_worth_it) {
            if (self.source.page)(Window { offset, limit }).await?.received != rows {
                return Ok(false);
            }
        }
        let again = (self.source.page)(Window { offset: 0, limit: rows }).await?;
        let is_same = again.rows.iter().map(Row::key).eq(first.rows.iter().map(Row::key));
        if is_same && is_worth_it {
            clamp.set(rows);
        }
        Ok(is_same)
    }

    /// Reads the second page alone, so that a server that ignores the offset is noticed before several pages are wasted.
    async fn second(&self, merger: &mut PageMerger, overlap: u64) -> Result<Joined, WalkError> {
        let window = page_windows::after(merger.end, overlap, self.page_size);
        let page = self.verified_page(window, merger.total).await?;
        if merger.repeats_its_beginning(window, &page) {
            let message = "the server answers every offset with the first page";
            return Err(WalkError::Final(WalkFailure::Incomplete(message.to_owned())));
        }
        Ok(merger.join(window, page))
    }

    /// Reads what is left according to the total, several windows at a time.
    async fn read_ahead(&mut self, merger: &mut PageMerger, overlap: u64) -> Result<Joined, WalkError> {
        let (from, total) = (merger.end, merger.total);
        let to = total.unwrap_or(0).max(from + 1).min(self.max_rows.saturating_add(1));
        self.try_larger_page(from, to).await?;
        let this: &Self = self;
        let at_once = if this.page_size < this.largest_size { SMALL_PAGES } else { usize::MAX };
        let mut arriving = stream::iter(page_windows::covering(from, to, overlap, this.page_size).take(at_once))
            .map(|window| async move { (window, this.page(window, total).await) })
            .buffered(this.source.concurrency);
        while let Some((window, page)) = arriving.next().await {
            // Verified in order, so that pages behind a gap are not read twice in vain.
            let page = this.confirmed(window, page?, total).await?;
            let page = this.verified(window, page, total).await?;
            match merger.join(window, page) {
                Joined::More => {}
                // Pages behind a gap would not join either.
                joined => return Ok(joined),
            }
        }
        if merger.end <= from {
            let total = total.map_or_else(String::new, |total| format!(" of {total}"));
            return Err(WalkError::Inconsistent(format!("no rows come after row {from}{total}")));
        }
        Ok(Joined::More)
    }

    /// If pages are smaller than requested and many are left, tries whether a larger one works again.
    async fn try_larger_page(&mut self, from: u64, to: u64) -> Result<(), WalkError> {
        let size = self.page_size;
        if size >= self.largest_size || to.saturating_sub(from) <= size * SMALL_PAGES as u64 {
            return Ok(());
        }
        let larger = if self.is_clamped { self.largest_size } else { self.largest_size.min(size * 4) };
        // A multiple of the current size, as in `is_clamp`.
        let limit = larger / size * size;
        match self.page(Window { offset: from / limit * limit, limit }, Some(to)).await {
            Ok(page) if page.received > size => {
                (self.page_size, self.is_clamped) = (larger, false);
                if limit >= self.too_large {
                    self.too_large = u64::MAX;
                }
            }
            Err(WalkError::Final(WalkFailure::Call(ApiError::TooLarge { .. }))) => self.largest_size = size,
            result => drop(result?),
        }
        Ok(())
    }

    /// Continues with smaller pages after one that exceeded the limit on bytes.
    fn shrink(&mut self, limit: usize) -> Result<(), WalkError> {
        if self.page_size <= MIN_PAGE_SIZE {
            return Err(ApiError::TooLarge { limit }.into());
        }
        self.too_large = self.too_large.min(self.page_size);
        self.page_size = smaller_page(self.page_size).max(MIN_PAGE_SIZE);
        Ok(())
    }

    /// Reads from further and further back until a page joins, because the list moved during the walk.
    async fn close_gap(&self, merger: &mut PageMerger, overlap: &mut u64) -> Result<Joined, WalkError> {
        self.metrics.count(Inconsistency::Border, 1);
        for _ in 0..MAX_STEPS_BACK {
            *overlap = (*overlap * 4).min(self.page_size / 2).max(1);
            // A list that shrank may end before the current position; then its end is read.
            let end = merger.total.map_or(merger.end, |total| merger.end.min(total)).max(1);
            let window = page_windows::after(end, *overlap, self.page_size);
            let page = self.verified_page(window, merger.total).await?;
            match merger.join(window, page) {
                Joined::Gap => merger.end = window.offset.max(1),
                joined => return Ok(joined),
            }
        }
        Err(WalkError::Inconsistent(format!("the pages around row {} do not meet", merger.end)))
    }

    async fn verified_page(&self, window: Window, total: Option<u64>) -> Result<Page, WalkError> {
        let page = self.page(window, total).await?;
        let page = self.confirmed(window, page, total).await?;
        self.verified(window, page, total).await
    }

    /// A page that ends the list only because it is short, and not because its total says so, is read once more: rows may be
    /// missing by accident.
    async fn confirmed(&self, window: Window, page: Page, total: Option<u64>) -> Result<Page, WalkError> {
        if page.total.is_some() || page.received >= window.limit {
            return Ok(page);
        }
        let again = self.page(window, total).await?;
        Ok(if again.received > page.received || again.total.is_some() { again } else { page })
    }

    /// Reads one page within the limit on pages.
    async fn page(&self, window: Window, total: Option<u64>) -> Result<Page, WalkError> {
        // Enough to read everything three times; a list that needs more never comes to rest.
        let most = 32 + 3 * total.unwrap_or(self.max_rows) / self.page_size;
        if self.reads.fetch_add(1, Ordering::Relaxed) > most {
            return Err(WalkError::Inconsistent(format!("the list moved faster than {most} pages could follow")));
        }
        Ok((self.source.page)(window).await?)
    }

    /// Returns the page if it has no defect; a page with a defect is read once more, unless all its rows are there.
    async fn verified(&self, window: Window, page: Page, total: Option<u64>) -> Result<Page, WalkError> {
        let Err(defect) = check_page(window, &page) else { return Ok(page) };
        self.count_defect(window, &defect);
        if let PageDefect::Duplicate { times, is_surplus: true } = defect {
            return Ok(Page { received: page.received - times, rows: deduplicated(&page.rows), ..page });
        }
        let again = self.page(window, total).await?;
        let Err(defect) = check_page(window, &again) else { return Ok(again) };
        let error = self.count_defect(window, &defect);
        match defect {
            // The duplicates have their own places in the list, and count in its total.
            PageDefect::Duplicate { .. } if repeats_in_place(&page, &again) => {
                Ok(Page { rows: deduplicated(&again.rows), ..again })
            }
            _ => Err(error),
        }
    }

    fn count_defect(&self, window: Window, defect: &PageDefect) -> WalkError {
        match defect {
            PageDefect::Short { .. } => self.metrics.count(Inconsistency::ShortPage, 1),
            PageDefect::Duplicate { times, .. } => self.metrics.count(Inconsistency::Duplicate, *times),
        }
        WalkError::Inconsistent(format!("the page at row {} has {defect}", window.offset))
    }

    fn check_bounds(&self, merger: &PageMerger) -> Result<(), WalkError> {
        if merger.rows.len() as u64 <= self.max_rows && merger.total.is_none_or(|total| total <= self.max_rows) {
            return Ok(());
        }
        let message = format!("the listing has more than {} repositories, the most that are read", self.max_rows);
        Err(WalkError::Final(WalkFailure::Incomplete(message)))
    }

    /// Counts the inconsistencies, and compares the rows with the total.
    async fn finish(&self, mut merger: PageMerger) -> Result<Repositories, WalkError> {
        self.metrics.count(Inconsistency::Border, merger.moved_borders);
        self.metrics.count(Inconsistency::TotalChanged, u64::from(merger.total_changed));
        let (rows, duplicates) = sorted(std::mem::take(&mut merger.rows), self.source.before.clone()).await;
        self.metrics.count(Inconsistency::Duplicate, duplicates as u64);
        match merger.missing(rows.len() as u64) {
            None => {
                let is_limited = self.too_large < u64::MAX || self.largest_size < self.requested_size;
                if is_limited && !self.is_clamped && self.page_size < self.requested_size {
                    // For the next refreshes, but never a size with which a long listing would take too many calls.
                    self.source.sizes.accepted.set(self.page_size.max(FALLBACK_PAGE_SIZE));
                }
                Ok(rows)
            }
            Some(missing) => {
                self.metrics.count(Inconsistency::TotalChanged, 1);
                let total = merger.total.map_or_else(String::new, |total| format!(" of {total}"));
                Err(WalkError::Inconsistent(format!("{missing} repositories{total} are missing")))
            }
        }
    }
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
