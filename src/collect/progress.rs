//! The progress of a collection, for progress bars and the status page.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that are updated while pages arrive. Rows that are read twice count twice, so the sum may exceed the total.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    total: AtomicU64,
    fetches: AtomicU64,
    remaining_fetches: AtomicU64,
}

impl Progress {
    /// Starts a collection: all counters become 0.
    pub(super) fn reset(&self) {
        for counter in [&self.rows, &self.total, &self.fetches, &self.remaining_fetches] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Adds a page. The total is `None` unless it covers everything that is to be read.
    pub(super) fn add_page(&self, rows: u64, total: Option<u64>) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.total.store(total.unwrap_or(0), Ordering::Relaxed);
    }

    /// Sets the number of fetches of tags and details, once the listing is complete.
    pub(super) fn set_fetches(&self, fetches: usize) {
        self.fetches.store(fetches as u64, Ordering::Relaxed);
        self.set_remaining_fetches(fetches);
    }

    /// Sets how many of the fetches are left.
    pub(super) fn set_remaining_fetches(&self, fetches: usize) {
        self.remaining_fetches.store(fetches as u64, Ordering::Relaxed);
    }

    /// Repositories read so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Repositories in all; `None` while that is not known.
    pub fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|total| *total > 0)
    }

    /// Fetches of tags and details that are done, and their number in all; `None` before the listing is complete, and when
    /// there are none.
    pub fn fetches(&self) -> Option<(u64, u64)> {
        let total = self.fetches.load(Ordering::Relaxed);
        let remaining = self.remaining_fetches.load(Ordering::Relaxed);
        (total > 0).then(|| (total.saturating_sub(remaining), total))
    }
}
