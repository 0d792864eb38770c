//! The artifacts of the Enterprise Edition: each instance's list, summed up by repository.
//!
//! The list has a row for each image, a hundred a page. So it is read at a rate of its own, in the background of many
//! refreshes, and again an hour later: the days since a pull need no more. An instance that fails keeps its sums for a day
//! and affects no other; one whose version does not offer the list has none.

use super::enterprise;
use super::markers;
use super::metrics::Metrics;
use super::partial::{FailedCall, Previous};
use super::walk::WalkFailure;
use crate::base::deadline::Deadline;
use crate::model::Timestamp;
use crate::model::figures::{Artifacts, InstanceArtifacts, RepositoryArtifacts};
use crate::swr::artifacts::{Artifact, are_offered_by};
use crate::swr::throttle::TagRateLimiter;
use crate::swr::{ApiError, CallBudget, Client, Operation};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

pub(super) const COLLECTOR: &str = "enterprise.artifacts";

const INTERVAL: Duration = Duration::from_secs(3600);

/// The age at which sums are withdrawn whose instance cannot be read.
pub(super) const MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// The time for one call with its retries.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(90);

/// The time for the list of one instance.
const INSTANCE_TIMEOUT: Duration = Duration::from_secs(2 * 3600);

/// The most artifacts of an instance. They are held in memory until they are summed up, some 20 MB.
pub const MAX_ARTIFACTS: u64 = 200_000;

pub(super) fn is_due(known: &Artifacts, now: Timestamp) -> bool {
    !known.complete_at.is_some_and(|read_at| read_at.is_within(INTERVAL, now))
}

/// Reads the list of each instance, one after the other. An instance whose call fails keeps its sums.
pub(super) async fn read(
    client: Arc<Client>,
    limiter: Arc<TagRateLimiter>,
    metrics: Metrics,
    previous: Previous<Artifacts>,
) -> (Artifacts, Vec<FailedCall>) {
    let mut failed = Vec::new();
    let budget = CallBudget::rate_limited(limiter.clone()).await;
    let listed = match enterprise::instances(&client, &budget).await {
        Ok(listed) => listed,
        Err(call) => {
            let mut known = (*previous.values).clone();
            known.instances.retain(|known| known.repositories.read_at.is_within(MAX_AGE, previous.read_at));
            return (known, vec![call]);
        }
    };
    let mut instances = Vec::new();
    for instance in
        listed.iter().filter(|instance| enterprise::has_contents(instance) && are_offered_by(&instance.version))
    {
        let sums = sums_of(&client, &limiter, &instance.id, &metrics).await;
        let repositories = previous.unless_fresh(sums, |known| known.of_instance(&instance.id), &mut failed);
        let instance = instance.id.clone();
        instances.extend(repositories.map(|repositories| InstanceArtifacts { instance, repositories }));
    }
    let complete_at = if failed.is_empty() { Some(previous.read_at) } else { previous.values.complete_at };
    (Artifacts { complete_at, instances }, failed)
}

async fn sums_of(
    client: &Client,
    limiter: &Arc<TagRateLimiter>,
    instance: &str,
    metrics: &Metrics,
) -> Result<Vec<RepositoryArtifacts>, FailedCall> {
    let read = |marker: Option<String>| async move {
        let budget = CallBudget::rate_limited(limiter.clone()).await;
        client.artifacts(instance, marker.as_deref(), &budget).await
    };
    let hash_key = |row: &Artifact, by: &RandomState| by.hash_one((row.repository, row.digest));
    let walk = markers::read_all(read, hash_key, MAX_ARTIFACTS, metrics);
    let walked = Deadline::after(INSTANCE_TIMEOUT).bound(walk).await;
    let timeout = WalkFailure::Call(ApiError::Timeout("the list of artifacts"));
    walked.unwrap_or(Err(timeout)).map(sum_up).map_err(FailedCall::of_walk(Operation::ListArtifacts))
}

/// Sums up artifacts by repository, each digest once. Of two rows with one digest the larger size counts, and the later
/// times.
fn sum_up(mut artifacts: Vec<Artifact>) -> Vec<RepositoryArtifacts> {
    artifacts.sort_unstable_by_key(|artifact| (artifact.repository, artifact.digest));
    artifacts.dedup_by(|other, kept| {
        let is_same = (other.repository, other.digest) == (kept.repository, kept.digest);
        if is_same {
            kept.size = kept.size.max(other.size);
            (kept.pushed, kept.pulled) = (kept.pushed.max(other.pushed), kept.pulled.max(other.pulled));
        }
        is_same
    });
    let of_one = |artifacts: &[Artifact]| RepositoryArtifacts {
        repository: artifacts[0].repository,
        size: artifacts.iter().try_fold(0u64, |sum, artifact| Some(sum.saturating_add(artifact.size?))),
        pushed: artifacts.iter().filter_map(|artifact| artifact.pushed).max(),
        pulled: artifacts.iter().filter_map(|artifact| artifact.pulled).max(),
    };
    artifacts.chunk_by(|a, b| a.repository == b.repository).map(of_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tags::Digest32;

    #[test]
    fn each_digest_of_a_repository_counts_once() {
        let artifact = |repository, digest, size, pushed, pulled: Option<i64>| Artifact {
            repository,
            digest: Digest32([digest; 32]),
            size,
            pushed: Some(Timestamp(pushed)),
            pulled: pulled.map(Timestamp),
        };
        let sums = sum_up(vec![
            artifact(2, 1, Some(10), 5, None),
            artifact(1, 1, Some(10), 3, Some(4)),
            artifact(2, 1, Some(12), 6, Some(7)),
            artifact(2, 3, Some(30), 1, Some(2)),
            artifact(3, 9, None, 1, None),
            artifact(3, 8, Some(1), 2, None),
        ]);
        let of = |repository, size, pushed, pulled: Option<i64>| RepositoryArtifacts {
            repository,
            size,
            pushed: Some(Timestamp(pushed)),
            pulled: pulled.map(Timestamp),
        };
        assert_eq!(sums, [of(1, Some(10), 3, Some(4)), of(2, Some(42), 6, Some(7)), of(3, None, 2, None)]);
    }

    #[test]
    fn a_complete_read_is_enough_for_an_hour() {
        let at = |seconds: i64| Timestamp(seconds * 1_000_000_000);
        let known = |complete_at| Artifacts { complete_at, instances: Vec::new() };
        assert!(is_due(&known(None), at(0)));
        assert!(!is_due(&known(Some(at(100))), at(3_700)));
        assert!(is_due(&known(Some(at(100))), at(3_701)));
    }
}
