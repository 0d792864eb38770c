//! The client's metrics, and the kinds of calls by which they are counted.

use super::wire::DroppedFields;
use crate::auth;
use crate::catalog;
use crate::metrics::{self, Calls, OptionalGauge};
use crate::transport::error_response::Service;
use prometheus::{Counter, Gauge, IntCounterVec, Registry};
use strum::VariantArray;

/// A kind of call: the `operation` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantArray)]
pub enum Operation {
    /// `GET /v2/manage/repos` or `GET /v3/manage/repos`.
    ListRepositories,
    /// `GET /v2/manage/namespaces/{namespace}/repos/{repository}/tags`.
    ListTags,
    /// `GET /v2/manage/namespaces/{namespace}/repos/{repository}`.
    ShowRepository,
    /// `GET /v2/manage/namespaces/{namespace}/repos/{repository}/retentions`.
    ListRetentions,
    /// `GET /v2/manage/namespaces`.
    ListNamespaces,
    /// `GET /v2/manage/overview`.
    Overview,
    /// `GET /v2/manage/projects/{project}/quotas`.
    Quotas,
    /// `GET /v2/manage/projects/{project}/feature-gates`.
    FeatureGates,
    /// `GET /v2/{project}/instances`.
    ListInstances,
    /// `GET /v2/{project}/instances/{instance}/statistics`.
    InstanceStatistics,
    /// `GET /v2/{project}/repositories`.
    ListInstanceRepositories,
    /// `GET /v2/{project}/instances/{instance}/artifacts`.
    ListArtifacts,
    /// `GET /v3/projects` of IAM.
    FindProject,
}

impl Operation {
    /// All kinds.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The label value, the IAM permission that the vendor's documentation names for the call, and its purpose.
    const fn properties(self) -> (&'static str, Option<&'static str>, Purpose) {
        use Purpose::{Auxiliary, Images, Listing, Project};
        match self {
            Self::ListRepositories => ("list_repositories", Some("swr:repo:listRepos"), Listing),
            Self::ListTags => ("list_tags", Some("swr:repo:listRepoTags"), Images),
            Self::ShowRepository => ("show_repository", Some("swr:repo:getRepo"), Images),
            Self::ListRetentions => ("list_retentions", Some("swr:repo:listRetentions"), Images),
            Self::ListNamespaces => ("list_namespaces", Some("swr:namespace:listNamespaces"), Auxiliary),
            Self::Overview => ("overview", Some("swr::getDomainOverview"), Auxiliary),
            Self::Quotas => ("quotas", None, Auxiliary),
            Self::FeatureGates => ("feature_gates", None, Auxiliary),
            Self::ListInstances => ("list_instances", Some("swr:instance:list"), Auxiliary),
            Self::InstanceStatistics => ("instance_statistics", Some("swr:instance:getStatistics"), Auxiliary),
            Self::ListInstanceRepositories => {
                ("list_instance_repositories", Some("swr:repository:listAllInstanceRepositories"), Auxiliary)
            }
            Self::ListArtifacts => ("list_artifacts", Some("swr:instance:listAllArtifacts"), Auxiliary),
            Self::FindProject => ("find_project", Some("iam:projects:listProjects"), Project),
        }
    }

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        self.properties().0
    }

    /// The IAM permission that the call needs, where it is known.
    pub const fn permission(self) -> Option<&'static str> {
        self.properties().1
    }

    pub(super) const fn service(self) -> Service {
        match self {
            Self::FindProject => Service::Iam,
            _ => Service::Api,
        }
    }

    /// The purpose of the call.
    pub const fn purpose(self) -> Purpose {
        self.properties().2
    }
}

/// The purpose of a call. Failures, refusals and pauses of one purpose do not affect the others: optional calls must not
/// cost the listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The list of repositories, which decides about the health of the API and the credential.
    Listing,
    /// Tags, details and retention rules of single repositories.
    Images,
    /// Totals, the Enterprise Edition, and other optional calls.
    Auxiliary,
    /// The lookup of the project's id in IAM, which is another service.
    Project,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The client's metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(super) calls: Calls,
    retries: IntCounterVec,
    pub(super) throttle_wait: Counter,
    pub(super) circuit_open: Gauge,
    dropped: IntCounterVec,
    pub(super) clock_skew: OptionalGauge,
    credential_expiry: OptionalGauge,
}

/// The `reason` values of `swr_samples_dropped_total`.
const DROPPED: [&str; 4] = ["timestamp", "number", "label", "name"];

impl Metrics {
    /// Creates the metrics in this registry.
    pub fn new(registry: &Registry) -> Self {
        let retries = metrics::counters(registry, &catalog::API_RETRIES, &[Operation::ListRepositories.as_str()]);
        Self {
            calls: Calls::new(registry),
            retries,
            throttle_wait: metrics::fractional_counter(registry, &catalog::API_THROTTLE_WAIT),
            circuit_open: metrics::gauge(registry, &catalog::API_CIRCUIT_OPEN),
            dropped: metrics::counters(registry, &catalog::SAMPLES_DROPPED, &DROPPED),
            clock_skew: OptionalGauge::new(registry, &catalog::API_CLOCK_SKEW),
            credential_expiry: OptionalGauge::new(registry, &catalog::CREDENTIAL_EXPIRY),
        }
    }

    /// The number of requests so far, including those for credentials.
    pub fn requests(&self) -> u64 {
        self.calls.total()
    }

    /// The metrics of requests for credentials.
    pub fn of_credentials(&self) -> auth::Metrics {
        auth::Metrics { calls: self.calls.clone(), expiry: self.credential_expiry.clone() }
    }

    pub(super) fn retry(&self, operation: Operation) {
        self.retries.with_label_values(&[operation.as_str()]).inc();
    }

    pub(super) fn count_dropped(&self, dropped: DroppedFields) {
        for (reason, count) in DROPPED.iter().zip([dropped.timestamp, dropped.number, dropped.label, dropped.name]) {
            self.dropped.with_label_values(&[*reason]).inc_by(count);
        }
    }
}
