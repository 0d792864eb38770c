//! The verified walk: reads one listing page by page while it may change, and returns all of it or an error.
//!
//! The walk asks for overlapping windows and joins them in a [`PageMerger`]. A page that does not overlap the one before
//! shows that the list moved, and the walk goes back and reads that part again. A page that is shorter than its own total
//! allows, or that has a repository twice, is read again. If the total never changed, the number of rows must equal it in
//! the end, or the walk starts over: names repeat across organizations, and the order among equals is not specified.
//!
//! Bounds: [`MAX_STEPS_BACK`] attempts at a gap, [`MAX_WALKS`] walks, each with a limit on pages, and the refresh's
//! deadline for all of it.

use super::Options;
use super::metrics::{Inconsistency, Metrics};
use super::page_merger::{
    Joined, Page, PageDefect, PageMerger, check_page, deduplicated, has_surplus, repeats_in_place,
};
use super::windows::{self, Window};
use crate::failure::{Failure, Reason};
use crate::model::{Repository, sort_unique};
use crate::swr::pages::FALLBACK_PAGE_SIZE;
use crate::swr::{ApiError, CallBudget, Client};
use futures_util::{StreamExt, stream};
use std::sync::atomic::{AtomicU64, Ordering};

/// How often a listing is started before the read fails.
const MAX_WALKS: usize = 3;

/// How often one gap is tried, each time from further back. The overlap grows fourfold: after five steps it is half a page,
/// and each step from there on goes back by half a page.
const MAX_STEPS_BACK: usize = 8;

/// The message of a listing that met the deadline.
pub(super) const NOT_IN_TIME: &str = "the listing was not complete by the refresh's deadline";

/// A source of pages: the client, or a model of a list in the tests.
pub trait PageSource: Sync {
    /// Reads one window.
    fn page(&self, window: Window) -> impl Future<Output = Result<Page, ApiError>> + Send;
    /// The most reads at once.
    fn concurrency(&self) -> usize;
    /// The largest page that is known to be served.
    fn max_page_size(&self) -> u64;
    /// Remembers the largest page.
    fn set_max_page_size(&self, rows: u64);
}

struct OffsetListing<'a> {
    client: &'a Client,
    namespace: Option<&'a str>,
    budget: &'a CallBudget,
    metrics: &'a Metrics,
}

impl PageSource for OffsetListing<'_> {
    async fn page(&self, window: Window) -> Result<Page, ApiError> {
        let page = self.client.repositories(self.namespace, window.offset, window.limit, self.budget).await?;
        // The total of one organization does not cover the others.
        self.metrics.progress().add_page(page.received, page.total.filter(|_| self.namespace.is_none()));
        Ok(page)
    }

    fn concurrency(&self) -> usize {
        self.client.concurrency()
    }

    fn max_page_size(&self) -> u64 {
        self.client.max_page_size()
    }

    fn set_max_page_size(&self, rows: u64) {
        self.client.set_max_page_size(rows);
    }
}

/// Reads the listing of one organization, or of the whole account; sorted by (namespace, name), each once.
///
/// # Errors
/// When a call fails for good, or the listing is not complete by the deadline.
pub async fn read(
    client: &Client,
    namespace: Option<&str>,
    options: &Options,
    budget: &CallBudget,
    metrics: &Metrics,
) -> Result<Vec<Repository>, Failure> {
    let pages = OffsetListing { client, namespace, budget, metrics };
    let walked = budget.deadline.bound(read_all(&pages, options, metrics)).await;
    walked.unwrap_or_else(|_| Err(Failure::new(Reason::Timeout, NOT_IN_TIME)))
}

/// Walks over the list until a walk is complete.
///
/// # Errors
/// See [`read`].
pub async fn read_all(
    pages: &impl PageSource,
    options: &Options,
    metrics: &Metrics,
) -> Result<Vec<Repository>, Failure> {
    let mut problem = String::new();
    for _ in 0..MAX_WALKS {
        let page_size = options.page_size.min(pages.max_page_size()).max(1);
        let walk = Walk { pages, metrics, page_size, max_rows: options.max_repositories, reads: AtomicU64::new(0) };
        match walk.run().await {
            Ok(rows) => return Ok(rows),
            Err(WalkError::Final(failure)) => return Err(failure),
            Err(WalkError::Inconsistent(what)) => problem = what,
        }
    }
    let message = format!("the listing could not be made whole in {MAX_WALKS} walks: {problem}");
    Err(Failure::new(Reason::Incomplete, message))
}

/// Sorts rows and removes duplicates, whose number it returns. A million rows take a while, so this runs on a thread for
/// blocking work.
pub(super) async fn sorted(mut rows: Vec<Repository>) -> (Vec<Repository>, usize) {
    let sorting = tokio::task::spawn_blocking(move || {
        let duplicates = sort_unique(&mut rows);
        (rows, duplicates)
    });
    sorting.await.expect("sorting does not panic")
}

/// Why a walk ended early.
enum WalkError {
    /// Another walk would fail too.
    Final(Failure),
    /// The list was inconsistent; another walk may find it at rest.
    Inconsistent(String),
}

impl From<ApiError> for WalkError {
    fn from(error: ApiError) -> Self {
        Self::Final(error.into())
    }
}

struct Walk<'a, P> {
    pages: &'a P,
    metrics: &'a Metrics,
    page_size: u64,
    max_rows: u64,
    reads: AtomicU64,
}

impl<P: PageSource> Walk<'_, P> {
    async fn run(mut self) -> Result<Vec<Repository>, WalkError> {
        let (mut merger, mut joined) = self.first().await?;
        let mut overlap = 1;
        self.check_bounds(&merger)?;
        if joined != Joined::Last {
            // One page alone, so that a server that ignores the offset is noticed before several pages are wasted.
            let window = windows::after(merger.end, overlap, self.page_size);
            let page = self.verified_page(window, merger.total).await?;
            if merger.repeats_its_beginning(window, &page) {
                let message = "the server answers every offset with the first page";
                return Err(WalkError::Final(Failure::new(Reason::Incomplete, message)));
            }
            joined = merger.join(window, page);
        }
        while joined != Joined::Last {
            self.check_bounds(&merger)?;
            joined = match joined {
                Joined::Gap => self.close_gap(&mut merger, &mut overlap).await?,
                _ => self.read_ahead(&mut merger, overlap).await?,
            };
        }
        self.check_bounds(&merger)?;
        self.finish(merger).await
    }

    /// Reads the first page, which shows the total and the server's real page size.
    async fn first(&mut self) -> Result<(PageMerger, Joined), WalkError> {
        let page = match self.pages.page(Window { offset: 0, limit: self.page_size }).await {
            Err(ApiError::Refused(_)) if self.page_size > FALLBACK_PAGE_SIZE => {
                let page = self.pages.page(Window { offset: 0, limit: FALLBACK_PAGE_SIZE }).await?;
                self.page_size = FALLBACK_PAGE_SIZE;
                self.pages.set_max_page_size(FALLBACK_PAGE_SIZE);
                page
            }
            page => page?,
        };
        let mut window = Window { offset: 0, limit: self.page_size };
        if let Err(PageDefect::Short { received, .. }) = check_page(window, &page) {
            // A server with small pages returns the same page when asked for that size; one that lost rows does not.
            self.metrics.count(Inconsistency::ShortPage, 1);
            window.limit = received.max(1);
            let again = self.pages.page(window).await?;
            let is_same = again.rows.iter().map(Repository::key).eq(page.rows.iter().map(Repository::key));
            if received == 0 || !is_same {
                let expected = self.page_size;
                return Err(WalkError::Inconsistent(format!(
                    "the first page has {received} rows instead of {expected}"
                )));
            }
            self.page_size = received;
            self.pages.set_max_page_size(received);
        }
        let page = self.verified(window, page, None).await?;
        Ok(PageMerger::begin(page, self.page_size))
    }

    /// Reads what is left according to the total, several windows at a time.
    async fn read_ahead(&self, merger: &mut PageMerger, overlap: u64) -> Result<Joined, WalkError> {
        let (from, total) = (merger.end, merger.total);
        let to = total.unwrap_or(0).max(from + 1).min(self.max_rows.saturating_add(1));
        let mut arriving = stream::iter(windows::covering(from, to, overlap, self.page_size))
            .map(|window| async move { (window, self.page(window, total).await) })
            .buffered(self.pages.concurrency().max(1));
        while let Some((window, page)) = arriving.next().await {
            // Verified in order, so that pages behind a gap are not read twice in vain.
            let page = self.verified(window, page?, total).await?;
            match merger.join(window, page) {
                Joined::More => {}
                // Pages behind a gap would not join either.
                joined => return Ok(joined),
            }
        }
        if merger.end <= from {
            return Err(WalkError::Inconsistent(format!(
                "no rows come after row {from}, where the total is {total:?}"
            )));
        }
        Ok(Joined::More)
    }

    /// Reads from further and further back until a page joins, because the list moved during the walk.
    async fn close_gap(&self, merger: &mut PageMerger, overlap: &mut u64) -> Result<Joined, WalkError> {
        self.metrics.count(Inconsistency::Border, 1);
        for _ in 0..MAX_STEPS_BACK {
            *overlap = (*overlap * 4).min(self.page_size / 2).max(1);
            // A list that shrank may end before the current position; then its end is read.
            let end = merger.total.map_or(merger.end, |total| merger.end.min(total)).max(1);
            let window = windows::after(end, *overlap, self.page_size);
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
        self.verified(window, page, total).await
    }

    /// Reads one page within the limit on pages.
    async fn page(&self, window: Window, total: Option<u64>) -> Result<Page, WalkError> {
        // Enough to read everything three times; a list that needs more never comes to rest.
        let most = 32 + 3 * total.unwrap_or(self.max_rows) / self.page_size;
        if self.reads.fetch_add(1, Ordering::Relaxed) > most {
            return Err(WalkError::Inconsistent(format!("the list moved faster than {most} pages could follow")));
        }
        Ok(self.pages.page(window).await?)
    }

    /// Returns the page if it has no defect; a page with a defect is read once more, unless all its rows are there.
    async fn verified(&self, window: Window, page: Page, total: Option<u64>) -> Result<Page, WalkError> {
        let Err(defect) = check_page(window, &page) else { return Ok(page) };
        self.count_defect(window, &defect);
        if has_surplus(window, &page) {
            let before = page.rows.len();
            let rows = deduplicated(page.rows);
            return Ok(Page { received: page.received - (before - rows.len()) as u64, rows, ..page });
        }
        let again = self.page(window, total).await?;
        let Err(defect) = check_page(window, &again) else { return Ok(again) };
        let error = self.count_defect(window, &defect);
        match defect {
            // The duplicates have their own places in the list, and count in its total.
            PageDefect::Duplicate { .. } if repeats_in_place(&page, &again) => {
                Ok(Page { rows: deduplicated(again.rows), ..again })
            }
            _ => Err(error),
        }
    }

    fn count_defect(&self, window: Window, defect: &PageDefect) -> WalkError {
        match defect {
            PageDefect::Short { .. } => self.metrics.count(Inconsistency::ShortPage, 1),
            PageDefect::Duplicate { times } => self.metrics.count(Inconsistency::Duplicate, *times),
        }
        WalkError::Inconsistent(format!("the page at row {} has {defect}", window.offset))
    }

    fn check_bounds(&self, merger: &PageMerger) -> Result<(), WalkError> {
        if merger.rows.len() as u64 <= self.max_rows && merger.total.is_none_or(|total| total <= self.max_rows) {
            return Ok(());
        }
        let message = format!("the listing has more than {} repositories, the most that are read", self.max_rows);
        Err(WalkError::Final(Failure::new(Reason::Incomplete, message)))
    }

    /// Counts the inconsistencies, and compares the rows with the total.
    async fn finish(&self, mut merger: PageMerger) -> Result<Vec<Repository>, WalkError> {
        self.metrics.count(Inconsistency::Border, merger.moved_borders);
        self.metrics.count(Inconsistency::TotalChanged, u64::from(merger.total_changed));
        let (rows, duplicates) = sorted(std::mem::take(&mut merger.rows)).await;
        self.metrics.count(Inconsistency::Duplicate, duplicates as u64);
        match merger.missing(rows.len() as u64) {
            None => Ok(rows),
            Some(missing) => {
                self.metrics.count(Inconsistency::TotalChanged, 1);
                let total = merger.total;
                Err(WalkError::Inconsistent(format!("{missing} repositories of {total:?} are missing")))
            }
        }
    }
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
