//! Metrics of the cache: counters, and gauges of its state.

use super::{Cache, ServedKind};
use crate::catalog;
use crate::failure::Reason;
use crate::metrics::{self, unix_seconds};
use prometheus::{IntCounter, IntCounterVec, Registry};
use strum::VariantNames;

/// Counters of refreshes and scrapes.
#[derive(Clone, Debug)]
pub struct Counters {
    refreshes: IntCounter,
    failures: IntCounterVec,
    scrapes: IntCounterVec,
}

impl Counters {
    /// Registers them, each at 0.
    pub fn new(registry: &Registry) -> Self {
        Self {
            refreshes: metrics::counter(registry, &catalog::REFRESHES),
            failures: metrics::counters(registry, &catalog::REFRESH_FAILURES, Reason::LABELS),
            scrapes: metrics::counters(registry, &catalog::SCRAPES, ServedKind::VARIANTS),
        }
    }

    pub(super) fn refreshed(&self, failure: Option<Reason>) {
        self.refreshes.inc();
        if let Some(reason) = failure {
            self.failures.with_label_values(&[reason.as_str()]).inc();
        }
    }

    pub(super) fn served(&self, kind: ServedKind) {
        self.scrapes.with_label_values(&[kind.as_str()]).inc();
    }
}

/// Registers gauges of a cache's state.
pub fn register_state<T: Send + Sync + 'static>(registry: &Registry, cache: Cache<T>) {
    let families =
        [&catalog::UP, &catalog::SNAPSHOT, &catalog::REFRESH, &catalog::REFRESH_DURATION, &catalog::CACHE_WINDOW];
    metrics::read_gauges(registry, families, move || {
        let status = cache.status();
        let latest = status.latest.as_ref();
        let complete = latest.is_some_and(|latest| latest.failure.is_none());
        [
            // Data that was withdrawn is not up, whatever the outcome of the latest refresh.
            Some(f64::from(u8::from(complete && status.held.is_some()))),
            status.held.map(|(_, read_at)| unix_seconds(read_at)),
            latest.map(|latest| unix_seconds(latest.ended_at)),
            latest.map(|latest| latest.took.as_secs_f64()),
            Some(cache.options().window.as_secs_f64()),
        ]
    });
}
