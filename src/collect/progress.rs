//! How far a collection has come, for those who watch it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted while pages arrive. What is read twice counts twice, so it may come to a little more than the total.
#[derive(Debug, Default)]
pub struct Progress {
    rows: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// A collection begins.
    pub(super) fn begin(&self) {
        self.rows.store(0, Ordering::Relaxed);
        self.total.store(0, Ordering::Relaxed);
    }

    /// A page arrived. The total counts only where it speaks for everything that is to be read.
    pub(super) fn arrived(&self, rows: u64, total: Option<u64>) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.total.store(total.unwrap_or(0), Ordering::Relaxed);
    }

    /// Repositories so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// How many there are to be; `None` while that is not known.
    pub fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|total| *total > 0)
    }
}
