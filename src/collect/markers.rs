//! The walk over a list that is paged by markers: page after page, each from where the one before ended.
//!
//! A marker is a place in the list that stays put when rows come and go before it, so nothing slips through between two
//! pages; there is no total to hold the rows against, and the proof that a list is whole is that its chain of markers
//! came to an end. What speaks against that is noticed: a marker that was there before, a page that begins like one
//! before it, an empty page after which more is promised. Then the walk is begun again.
//!
//! Bounds: [`MOST_WALKS`] walks, each with a cap on rows, and every page brings rows, so each with a cap on pages.

use super::metrics::{Inconsistency, Metrics};
use crate::failure::{Failure, Reason};
use crate::swr::ApiError;
use crate::swr::markers::MarkerPage;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};

/// How often a list is begun before it is given up.
const MOST_WALKS: usize = 3;

/// Where pages come from: the client, or a model of a list in the tests.
pub trait MarkedPages: Sync {
    /// A row of the list.
    type Row: Send;
    /// What tells rows apart.
    type Key<'a>: Hash
    where
        Self::Row: 'a;
    /// Reads the page that a marker stands for; the first without one.
    fn page(&self, marker: Option<&str>) -> impl Future<Output = Result<MarkerPage<Self::Row>, ApiError>> + Send;
    /// What tells this row from others.
    fn key(row: &Self::Row) -> Self::Key<'_>;
}

/// Why there is no list.
#[derive(Debug)]
pub enum Stop {
    /// A call failed for good.
    Failed(ApiError),
    /// The list is longer than may be, or did not hold together.
    Incomplete(String),
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failed(error) => error.into(),
            Stop::Incomplete(message) => Self::new(Reason::Incomplete, message),
        }
    }
}

/// Reads the whole list, at most `most` rows; in the order of reading, a row that moved maybe twice.
///
/// # Errors
/// When a call fails for good, or the list cannot be made whole.
pub async fn walks<P: MarkedPages>(pages: &P, most: u64, metrics: &Metrics) -> Result<Vec<P::Row>, Stop> {
    let mut problem = String::new();
    for _ in 0..MOST_WALKS {
        match walk(pages, most, metrics).await? {
            Ok(rows) => return Ok(rows),
            Err(broken) => problem = broken,
        }
    }
    Err(Stop::Incomplete(format!("the listing could not be made whole in {MOST_WALKS} walks: {problem}")))
}

/// One walk: the rows, or in words why they are not all.
async fn walk<P: MarkedPages>(pages: &P, most: u64, metrics: &Metrics) -> Result<Result<Vec<P::Row>, String>, Stop> {
    let hasher = RandomState::new();
    let (mut markers, mut beginnings) = (HashSet::new(), HashSet::new());
    let (mut rows, mut received, mut largest) = (Vec::new(), 0, 0);
    let mut marker: Option<String> = None;
    loop {
        let page = pages.page(marker.as_deref()).await.map_err(Stop::Failed)?;
        received += page.received;
        if received > most {
            let message = format!("the listing has more than {most} repositories, the most that are read");
            return Err(Stop::Incomplete(message));
        }
        if let Some(first) = page.rows.first()
            && !beginnings.insert(hasher.hash_one(P::key(first)))
        {
            metrics.saw(Inconsistency::Duplicate, 1);
            return Ok(Err(format!("the page at row {} begins like one before it", received - page.received)));
        }
        rows.extend(page.rows);
        let Some(next) = page.next else { return Ok(Ok(rows)) };
        if page.received < largest {
            // By itself it proves nothing: a marker leaves nothing out.
            metrics.saw(Inconsistency::ShortPage, 1);
        }
        largest = largest.max(page.received);
        if page.received == 0 {
            metrics.saw(Inconsistency::ShortPage, 1);
            return Ok(Err(format!("after row {received} an empty page says that more follows")));
        }
        if !markers.insert(next.clone()) {
            metrics.saw(Inconsistency::Border, 1);
            return Ok(Err(format!("the marker after row {received} leads back to where it was before")));
        }
        marker = Some(next);
    }
}

#[cfg(test)]
#[path = "markers_tests.rs"]
mod tests;
