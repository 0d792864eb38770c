//! The two gauges of a settings file: whether the latest reload succeeded, and when one last did.

use crate::catalog::Family;
use crate::metrics::{self, unix_seconds};
use prometheus::{Gauge, Registry};
use std::time::SystemTime;

/// The gauges of one file.
pub(super) struct ReloadMetrics {
    successful: Gauge,
    succeeded_at: Gauge,
}

impl ReloadMetrics {
    /// Registers both, as after a success: the program has started with the file.
    pub(super) fn new(registry: &Registry, successful: &Family, succeeded_at: &Family) -> Self {
        let metrics = Self {
            successful: metrics::gauge(registry, successful),
            succeeded_at: metrics::gauge(registry, succeeded_at),
        };
        metrics.succeeded();
        metrics
    }

    /// A reload has succeeded now.
    pub(super) fn succeeded(&self) {
        self.successful.set(1.0);
        self.succeeded_at.set(unix_seconds(SystemTime::now()));
    }

    /// A reload has failed.
    pub(super) fn failed(&self) {
        self.successful.set(0.0);
    }
}
