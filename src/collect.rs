//! From calls to one snapshot: the verified walk over the listing, and the merge with the previous snapshot.
//!
//! Belongs here: what several calls mean together, and what a failure of one of them costs. Deliberately absent: HTTP,
//! exposition, and when to collect.

mod progress;
pub mod metrics;
pub mod walk;
pub mod page_windows;
mod page_merger;
pub mod listing;
pub mod markers;
pub mod api_version;
pub mod namespaces;
mod partial;
mod account;
pub mod enterprise;
pub mod artifacts;
pub mod auxiliary;
pub mod fetch_task;
pub mod inventory;
pub mod tag_listing;
pub mod tags;

use crate::base::deadline::Deadline;
use crate::failure::Failure;
use crate::model::{Snapshot, Timestamp};
use crate::swr::row_reader::KnownRows;
use crate::swr::{CallBudget, Client};
pub use api_version::ListApi;
pub use auxiliary::AuxiliaryCollectors;
use listing::ListingContext;
pub use metrics::{CollectorState, Metrics};
pub use progress::Progress;
use std::sync::Arc;
use std::time::Duration;

/// How long a finished listing waits for tags, details and the auxiliary collectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitPolicy {
    /// At most this long, and at most a tenth of the time that the refresh has left. A later refresh shows the rest.
    AtMost(Duration),
    /// Until everything was tried once, because there is no later refresh. A tenth of the time that is left is kept for the
    /// encoding.
    UntilRead,
}

impl WaitPolicy {
    /// When the wait ends, in a refresh that has to end by `deadline`.
    pub(crate) fn until(self, deadline: Deadline) -> Deadline {
        let tenth = deadline.left() / 10;
        deadline.at_most(match self {
            Self::AtMost(longest) => longest.min(tenth),
            Self::UntilRead => tenth * 9,
        })
    }
}

/// What to collect.
#[derive(Clone, Debug)]
pub struct Options {
    /// The organizations to list, one by one. If empty, the account is listed as a whole.
    pub namespaces: Vec<String>,
    /// The version of the listing API.
    pub list_api: ListApi,
    /// Rows per page.
    pub page_size: u64,
    /// The most repositories; a longer listing fails, which bounds memory.
    pub max_repositories: u64,
    /// The age at which rows of a failed organization, and values of the auxiliary collectors, are withdrawn.
    pub max_age: Duration,
    /// How long the listing waits for the other collectors.
    pub wait_policy: WaitPolicy,
    /// Whether organizations, totals and quotas are read.
    pub account: bool,
    /// Whether the Enterprise Edition is read.
    pub enterprise: bool,
    /// Whether the artifacts of the Enterprise Edition are read.
    pub artifacts: bool,
    /// Calls per second for artifacts, which count in the client's rate too.
    pub artifacts_per_second: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespaces: Vec::new(),
            list_api: ListApi::default(),
            page_size: 1000,
            max_repositories: 5_000_000,
            max_age: Duration::from_secs(3600),
            wait_policy: WaitPolicy::AtMost(auxiliary::MAX_WAIT),
            account: false,
            enterprise: false,
            artifacts: false,
            artifacts_per_second: 5.0,
        }
    }
}

/// A snapshot, and the failure that keeps it from being complete, if any.
#[derive(Debug)]
pub struct Collected {
    /// Never half a listing: an organization that failed keeps its previous rows.
    pub snapshot: Snapshot,
    /// The first failure among the organizations.
    pub gap: Option<Failure>,
}

/// Reads the listing once. Dropping the future cancels the requests.
///
/// # Errors
/// When there is nothing new to publish.
pub async fn collect(
    client: &Client,
    options: &Options,
    previous: Option<Arc<Snapshot>>,
    began: Timestamp,
    deadline: Deadline,
    metrics: &Metrics,
) -> Result<Collected, Failure> {
    let budget = CallBudget::until(deadline);
    metrics.progress().reset();
    let before = previous.as_ref().map(|snapshot| snapshot.repositories.clone()).unwrap_or_default();
    let key = client.fingerprint_key;
    let known = tokio::task::spawn_blocking(move || KnownRows::of(before, key)).await;
    let known = known.expect("hashing does not panic");
    let context = ListingContext { client, options, known: &known, budget: &budget, metrics };
    let list_api = api_version::choose(context).await;
    let collected = if options.namespaces.is_empty() {
        // Not needed, and large: the listing of an account is complete or fails.
        drop(previous);
        let read = api_version::read(context, None, list_api).await.map_err(Failure::from);
        read.map(|repositories| {
            let snapshot = Snapshot { read_at: began, repositories, ..Snapshot::default() };
            Collected { snapshot, gap: None }
        })
    } else {
        namespaces::collect(context, list_api, previous.as_deref(), began).await
    };
    let failure = match &collected {
        Ok(Collected { gap, .. }) => gap.as_ref(),
        Err(failure) => Some(failure),
    };
    let state = failure.map_or(CollectorState::Complete, |failure| CollectorState::Incomplete(Some(failure.clone())));
    metrics.set_state(metrics::REPOSITORIES, state);
    collected
}
