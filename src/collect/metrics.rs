//! Metrics of the collection.

use super::Progress;
use crate::catalog;
use crate::failure::Failure;
use crate::metrics::{self, OptionalGauge};
use parking_lot::Mutex;
use prometheus::{GaugeVec, IntCounterVec, Registry};
use std::collections::BTreeMap;
use std::sync::Arc;
use strum::{IntoStaticStr, VariantNames};

/// A sign that the list changed, or was incomplete, while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantNames, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Inconsistency {
    /// A repository was there twice.
    Duplicate,
    /// Two pages had different totals, or the number of rows differs from the total.
    TotalChanged,
    /// A page had fewer rows than requested, and was not the last.
    ShortPage,
    /// Two neighbouring pages did not overlap as expected.
    Border,
}

impl Inconsistency {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The state of a collector that is enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CollectorState {
    /// No read has ended yet.
    Pending,
    /// The latest read was complete.
    Complete,
    /// The latest read failed in part or as a whole, with its first failure if that is known.
    Incomplete(Option<Failure>),
}

/// The metrics of the collection.
#[derive(Clone, Debug)]
pub struct Metrics {
    inconsistencies: IntCounterVec,
    up: GaugeVec,
    collectors: Arc<Mutex<BTreeMap<&'static str, CollectorState>>>,
    progress: Arc<Progress>,
    tags_pending: OptionalGauge,
}

/// The `collector` label of the listing.
pub(super) const REPOSITORIES: &str = "repositories";

impl Metrics {
    /// Creates the metrics in this registry.
    pub fn new(registry: &Registry) -> Self {
        let inconsistencies = &catalog::LISTING_INCONSISTENCIES;
        Self {
            inconsistencies: metrics::counters(registry, inconsistencies, Inconsistency::VARIANTS),
            up: metrics::gauges(registry, &catalog::COLLECTOR_UP, &[REPOSITORIES]),
            collectors: Arc::new(Mutex::new(BTreeMap::from([(REPOSITORIES, CollectorState::Pending)]))),
            progress: Arc::default(),
            tags_pending: OptionalGauge::new(registry, &catalog::TAGS_PENDING),
        }
    }

    /// The progress of the current collection.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// The state of each enabled collector, by its name.
    pub fn collectors(&self) -> BTreeMap<&'static str, CollectorState> {
        self.collectors.lock().clone()
    }

    pub(super) fn set_state(&self, collector: &'static str, state: CollectorState) {
        let is_up = state == CollectorState::Complete;
        self.up.with_label_values(&[collector]).set(f64::from(u8::from(is_up)));
        self.collectors.lock().insert(collector, state);
    }

    /// Sets the number of repositories whose tags are known to be out of date.
    pub(super) fn tags_pending(&self, repositories: usize) {
        #[expect(clippy::cast_precision_loss, reason = "no account has 2^53 repositories")]
        self.tags_pending.set(Some(repositories as f64));
    }

    /// Counts inconsistencies of one kind.
    pub fn count(&self, kind: Inconsistency, times: u64) {
        self.inconsistencies.with_label_values(&[kind.as_str()]).inc_by(times);
    }
}
