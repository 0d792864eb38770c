//! Tags and details, read repository by repository at a rate of their own, while listings come and go.
//!
//! One task an account works on what the latest listing made necessary (`plan`) and enters it in the book. A refresh
//! hands it the fresh listing, waits a moment so that small changes show at once, and publishes with what is known; the
//! rest shows in later pages. What fails delays itself and no other; what would fail for all of them ends the work until
//! the next refresh. With nothing to do the task sleeps. It ends with the handle.

mod persist;
mod state;
mod worker;

use super::WaitPolicy;
use super::inventory::{TagInventory, TagOptions};
use super::metrics::Metrics;
use super::plan::Need;
use crate::base::deadline::Deadline;
use crate::model::pattern::Pattern;
use crate::model::{Images, Snapshot};
use crate::swr::Client;
use crate::swr::tag_rate_limiter::TagRateLimiter;
use crate::swr::throttle::Rate;
use parking_lot::Mutex;
use state::{Shared, State};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;
use tracing::Instrument;

/// What to read, and how fast.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether tags are read.
    pub tags: bool,
    /// Whether details are read.
    pub details: bool,
    /// Whose tags get series of their own.
    pub series: Option<Pattern>,
    /// Calls a second, out of the client's whole rate.
    pub per_second: f64,
    /// No reading of tags gets older than this, as far as the rate allows.
    pub full_interval: Duration,
    /// More distinct layers than this are not taken in: memory stays bounded.
    pub most_layers: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tags: false,
            details: false,
            series: None,
            per_second: 5.0,
            full_interval: Duration::from_secs(24 * 3600),
            // Some 2 GB.
            most_layers: 32 << 20,
        }
    }
}

/// Is given what writes the book; called on a thread that may block. What was written until an error is to be thrown away;
/// [`PassedOn`] is no trouble.
pub type Persister = Arc<dyn Fn(&dyn Fn(&mut dyn Write) -> io::Result<()>) + Send + Sync>;

/// Why a book is not written to its end: another account goes on with it, and writes it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("another account goes on with it")]
pub struct PassedOn;

/// The collector of one account. Dropping the last clone ends its task.
#[derive(Clone)]
pub struct Tags {
    shared: Arc<Shared>,
    task: Arc<Task>,
}

struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tags {
    /// Starts the task; it waits for the first listing. `book` is what a former process kept.
    pub fn start(
        client: Arc<Client>,
        options: Options,
        metrics: Metrics,
        mut book: TagInventory,
        keep: Option<Persister>,
        wall_clock: fn() -> SystemTime,
    ) -> Self {
        let wants = TagOptions {
            tags: options.tags,
            details: options.details,
            series: options.series.clone(),
            full_interval: options.full_interval,
        };
        book.drop_unwanted_series(&wants);
        let state = State::new(book, options.most_layers);
        let shared = Arc::new(Shared {
            client,
            pace: Arc::new(TagRateLimiter::new(rate(options.per_second), worker::LONGEST_CALL)),
            options,
            wants,
            metrics,
            keep,
            wall_clock,
            state: Mutex::new(state),
            keeping: Mutex::new(()),
            left: watch::Sender::new(0),
            at_rest: watch::Sender::new(true),
        });
        let task = tokio::spawn(worker::work(shared.clone()).in_current_span());
        Self { shared, task: Arc::new(Task(task.abort_handle())) }
    }

    /// Takes a fresh listing, waits for what has changed, and gives what is known then. The wait ends early when all is
    /// read; a wait for a moment is left out when it could not end in time.
    pub async fn refresh(&self, listing: &Snapshot, patience: WaitPolicy, deadline: Deadline) -> Images {
        let (mut left, mut at_rest) = (self.shared.left.subscribe(), self.shared.at_rest.subscribe());
        self.take(listing);
        let until = patience.until(deadline);
        let rate = self.shared.options.per_second;
        #[expect(clippy::cast_precision_loss, reason = "compared with what fits into a moment")]
        let in_time = |left: usize| left as f64 <= f64::from(burst(rate)) + rate * until.left().as_secs_f64();
        // When the time is over, what is known is shown.
        match patience {
            WaitPolicy::Moment(_) if in_time(*left.borrow_and_update()) => {
                let _ = until.bound(left.wait_for(|left| *left == 0)).await;
            }
            WaitPolicy::Moment(_) => {}
            WaitPolicy::UntilRead => {
                let _ = until.bound(at_rest.wait_for(|at_rest| *at_rest)).await;
            }
        }
        self.shown(listing)
    }

    /// Of how many repositories the tags, and of how many the details, are still to be read.
    pub fn unread(&self) -> (usize, usize) {
        let state = self.shared.state();
        let delayed = state.delayed.iter().map(|(_, task)| task);
        let waiting = state.tasks.iter().chain(delayed).filter(|task| task.need == Need::Details).count();
        let running = state.running.iter().filter(|(_, _, is_about_details)| *is_about_details).count();
        (state.pending, waiting + running)
    }

    /// What is known, laid beside the listing once more if the book was replaced meanwhile.
    fn shown(&self, listing: &Snapshot) -> Images {
        loop {
            {
                let mut state = self.shared.state();
                if state.is_aligned {
                    self.shared.show(&state);
                    return state.book.images(&self.shared.wants, self.shared.seconds());
                }
            }
            self.take(listing);
        }
    }

    /// Takes in no more distinct layers than this, and never more than the options say.
    pub fn limit_layers(&self, most: Option<usize>) {
        let most = most.unwrap_or(usize::MAX).min(self.shared.options.most_layers);
        self.shared.state().most_layers = most;
    }

    /// What is known of a listing from before a restart, without a call.
    pub fn recall(&self, listing: &Snapshot) -> Images {
        let mut state = self.shared.state();
        // The tasks are left for the first refresh: nothing is asked without a scrape.
        let plan = state.book.align(listing, &self.shared.wants, self.shared.seconds(), Instant::now());
        state.pending = plan.pending();
        state.is_aligned = true;
        drop(state);
        self.shown(listing)
    }

    /// Goes on with what another one knew, whose settings were changed, and ends that one.
    pub fn inherit(&self, predecessor: &Self) {
        predecessor.task.0.abort();
        let mut book = {
            let mut before = predecessor.shared.state();
            (before.is_passed_on, before.is_aligned) = (true, false);
            std::mem::take(&mut before.book)
        };
        book.drop_unwanted_series(&self.shared.wants);
        let mut state = self.shared.state();
        if book.len() < state.book.len() {
            return;
        }
        state.book = book;
        // These speak of places in the other book; the next refresh finds them again.
        state.tasks.clear();
        state.delayed.clear();
        (state.left, state.is_dirty, state.is_aligned) = (0, true, false);
    }

    /// Distinct layers and configurations that are known.
    pub fn layers(&self) -> usize {
        self.shared.state().book.layers().len()
    }

    /// Ends the task and keeps the book once more, if it has changed. Ends when nothing is being written any more; dropping
    /// what is returned stops no writing.
    pub fn close(&self) -> JoinHandle<()> {
        self.task.0.abort();
        let (is_dirty, keeping) = {
            let mut state = self.shared.state();
            (std::mem::take(&mut state.is_dirty), state.keep_task.take())
        };
        let shared = self.shared.clone();
        let last = is_dirty.then(|| tokio::task::spawn_blocking(move || shared.keep_now()));
        tokio::spawn(async move {
            for writing in keeping.into_iter().chain(last) {
                // One that panicked has ended too.
                let _ = writing.await;
            }
        })
    }

    fn take(&self, listing: &Snapshot) {
        let shared = &self.shared;
        let left = {
            let mut state = shared.state();
            let plan = state.book.align(listing, &shared.wants, shared.seconds(), Instant::now());
            state.is_aligned = true;
            state.pending = plan.pending();
            state.left = plan.tasks.iter().filter(|task| task.need != Need::Drift).count();
            let State { tasks, delayed, running, .. } = &mut *state;
            // What is under way goes on. If the listing knows more by now, it will be asked for after the next one.
            *tasks = plan.tasks;
            tasks.retain(|task| !running.contains(&task.subject()));
            *delayed = plan.delayed.into_iter().collect();
            let State { tags, details, .. } = &mut *state;
            for lane in [tags, details] {
                (lane.is_stopped, lane.refusals) = (false, 0);
            }
            shared.metrics.progress().further(state.to_read());
            shared.rest(&state);
            shared.show(&state);
            state.left
        };
        shared.left.send_replace(left);
    }
}

fn burst(per_second: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let burst = (per_second * 2.0) as u32;
    burst.max(1)
}

fn rate(per_second: f64) -> Rate {
    Rate { per_second, burst: burst(per_second) }
}

#[cfg(test)]
#[path = "tags/worker_tests.rs"]
mod tests;
