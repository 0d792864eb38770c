//! The state that the worker task and its handle share: the inventory, the tasks, and how they fare.

use super::{Options, SaveInventory};
use crate::collect::fetch_task::{FetchKind, FetchTask, Need, PerKind};
use crate::collect::inventory::{FetchSubject, TagInventory};
use crate::collect::metrics::{CollectorState, Metrics};
use crate::failure::Failure;
use crate::model::Timestamp;
use crate::model::layers::Layers;
use crate::model::reading::Reading;
use crate::model::tags::{self, TagSeries};
use crate::swr::Client;
use crate::swr::throttle::TagRateLimiter;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::error;

/// The delay after the first failure of a task.
pub(super) const FIRST_DELAY: Duration = Duration::from_secs(30);

/// The worker of one account.
pub(super) struct TagWorker {
    pub(super) client: Arc<Client>,
    pub(super) limiter: Arc<TagRateLimiter>,
    pub(super) options: Options,
    pub(super) metrics: Metrics,
    pub(super) persister: Option<SaveInventory>,
    pub(super) wall_clock: fn() -> SystemTime,
    pub(super) state: Mutex<TagWorkerState>,
    pub(super) writing: tokio::sync::Mutex<()>,
    /// The number of tasks that a refresh still waits for. A change wakes the task.
    pub(super) remaining: watch::Sender<usize>,
    /// Whether every task of the latest listing was tried, or has to wait for the next one.
    pub(super) idle: watch::Sender<bool>,
}

pub(super) struct TagWorkerState {
    pub(super) inventory: TagInventory,
    /// The most urgent last.
    pub(super) tasks: Vec<FetchTask>,
    pub(super) delayed: BTreeSet<(Instant, FetchTask)>,
    /// The subjects of the tasks under way.
    pub(super) running: HashSet<(u32, u32, FetchKind)>,
    /// The number of tasks that a refresh waits for.
    pub(super) remaining: usize,
    /// The number of repositories whose tags are out of date.
    pub(super) pending: usize,
    /// The end of a pause that the upstream asked for.
    pub(super) pause: Option<Instant>,
    pub(super) statuses: PerKind<WorkerStatus>,
    pub(super) max_layers: usize,
    /// Whether the inventory's order is that of the latest listing.
    pub(super) matches_listing: bool,
    /// Another collector has taken over the inventory; this one must not be used or written.
    pub(super) is_handed_over: bool,
    pub(super) is_dirty: bool,
    /// The latest write of the inventory.
    pub(super) write_task: Option<JoinHandle<()>>,
    pub(super) written_at: Instant,
    pub(super) write_took: Duration,
}

/// The status of one kind of call.
#[derive(Debug, Default)]
pub(super) struct WorkerStatus {
    /// No further calls before the next refresh, because they would fail too.
    pub(super) is_stopped: bool,
    /// Refusals in a row.
    pub(super) refusals: u32,
    /// The failure that was logged last, and whether it concerned all repositories; each is logged once.
    pub(super) logged: Option<(Failure, bool)>,
}

impl TagWorkerState {
    /// A state without tasks.
    pub(super) fn new(inventory: TagInventory, max_layers: usize) -> Self {
        Self {
            inventory,
            tasks: Vec::new(),
            delayed: BTreeSet::new(),
            running: HashSet::new(),
            remaining: 0,
            pending: 0,
            pause: None,
            statuses: PerKind::default(),
            max_layers,
            matches_listing: false,
            is_handed_over: false,
            is_dirty: false,
            write_task: None,
            written_at: Instant::now(),
            write_took: Duration::ZERO,
        }
    }

    /// Whether a reading fits. One that takes no more memory is stored even if there is too much already.
    pub(super) fn has_room_for(&self, task: &FetchTask, reading: &Reading) -> bool {
        let layers = self.inventory.layers();
        let layers = layers.len_with(task.slot, &reading.blobs) + layers.sharing();
        let tags = self.inventory.tag_bytes() - self.inventory.tag_bytes_of(task.slot)
            + reading.list.len()
            // Twice, because as much again is taken while the next repository like it is read.
            + 2 * reading.series.as_deref().map_or(0, TagSeries::bytes);
        layers + tags / Layers::BYTES <= self.max_layers.max(self.memory_in_layers())
    }

    /// The memory that layers, lists and series of tags take, as a number of layers.
    pub(super) fn memory_in_layers(&self) -> usize {
        let layers = self.inventory.layers();
        layers.len() + layers.sharing() + self.inventory.tag_bytes() / Layers::BYTES
    }

    /// Whether there is nothing to do but wait.
    pub(super) fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.running.is_empty()
    }

    /// Tasks that are not done yet.
    pub(super) fn to_fetch(&self) -> usize {
        self.tasks.len() + self.delayed.len() + self.running.len()
    }

    /// The number of repositories of which this kind is still to be fetched, known changes included.
    pub(super) fn unread(&self, kind: FetchKind) -> usize {
        if kind == FetchKind::Tags {
            return self.pending;
        }
        let delayed = self.delayed.iter().map(|(_, task)| task);
        let waiting = self.tasks.iter().chain(delayed).filter(|task| task.kind == kind && task.need != Need::Drift);
        waiting.count() + self.running.iter().filter(|(.., running)| *running == kind).count()
    }
}

impl TagWorker {
    pub(super) fn state(&self) -> MutexGuard<'_, TagWorkerState> {
        self.state.lock()
    }

    pub(super) fn seconds(&self) -> u32 {
        tags::seconds(Timestamp::from((self.wall_clock)()))
    }

    /// Notifies waiting refreshes when the worker becomes idle. Called with the lock, so that the last update is the latest.
    pub(super) fn update_idle(&self, state: &TagWorkerState) {
        let now = state.is_idle();
        self.idle.send_if_modified(|idle| std::mem::replace(idle, now) != now);
    }

    /// Updates the live metrics.
    pub(super) fn update_metrics(&self, state: &TagWorkerState) {
        self.metrics.progress().set_remaining_fetches(state.to_fetch());
        let enabled = &self.options.collected.enabled;
        if enabled[FetchKind::Tags] {
            self.metrics.tags_pending(state.pending);
        }
        for kind in FetchKind::ALL.into_iter().filter(|kind| enabled[*kind]) {
            let status = &state.statuses[kind];
            let has_delayed = state.delayed.iter().any(|(_, task)| task.kind == kind);
            let collector_state = if status.is_stopped || has_delayed {
                CollectorState::Incomplete(status.logged.as_ref().map(|(failure, _)| failure.clone()))
            } else {
                CollectorState::Complete
            };
            self.metrics.set_state(kind.collector(), collector_state);
        }
    }

    /// The next task, if one can be done now.
    pub(super) fn next(&self) -> Option<(FetchTask, FetchSubject)> {
        let mut state = self.state();
        let now = Instant::now();
        if state.pause.take_if(|until| *until <= now).is_none() && state.pause.is_some() {
            return None;
        }
        loop {
            let is_due = state.delayed.first().is_some_and(|(at, _)| *at <= now);
            let task = if is_due { state.delayed.pop_first().map(|(_, task)| task) } else { state.tasks.pop() }?;
            if state.statuses[task.kind].is_stopped {
                // The next refresh creates it again.
                continue;
            }
            if let Some(subject) = state.inventory.subject(&task) {
                state.running.insert(task.subject());
                return Some((task, subject));
            }
        }
    }

    /// When the next task becomes due, after [`TagWorker::next`] returned none.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let state = self.state();
        state.pause.or_else(|| state.delayed.first().map(|(at, _)| *at))
    }

    /// Whether a task has to be put back, because of a pause or a stop since it was taken.
    pub(super) fn is_held(&self, task: &FetchTask) -> bool {
        let state = self.state();
        state.pause.is_some() || state.statuses[task.kind].is_stopped
    }

    pub(super) fn put_back(&self, task: FetchTask) {
        let mut state = self.state();
        state.running.remove(&task.subject());
        state.tasks.push(task);
    }

    pub(super) fn panicked(&self, task: FetchTask) {
        error!("reading {} panicked; the repository is tried again later", task.kind.noun());
        let mut state = self.state();
        state.running.remove(&task.subject());
        let until = state.inventory.delay(&task, Instant::now(), FIRST_DELAY);
        state.delayed.insert((until, task));
    }
}
