//! The collector `enterprise`: the project's instances, the statistics of each, and the repositories of all.

use super::markers;
use super::metrics::Metrics;
use super::partial::{FailedCall, Previous};
use super::walk::WalkFailure;
use crate::failure::{Failure, Reason};
use crate::model::figures::{Enterprise, Instance, InstanceRepository};
use crate::swr::enterprise::PAGE_SIZE;
use crate::swr::{ApiError, CallBudget, Client, Operation};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

pub(super) const COLLECTOR: &str = "enterprise";

/// The most instances of a project. Each costs a call.
pub const MAX_INSTANCES: u64 = 1_000;

/// The most repositories of all instances. More would need over a thousand calls in every read.
pub const MAX_REPOSITORIES: u64 = 100_000;

/// States of instances that have neither statistics nor artifacts yet.
const STATES_WITHOUT_CONTENTS: [&str; 2] = ["Initial", "Creating"];

/// Makes the calls, one after the other. A value whose call fails stays as it was. At most `room` repositories are read.
pub(super) async fn read(
    client: Arc<Client>,
    budget: CallBudget,
    metrics: Metrics,
    previous: Previous<Enterprise>,
    room: u64,
) -> (Enterprise, Vec<FailedCall>) {
    let mut failed = Vec::new();
    let mut listed = instances(&client, &budget).await;
    for instance in listed.iter_mut().flatten() {
        if !has_contents(instance) {
            continue;
        }
        let statistics = client.instance_statistics(&instance.id, &budget).await;
        instance.statistics = previous.unless_fresh(
            statistics.map_err(FailedCall::of(Operation::InstanceStatistics)),
            |known| {
                let known = &known.instances.as_ref()?.value;
                let index = known.binary_search_by(|known| known.id.cmp(&instance.id)).ok()?;
                known[index].statistics.as_ref()
            },
            &mut failed,
        );
    }
    let enterprise = Enterprise {
        instances: previous.unless_fresh(listed, |known| known.instances.as_ref(), &mut failed),
        repositories: previous.unless_fresh(
            repositories(&client, &budget, &metrics, MAX_REPOSITORIES.min(room)).await,
            |known| known.repositories.as_ref(),
            &mut failed,
        ),
    };
    (enterprise, failed)
}

/// Whether an instance can be asked for what it holds.
pub(super) fn has_contents(instance: &Instance) -> bool {
    !STATES_WITHOUT_CONTENTS.contains(&&*instance.status)
}

/// Lists all instances. They are sorted by id, each once.
pub(super) async fn instances(client: &Client, budget: &CallBudget) -> Result<Vec<Instance>, FailedCall> {
    let (mut instances, mut offset) = (Vec::new(), 0);
    loop {
        let page = client.instances(offset, budget).await.map_err(FailedCall::of(Operation::ListInstances))?;
        instances.extend(page.rows);
        offset += page.received;
        let is_last = page.received < PAGE_SIZE || page.total.is_some_and(|total| offset >= total);
        if offset > MAX_INSTANCES || (offset == MAX_INSTANCES && !is_last) {
            let message = format!("there are more than {MAX_INSTANCES} instances, the most that are read");
            let failure = Failure::new(Reason::Incomplete, message);
            return Err(FailedCall { operation: Operation::ListInstances, failure });
        }
        if is_last {
            break;
        }
    }
    instances.sort_by(|a, b| a.id.cmp(&b.id));
    instances.dedup_by(|a, b| a.id == b.id);
    Ok(instances)
}

/// Lists the repositories of all instances. They are sorted, each once.
async fn repositories(
    client: &Client,
    budget: &CallBudget,
    metrics: &Metrics,
    most: u64,
) -> Result<Vec<InstanceRepository>, FailedCall> {
    let read = |marker: Option<String>| async move { client.instance_repositories(marker.as_deref(), budget).await };
    let hash_key = |row: &InstanceRepository, by: &RandomState| by.hash_one(row.key());
    let walked = budget.deadline.bound(markers::read_all(read, hash_key, most, metrics)).await;
    let timeout = WalkFailure::Call(ApiError::Timeout("the listing of repositories"));
    let rows = walked.unwrap_or(Err(timeout));
    let mut rows = rows.map_err(FailedCall::of_walk(Operation::ListInstanceRepositories))?;
    // The sort is stable, so the row that was read last is kept.
    rows.reverse();
    rows.sort_by(|a, b| a.key().cmp(&b.key()));
    rows.dedup_by(|a, b| a.key() == b.key());
    Ok(rows)
}
