//! The Enterprise Edition: the project's instances, the counts of each, and the repositories of all.

use super::auxiliary::{FailedCall, Known};
use super::markers::{self, Stop};
use super::metrics::Metrics;
use crate::failure::{Failure, Reason};
use crate::model::figures::{Enterprise, Instance, InstanceRepository};
use crate::swr::enterprise::PAGE;
use crate::swr::markers::MarkerPage;
use crate::swr::{ApiError, CallBudget, Client, Operation};
use std::sync::Arc;

/// The `collector` label.
pub(super) const COLLECTOR: &str = "enterprise";

/// More instances than this are no project's; each costs a call.
pub const MOST_INSTANCES: u64 = 1_000;

/// More repositories than this would take a thousand calls at each read.
pub const MOST_REPOSITORIES: u64 = 100_000;

/// Instances that are being made have no counts.
const UNFINISHED: [&str; 2] = ["Initial", "Creating"];

/// Makes the calls, one after the other; what one of them does not bring is as it was known.
pub(super) async fn read(
    client: Arc<Client>,
    effort: CallBudget,
    metrics: Metrics,
    known: Known<Enterprise>,
    room: u64,
) -> (Enterprise, Vec<FailedCall>) {
    let mut failed = Vec::new();
    let listed = match instances(&client, &effort).await {
        Ok(mut instances) => {
            for instance in instances.iter_mut().filter(|instance| !UNFINISHED.contains(&&*instance.status)) {
                let counted = client.instance_statistics(&instance.id, &effort).await;
                instance.statistics = known.fresh_or_known(
                    counted.map_err(|error| FailedCall::of(Operation::InstanceStatistics, error)),
                    |known| {
                        let known = &known.instances.as_ref()?.value;
                        let place = known.binary_search_by(|known| known.id.cmp(&instance.id)).ok()?;
                        known[place].statistics.as_ref()
                    },
                    &mut failed,
                );
            }
            Ok(instances)
        }
        Err(call) => Err(call),
    };
    let enterprise = Enterprise {
        instances: known.fresh_or_known(listed, |known| known.instances.as_ref(), &mut failed),
        repositories: known.fresh_or_known(
            repositories(&client, &effort, &metrics, MOST_REPOSITORIES.min(room)).await,
            |known| known.repositories.as_ref(),
            &mut failed,
        ),
    };
    (enterprise, failed)
}

/// All instances, by id, each once.
async fn instances(client: &Client, effort: &CallBudget) -> Result<Vec<Instance>, FailedCall> {
    let failed = |error| FailedCall::of(Operation::ListInstances, error);
    let (mut instances, mut offset) = (Vec::new(), 0);
    loop {
        let page = client.instances(offset, effort).await.map_err(failed)?;
        instances.extend(page.rows);
        offset += page.received;
        let is_last = page.received < PAGE || page.total.is_some_and(|total| offset >= total);
        if is_last {
            break;
        }
        if offset >= MOST_INSTANCES {
            let message = format!("there are more than {MOST_INSTANCES} instances, the most that are read");
            return Err(FailedCall::without_advice(
                Operation::ListInstances,
                Failure::new(Reason::Incomplete, message),
            ));
        }
    }
    instances.sort_by(|a, b| a.id.cmp(&b.id));
    instances.dedup_by(|a, b| a.id == b.id);
    Ok(instances)
}

/// The repositories of all instances, in order, each once.
async fn repositories(
    client: &Client,
    effort: &CallBudget,
    metrics: &Metrics,
    most: u64,
) -> Result<Vec<InstanceRepository>, FailedCall> {
    let listing = Listing { client, effort };
    let walked = effort.deadline.bound(markers::walks(&listing, most, metrics)).await;
    let mut rows = match walked.unwrap_or(Err(Stop::Failed(ApiError::Timeout("the listing of repositories")))) {
        Ok(rows) => rows,
        Err(Stop::Failed(error)) => return Err(FailedCall::of(Operation::ListInstanceRepositories, error)),
        Err(stop) => return Err(FailedCall::without_advice(Operation::ListInstanceRepositories, stop.into())),
    };
    // Stable, and the later read wins.
    rows.reverse();
    rows.sort_by(|a, b| a.key().cmp(&b.key()));
    rows.dedup_by(|a, b| a.key() == b.key());
    Ok(rows)
}

struct Listing<'a> {
    client: &'a Client,
    effort: &'a CallBudget,
}

impl markers::MarkedPages for Listing<'_> {
    type Row = InstanceRepository;
    type Key<'a> = (&'a str, &'a str, &'a str);

    async fn page(&self, marker: Option<&str>) -> Result<MarkerPage<InstanceRepository>, ApiError> {
        self.client.instance_repositories(marker, self.effort).await
    }

    fn key(row: &InstanceRepository) -> (&str, &str, &str) {
        row.key()
    }
}
