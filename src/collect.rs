//! From calls to one snapshot: the verified walk over the listing, and the merge into what was known before.
//!
//! Belongs here: what several calls mean together, and what a failure among them costs. Deliberately absent: HTTP,
//! exposition, when to collect.

mod progress;
pub mod metrics;
pub mod windows;
mod page_merger;
pub mod listing;
pub mod markers;
pub mod api_version;
pub mod namespaces;
pub mod auxiliary;
mod account;
pub mod enterprise;
pub mod plan;
pub mod inventory;
pub mod tags;

use crate::base::deadline::Deadline;
use crate::failure::Failure;
use crate::model::{Snapshot, Timestamp};
use crate::swr::{CallBudget, Client};
pub use api_version::ListApi;
pub use auxiliary::AuxiliaryCollectors;
pub use metrics::Metrics;
pub use progress::Progress;
use std::sync::Arc;
use std::time::Duration;

/// How long a finished listing waits for what is read beside it: tags, details, figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitPolicy {
    /// A moment, at most a tenth of the time that the refresh has left. What comes later is on a later page.
    Moment(Duration),
    /// Until everything was tried once: there is no later page. A tenth of the time that the refresh has left is kept
    /// for making the page.
    UntilRead,
}

impl WaitPolicy {
    /// Until when to wait in a refresh that has to end by `deadline`.
    pub(crate) fn until(self, deadline: Deadline) -> Deadline {
        let tenth = deadline.left() / 10;
        deadline.at_most(match self {
            Self::Moment(longest) => longest.min(tenth),
            Self::UntilRead => tenth * 9,
        })
    }
}

/// What to collect.
#[derive(Clone, Debug)]
pub struct Options {
    /// List only these organisations, each by itself; empty lists the account as a whole.
    pub namespaces: Vec<String>,
    /// Which edition of the listing is read.
    pub list_api: ListApi,
    /// Rows a page.
    pub page_size: u64,
    /// More repositories than this are refused: memory stays bounded whatever the upstream says.
    pub most_repositories: u64,
    /// Older rows of an organisation that cannot be read are given up, and older figures beside the listing.
    pub max_age: Duration,
    /// How long the listing waits for what is read beside it.
    pub patience: WaitPolicy,
    /// Whether organisations, totals and quotas are read.
    pub account: bool,
    /// Whether the Enterprise Edition is read.
    pub enterprise: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespaces: Vec::new(),
            list_api: ListApi::default(),
            page_size: 1000,
            most_repositories: 5_000_000,
            max_age: Duration::from_secs(3600),
            patience: WaitPolicy::Moment(auxiliary::PATIENCE),
            account: false,
            enterprise: false,
        }
    }
}

/// A snapshot, and what keeps it from being complete, if anything.
#[derive(Debug)]
pub struct Collected {
    /// Never half a listing: an organisation that failed keeps its previous rows.
    pub snapshot: Snapshot,
    /// The first failure among the organisations.
    pub gap: Option<Failure>,
}

/// Reads everything once.
///
/// # Errors
/// When there is nothing new to publish; what was known before stays as it is. Dropping the future ends the requests.
pub async fn collect(
    client: &Client,
    options: &Options,
    previous: Option<Arc<Snapshot>>,
    began: Timestamp,
    deadline: Deadline,
    metrics: &Metrics,
) -> Result<Collected, Failure> {
    let effort = CallBudget::until(deadline);
    metrics.progress().begin();
    let list_api = api_version::choose(client, options.list_api, &effort).await;
    let collected = if options.namespaces.is_empty() {
        // The previous snapshot is not needed: the listing of an account is whole or it fails.
        drop(previous);
        api_version::read(client, None, list_api, options, &effort, metrics)
            .await
            .map(|rows| Collected { snapshot: Snapshot::new(began, rows).0, gap: None })
    } else {
        namespaces::collect(client, list_api, options, previous.as_deref(), began, &effort, metrics).await
    };
    metrics.read(metrics::REPOSITORIES, collected.as_ref().is_ok_and(|collected| collected.gap.is_none()));
    collected
}
