//! What the task and the handle share: the book, what is to be done, and how it fares.

use super::{Options, Persister};
use crate::collect::Metrics;
use crate::collect::inventory::{Subject, TagInventory, TagOptions};
use crate::collect::plan::{FetchTask, Need};
use crate::failure::Reason;
use crate::model::Timestamp;
use crate::model::tags::{self, Reading};
use crate::swr::Client;
use crate::swr::tag_rate_limiter::TagRateLimiter;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::error;

/// What failed is tried again after this, at first.
pub(super) const FIRST_DELAY: Duration = Duration::from_secs(30);

pub(super) struct Shared {
    pub(super) client: Arc<Client>,
    pub(super) pace: Arc<TagRateLimiter>,
    pub(super) options: Options,
    pub(super) wants: TagOptions,
    pub(super) metrics: Metrics,
    pub(super) keep: Option<Persister>,
    pub(super) wall_clock: fn() -> SystemTime,
    pub(super) state: Mutex<State>,
    pub(super) keeping: Mutex<()>,
    /// How much of the latest listing's work is left before a refresh need no longer wait; changes wake the task too.
    pub(super) left: watch::Sender<usize>,
    /// Whether everything that the latest listing made necessary was tried, or cannot be read until the next one.
    pub(super) at_rest: watch::Sender<bool>,
}

pub(super) struct State {
    pub(super) book: TagInventory,
    /// The most urgent last.
    pub(super) tasks: Vec<FetchTask>,
    pub(super) delayed: BTreeSet<(Instant, FetchTask)>,
    /// Errands under way, by place, serial and whether they are about details.
    pub(super) running: HashSet<(u32, u32, bool)>,
    /// Of all these, those that a refresh waits for, and those whose tags are out of date.
    pub(super) left: usize,
    pub(super) pending: usize,
    /// The upstream asked for a pause.
    pub(super) pause: Option<Instant>,
    pub(super) tags: WorkerStatus,
    pub(super) details: WorkerStatus,
    pub(super) most_layers: usize,
    /// Whether the book's order is that of the latest listing.
    pub(super) is_aligned: bool,
    /// Another account goes on with the book: what is here now is none.
    pub(super) is_passed_on: bool,
    pub(super) is_dirty: bool,
    /// The latest writing of the book.
    pub(super) keep_task: Option<JoinHandle<()>>,
    pub(super) kept_at: Instant,
    pub(super) keep_took: Duration,
}

/// How one kind of call fares: what one of them is refused is no matter of the other.
#[derive(Debug, Default)]
pub(super) struct WorkerStatus {
    /// What failed would fail again: no more of it until the next refresh.
    pub(super) is_stopped: bool,
    /// Refusals in a row.
    pub(super) refusals: u32,
    /// What the log said last of a failure, and whether of all or of one, so that it says it once.
    pub(super) said: Option<(Reason, bool)>,
}

impl State {
    /// Nothing to do yet.
    pub(super) fn new(book: TagInventory, most_layers: usize) -> Self {
        Self {
            book,
            tasks: Vec::new(),
            delayed: BTreeSet::new(),
            running: HashSet::new(),
            left: 0,
            pending: 0,
            pause: None,
            tags: WorkerStatus::default(),
            details: WorkerStatus::default(),
            most_layers,
            is_aligned: false,
            is_passed_on: false,
            is_dirty: false,
            keep_task: None,
            kept_at: Instant::now(),
            keep_took: Duration::ZERO,
        }
    }

    /// Whether what was read may be taken in: it may where it takes no more than there is, even if that is too much.
    pub(super) fn has_room_for(&self, task: &FetchTask, reading: &Reading) -> bool {
        let layers = self.book.layers();
        layers.len_with(task.place, &reading.blobs) <= self.most_layers.max(layers.len())
    }

    /// Whether there is nothing to do but to wait.
    pub(super) fn is_at_rest(&self) -> bool {
        self.tasks.is_empty() && self.running.is_empty()
    }

    /// Errands that are not done yet.
    pub(super) fn to_read(&self) -> usize {
        self.tasks.len() + self.delayed.len() + self.running.len()
    }

    /// That of an task.
    pub(super) fn lane(&mut self, task: &FetchTask) -> &mut WorkerStatus {
        if task.need == Need::Details { &mut self.details } else { &mut self.tags }
    }
}

/// What the log calls it.
pub(super) fn kind(task: &FetchTask) -> &'static str {
    if task.need == Need::Details { "details" } else { "tags" }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn seconds(&self) -> u32 {
        tags::seconds(Timestamp::from((self.wall_clock)()))
    }

    /// Tells whoever waits for it whether the work is at rest. Under the lock, so that the last word is the latest.
    pub(super) fn rest(&self, state: &State) {
        let now = state.is_at_rest();
        self.at_rest.send_if_modified(|at_rest| std::mem::replace(at_rest, now) != now);
    }

    /// The live metrics.
    pub(super) fn show(&self, state: &State) {
        self.metrics.progress().to_read(state.to_read());
        if self.options.tags {
            self.metrics.tags_pending(state.pending);
        }
        let waits = |details: bool| state.delayed.iter().any(|(_, task)| (task.need == Need::Details) == details);
        let up = |lane: &WorkerStatus, details: bool| !lane.is_stopped && !waits(details);
        let tags = self.options.tags.then(|| up(&state.tags, false));
        self.metrics.images_up(tags, self.options.details.then(|| up(&state.details, true)));
    }

    /// What to do next, if anything can be done now.
    pub(super) fn next(&self) -> Option<(FetchTask, Subject)> {
        let mut state = self.state();
        let now = Instant::now();
        if state.pause.take_if(|until| *until <= now).is_none() && state.pause.is_some() {
            return None;
        }
        loop {
            let due = state.delayed.first().filter(|(at, _)| *at <= now).is_some();
            let task = if due { state.delayed.pop_first().map(|(_, task)| task) } else { state.tasks.pop() }?;
            if state.lane(&task).is_stopped {
                // The next refresh will find it again.
                continue;
            }
            if let Some(subject) = state.book.subject(&task) {
                state.running.insert(task.subject());
                return Some((task, subject));
            }
        }
    }

    /// When there is something to do although nothing happens, after [`Shared::next`] had nothing.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let state = self.state();
        state.pause.or_else(|| state.delayed.first().map(|(at, _)| *at))
    }

    /// Whether it may not be done now, although it could when its turn was asked for.
    pub(super) fn is_held(&self, task: &FetchTask) -> bool {
        let mut state = self.state();
        state.pause.is_some() || state.lane(task).is_stopped
    }

    pub(super) fn put_back(&self, task: FetchTask) {
        let mut state = self.state();
        state.running.remove(&task.subject());
        state.tasks.push(task);
    }

    pub(super) fn panicked(&self, task: FetchTask) {
        error!("reading tags or details panicked; the repository is tried again later");
        let mut state = self.state();
        state.running.remove(&task.subject());
        let until = state.book.put_off(&task, Instant::now(), FIRST_DELAY);
        state.delayed.insert((until, task));
    }
}
