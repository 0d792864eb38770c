//! The verified walk: one listing, read page by page while it may change, and whole in the end or an error.
//!
//! The walk asks for windows that overlap and joins them to a [`PageMerger`], which says when a page does not meet the one
//! before; then the list moved, and the walk goes back and reads that place again. A page that is shorter than its own
//! total allows, or holds a repository twice, proves nothing: it is read again. As long as the total stood still, it
//! must in the end be the number of rows, or the walk starts over: names repeat across organisations, and among equals
//! the order is the service's secret.
//!
//! Bounds: a border is tried [`MOST_STEPS_BACK`] times, a walk begins [`MOST_WALKS`] times, each with a cap on pages,
//! and all of it ends with the refresh's deadline.

use super::Options;
use super::metrics::{Inconsistency, Metrics};
use super::page_merger::{PageMerger, Unsound, Verdict, is_surplus, once_each, sound, stand_repeated};
use super::windows::{self, Window};
use crate::failure::{Failure, Reason};
use crate::model::{Repository, sort_unique};
use crate::swr::pages::{Page, SMALLEST_PAGE};
use crate::swr::{ApiError, CallBudget, Client};
use futures_util::{StreamExt, stream};
use std::sync::atomic::{AtomicU64, Ordering};

/// How often a listing is begun before it is given up.
const MOST_WALKS: usize = 3;

/// How often one border is tried again, each time from further back: with the overlap growing fourfold, half a page is
/// reached after five, and each step from there on goes back half a page more.
const MOST_STEPS_BACK: usize = 8;

/// Where pages come from: the client, or a model of a list in the tests.
pub trait Pages: Sync {
    /// Reads one window.
    fn page(&self, window: Window) -> impl Future<Output = Result<Page, ApiError>> + Send;
    /// How many reads may run at once.
    fn concurrency(&self) -> usize;
    /// The largest page known to be served.
    fn largest_page(&self) -> u64;
    /// No larger page is served.
    fn found_largest_page(&self, rows: u64);
}

struct Listing<'a> {
    client: &'a Client,
    namespace: Option<&'a str>,
    effort: &'a CallBudget,
    metrics: &'a Metrics,
}

impl Pages for Listing<'_> {
    async fn page(&self, window: Window) -> Result<Page, ApiError> {
        let page = self.client.repositories(self.namespace, window.offset, window.limit, self.effort).await?;
        // The total of one organisation says nothing of the others.
        self.metrics.progress().arrived(page.received, page.total.filter(|_| self.namespace.is_none()));
        Ok(page)
    }

    fn concurrency(&self) -> usize {
        self.client.concurrency()
    }

    fn largest_page(&self) -> u64 {
        self.client.largest_page()
    }

    fn found_largest_page(&self, rows: u64) {
        self.client.found_largest_page(rows);
    }
}

/// Reads the listing of one organisation, or of the whole account; sorted by (namespace, name), each once.
///
/// # Errors
/// When a call fails for good, or the listing cannot be made whole by the deadline.
pub async fn read(
    client: &Client,
    namespace: Option<&str>,
    options: &Options,
    effort: &CallBudget,
    metrics: &Metrics,
) -> Result<Vec<Repository>, Failure> {
    let pages = Listing { client, namespace, effort, metrics };
    effort.deadline.bound(walks(&pages, options, metrics)).await.unwrap_or_else(|_| {
        Err(Failure::new(Reason::Timeout, "the listing was not complete by the refresh's deadline"))
    })
}

/// Walks until a walk is whole.
///
/// # Errors
/// See [`read`].
pub async fn walks(pages: &impl Pages, options: &Options, metrics: &Metrics) -> Result<Vec<Repository>, Failure> {
    let mut problem = String::new();
    for _ in 0..MOST_WALKS {
        let page_size = options.page_size.min(pages.largest_page()).max(1);
        let walk = Walk { pages, metrics, page_size, most: options.most_repositories, reads: AtomicU64::new(0) };
        match walk.run().await {
            Ok(rows) => return Ok(rows),
            Err(WalkError::Failed(failure)) => return Err(failure),
            Err(WalkError::Broken(what)) => problem = what,
        }
    }
    let message = format!("the listing could not be made whole in {MOST_WALKS} walks: {problem}");
    Err(Failure::new(Reason::Incomplete, message))
}

/// Why a walk ended early.
enum WalkError {
    /// Another walk would fare no better.
    Failed(Failure),
    /// The list did not hold together; another walk may find it at rest.
    Broken(String),
}

impl From<ApiError> for WalkError {
    fn from(error: ApiError) -> Self {
        Self::Failed(error.into())
    }
}

struct Walk<'a, P> {
    pages: &'a P,
    metrics: &'a Metrics,
    page_size: u64,
    most: u64,
    reads: AtomicU64,
}

impl<P: Pages> Walk<'_, P> {
    async fn run(mut self) -> Result<Vec<Repository>, WalkError> {
        let (mut chain, mut verdict) = self.first().await?;
        let mut overlap = 1;
        self.within_bounds(&chain)?;
        if verdict != Verdict::Last {
            // One page alone, so that a server that ignores the offset is found out before more is wasted on it.
            let window = windows::after(chain.end, overlap, self.page_size);
            let page = self.page(window, chain.total).await?;
            let page = self.proved(window, page, chain.total).await?;
            if chain.repeats_its_beginning(window, &page) {
                let message = "the server answers every offset with the first page";
                return Err(WalkError::Failed(Failure::new(Reason::Incomplete, message)));
            }
            verdict = chain.join(window, page);
        }
        while verdict != Verdict::Last {
            self.within_bounds(&chain)?;
            verdict = match verdict {
                Verdict::Gap => self.mend(&mut chain, &mut overlap).await?,
                _ => self.stretch(&mut chain, overlap).await?,
            };
        }
        self.within_bounds(&chain)?;
        self.settle(chain).await
    }

    /// The first page tells the total and the page size that the server really has.
    async fn first(&mut self) -> Result<(PageMerger, Verdict), WalkError> {
        let page = match self.pages.page(Window { offset: 0, limit: self.page_size }).await {
            Err(ApiError::Refused(_)) if self.page_size > SMALLEST_PAGE => {
                let page = self.pages.page(Window { offset: 0, limit: SMALLEST_PAGE }).await?;
                self.page_size = SMALLEST_PAGE;
                self.pages.found_largest_page(SMALLEST_PAGE);
                page
            }
            page => page?,
        };
        let mut window = Window { offset: 0, limit: self.page_size };
        if let Err(Unsound::Short { received, .. }) = sound(window, &page) {
            // A server with smaller pages gives the same one when asked for just that; one that lost rows does not.
            self.metrics.saw(Inconsistency::ShortPage, 1);
            window.limit = received.max(1);
            let again = self.pages.page(window).await?;
            let same = again.rows.iter().map(Repository::key).eq(page.rows.iter().map(Repository::key));
            if received == 0 || !same {
                return Err(WalkError::Broken(format!(
                    "the first page has {received} rows instead of {}",
                    self.page_size
                )));
            }
            self.page_size = received;
            self.pages.found_largest_page(received);
        }
        let page = self.proved(window, page, None).await?;
        Ok(PageMerger::begin(page, self.page_size))
    }

    /// Reads what is left as far as the total says, several windows at a time.
    async fn stretch(&self, chain: &mut PageMerger, overlap: u64) -> Result<Verdict, WalkError> {
        let (from, total) = (chain.end, chain.total);
        let to = total.unwrap_or(0).max(from + 1).min(self.most.saturating_add(1));
        let mut arriving = stream::iter(windows::covering(from, to, overlap, self.page_size))
            .map(|window| async move { (window, self.page(window, total).await) })
            .buffered(self.pages.concurrency().max(1));
        while let Some((window, page)) = arriving.next().await {
            // Here and not where it arrives, so that windows further on are not read twice for nothing.
            let page = self.proved(window, page?, total).await?;
            match chain.join(window, page) {
                Verdict::Joined => {}
                // After a gap, what was asked for further on would not join either.
                verdict => return Ok(verdict),
            }
        }
        if chain.end <= from {
            return Err(WalkError::Broken(format!("no rows come after row {from}, where the total is {total:?}")));
        }
        Ok(Verdict::Joined)
    }

    /// The list moved under the walk: reads from further and further back until a page joins.
    async fn mend(&self, chain: &mut PageMerger, overlap: &mut u64) -> Result<Verdict, WalkError> {
        self.metrics.saw(Inconsistency::Border, 1);
        for _ in 0..MOST_STEPS_BACK {
            *overlap = (*overlap * 4).min(self.page_size / 2).max(1);
            // A list that shrank may end before our place in it: then its end is where to look.
            let end = chain.total.map_or(chain.end, |total| chain.end.min(total)).max(1);
            let window = windows::after(end, *overlap, self.page_size);
            let page = self.page(window, chain.total).await?;
            let page = self.proved(window, page, chain.total).await?;
            match chain.join(window, page) {
                Verdict::Gap => chain.end = window.offset.max(1),
                verdict => return Ok(verdict),
            }
        }
        Err(WalkError::Broken(format!("the pages around row {} do not meet", chain.end)))
    }

    /// One page as it comes, within the cap on pages.
    async fn page(&self, window: Window, total: Option<u64>) -> Result<Page, WalkError> {
        // Enough to read everything three times over; a list that outruns that never comes to rest.
        let most = 32 + 3 * total.unwrap_or(self.most) / self.page_size;
        if self.reads.fetch_add(1, Ordering::Relaxed) > most {
            return Err(WalkError::Broken(format!("the list moved faster than {most} pages could follow")));
        }
        Ok(self.pages.page(window).await?)
    }

    /// The page if it proves something; an unsound one is read once more, unless it has all that it should have.
    async fn proved(&self, window: Window, page: Page, total: Option<u64>) -> Result<Page, WalkError> {
        let Err(unsound) = sound(window, &page) else { return Ok(page) };
        self.broken(window, &unsound);
        if is_surplus(window, &page) {
            let surplus = page.rows.len();
            let rows = once_each(page.rows);
            return Ok(Page { received: page.received - (surplus - rows.len()) as u64, rows, ..page });
        }
        let again = self.page(window, total).await?;
        let Err(unsound) = sound(window, &again) else { return Ok(again) };
        let broken = self.broken(window, &unsound);
        match unsound {
            // They keep their places in the list, and count in its total.
            Unsound::Duplicate { .. } if stand_repeated(&page, &again) => {
                Ok(Page { rows: once_each(again.rows), ..again })
            }
            _ => Err(broken),
        }
    }

    /// Counts what is wrong with a page.
    fn broken(&self, window: Window, unsound: &Unsound) -> WalkError {
        match unsound {
            Unsound::Short { .. } => self.metrics.saw(Inconsistency::ShortPage, 1),
            Unsound::Duplicate { times } => self.metrics.saw(Inconsistency::Duplicate, *times),
        }
        WalkError::Broken(format!("the page at row {} has {unsound}", window.offset))
    }

    fn within_bounds(&self, chain: &PageMerger) -> Result<(), WalkError> {
        if chain.rows.len() as u64 <= self.most && chain.total.is_none_or(|total| total <= self.most) {
            return Ok(());
        }
        let message = format!("the listing has more than {} repositories, the most that are read", self.most);
        Err(WalkError::Failed(Failure::new(Reason::Incomplete, message)))
    }

    /// Counts what was seen, and holds the rows against the total.
    async fn settle(&self, mut chain: PageMerger) -> Result<Vec<Repository>, WalkError> {
        self.metrics.saw(Inconsistency::Border, chain.moved_borders);
        self.metrics.saw(Inconsistency::TotalChanged, u64::from(chain.total_changed));
        let mut rows = std::mem::take(&mut chain.rows);
        // A million rows take a while to sort: not on a thread that others wait for.
        let (rows, duplicates) = tokio::task::spawn_blocking(move || {
            let duplicates = sort_unique(&mut rows);
            (rows, duplicates)
        })
        .await
        .expect("sorting does not panic");
        self.metrics.saw(Inconsistency::Duplicate, duplicates as u64);
        match chain.missing(rows.len() as u64) {
            None => Ok(rows),
            Some(missing) => {
                self.metrics.saw(Inconsistency::TotalChanged, 1);
                Err(WalkError::Broken(format!("{missing} repositories of {:?} are missing", chain.total)))
            }
        }
    }
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
