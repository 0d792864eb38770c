//! What the client counts.

use super::wire::Omissions;
use crate::auth;
use crate::catalog;
use crate::instruments::{self, Calls, OptionalGauge};
use prometheus::{Counter, Gauge, IntCounterVec, Registry};
use std::time::Duration;

/// A kind of call: the `operation` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `GET /v2/manage/repos`.
    ListRepositories,
    /// `GET /v2/manage/namespaces/{namespace}/repos/{repository}/tags`.
    ListTags,
    /// `GET /v2/manage/namespaces/{namespace}/repos/{repository}`.
    ShowRepository,
}

impl Operation {
    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ListRepositories => "list_repositories",
            Self::ListTags => "list_tags",
            Self::ShowRepository => "show_repository",
        }
    }

    /// The IAM permission that it takes, where the vendor names one (swr-api.md, 4).
    pub const fn permission(self) -> Option<&'static str> {
        match self {
            Self::ListRepositories => Some("swr:repo:listRepos"),
            Self::ListTags => Some("swr:repo:listRepoTags"),
            Self::ShowRepository => Some("swr:repo:getRepo"),
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The client's instruments.
#[derive(Clone, Debug)]
pub struct Metrics {
    calls: Calls,
    retries: IntCounterVec,
    throttle_wait: Counter,
    pub(super) circuit_open: Gauge,
    dropped: IntCounterVec,
    pub(super) clock_skew: OptionalGauge,
    credential_expiry: OptionalGauge,
}

/// The `reason` values of `swr_samples_dropped_total`.
const DROPPED: [&str; 3] = ["timestamp", "number", "name"];

impl Metrics {
    /// Makes the instruments in this registry.
    pub fn new(registry: &Registry) -> Self {
        let retries = instruments::counters(registry, &catalog::API_RETRIES, &[Operation::ListRepositories.as_str()]);
        Self {
            calls: Calls::new(registry),
            retries,
            throttle_wait: instruments::fractional_counter(registry, &catalog::API_THROTTLE_WAIT),
            circuit_open: instruments::gauge(registry, &catalog::API_CIRCUIT_OPEN),
            dropped: instruments::counters(registry, &catalog::SAMPLES_DROPPED, &DROPPED),
            clock_skew: OptionalGauge::new(registry, &catalog::API_CLOCK_SKEW),
            credential_expiry: OptionalGauge::new(registry, &catalog::CREDENTIAL_EXPIRY),
        }
    }

    /// What requests for credentials are counted in.
    pub fn of_credentials(&self) -> auth::Metrics {
        auth::Metrics { calls: self.calls.clone(), expiry: self.credential_expiry.clone() }
    }

    pub(super) fn request(&self, operation: Operation, status: Option<u16>, took: Duration) {
        self.calls.record(operation.as_str(), status, took);
    }

    pub(super) fn retry(&self, operation: Operation) {
        self.retries.with_label_values(&[operation.as_str()]).inc();
    }

    pub(super) fn waited(&self, wait: Duration) {
        self.throttle_wait.inc_by(wait.as_secs_f64());
    }

    pub(super) fn omitted(&self, omissions: Omissions) {
        for (reason, count) in DROPPED.iter().zip([omissions.timestamp, omissions.number, omissions.name]) {
            self.dropped.with_label_values(&[*reason]).inc_by(count);
        }
    }
}
