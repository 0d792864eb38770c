//! Constructors for the exporter's own counters, gauges and histograms, from the catalog's families.
//!
//! Each stage registers its metrics in the registry that it is given; there is no global registry.

use crate::catalog::{self, Family};
use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

const VALID: &str = "the catalog's names are valid, which its tests check";
const ONCE: &str = "a family is registered once per registry";

fn opts(family: &Family) -> Opts {
    Opts::new(family.name, family.help)
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> C {
    registry.register(Box::new(metric.clone())).expect(ONCE);
    metric
}

/// A counter without labels.
pub fn counter(registry: &Registry, family: &Family) -> IntCounter {
    registered(registry, IntCounter::with_opts(opts(family)).expect(VALID))
}

/// A counter of fractions, such as seconds.
pub fn fractional_counter(registry: &Registry, family: &Family) -> Counter {
    registered(registry, Counter::with_opts(opts(family)).expect(VALID))
}

/// A counter for each label value. Those of the `known` values start at 0.
pub fn counters(registry: &Registry, family: &Family, known: &[&str]) -> IntCounterVec {
    let counters = registered(registry, IntCounterVec::new(opts(family), family.labels).expect(VALID));
    for value in known {
        counters.with_label_values(&[*value]);
    }
    counters
}

/// A gauge without labels, 0 until it is set.
pub fn gauge(registry: &Registry, family: &Family) -> Gauge {
    registered(registry, Gauge::with_opts(opts(family)).expect(VALID))
}

/// A gauge for each label value. Those of the `known` values start at 0.
pub fn gauges(registry: &Registry, family: &Family, known: &[&str]) -> GaugeVec {
    let gauges = registered(registry, GaugeVec::new(opts(family), family.labels).expect(VALID));
    for value in known {
        gauges.with_label_values(&[*value]);
    }
    gauges
}

/// A histogram for each label value.
pub fn histograms(registry: &Registry, family: &Family, buckets: &[f64]) -> HistogramVec {
    let options = HistogramOpts::new(family.name, family.help).buckets(buckets.to_vec());
    registered(registry, HistogramVec::new(options, family.labels).expect(VALID))
}

/// Registers gauges whose values are read at each scrape; those without a value are absent.
pub fn read_gauges<const N: usize>(
    registry: &Registry,
    families: [&Family; N],
    read: impl Fn() -> [Option<f64>; N] + Send + Sync + 'static,
) {
    let gauges = families.map(|family| Gauge::with_opts(opts(family)).expect(VALID));
    registry.register(Box::new(ReadGauges { gauges, read })).expect(ONCE);
}

struct ReadGauges<const N: usize, F> {
    gauges: [Gauge; N],
    read: F,
}

impl<const N: usize, F: Fn() -> [Option<f64>; N] + Send + Sync> Collector for ReadGauges<N, F> {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let values = self.gauges.iter().zip((self.read)()).filter_map(|(gauge, value)| Some((gauge, value?)));
        values
            .flat_map(|(gauge, value)| {
                gauge.set(value);
                gauge.collect()
            })
            .collect()
    }
}

/// Outgoing requests by operation: their number by HTTP status, and their duration.
#[derive(Clone, Debug)]
pub struct Calls {
    requests: IntCounterVec,
    duration: HistogramVec,
    total: Arc<AtomicU64>,
}

/// Histogram buckets in seconds, from a local response to the longest that a request may take.
const BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

impl Calls {
    /// Registers both families.
    pub fn new(registry: &Registry) -> Self {
        Self {
            requests: counters(registry, &catalog::API_REQUESTS, &[]),
            duration: histograms(registry, &catalog::API_REQUEST_DURATION, &BUCKETS),
            total: Arc::default(),
        }
    }

    /// Counts one request; `status` is `None` if there was no response.
    pub fn record(&self, operation: &str, status: Option<u16>, took: Duration) {
        let code = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        self.requests.with_label_values(&[operation, code.as_str()]).inc();
        self.duration.with_label_values(&[operation]).observe(took.as_secs_f64());
        self.total.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of requests of all operations.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// A time as a sample value, in seconds since 1970; 0 for earlier times, which only a broken clock shows.
pub fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A gauge that is absent until it is set.
#[derive(Clone, Debug, Default)]
pub struct OptionalGauge(Arc<Mutex<Option<f64>>>);

impl OptionalGauge {
    /// Registers the gauge, absent.
    pub fn new(registry: &Registry, family: &Family) -> Self {
        let gauge = Self::default();
        let shown = gauge.clone();
        read_gauges(registry, [family], move || [shown.get()]);
        gauge
    }

    /// Sets the gauge, or makes it absent.
    pub fn set(&self, value: Option<f64>) {
        *self.0.lock() = value;
    }

    /// The value, unless it is absent.
    pub fn get(&self) -> Option<f64> {
        *self.0.lock()
    }
}
