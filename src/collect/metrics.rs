//! What the walk counts.

use super::Progress;
use crate::catalog;
use crate::metrics::{self, OptionalGauge};
use prometheus::{GaugeVec, IntCounterVec, Registry};
use std::sync::Arc;

/// A sign that the list changed or was incomplete while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inconsistency {
    /// One repository stood in two places.
    Duplicate,
    /// Two pages told different totals, or the rows and the total do not fit.
    TotalChanged,
    /// A page had fewer rows than asked for, and was not the last.
    ShortPage,
    /// Two neighbouring pages did not meet as they should.
    Border,
}

impl Inconsistency {
    const ALL: [Self; 4] = [Self::Duplicate, Self::TotalChanged, Self::ShortPage, Self::Border];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::TotalChanged => "total_changed",
            Self::ShortPage => "short_page",
            Self::Border => "border",
        }
    }
}

/// The collection's instruments.
#[derive(Clone, Debug)]
pub struct Metrics {
    inconsistencies: IntCounterVec,
    up: GaugeVec,
    progress: Arc<Progress>,
    tags_pending: OptionalGauge,
}

/// The `collector` label of the listing.
pub(super) const REPOSITORIES: &str = "repositories";

/// Those of what is read repository by repository.
const TAGS: &str = "tags";
const DETAILS: &str = "details";

impl Metrics {
    /// Makes the instruments in this registry.
    pub fn new(registry: &Registry) -> Self {
        let kinds = Inconsistency::ALL.map(Inconsistency::as_str);
        Self {
            inconsistencies: metrics::counters(registry, &catalog::LISTING_INCONSISTENCIES, &kinds),
            up: metrics::gauges(registry, &catalog::COLLECTOR_UP, &[REPOSITORIES]),
            progress: Arc::default(),
            tags_pending: OptionalGauge::new(registry, &catalog::TAGS_PENDING),
        }
    }

    /// How far it has come.
    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// A collector that is on; its read has yet to end.
    pub(super) fn expect(&self, collector: &str) {
        self.up.with_label_values(&[collector]).set(0.0);
    }

    /// A collector's read ended.
    pub(super) fn read(&self, collector: &str, complete: bool) {
        self.up.with_label_values(&[collector]).set(f64::from(u8::from(complete)));
    }

    /// So many repositories have tags that are known to be out of date.
    pub(super) fn tags_pending(&self, repositories: usize) {
        #[expect(clippy::cast_precision_loss, reason = "no account has 2^53 repositories")]
        self.tags_pending.set(Some(repositories as f64));
    }

    /// Whether what is read repository by repository can be read, for those collectors that are on.
    pub(super) fn images_up(&self, tags: Option<bool>, details: Option<bool>) {
        for (collector, up) in [(TAGS, tags), (DETAILS, details)] {
            if let Some(up) = up {
                self.read(collector, up);
            }
        }
    }

    /// Counts signs of one kind.
    pub fn saw(&self, kind: Inconsistency, times: u64) {
        self.inconsistencies.with_label_values(&[kind.as_str()]).inc_by(times);
    }
}
