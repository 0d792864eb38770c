//! How far a collection has come, for those who watch it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted while pages arrive. What is read twice counts twice, so it may come to a little more than the total.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    total: AtomicU64,
    readings: AtomicU64,
    to_read: AtomicU64,
}

impl Progress {
    /// A collection begins.
    pub(super) fn begin(&self) {
        for number in [&self.rows, &self.total, &self.readings, &self.to_read] {
            number.store(0, Ordering::Relaxed);
        }
    }

    /// A page arrived. The total counts only where it speaks for everything that is to be read.
    pub(super) fn arrived(&self, rows: u64, total: Option<u64>) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.total.store(total.unwrap_or(0), Ordering::Relaxed);
    }

    /// The listing is whole, and made so many readings of tags and details necessary.
    pub(super) fn further(&self, readings: usize) {
        self.readings.store(readings as u64, Ordering::Relaxed);
        self.to_read(readings);
    }

    /// So many of them are left.
    pub(super) fn to_read(&self, readings: usize) {
        self.to_read.store(readings as u64, Ordering::Relaxed);
    }

    /// Repositories so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// How many there are to be; `None` while that is not known.
    pub fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|total| *total > 0)
    }

    /// Readings of tags and details so far, and how many there are to be; `None` before the listing is whole, and where
    /// there are none.
    pub fn readings(&self) -> Option<(u64, u64)> {
        let total = self.readings.load(Ordering::Relaxed);
        (total > 0).then(|| (total.saturating_sub(self.to_read.load(Ordering::Relaxed)), total))
    }
}
