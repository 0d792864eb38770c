//! The exporter's own families, gathered from a `prometheus` registry, in either format.
//!
//! The crate can write text 0.0.4 only; this encoder writes both formats, so that a scraper finds the same series in
//! either. Deliberately absent: summaries, untyped metrics, timestamps and exemplars, which no family of ours has.

use super::constant_labels::{ConstantLabels, end_labels};
use super::text::{label, metadata_of, open_label};
use super::{Format, number};
use crate::catalog;
use prometheus::proto::{Metric, MetricFamily, MetricType};

/// Appends the families that have samples to `out`, without the end of an OpenMetrics exposition. All samples get `labels`.
pub fn live(families: &[MetricFamily], labels: &ConstantLabels, format: Format, out: &mut Vec<u8>) {
    let constant = labels.encode();
    let writer = SampleWriter { format, constant: &constant };
    for family in families.iter().filter(|family| !family.get_metric().is_empty()) {
        let name = family.name();
        let (stem, kind) = match (family.get_field_type(), format) {
            (MetricType::GAUGE, _) => (name, "gauge"),
            (MetricType::HISTOGRAM, _) => (name, "histogram"),
            (MetricType::COUNTER, Format::Text) => (name, "counter"),
            // OpenMetrics names a counter family without `_total` and its sample with it. A counter whose name lacks it
            // keeps that name, because dashboards must not depend on the format, and so has the type `unknown`.
            (MetricType::COUNTER, Format::OpenMetrics) => match name.strip_suffix("_total") {
                Some(stem) => (stem, "counter"),
                None => (name, "unknown"),
            },
            (MetricType::SUMMARY | MetricType::UNTYPED, _) => continue,
        };
        // Text 0.0.4 knows no unit.
        let unit = unit(name, stem).filter(|_| format == Format::OpenMetrics);
        metadata_of(stem, kind, unit, family.help(), out);
        for metric in family.get_metric() {
            match family.get_field_type() {
                MetricType::COUNTER => writer.sample(name, "", metric, metric.get_counter().get_value(), out),
                MetricType::GAUGE => writer.sample(name, "", metric, metric.get_gauge().get_value(), out),
                MetricType::HISTOGRAM => writer.histogram(name, metric, out),
                MetricType::SUMMARY | MetricType::UNTYPED => {}
            }
        }
    }
}

/// The unit from the catalog, or from the end of the name for families of the crate (`process_*`).
fn unit(name: &str, stem: &str) -> Option<&'static str> {
    match catalog::ALL.iter().find(|family| family.name == name) {
        Some(family) => family.unit,
        None => ["bytes", "seconds"].into_iter().find(|unit| {
            // `_seconds` ends the name, and something stands before it.
            stem.strip_suffix(unit).is_some_and(|rest| rest.len() > 1 && rest.ends_with('_'))
        }),
    }
}

fn integer(value: u64, out: &mut Vec<u8>) {
    out.push(b' ');
    number::integer(value, out);
    out.push(b'\n');
}

struct SampleWriter<'a> {
    format: Format,
    /// The constant labels, encoded.
    constant: &'a [u8],
}

impl SampleWriter<'_> {
    fn histogram(&self, name: &str, metric: &Metric, out: &mut Vec<u8>) {
        let histogram = metric.get_histogram();
        let count = histogram.get_sample_count();
        let buckets = histogram.get_bucket().iter().map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
        // The crate omits the last bucket; both formats require it.
        let finite = buckets.filter(|(bound, _)| *bound != f64::INFINITY);
        for (bound, count) in finite.chain([(f64::INFINITY, count)]) {
            self.series(name, "_bucket", metric, Some(bound), out);
            integer(count, out);
        }
        self.sample(name, "_sum", metric, histogram.get_sample_sum(), out);
        self.series(name, "_count", metric, None, out);
        integer(count, out);
    }

    fn sample(&self, name: &str, suffix: &str, metric: &Metric, value: f64, out: &mut Vec<u8>) {
        self.series(name, suffix, metric, None, out);
        out.push(b' ');
        number::float(value, out);
        out.push(b'\n');
    }

    /// Name and labels of a sample; `bound` is that of a bucket.
    fn series(&self, name: &str, suffix: &str, metric: &Metric, bound: Option<f64>, out: &mut Vec<u8>) {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(suffix.as_bytes());
        let start = out.len();
        let mut separator = b'{';
        for pair in metric.get_label() {
            label(separator, pair.name(), pair.value(), out);
            separator = b',';
        }
        if let Some(bound) = bound {
            open_label(separator, "le", out);
            number::float(bound, out);
            // Readers compare bounds as text. OpenMetrics writes them as floats, text 0.0.4 as Go's %g, which is the same
            // for the bounds of our histograms, from a thousandth to some thousands.
            if self.format == Format::OpenMetrics && bound.fract() == 0.0 {
                out.extend_from_slice(b".0");
            }
            out.push(b'"');
        }
        end_labels(start, self.constant, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::testing::parse;
    use prometheus::core::Collector;
    use prometheus::{Counter, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

    fn encoded(registry: &Registry, format: Format) -> String {
        let mut out = Vec::new();
        live(&registry.gather(), &ConstantLabels::default(), format, &mut out);
        parse(&out);
        String::from_utf8(out).unwrap()
    }

    /// One family of each type, two of them from the catalog.
    fn registry() -> Registry {
        let registry = Registry::new();
        let wait = catalog::API_THROTTLE_WAIT;
        let counter = Counter::new(wait.name, wait.help).unwrap();
        counter.inc_by(1.5);
        registry.register(Box::new(counter)).unwrap();
        let duration = catalog::API_REQUEST_DURATION;
        let options = HistogramOpts::new(duration.name, duration.help).buckets(vec![0.005, 1.0]);
        let histogram = HistogramVec::new(options, duration.labels).unwrap();
        for seconds in [0.001, 0.5, 30.0] {
            histogram.with_label_values(&["list_repositories"]).observe(seconds);
        }
        registry.register(Box::new(histogram)).unwrap();
        let gauge = GaugeVec::new(Opts::new("zoo", "Animals."), &["kind"]).unwrap();
        gauge.with_label_values(&["a\\b\"\nc"]).set(f64::NAN);
        gauge.with_label_values(&["b"]).set(f64::INFINITY);
        registry.register(Box::new(gauge)).unwrap();
        registry
    }

    #[test]
    fn both_formats_have_the_same_samples_and_open_metrics_has_units_float_bounds_and_families_without_total() {
        let text = r#"# TYPE swr_api_request_duration_seconds histogram
# HELP swr_api_request_duration_seconds Duration of API calls in seconds, from sending the request to the end of the response.
swr_api_request_duration_seconds_bucket{operation="list_repositories",le="0.005"} 1
swr_api_request_duration_seconds_bucket{operation="list_repositories",le="1"} 2
swr_api_request_duration_seconds_bucket{operation="list_repositories",le="+Inf"} 3
swr_api_request_duration_seconds_sum{operation="list_repositories"} 30.501
swr_api_request_duration_seconds_count{operation="list_repositories"} 3
# TYPE swr_api_throttle_wait_seconds_total counter
# HELP swr_api_throttle_wait_seconds_total Time in seconds that API calls waited for the rate limit or because the API asked for a pause.
swr_api_throttle_wait_seconds_total 1.5
# TYPE zoo gauge
# HELP zoo Animals.
zoo{kind="a\\b\"\nc"} NaN
zoo{kind="b"} +Inf
"#;
        assert_eq!(encoded(&registry(), Format::Text), text);
        let open_metrics = text
            .replace(" histogram\n", " histogram\n# UNIT swr_api_request_duration_seconds seconds\n")
            .replace("le=\"1\"", "le=\"1.0\"")
            .replace(
                "swr_api_throttle_wait_seconds_total counter\n",
                "swr_api_throttle_wait_seconds counter\n# UNIT swr_api_throttle_wait_seconds seconds\n",
            )
            .replace("# HELP swr_api_throttle_wait_seconds_total", "# HELP swr_api_throttle_wait_seconds");
        assert_eq!(encoded(&registry(), Format::OpenMetrics), open_metrics);
    }

    #[test]
    fn constant_labels_follow_those_of_each_sample() {
        let mut out = Vec::new();
        let labels = ConstantLabels::default().with_account("production");
        live(&registry().gather(), &labels, Format::Text, &mut out);
        let samples = parse(&out);
        assert_eq!(samples.len(), 8);
        let text = String::from_utf8(out).unwrap();
        for line in [
            "swr_api_request_duration_seconds_bucket{operation=\"list_repositories\",le=\"1\",account=\"production\"} 2",
            "swr_api_request_duration_seconds_sum{operation=\"list_repositories\",account=\"production\"} 30.501",
            "swr_api_throttle_wait_seconds_total{account=\"production\"} 1.5",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_counter_without_total_keeps_its_series_name_in_both_formats() {
        let registry = Registry::new();
        registry.register(Box::new(IntCounter::new("odd", "Odd.").unwrap())).unwrap();
        assert_eq!(encoded(&registry, Format::Text), "# TYPE odd counter\n# HELP odd Odd.\nodd 0\n");
        assert_eq!(encoded(&registry, Format::OpenMetrics), "# TYPE odd unknown\n# HELP odd Odd.\nodd 0\n");
    }

    #[test]
    fn a_family_without_samples_is_left_out() {
        let registry = Registry::new();
        let failures = IntCounterVec::new(Opts::new("swr_refresh_failures_total", "Help."), &["reason"]).unwrap();
        registry.register(Box::new(failures)).unwrap();
        assert_eq!(encoded(&registry, Format::Text), "");
    }

    #[test]
    fn the_unit_of_a_family_outside_the_catalog_is_read_from_its_name() {
        assert_eq!(unit("process_cpu_seconds_total", "process_cpu_seconds"), Some("seconds"));
        assert_eq!(unit("process_resident_memory_bytes", "process_resident_memory_bytes"), Some("bytes"));
        assert_eq!(unit("process_open_fds", "process_open_fds"), None);
        assert_eq!(unit("swr_up", "swr_up"), None);
        assert_eq!(unit("kilobytes", "kilobytes"), None);
    }

    #[test]
    fn families_outside_the_catalog_need_no_escaping() {
        let families = prometheus::process_collector::ProcessCollector::for_self().collect();
        assert!(!families.is_empty() && !families.iter().any(|family| family.help().contains(['\\', '"', '\n'])));
    }
}
