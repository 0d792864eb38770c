//! The collector of tags, details and retention rules, which fetches them repository by repository, at its own rate,
//! between refreshes.
//!
//! One task per account works on what the latest listing made necessary (`plan`) and stores the results in the inventory. A
//! refresh passes the new listing to it, waits briefly so that small changes show at once, and publishes what is known;
//! later refreshes show the rest. A failure delays its own repository only; one that would repeat for all of them stops
//! the work until the next refresh. Without work the task sleeps. It ends when the collector is dropped.

mod persist;
mod state;
mod worker;

use super::WaitPolicy;
use super::fetch_task::{FetchKind, Need, PerKind};
use super::inventory::{TagInventory, TagOptions, records};
use super::metrics::Metrics;
use crate::base::deadline::Deadline;
use crate::base::rate_limit::Rate;
use crate::base::state_file::WriteRecords;
use crate::model::reading::KnownRepository;
use crate::model::{Images, Snapshot};
use crate::swr::Client;
use crate::swr::throttle::TagRateLimiter;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use state::{TagWorker, TagWorkerState};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;
use tracing::Instrument;

/// What to fetch, and how fast.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is collected.
    pub collected: TagOptions,
    /// Calls per second, which count in the client's rate too.
    pub per_second: f64,
    /// The most distinct layers, which bounds memory.
    pub max_layers: usize,
}

impl Default for Options {
    fn default() -> Self {
        // The layers take about 2 GB.
        Self { collected: TagOptions::default(), per_second: 5.0, max_layers: 32 << 20 }
    }
}

/// Writes the records that it is given to the state file. After an error, what was written is discarded.
pub type SaveInventory = Arc<dyn Fn(WriteRecords) -> BoxFuture<'static, ()> + Send + Sync>;

/// The collector of one account. Dropping the last clone ends its task.
#[derive(Clone)]
pub struct TagCollector {
    worker: Arc<TagWorker>,
    task: Arc<WorkerTask>,
}

struct WorkerTask(AbortHandle);

impl Drop for WorkerTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl TagCollector {
    /// Starts the task, which waits for the first listing. `inventory` is that of a former process.
    pub fn start(
        client: Arc<Client>,
        options: Options,
        metrics: Metrics,
        mut inventory: TagInventory,
        persister: Option<SaveInventory>,
        wall_clock: fn() -> SystemTime,
    ) -> Self {
        inventory.adapt(&options.collected);
        let state = TagWorkerState::new(inventory, options.max_layers);
        let worker = Arc::new(TagWorker {
            client,
            limiter: Arc::new(TagRateLimiter::new(Rate::with_short_burst(options.per_second), worker::CALL_TIMEOUT)),
            options,
            metrics,
            persister,
            wall_clock,
            state: Mutex::new(state),
            writing: tokio::sync::Mutex::new(()),
            remaining: watch::Sender::new(0),
            idle: watch::Sender::new(true),
        });
        let task = tokio::spawn(worker::run(worker.clone()).in_current_span());
        Self { worker, task: Arc::new(WorkerTask(task.abort_handle())) }
    }

    /// Passes a new listing to the task, waits for changes, and returns what is known then. The wait ends when everything is
    /// fetched. A bounded wait is left out if that cannot happen in time.
    pub async fn refresh(&self, listing: &Snapshot, policy: WaitPolicy, deadline: Deadline) -> Images {
        let (mut remaining, mut idle) = (self.worker.remaining.subscribe(), self.worker.idle.subscribe());
        self.schedule(listing);
        let until = policy.until(deadline);
        let rate = Rate::with_short_burst(self.worker.options.per_second);
        #[expect(clippy::cast_precision_loss, reason = "compared with what fits into seconds")]
        let in_time = |remaining: usize| remaining as f64 <= rate.burst + rate.per_second * until.left().as_secs_f64();
        // When the time is up, what is known is shown.
        match policy {
            WaitPolicy::AtMost(_) if in_time(*remaining.borrow_and_update()) => {
                let _ = until.bound(remaining.wait_for(|remaining| *remaining == 0)).await;
            }
            WaitPolicy::AtMost(_) => {}
            WaitPolicy::UntilRead => {
                let _ = until.bound(idle.wait_for(|idle| *idle)).await;
            }
        }
        self.images(listing)
    }

    /// The number of repositories of which each kind is still to be fetched.
    pub fn unread(&self) -> PerKind<usize> {
        let state = self.worker.state();
        PerKind::from_fn(|kind| state.unread(kind))
    }

    /// What is known of a listing. If the inventory was replaced meanwhile, it is updated with the listing first.
    fn images(&self, listing: &Snapshot) -> Images {
        loop {
            {
                let mut state = self.worker.state();
                if state.matches_listing {
                    self.worker.update_metrics(&state);
                    return state.inventory.images(&self.worker.options.collected, self.worker.seconds());
                }
            }
            self.schedule(listing);
        }
    }

    /// Visits what is known of each repository.
    pub fn visit(&self, visit: &mut dyn FnMut(KnownRepository)) {
        for from in (0..).step_by(records::BATCH as usize) {
            let Some(batch) = records::batch(&self.worker.state().inventory, from) else { break };
            batch.into_iter().for_each(|record| visit(record.into()));
        }
    }

    /// Sets the most distinct layers, which is never more than the options allow.
    pub fn limit_layers(&self, most: Option<usize>) {
        let most = most.unwrap_or(usize::MAX).min(self.worker.options.max_layers);
        self.worker.state().max_layers = most;
    }

    /// What is known of a listing from before a restart, without a call.
    pub fn recall(&self, listing: &Snapshot) -> Images {
        let mut state = self.worker.state();
        // The tasks are dropped: no call is made before the first refresh.
        let plan =
            state.inventory.update(listing, &self.worker.options.collected, self.worker.seconds(), Instant::now());
        state.pending = plan.pending();
        state.matches_listing = true;
        drop(state);
        self.images(listing)
    }

    /// Takes over the inventory of a collector whose settings were changed, and ends that one.
    pub fn take_over(&self, predecessor: &Self) {
        predecessor.task.0.abort();
        let mut inventory = {
            let mut before = predecessor.worker.state();
            (before.is_handed_over, before.matches_listing) = (true, false);
            std::mem::take(&mut before.inventory)
        };
        inventory.adapt(&self.worker.options.collected);
        let mut state = self.worker.state();
        if inventory.len() < state.inventory.len() {
            return;
        }
        state.inventory = inventory;
        // These refer to slots of the other inventory. The next refresh creates them again.
        state.tasks.clear();
        state.delayed.clear();
        (state.remaining, state.is_dirty, state.matches_listing) = (0, true, false);
    }

    /// The memory that layers, lists and series of tags take, as a number of layers.
    pub fn memory_in_layers(&self) -> usize {
        self.worker.state().memory_in_layers()
    }

    /// Ends the task and writes the inventory once more, if it has changed. The returned task ends when nothing is being
    /// written any more; dropping it stops no writing.
    pub fn close(&self) -> JoinHandle<()> {
        self.task.0.abort();
        let (is_dirty, writing) = {
            let mut state = self.worker.state();
            (std::mem::take(&mut state.is_dirty), state.write_task.take())
        };
        let worker = self.worker.clone();
        let last = is_dirty.then(|| tokio::spawn(async move { worker.write_now().await }.in_current_span()));
        tokio::spawn(async move {
            for writing in writing.into_iter().chain(last) {
                // A panic ends it too.
                let _ = writing.await;
            }
        })
    }

    fn schedule(&self, listing: &Snapshot) {
        let worker = &self.worker;
        let remaining = {
            let mut state = worker.state();
            let plan = state.inventory.update(listing, &worker.options.collected, worker.seconds(), Instant::now());
            state.matches_listing = true;
            state.pending = plan.pending();
            state.remaining = plan.tasks.iter().filter(|task| task.need != Need::Drift).count();
            let TagWorkerState { tasks, delayed, running, statuses, .. } = &mut *state;
            // Calls under way continue. If their result is outdated by this listing, the next listing requests it again.
            *tasks = plan.tasks;
            tasks.retain(|task| !running.contains(&task.subject()));
            *delayed = plan.delayed.into_iter().collect();
            for kind in FetchKind::ALL {
                (statuses[kind].is_stopped, statuses[kind].refusals) = (false, 0);
            }
            worker.metrics.progress().set_fetches(state.to_fetch());
            worker.update_idle(&state);
            worker.update_metrics(&state);
            state.remaining
        };
        worker.remaining.send_replace(remaining);
    }
}

#[cfg(test)]
#[path = "tags/worker_tests.rs"]
mod tests;
