//! The live metrics: what the stages count, and what only the root can see.

use crate::cache::Cache;
use crate::catalog;
use crate::exposition::{self, Exposition};
use crate::metrics::{self, OptionalGauge};
use crate::web::{Live, Tally};
use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, Registry};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Registers the process, the build and the web room's tally.
pub(super) fn register_process(registry: &Registry, tally: &Arc<Tally>) {
    registry.register(Box::new(ProcessCollector::for_self())).expect("the process is registered once");
    let build = metrics::gauges(registry, &catalog::BUILD_INFO, &[]);
    let labels = [env!("CARGO_PKG_VERSION"), env!("SWR_EXPORTER_REVISION"), env!("SWR_EXPORTER_RUSTC")];
    build.with_label_values(&labels).set(1.0);
    registry.register(Box::new(Refusals::new(tally.clone()))).expect("the tally is registered once");
}

/// Registers the size of an account's page.
pub(super) fn register_page(registry: &Registry, cache: &Cache<Exposition>) {
    let own = Registry::new();
    let page = PageSize {
        cache: cache.clone(),
        series: OptionalGauge::new(&own, &catalog::PAGE_SERIES),
        bytes: OptionalGauge::new(&own, &catalog::PAGE_BYTES),
    };
    registry.register(Box::new(page)).expect("the page is registered once");
}

/// Encodes all that is registered.
pub(super) fn encoder(registry: Registry) -> Live {
    Arc::new(move |format| {
        let mut out = Vec::with_capacity(16 << 10);
        exposition::live(&registry.gather(), format, &mut out);
        out
    })
}

/// How large the page is that is served now.
struct PageSize {
    cache: Cache<Exposition>,
    series: OptionalGauge,
    bytes: OptionalGauge,
}

impl Collector for PageSize {
    fn desc(&self) -> Vec<&Desc> {
        [&self.series, &self.bytes].into_iter().flat_map(Collector::desc).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "no page has 2^53 bytes")]
    fn collect(&self) -> Vec<MetricFamily> {
        let page = self.cache.status().held.map(|(page, _)| page);
        self.series.set(page.as_ref().map(|page| page.series() as f64));
        self.bytes.set(page.as_ref().map(|page| page.bytes() as f64));
        [&self.series, &self.bytes].into_iter().flat_map(Collector::collect).collect()
    }
}

/// What the web room refused.
struct Refusals {
    tally: Arc<Tally>,
    scrapes: IntCounter,
    connections: IntCounterVec,
    requests: IntCounterVec,
    accepts: IntCounter,
    panics: IntCounter,
    /// Setting and reading are one: of two scrapes at once, neither sees what the other has half done.
    collecting: Mutex<()>,
}

impl Refusals {
    /// The instruments live in a registry of their own: they are set before they are read.
    fn new(tally: Arc<Tally>) -> Self {
        let own = Registry::new();
        Self {
            scrapes: metrics::counter(&own, &catalog::SCRAPES_REFUSED),
            connections: metrics::counters(&own, &catalog::CONNECTIONS_CLOSED, &["address_limit", "overdue", "tls"]),
            requests: metrics::counters(&own, &catalog::REQUESTS_REFUSED, &["login", "login_throttled", "rate_limit"]),
            accepts: metrics::counter(&own, &catalog::ACCEPT_ERRORS),
            panics: metrics::counter(&own, &catalog::PANICS),
            collecting: Mutex::default(),
            tally,
        }
    }
}

impl Collector for Refusals {
    fn desc(&self) -> Vec<&Desc> {
        let mut descriptions = self.scrapes.desc();
        descriptions.extend(self.connections.desc());
        descriptions.extend(self.requests.desc());
        descriptions.extend(self.accepts.desc());
        descriptions.extend(self.panics.desc());
        descriptions
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _one_at_a_time = self.collecting.lock();
        raise(&self.scrapes, &self.tally.scrapes_refused);
        raise(&self.connections.with_label_values(&["address_limit"]), &self.tally.connections_refused);
        raise(&self.connections.with_label_values(&["overdue"]), &self.tally.connections_overdue);
        raise(&self.connections.with_label_values(&["tls"]), &self.tally.handshakes_failed);
        raise(&self.requests.with_label_values(&["login"]), &self.tally.logins_refused);
        raise(&self.requests.with_label_values(&["login_throttled"]), &self.tally.logins_throttled);
        raise(&self.requests.with_label_values(&["rate_limit"]), &self.tally.rate_limited);
        raise(&self.accepts, &self.tally.accepts_failed);
        raise(&self.panics, &self.tally.panics);
        let mut families = self.scrapes.collect();
        families.extend(self.connections.collect());
        families.extend(self.requests.collect());
        families.extend(self.accepts.collect());
        families.extend(self.panics.collect());
        families
    }
}

/// Brings a counter up to a tally.
fn raise(counter: &IntCounter, tally: &AtomicU64) {
    counter.reset();
    counter.inc_by(tally.load(Ordering::Relaxed));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrapes_at_once_see_every_refusal_and_each_once() {
        let tally = Arc::new(Tally::default());
        tally.scrapes_refused.store(7, Ordering::Relaxed);
        let refusals = Refusals::new(tally);
        let seen = || {
            let families = refusals.collect();
            let of = |family: &MetricFamily| family.name() == catalog::SCRAPES_REFUSED.name;
            families.iter().find(|family| of(family)).unwrap().get_metric()[0].get_counter().get_value()
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..20_000).for_each(|_| assert_eq!(seen().to_bits(), 7f64.to_bits())));
            }
        });
    }
}
