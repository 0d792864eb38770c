//! The walk over a list that is paged by markers: each page starts where the one before ended.
//!
//! Insertions and deletions before a marker do not move it, so no row is missed between two pages. There is no total to
//! compare with. The list counts as complete when the markers came to an end without a sign of trouble: a marker that
//! was there before, a page that begins like an earlier one, or an empty page with a marker. After such a sign the walk
//! starts over.
//!
//! Bounds: [`MAX_WALKS`](super::walk::MAX_WALKS) walks, each with a limit on rows. Every page brings rows, so the number of pages is limited too.

use super::metrics::{Inconsistency, Metrics};
use super::walk::{WalkError, WalkFailure, Walks};
use crate::swr::ApiError;
use crate::swr::markers::MarkerPage;
use std::collections::HashSet;
use std::hash::RandomState;

/// A hash of the identity of a row.
pub type HashKey<Row> = fn(&Row, &RandomState) -> u64;

/// Reads the whole list, at most `max_rows` rows, in the order of reading. A row that moved may be there twice. `read` reads
/// the page of a marker, or the first page.
///
/// # Errors
/// When a call fails for good, or the list is too long or inconsistent.
pub async fn read_all<Row, Reading>(
    read: impl Fn(Option<String>) -> Reading,
    hash_key: HashKey<Row>,
    max_rows: u64,
    metrics: &Metrics,
) -> Result<Vec<Row>, WalkFailure>
where
    Reading: Future<Output = Result<MarkerPage<Row>, ApiError>>,
{
    let mut walks = Walks::default();
    loop {
        if let Some(outcome) = walks.conclude(walk(&read, hash_key, max_rows, metrics).await) {
            return outcome;
        }
    }
}

async fn walk<Row, Reading>(
    read: impl Fn(Option<String>) -> Reading,
    hash_key: HashKey<Row>,
    max_rows: u64,
    metrics: &Metrics,
) -> Result<Vec<Row>, WalkError>
where
    Reading: Future<Output = Result<MarkerPage<Row>, ApiError>>,
{
    let hasher = RandomState::new();
    let (mut markers, mut first_rows) = (HashSet::new(), HashSet::new());
    let (mut rows, mut received, mut largest) = (Vec::new(), 0, 0);
    let mut marker: Option<String> = None;
    loop {
        let page = read(marker.take()).await?;
        received += page.received;
        if received > max_rows {
            let message = format!("the listing has more than {max_rows} rows, the most that are read");
            return Err(WalkError::Final(WalkFailure::Incomplete(message)));
        }
        if let Some(first) = page.rows.first()
            && !first_rows.insert(hash_key(first, &hasher))
        {
            metrics.count(Inconsistency::Duplicate, 1);
            return Err(WalkError::Inconsistent(format!(
                "the page at row {} begins like one before it",
                received - page.received
            )));
        }
        rows.extend(page.rows);
        let Some(next) = page.next else { return Ok(rows) };
        if page.received < largest {
            // Counted only: a short page with a marker leaves nothing out.
            metrics.count(Inconsistency::ShortPage, 1);
        }
        largest = largest.max(page.received);
        if page.received == 0 {
            metrics.count(Inconsistency::ShortPage, 1);
            return Err(WalkError::Inconsistent(format!("after row {received} an empty page says that more follows")));
        }
        if !markers.insert(next.clone()) {
            metrics.count(Inconsistency::Border, 1);
            return Err(WalkError::Inconsistent(format!(
                "the marker after row {received} leads back to where it was before"
            )));
        }
        marker = Some(next);
    }
}

#[cfg(test)]
#[path = "markers_tests.rs"]
mod tests;
