//! The two gauges about the latest reload of a settings file.

use crate::catalog::Family;
use crate::metrics;
use prometheus::{Gauge, Registry};
use std::time::SystemTime;

/// Whether the latest reload succeeded, and when the latest successful one was.
pub(super) struct ReloadMetrics {
    successful: Gauge,
    succeeded_at: Gauge,
}

impl ReloadMetrics {
    /// Makes and registers the gauges after a successful first read.
    pub(super) fn new(registry: &Registry, successful: &Family, succeeded_at: &Family) -> Self {
        let gauges = Self {
            successful: metrics::gauge(registry, successful),
            succeeded_at: metrics::gauge(registry, succeeded_at),
        };
        gauges.success();
        gauges
    }

    /// The settings in force are those of the file.
    pub(super) fn success(&self) {
        self.successful.set(1.0);
        self.succeeded_at.set(metrics::unix_seconds(SystemTime::now()));
    }

    /// The file cannot be used, and the earlier settings stay in force.
    pub(super) fn failure(&self) {
        self.successful.set(0.0);
    }
}
