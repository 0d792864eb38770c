//! What is read beside the listing: figures that need permissions of their own, and must not cost the listing anything.
//!
//! They are read after a good listing, so an upstream that fails is not asked for more. The listing waits for them a
//! little and is then published with what was known before; the read goes on, alone, and what it brings is on the next
//! page. A call that fails leaves its part as it was, until that is too old, and costs no other part.

use super::{Metrics, Options, Patience, account, enterprise};
use crate::deadline::Deadline;
use crate::failure::{Failure, Reason};
use crate::model::figures::{Account, Dated, Enterprise};
use crate::model::{Snapshot, Timestamp};
use crate::swr::{ApiError, Client, Effort, Operation};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tracing::{Instrument, info, warn};

/// How long a finished listing waits where a later page can have what comes later. Small calls of a healthy service need
/// a tenth of it.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The collectors beside the listing of one account. Dropping it ends their reads.
#[derive(Debug)]
pub struct Beside {
    account: Option<Flight<Account>>,
    enterprise: Option<Flight<Enterprise>>,
    max_age: Duration,
    patience: Patience,
    metrics: Metrics,
}

impl Beside {
    /// Those that the options switch on. Nothing is read yet.
    pub fn new(options: &Options, metrics: &Metrics) -> Self {
        Self {
            account: options.account.then(|| Flight::new(account::COLLECTOR, metrics)),
            enterprise: options.enterprise.then(|| Flight::new(enterprise::COLLECTOR, metrics)),
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
            let flight = self.account.as_ref()?;
            let latest = known.map(|known| known.account.clone()).unwrap_or_default();
            let known = Known { latest: latest.clone(), read_at, max_age };
            let read = account::read(client.clone(), Effort::until(deadline), known);
            Some(flight.latest(read, patience, &self.metrics).await.unwrap_or(latest))
        };
        let enterprise = async {
            let flight = self.enterprise.as_ref()?;
            let latest = known.map(|known| known.enterprise.clone()).unwrap_or_default();
            let known = Known { latest: latest.clone(), read_at, max_age };
            let read = enterprise::read(client.clone(), Effort::until(deadline), self.metrics.clone(), known, room);
            Some(flight.latest(read, patience, &self.metrics).await.unwrap_or(latest))
        };
        let (account, enterprise) = tokio::join!(account, enterprise);
        (account.unwrap_or_default(), enterprise.unwrap_or_default())
    }
}

/// A call that brought nothing.
#[derive(Debug)]
pub(super) struct Setback {
    pub(super) operation: Operation,
    pub(super) failure: Failure,
    /// What to do about it, where that is known.
    pub(super) advice: String,
}

impl Setback {
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
        fresh: Result<V, Setback>,
        known: impl FnOnce(&T) -> Option<&Dated<V>>,
        setbacks: &mut Vec<Setback>,
    ) -> Option<Dated<V>> {
        match fresh {
            Ok(value) => Some(Dated { value, read_at: self.read_at }),
            Err(setback) => {
                setbacks.push(setback);
                known(&self.latest).filter(|known| known.is_within(self.max_age, self.read_at)).cloned()
            }
        }
    }
}

/// The read of one collector, which may outlast the refresh that began it.
#[derive(Debug)]
struct Flight<T> {
    collector: &'static str,
    running: tokio::sync::Mutex<JoinSet<(T, Vec<Setback>)>>,
    /// What failed at the latest read: it is said when it changes.
    said: Mutex<Vec<(Operation, Reason)>>,
}

impl<T: Send + 'static> Flight<T> {
    fn new(collector: &'static str, metrics: &Metrics) -> Self {
        metrics.expect(collector);
        Self { collector, running: tokio::sync::Mutex::default(), said: Mutex::default() }
    }

    /// Begins a read unless one runs, and gives what the latest one to end has brought, if one ended since last time.
    async fn latest(
        &self,
        read: impl Future<Output = (T, Vec<Setback>)> + Send + 'static,
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
        let Ok((figures, setbacks)) = latest? else {
            // One that panicked brought nothing, and has said so itself.
            metrics.read(self.collector, false);
            return None;
        };
        metrics.read(self.collector, setbacks.is_empty());
        self.say(&setbacks);
        Some(Arc::new(figures))
    }

    /// Says what failed, and what to do, once and not at every refresh.
    fn say(&self, setbacks: &[Setback]) {
        let key = |setback: &Setback| (setback.operation, setback.failure.reason);
        let now = setbacks.iter().map(key).collect();
        let mut said = std::mem::replace(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner), now);
        let collector = self.collector;
        if setbacks.is_empty() && !said.is_empty() {
            info!(collector, "the collector `{collector}` is complete again");
        }
        for setback in setbacks {
            if said.contains(&key(setback)) {
                continue;
            }
            said.push(key(setback));
            let Setback { operation, failure, advice } = setback;
            let mark = if advice.is_empty() { "" } else { "; " };
            warn!(
                collector, %operation, reason = %failure.reason,
                "the call `{operation}` of the collector `{collector}` failed: {}{mark}{advice}", failure.message
            );
        }
    }
}
