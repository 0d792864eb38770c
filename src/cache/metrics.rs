//! Metrics of the cache: counters, and gauges of its state.

use super::{Cache, ServedKind};
use crate::catalog::{self, Family};
use crate::failure::Reason;
use crate::metrics::{self, OptionalGauge, unix_seconds};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
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

/// Gauges of the cache's state, set at each scrape.
pub struct CacheState<T> {
    cache: Cache<T>,
    up: OptionalGauge,
    snapshot: OptionalGauge,
    refresh: OptionalGauge,
    duration: OptionalGauge,
    window: OptionalGauge,
}

impl<T: Send + Sync + 'static> CacheState<T> {
    /// Registers the gauges of a cache.
    pub fn register(registry: &Registry, cache: Cache<T>) {
        // This collector sets the gauges and hands them on, so they are not registered by themselves.
        let own = Registry::new();
        let gauge = |family: &Family| OptionalGauge::new(&own, family);
        let state = Self {
            cache,
            up: gauge(&catalog::UP),
            snapshot: gauge(&catalog::SNAPSHOT),
            refresh: gauge(&catalog::REFRESH),
            duration: gauge(&catalog::REFRESH_DURATION),
            window: gauge(&catalog::CACHE_WINDOW),
        };
        registry.register(Box::new(state)).expect("a cache's state is registered once");
    }

    fn gauges(&self) -> [&OptionalGauge; 5] {
        [&self.up, &self.snapshot, &self.refresh, &self.duration, &self.window]
    }
}

impl<T: Send + Sync + 'static> Collector for CacheState<T> {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let status = self.cache.status();
        let complete = status.latest.as_ref().is_some_and(|latest| latest.failure.is_none());
        // Data that was withdrawn is not up, whatever the outcome of the latest refresh.
        self.up.set(Some(f64::from(u8::from(complete && status.held.is_some()))));
        self.snapshot.set(status.held.map(|(_, read_at)| unix_seconds(read_at)));
        self.refresh.set(status.latest.as_ref().map(|latest| unix_seconds(latest.ended_at)));
        self.duration.set(status.latest.as_ref().map(|latest| latest.took.as_secs_f64()));
        self.window.set(Some(self.cache.options().window.as_secs_f64()));
        self.gauges().into_iter().flat_map(Collector::collect).collect()
    }
}
