//! The worker task: performs one fetch after the other, and decides what a failure means for the others.

use super::state::{FIRST_DELAY, TagWorker, TagWorkerState};
use crate::collect::fetch_task::{FetchKind, FetchTask, Need};
use crate::collect::inventory::{FetchSubject, Fetched};
use crate::collect::tag_listing;
use crate::failure::{Failure, Reason};
use crate::model::reading::{Reading, ReadingOptions};
use crate::swr::{ApiError, CallBudget};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// The time for one call with its retries. The worker, not the client, waits for longer pauses, because other calls wait
/// in the client.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(90);

/// Refusals in a row that do not concern single repositories any more.
const MAX_REFUSALS: u32 = 3;

/// The pause if the upstream asks for one without a duration.
const DEFAULT_PAUSE: Duration = Duration::from_secs(5);

/// Runs the worker: as many fetches at once as leave the listing a connection.
pub(super) async fn run(worker: Arc<TagWorker>) {
    let width = (worker.client.concurrency() - 1).max(1);
    let mut changes = worker.remaining.subscribe();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < width
            && let Some((task, subject)) = worker.next()
        {
            let worker = &worker;
            running.push(async move {
                if AssertUnwindSafe(worker.perform(task, subject)).catch_unwind().await.is_err() {
                    worker.panicked(task);
                }
            });
        }
        worker.update_idle(&worker.state());
        // With all connections busy, only their ends and the next write matter.
        let due = if running.len() < width { worker.next_due() } else { None };
        let wake = [due, worker.write_due()].into_iter().flatten().min();
        tokio::select! {
            Some(_) = running.next(), if !running.is_empty() => {}
            _ = changes.changed() => {}
            () = sleep_until(wake) => worker.write_if_due(),
        }
    }
}

async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// What a failure means for the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureScope {
    Gone,
    Repository,
    /// This repository was refused; several in a row stop the work.
    Refused,
    /// Every other repository would fail too.
    All,
    /// The upstream asked for a pause, and the task is tried again.
    Pause(Duration),
}

fn scope(error: &ApiError) -> FailureScope {
    match error {
        ApiError::Auth(_) | ApiError::Credential(_) => FailureScope::All,
        // The gateway does not know the call at all.
        ApiError::NotFound(answer) if answer.body.code.as_deref().is_some_and(|code| code.starts_with("APIG")) => {
            FailureScope::Refused
        }
        ApiError::NotFound(_) | ApiError::UnusableName(_) => FailureScope::Gone,
        ApiError::Permission(_) | ApiError::Blocked(_) | ApiError::Redirect(_) | ApiError::Refused(_) => {
            FailureScope::Refused
        }
        ApiError::RateLimited { wait } => FailureScope::Pause((*wait).max(Duration::from_secs(1))),
        ApiError::Throttled(_) | ApiError::WaitTooLong { .. } | ApiError::CircuitOpen { .. } => {
            FailureScope::Pause(error.retry_after().unwrap_or(DEFAULT_PAUSE).max(Duration::from_secs(1)))
        }
        _ => FailureScope::Repository,
    }
}

impl TagWorker {
    async fn perform(&self, task: FetchTask, subject: FetchSubject) {
        let mut budget = CallBudget::rate_limited(self.limiter.clone()).await;
        if self.is_held(&task) {
            self.put_back(task);
            return;
        }
        let (namespace, name) = (&subject.namespace, &subject.name);
        let result = match task.kind {
            FetchKind::Tags => {
                let with_series =
                    self.options.collected.series.as_ref().is_some_and(|series| series.matches(namespace, name));
                let tags = tag_listing::read(&self.client, namespace, name, &mut budget).await;
                let keep = self.options.collected.reclaim.keep.as_ref();
                let options = ReadingOptions { with_series, keep, indexed: &subject.indexed };
                tags.map(|tags| Fetched::Tags(Some(Reading::of(tags, &options))))
            }
            FetchKind::Details => {
                self.client.repository(namespace, name, &budget).await.map(|details| Fetched::Details(Some(details)))
            }
            FetchKind::Retention => {
                self.client.retention_rules(namespace, name, &budget).await.map(|rules| Fetched::Retention(Some(rules)))
            }
        };
        let remaining = self.conclude(task, &subject, result);
        self.remaining.send_replace(remaining);
    }

    /// Stores the result of a task, and returns the number of tasks that a refresh still waits for.
    fn conclude(&self, task: FetchTask, subject: &FetchSubject, result: Result<Fetched, ApiError>) -> usize {
        let mut state = self.state();
        let state = &mut *state;
        state.running.remove(&task.subject());
        let seconds = self.seconds();
        // A repository that is gone from the listing does not count there either.
        let is_listed = state.inventory.subject(&task).is_some();
        let is_done = match result {
            Ok(Fetched::Tags(Some(reading))) if !state.has_room_for(&task, &reading) => {
                let message = "there are more layers than memory leaves room for";
                self.stop(state, &task, Failure::new(Reason::Incomplete, message));
                false
            }
            Ok(fetched) => {
                let status = &mut state.statuses[task.kind];
                status.refusals = 0;
                if status.logged.take_if(|(_, of_all)| *of_all).is_some() {
                    info!("reading {} succeeds again", task.kind.noun());
                }
                state.inventory.store(&task, subject, fetched, seconds)
            }
            Err(error) => self.failed(state, task, subject, &error),
        };
        state.is_dirty = true;
        if is_done && is_listed && task.is_pending() {
            state.pending = state.pending.saturating_sub(1);
        }
        if state.pause.is_some() {
            // Waiting refreshes would wait in vain.
            state.remaining = 0;
        } else if is_listed && task.need != Need::Drift {
            state.remaining = state.remaining.saturating_sub(1);
        }
        self.update_metrics(state);
        state.remaining
    }

    /// Handles a failure, and returns whether the task is done nevertheless.
    fn failed(&self, state: &mut TagWorkerState, task: FetchTask, subject: &FetchSubject, error: &ApiError) -> bool {
        let (now, seconds) = (Instant::now(), self.seconds());
        let failure = error.describe();
        let (reason, message) = (failure.reason, &failure.message);
        debug!(namespace = %subject.namespace, repository = %subject.name, "reading failed: {message}");
        match scope(error) {
            FailureScope::Gone => {
                state.inventory.store(&task, subject, Fetched::nothing(task.kind), seconds);
                return true;
            }
            FailureScope::Pause(pause) => {
                state.pause = Some(now + pause);
                state.tasks.push(task);
                return false;
            }
            FailureScope::All => {
                self.stop(state, &task, failure);
                FetchKind::ALL.into_iter().for_each(|kind| state.statuses[kind].is_stopped = true);
                return false;
            }
            FailureScope::Refused => {
                let status = &mut state.statuses[task.kind];
                status.refusals += 1;
                if status.refusals >= MAX_REFUSALS {
                    self.stop(state, &task, failure.clone());
                }
            }
            FailureScope::Repository => {}
        }
        let status = &mut state.statuses[task.kind];
        if status.logged.as_ref().is_none_or(|(logged, _)| logged.reason != reason) {
            warn!(
                %reason,
                "cannot read the {} of `{}/{}`, trying again later: {message}",
                task.kind.noun(),
                subject.namespace,
                subject.name,
            );
            status.logged = Some((failure, false));
        }
        let until = state.inventory.delay(&task, now, FIRST_DELAY);
        state.delayed.insert((until, task));
        false
    }

    /// Stops calls of this kind until the next refresh.
    fn stop(&self, state: &mut TagWorkerState, task: &FetchTask, failure: Failure) {
        let status = &mut state.statuses[task.kind];
        status.is_stopped = true;
        let reason = failure.reason;
        if status.logged.as_ref().is_none_or(|(logged, of_all)| !of_all || logged.reason != reason) {
            let pending = state.pending;
            warn!(%reason, pending, "not reading {} until the next refresh: {}", task.kind.noun(), failure.message);
            status.logged = Some((failure, true));
        }
        state.tasks.retain(|other| other.kind != task.kind);
        state.remaining = state.tasks.iter().filter(|other| other.need != Need::Drift).count();
    }
}
