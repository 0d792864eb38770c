//! Live metrics of the process and of an account's exposition.

use crate::cache::Cache;
use crate::catalog;
use crate::exposition::{self, ConstantLabels, Exposition};
use crate::metrics;
use crate::web::LiveMetrics;
use prometheus::Registry;
use prometheus::process_collector::ProcessCollector;
use std::sync::Arc;

pub(super) fn register_process(registry: &Registry) {
    registry.register(Box::new(ProcessCollector::for_self())).expect("the process is registered once");
    let build = metrics::gauges(registry, &catalog::BUILD_INFO, &[]);
    let labels = [env!("CARGO_PKG_VERSION"), env!("SWR_EXPORTER_REVISION"), env!("SWR_EXPORTER_RUSTC")];
    build.with_label_values(&labels).set(1.0);
}

/// Registers the size of the exposition that a cache serves.
#[expect(clippy::cast_precision_loss, reason = "no exposition has 2^53 bytes")]
pub(super) fn register_exposition_size(registry: &Registry, cache: Cache<Exposition>) {
    metrics::read_gauges(registry, [&catalog::PAGE_SERIES, &catalog::PAGE_BYTES], move || {
        let exposition = cache.status().held.map(|(exposition, _)| exposition);
        let sizes = exposition.map(|exposition| [exposition.series(), exposition.bytes()].map(|size| size as f64));
        [sizes.map(|sizes| sizes[0]), sizes.map(|sizes| sizes[1])]
    });
}

pub(super) fn encoder(registry: Registry, labels: ConstantLabels) -> LiveMetrics {
    Arc::new(move |format| {
        let mut out = Vec::with_capacity(16 << 10);
        exposition::live(&registry.gather(), &labels, format, &mut out);
        out
    })
}
