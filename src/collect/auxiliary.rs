//! The collectors beside the listing, which need permissions of their own and must not cost the listing anything.
//!
//! They run after a successful listing, so a failing upstream does not get more calls. The refresh waits briefly for them
//! and then publishes the previous values; the read continues in the background, and its result appears with the next
//! refresh. A failed call leaves its part as it was, until that is too old, and affects no other part.

use super::partial::{FailedCall, Previous};
use super::{CollectorState, Metrics, Options, WaitPolicy, account, artifacts, enterprise};
use crate::base::deadline::Deadline;
use crate::base::rate_limit::Rate;
use crate::failure::Reason;
use crate::model::figures::{AccountFigures, Artifacts, Enterprise};
use crate::model::{Snapshot, Timestamp};
use crate::swr::throttle::TagRateLimiter;
use crate::swr::{CallBudget, Client, Operation};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::{Instrument, info, warn};

/// How long a finished listing waits if a later refresh can show what is missing. Ten times what a few small calls to a
/// healthy service need.
pub const MAX_WAIT: Duration = Duration::from_secs(2);

/// The collectors beside the listing of one account. Dropping it cancels their reads.
#[derive(Debug)]
pub struct AuxiliaryCollectors {
    account: Option<BackgroundRead<AccountFigures>>,
    enterprise: Option<BackgroundRead<Enterprise>>,
    artifacts: Option<BackgroundRead<Artifacts>>,
    artifact_limiter: Arc<TagRateLimiter>,
    max_age: Duration,
    wait_policy: WaitPolicy,
    metrics: Metrics,
}

impl AuxiliaryCollectors {
    /// Creates the collectors that the options enable. No call is made yet.
    pub fn new(options: &Options, metrics: &Metrics) -> Self {
        Self {
            account: options.account.then(|| BackgroundRead::new(account::COLLECTOR, metrics)),
            enterprise: options.enterprise.then(|| BackgroundRead::new(enterprise::COLLECTOR, metrics)),
            artifacts: options.artifacts.then(|| BackgroundRead::new(artifacts::COLLECTOR, metrics)),
            artifact_limiter: Arc::new(TagRateLimiter::new(
                Rate::with_short_burst(options.artifacts_per_second),
                artifacts::CALL_TIMEOUT,
            )),
            max_age: options.max_age,
            wait_policy: options.wait_policy,
            metrics: metrics.clone(),
        }
    }

    /// Reads the values that belong to a fresh listing, which began at `read_at`; `previous` is the snapshot before it, and
    /// `room` the number of repositories for which there is memory. The reads end with the refresh's deadline, except that of
    /// artifacts. The wait for them follows the options; dropping the future ends the wait and no read.
    pub async fn collect(
        &self,
        client: &Arc<Client>,
        read_at: Timestamp,
        previous: Option<&Snapshot>,
        room: u64,
        deadline: Deadline,
    ) -> (Arc<AccountFigures>, Arc<Enterprise>, Arc<Artifacts>) {
        let wait = self.wait_policy.until(deadline);
        let (max_age, metrics) = (self.max_age, &self.metrics);
        let budget = || CallBudget::until(deadline);
        let account = async {
            let background = self.account.as_ref()?;
            let values = previous.map(|snapshot| snapshot.account.clone()).unwrap_or_default();
            let previous = Previous { values: values.clone(), read_at, max_age };
            let read = account::read(client.clone(), budget(), previous).boxed();
            Some(background.latest(Some(read), wait, metrics).await.unwrap_or(values))
        };
        let enterprise = async {
            let background = self.enterprise.as_ref()?;
            let values = previous.map(|snapshot| snapshot.enterprise.clone()).unwrap_or_default();
            let previous = Previous { values: values.clone(), read_at, max_age };
            let read = enterprise::read(client.clone(), budget(), metrics.clone(), previous, room).boxed();
            Some(background.latest(Some(read), wait, metrics).await.unwrap_or(values))
        };
        let artifacts = async {
            let background = self.artifacts.as_ref()?;
            let values = previous.map(|snapshot| snapshot.artifacts.clone()).unwrap_or_default();
            let is_due = artifacts::is_due(&values, read_at);
            // The read may take many refreshes; only the one that starts it waits for it.
            let wait = if background.is_running().await { Deadline::after(Duration::ZERO) } else { wait };
            let previous = Previous { values: values.clone(), read_at, max_age: artifacts::MAX_AGE };
            let read =
                || artifacts::read(client.clone(), self.artifact_limiter.clone(), metrics.clone(), previous).boxed();
            Some(background.latest(is_due.then(read), wait, metrics).await.unwrap_or(values))
        };
        let (account, enterprise, artifacts) = tokio::join!(account, enterprise, artifacts);
        (account.unwrap_or_default(), enterprise.unwrap_or_default(), artifacts.unwrap_or_default())
    }
}

/// The read of one collector, which may outlast the refresh that started it.
#[derive(Debug)]
struct BackgroundRead<T> {
    collector: &'static str,
    running: tokio::sync::Mutex<JoinSet<(T, Vec<FailedCall>)>>,
    /// The failures of the latest read, so that only changes are logged.
    logged: Mutex<Vec<(Operation, Reason)>>,
}

impl<T: Send + 'static> BackgroundRead<T> {
    fn new(collector: &'static str, metrics: &Metrics) -> Self {
        metrics.set_state(collector, CollectorState::Pending);
        Self { collector, running: tokio::sync::Mutex::default(), logged: Mutex::default() }
    }

    async fn is_running(&self) -> bool {
        !self.running.lock().await.is_empty()
    }

    /// Starts a read, if one is due and none runs, and returns the result of the latest one that ended since the last call, if
    /// any.
    async fn latest(
        &self,
        read: Option<BoxFuture<'static, (T, Vec<FailedCall>)>>,
        wait: Deadline,
        metrics: &Metrics,
    ) -> Option<Arc<T>> {
        let mut running = self.running.lock().await;
        let mut latest = running.try_join_next();
        let is_idle = running.is_empty();
        let is_due = read.is_some();
        if let Some(read) = read.filter(|_| is_idle) {
            running.spawn(read.in_current_span());
        }
        if let Ok(Some(fresh)) = wait.bound(running.join_next()).await {
            latest = Some(fresh);
        }
        drop(running);
        if latest.is_none() && is_idle && !is_due {
            // What is known is still good, perhaps from before a restart.
            metrics.set_state(self.collector, CollectorState::Complete);
        }
        let Ok((values, failed)) = latest? else {
            // The read panicked, which has been logged.
            metrics.set_state(self.collector, CollectorState::Incomplete(None));
            return None;
        };
        let state = match failed.first() {
            Some(call) => CollectorState::Incomplete(Some(call.failure.clone())),
            None => CollectorState::Complete,
        };
        metrics.set_state(self.collector, state);
        self.log(&failed);
        Some(Arc::new(values))
    }

    /// Logs failures that were not there before, and the first complete read after failures.
    fn log(&self, failed: &[FailedCall]) {
        let key = |call: &FailedCall| (call.operation, call.failure.reason);
        let now = failed.iter().map(key).collect();
        let mut logged = std::mem::replace(&mut *self.logged.lock(), now);
        let collector = self.collector;
        if failed.is_empty() && !logged.is_empty() {
            info!(collector, "the collector `{collector}` is complete again");
        }
        for call in failed {
            if logged.contains(&key(call)) {
                continue;
            }
            logged.push(key(call));
            let FailedCall { operation, failure } = call;
            let advice = &failure.advice;
            let separator = if advice.is_empty() { "" } else { "; " };
            warn!(
                collector, %operation, reason = %failure.reason,
                "the call `{operation}` of the collector `{collector}` failed: {}{separator}{advice}", failure.message
            );
        }
    }
}
