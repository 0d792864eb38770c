//! Live metrics of the process and of an account's exposition.

use crate::cache::Cache;
use crate::catalog;
use crate::exposition::{self, ConstantLabels, Exposition};
use crate::metrics::{self, OptionalGauge};
use crate::web::LiveMetrics;
use prometheus::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricFamily;
use std::sync::Arc;

pub(super) fn register_process(registry: &Registry) {
    registry.register(Box::new(ProcessCollector::for_self())).expect("the process is registered once");
    let build = metrics::gauges(registry, &catalog::BUILD_INFO, &[]);
    let labels = [env!("CARGO_PKG_VERSION"), env!("SWR_EXPORTER_REVISION"), env!("SWR_EXPORTER_RUSTC")];
    build.with_label_values(&labels).set(1.0);
}

/// Registers the size of an account's exposition.
pub(super) fn register_exposition_size(registry: &Registry, cache: &Cache<Exposition>) {
    let own = Registry::new();
    let size = ExpositionSize {
        cache: cache.clone(),
        series: OptionalGauge::new(&own, &catalog::PAGE_SERIES),
        bytes: OptionalGauge::new(&own, &catalog::PAGE_BYTES),
    };
    registry.register(Box::new(size)).expect("the size is registered once");
}

pub(super) fn encoder(registry: Registry, labels: ConstantLabels) -> LiveMetrics {
    Arc::new(move |format| {
        let mut out = Vec::with_capacity(16 << 10);
        exposition::live(&registry.gather(), &labels, format, &mut out);
        out
    })
}

/// The size of the exposition that is served now.
struct ExpositionSize {
    cache: Cache<Exposition>,
    series: OptionalGauge,
    bytes: OptionalGauge,
}

impl Collector for ExpositionSize {
    fn desc(&self) -> Vec<&Desc> {
        [&self.series, &self.bytes].into_iter().flat_map(Collector::desc).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "no exposition has 2^53 bytes")]
    fn collect(&self) -> Vec<MetricFamily> {
        let exposition = self.cache.status().held.map(|(exposition, _)| exposition);
        self.series.set(exposition.as_ref().map(|exposition| exposition.series() as f64));
        self.bytes.set(exposition.as_ref().map(|exposition| exposition.bytes() as f64));
        [&self.series, &self.bytes].into_iter().flat_map(Collector::collect).collect()
    }
}
