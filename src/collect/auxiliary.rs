//! What is read beside the listing: figures that need permissions of their own, and must not cost the listing anything.
//!
//! They are read after a good listing, so an upstream that fails is not asked for more. The listing waits for them a
//! little and is then published with what was known before; the read goes on, alone, and what it brings is on the next
//! page. A call that fails leaves its part as it was, until that is too old, and costs no other part.

use super::{Metrics, Options, WaitPolicy, account, enterprise};
use crate::base::deadline::Deadline;
use crate::failure::{Failure, Reason};
use crate::model::figures::{Account, Dated, Enterprise};
use crate::model::{Snapshot, Timestamp};
use crate::swr::{ApiError, CallBudget, Client, Operation};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::{Instrument, info, warn};

/// How long a finished listing waits where a later page can have what comes later. Small calls of a healthy service need
/// a tenth of it.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The collectors beside the listing of one account. Dropping it ends their reads.
#[derive(Debug)]
pub struct AuxiliaryCollectors {
    account: Option<BackgroundRead<Account>>,
    enterprise: Option<BackgroundRead<Enterprise>>,
    max_age: Duration,
    patience: WaitPolicy,
    metrics: Metrics,
}

impl AuxiliaryCollectors {
    /// Those that the options switch on. Nothing is read yet.
    pub fn new(options: &Options, metrics: &Metrics) -> Self {
        Self {
            account: options.account.then(|| BackgroundRead::new(account::COLLECTOR, metrics)),
            enterprise: options.enterprise.then(|| BackgroundRead::new(enterprise::COLLECTOR, metrics)),
            max_age: options.max_age,
            patience: options.patience,
            metrics: metrics.clone(),
        }
    }

    /// The figures to go with a fresh listing: read now, or else the latest ones. `read_at` is when the listing was begun,
    /// `known` the snapshot before it, `room` how many repositories more there may be. The reads end by the refresh's
    /// deadline, and are waited for as long as the options say; dropping the future ends the wait and no read.
    pub async fn figures(
        &self,
        client: &Arc<Client>,
        read_at: Timestamp,
        known: Option<&Snapshot>,
        room: u64,
        deadline: Deadline,
    ) -> (Arc<Account>, Arc<Enterprise>) {
        let patience = self.patience.until(deadline);
        let max_age = self.max_age;
        let account = async {
            let background = self.account.as_ref()?;
            let latest = known.map(|known| known.account.clone()).unwrap_or_default();
            let known = Known { latest: latest.clone(), read_at, max_age };
            let read = account::read(client.clone(), CallBudget::until(deadline), known);
            Some(background.latest(read, patience, &self.metrics).await.unwrap_or(latest))
        };
        let enterprise = async {
            let background = self.enterprise.as_ref()?;
            let latest = known.map(|known| known.enterprise.clone()).unwrap_or_default();
            let known = Known { latest: latest.clone(), read_at, max_age };
            let read = enterprise::read(client.clone(), CallBudget::until(deadline), self.metrics.clone(), known, room);
            Some(background.latest(read, patience, &self.metrics).await.unwrap_or(latest))
        };
        let (account, enterprise) = tokio::join!(account, enterprise);
        (account.unwrap_or_default(), enterprise.unwrap_or_default())
    }
}

/// A call that brought nothing.
#[derive(Debug)]
pub(super) struct FailedCall {
    pub(super) operation: Operation,
    pub(super) failure: Failure,
    /// What to do about it, where that is known.
    pub(super) advice: String,
}

impl FailedCall {
    pub(super) fn of(operation: Operation, error: ApiError) -> Self {
        let advice = match &error {
            ApiError::NoProject { .. } => "give --swr.project-id".to_owned(),
            ApiError::Permission(_) => match operation.permission() {
                Some(permission) => format!("give the user the IAM permission {permission}"),
                None => "give the user SWR ReadOnlyAccess".to_owned(),
            },
            ApiError::NotFound(_) => "it may be that this region or cloud does not offer it".to_owned(),
            _ => String::new(),
        };
        Self { operation, failure: error.into(), advice }
    }

    pub(super) fn without_advice(operation: Operation, failure: Failure) -> Self {
        Self { operation, failure, advice: String::new() }
    }
}

/// What was known before a read, which began at `read_at`.
pub(super) struct Known<T> {
    latest: Arc<T>,
    read_at: Timestamp,
    max_age: Duration,
}

impl<T> Known<T> {
    /// What a call brought, or else what was known, unless that is too old.
    pub(super) fn fresh_or_known<V: Clone>(
        &self,
        fresh: Result<V, FailedCall>,
        known: impl FnOnce(&T) -> Option<&Dated<V>>,
        failed: &mut Vec<FailedCall>,
    ) -> Option<Dated<V>> {
        match fresh {
            Ok(value) => Some(Dated { value, read_at: self.read_at }),
            Err(call) => {
                failed.push(call);
                known(&self.latest).filter(|known| known.is_within(self.max_age, self.read_at)).cloned()
            }
        }
    }
}

/// The read of one collector, which may outlast the refresh that began it.
#[derive(Debug)]
struct BackgroundRead<T> {
    collector: &'static str,
    running: tokio::sync::Mutex<JoinSet<(T, Vec<FailedCall>)>>,
    /// What failed at the latest read: it is said when it changes.
    said: Mutex<Vec<(Operation, Reason)>>,
}

impl<T: Send + 'static> BackgroundRead<T> {
    fn new(collector: &'static str, metrics: &Metrics) -> Self {
        metrics.expect(collector);
        Self { collector, running: tokio::sync::Mutex::default(), said: Mutex::default() }
    }

    /// Begins a read unless one runs, and gives what the latest one to end has brought, if one ended since last time.
    async fn latest(
        &self,
        read: impl Future<Output = (T, Vec<FailedCall>)> + Send + 'static,
        patience: Deadline,
        metrics: &Metrics,
    ) -> Option<Arc<T>> {
        let mut running = self.running.lock().await;
        let mut latest = running.try_join_next();
        if running.is_empty() {
            // It may outlast the refresh, and speaks of the same account.
            running.spawn(read.in_current_span());
        }
        if let Ok(Some(fresh)) = patience.bound(running.join_next()).await {
            latest = Some(fresh);
        }
        drop(running);
        let Ok((figures, failed)) = latest? else {
            // One that panicked brought nothing, and has said so itself.
            metrics.read(self.collector, false);
            return None;
        };
        metrics.read(self.collector, failed.is_empty());
        self.say(&failed);
        Some(Arc::new(figures))
    }

    /// Says what failed, and what to do, once and not at every refresh.
    fn say(&self, failed: &[FailedCall]) {
        let key = |call: &FailedCall| (call.operation, call.failure.reason);
        let now = failed.iter().map(key).collect();
        let mut said = std::mem::replace(&mut *self.said.lock(), now);
        let collector = self.collector;
        if failed.is_empty() && !said.is_empty() {
            info!(collector, "the collector `{collector}` is complete again");
        }
        for call in failed {
            if said.contains(&key(call)) {
                continue;
            }
            said.push(key(call));
            let FailedCall { operation, failure, advice } = call;
            let mark = if advice.is_empty() { "" } else { "; " };
            warn!(
                collector, %operation, reason = %failure.reason,
                "the call `{operation}` of the collector `{collector}` failed: {}{mark}{advice}", failure.message
            );
        }
    }
}
