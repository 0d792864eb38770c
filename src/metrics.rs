//! The exporter's own counters, gauges and histograms, made from rows of the catalog.
//!
//! Each stage makes what it counts when it is built, in the registry it is given; there is no global registry.

use crate::catalog::{self, Family};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

const VALID: &str = "the catalog's names are valid, which its tests check";
const ONCE: &str = "a family is registered once per registry";

fn opts(family: &Family) -> Opts {
    Opts::new(family.name, family.help)
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, instrument: C) -> C {
    registry.register(Box::new(instrument.clone())).expect(ONCE);
    instrument
}

/// A counter without labels.
pub fn counter(registry: &Registry, family: &Family) -> IntCounter {
    registered(registry, IntCounter::with_opts(opts(family)).expect(VALID))
}

/// A counter of fractions, such as seconds.
pub fn fractional_counter(registry: &Registry, family: &Family) -> Counter {
    registered(registry, Counter::with_opts(opts(family)).expect(VALID))
}

/// A counter per value of the family's labels; those known beforehand are made at once, at 0.
pub fn counters(registry: &Registry, family: &Family, known: &[&str]) -> IntCounterVec {
    let counters = registered(registry, IntCounterVec::new(opts(family), family.labels).expect(VALID));
    for value in known {
        counters.with_label_values(&[*value]);
    }
    counters
}

/// A gauge that is always there.
pub fn gauge(registry: &Registry, family: &Family) -> Gauge {
    registered(registry, Gauge::with_opts(opts(family)).expect(VALID))
}

/// A gauge per value of the family's labels; those known beforehand are made at once, at 0.
pub fn gauges(registry: &Registry, family: &Family, known: &[&str]) -> GaugeVec {
    let gauges = registered(registry, GaugeVec::new(opts(family), family.labels).expect(VALID));
    for value in known {
        gauges.with_label_values(&[*value]);
    }
    gauges
}

/// A histogram per value of the family's labels.
pub fn histograms(registry: &Registry, family: &Family, buckets: &[f64]) -> HistogramVec {
    let options = HistogramOpts::new(family.name, family.help).buckets(buckets.to_vec());
    registered(registry, HistogramVec::new(options, family.labels).expect(VALID))
}

/// Requests to others by what they were for: how many with which end, and how long they took.
#[derive(Clone, Debug)]
pub struct Calls {
    requests: IntCounterVec,
    duration: HistogramVec,
    total: Arc<AtomicU64>,
}

/// From a local answer to one that took as long as a request may.
const BUCKETS: [f64; 11] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

impl Calls {
    /// Makes and registers them.
    pub fn new(registry: &Registry) -> Self {
        Self {
            requests: counters(registry, &catalog::API_REQUESTS, &[]),
            duration: histograms(registry, &catalog::API_REQUEST_DURATION, &BUCKETS),
            total: Arc::default(),
        }
    }

    /// Counts one request by its HTTP status, if it was answered.
    pub fn record(&self, operation: &str, status: Option<u16>, took: Duration) {
        let code = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        self.requests.with_label_values(&[operation, code.as_str()]).inc();
        self.duration.with_label_values(&[operation]).observe(took.as_secs_f64());
        self.total.fetch_add(1, Ordering::Relaxed);
    }

    /// All that were counted, whatever they were for.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// A time as a sample. One before 1970, which only a broken clock shows, is 0.
pub fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A gauge that is absent until it is set: absent is not zero.
#[derive(Clone, Debug)]
pub struct OptionalGauge {
    gauge: Gauge,
    known: Arc<AtomicBool>,
}

impl OptionalGauge {
    /// Makes and registers it, absent.
    pub fn new(registry: &Registry, family: &Family) -> Self {
        let gauge = Gauge::with_opts(opts(family)).expect(VALID);
        registered(registry, Self { gauge, known: Arc::default() })
    }

    /// Shows a value, or nothing.
    pub fn set(&self, value: Option<f64>) {
        self.gauge.set(value.unwrap_or_default());
        self.known.store(value.is_some(), Ordering::Release);
    }

    /// The value, if there is one.
    pub fn get(&self) -> Option<f64> {
        self.known.load(Ordering::Acquire).then(|| self.gauge.get())
    }
}

impl Collector for OptionalGauge {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if self.known.load(Ordering::Acquire) { self.gauge.collect() } else { Vec::new() }
    }
}
