//! How many calls the refreshes of an account make, for the landing page.

use crate::swr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the calls of each refresh. Cheap to clone.
#[derive(Clone)]
pub(super) struct CallCounter {
    metrics: swr::Metrics,
    latest_refresh: Arc<AtomicU64>,
}

impl CallCounter {
    /// Counts what `metrics` counts.
    pub(super) fn new(metrics: swr::Metrics) -> Self {
        Self { metrics, latest_refresh: Arc::default() }
    }

    pub(super) fn since_start(&self) -> u64 {
        self.metrics.requests()
    }

    pub(super) fn latest_refresh(&self) -> u64 {
        self.latest_refresh.load(Ordering::Relaxed)
    }

    /// Begins a refresh. It ends when the guard is dropped, also if it is cancelled.
    pub(super) fn begin(&self) -> RefreshCalls<'_> {
        RefreshCalls { counter: self, before: self.metrics.requests() }
    }
}

pub(super) struct RefreshCalls<'a> {
    counter: &'a CallCounter,
    before: u64,
}

impl Drop for RefreshCalls<'_> {
    fn drop(&mut self) {
        self.counter.latest_refresh.store(self.counter.since_start() - self.before, Ordering::Relaxed);
    }
}
