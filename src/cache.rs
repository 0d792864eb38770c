//! When to collect and what to serve: window, single flight, deadline, last good value, maximum age, back-off.
//!
//! Generic over what it holds. A refresh is detached from the scrape that asked for it: a scraper that hangs up cancels
//! nothing that others wait for, and one refresh runs at a time however many ask. Waiting is measured on the monotonic
//! clock; the wall clock is only shown. Deliberately absent: how to collect, and HTTP.

pub mod metrics;
pub mod policy;
pub mod state_file;
pub mod state_lock;

use crate::base::deadline::Deadline;
use crate::base::log_limiter::LogLimiter;
use crate::failure::{Failure, Reason};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use policy::Backoff;
pub use policy::{Options, Wait};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{Instrument, Span, error, info, warn};

/// What a refresh brings.
#[derive(Debug)]
pub struct Outcome<T> {
    /// The new value; it replaces the old one as a whole.
    pub value: T,
    /// What keeps it from being complete, if anything.
    pub gap: Option<Failure>,
}

/// Reads anew, given the value held so far, by the deadline. Dropping its future must be safe.
pub type Refresh<T> =
    Box<dyn Fn(Option<Arc<T>>, Deadline) -> BoxFuture<'static, Result<Outcome<T>, Failure>> + Send + Sync>;

/// Is told of each new value and when its read began, on a thread that may block.
pub type Persister<T> = Box<dyn Fn(&T, SystemTime) + Send + Sync>;

/// How a scrape was served: the `served` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedKind {
    /// Inside the window.
    Fresh,
    /// A refresh ended in time.
    Refreshed,
    /// Older data: the refresh failed, is late, or is held back.
    Stale,
    /// There is no data, or none young enough.
    Nothing,
}

impl ServedKind {
    /// All, in the order of the metrics contract.
    pub const ALL: [Self; 4] = [Self::Fresh, Self::Refreshed, Self::Stale, Self::Nothing];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Refreshed => "refreshed",
            Self::Stale => "stale",
            Self::Nothing => "nothing",
        }
    }
}

/// What a scrape gets.
#[derive(Debug)]
pub struct Served<T> {
    /// The value; `None` exactly when `how` is [`ServedKind::Nothing`].
    pub value: Option<Arc<T>>,
    /// How it came.
    pub how: ServedKind,
}

/// The latest refresh that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// When it ended, by the wall clock.
    pub ended_at: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// What was wrong, if anything.
    pub failure: Option<Failure>,
}

/// A refresh that failed, and may have been followed by good ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastFailure {
    /// What was wrong.
    pub failure: Failure,
    /// How long ago it ended.
    pub ago: Duration,
}

/// How things stand.
#[derive(Debug)]
pub struct Status<T> {
    /// What would be served now, and when its read began by the wall clock.
    pub held: Option<(Arc<T>, SystemTime)>,
    /// How old it is.
    pub age: Option<Duration>,
    /// The latest refresh that ended.
    pub latest: Option<Attempt>,
    /// The latest that failed.
    pub last_failure: Option<PastFailure>,
    /// Whether a refresh is running.
    pub running: bool,
    /// How long until the upstream may be asked again; zero when the next scrape will ask.
    pub next_in: Duration,
}

/// The cache of one account. Cheap to clone.
pub struct Cache<T>(Arc<Shared<T>>);

impl<T> Clone for Cache<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Shared<T> {
    options: Options,
    refresh: Refresh<T>,
    keep: Option<Persister<T>>,
    wall_clock: fn() -> SystemTime,
    metrics: metrics::Counters,
    /// How many refreshes have ended.
    ended: watch::Sender<u64>,
    state: Mutex<State<T>>,
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock()
    }
}

struct State<T> {
    held: Option<Held<T>>,
    latest: Option<Attempt>,
    last_failure: Option<(Failure, Instant)>,
    running: Option<AbortHandle>,
    backoff: Backoff,
    quiet: LogLimiter<Reason>,
    /// Whether the log's last word is that refreshes fail.
    said_failing: bool,
    /// Whether a task is at it: two at once would write one file, and more would only wait for a disk that hangs.
    keeping: bool,
    closed: bool,
}

struct Held<T> {
    value: Arc<T>,
    read_at: SystemTime,
    /// The age at `since`: not zero for a value from before a restart.
    age_then: Duration,
    since: Instant,
    /// Until then nothing is asked.
    fresh_until: Instant,
}

impl<T> Held<T> {
    fn age(&self, now: Instant) -> Duration {
        self.age_then + now.saturating_duration_since(self.since)
    }
}

impl<T: Send + Sync + 'static> Cache<T> {
    /// An empty cache; the first scrape starts the first refresh.
    pub fn new(
        options: Options,
        refresh: Refresh<T>,
        keep: Option<Persister<T>>,
        metrics: metrics::Counters,
        wall_clock: fn() -> SystemTime,
    ) -> Self {
        let backoff = Backoff::new(&options);
        let state = Mutex::new(State {
            held: None,
            latest: None,
            last_failure: None,
            running: None,
            backoff,
            quiet: LogLimiter::default(),
            said_failing: false,
            keeping: false,
            closed: false,
        });
        Self(Arc::new(Shared { options, refresh, keep, wall_clock, metrics, ended: watch::Sender::new(0), state }))
    }

    /// Puts in a value from before a restart. Its age goes on counting; inside its window nothing is asked.
    pub fn restore(&self, value: T, read_at: SystemTime, age: Duration) {
        let now = Instant::now();
        let fresh_until = now + self.0.options.window.saturating_sub(age);
        let held = Held { value: Arc::new(value), read_at, age_then: age, since: now, fresh_until };
        self.state().held = Some(held);
    }

    /// The value to serve, after waiting for a refresh where one is due, no longer than the deadline.
    ///
    /// Dropping the future ends the wait and not the refresh.
    pub async fn get(&self, deadline: Deadline) -> Served<T> {
        let served = self.serve(deadline).await;
        self.0.metrics.served(served.how);
        served
    }

    async fn serve(&self, deadline: Deadline) -> Served<T> {
        let (older, mut ticket, before) = {
            let mut state = self.state();
            let now = Instant::now();
            let older = state.servable(now, self.0.options.max_age);
            if let Some(held) = &state.held
                && let Some(value) = &older
                && now < held.fresh_until
            {
                return Served { value: Some(value.clone()), how: ServedKind::Fresh };
            }
            if state.running.is_none() {
                if state.closed || !state.backoff.allows(now) {
                    return stale(older);
                }
                self.start(&mut state);
            }
            // Counted under the lock, which the end of a refresh takes: one that comes from here on is seen.
            let ticket = self.0.ended.subscribe();
            let before = *ticket.borrow();
            (older, ticket, before)
        };
        let deadline = match (&older, self.0.options.wait) {
            (Some(_), Wait::AtMost(longest)) => deadline.at_most(longest),
            _ => deadline,
        };
        let ended = deadline.bound(ticket.wait_for(|ended| *ended > before)).await.is_ok();
        let now = self.state().servable(Instant::now(), self.0.options.max_age);
        match (now, older) {
            (Some(new), Some(old)) if ended && !Arc::ptr_eq(&new, &old) => {
                Served { value: Some(new), how: ServedKind::Refreshed }
            }
            (Some(new), None) if ended => Served { value: Some(new), how: ServedKind::Refreshed },
            (now, _) => stale(now),
        }
    }

    /// How things stand now.
    pub fn status(&self) -> Status<T> {
        let state = self.state();
        let now = Instant::now();
        let held = state.held.as_ref().filter(|held| held.age(now) <= self.0.options.max_age);
        let due = held.map_or(now, |held| held.fresh_until).max(state.backoff.until().unwrap_or(now));
        Status {
            held: held.map(|held| (held.value.clone(), held.read_at)),
            age: held.map(|held| held.age(now)),
            latest: state.latest.clone(),
            last_failure: state.last_failure.as_ref().map(|(failure, ended)| PastFailure {
                failure: failure.clone(),
                ago: now.saturating_duration_since(*ended),
            }),
            running: state.running.is_some(),
            next_in: due.saturating_duration_since(now),
        }
    }

    /// The settings.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// What made the latest refresh fail may be over: forgets the back-off and reads again at once.
    pub fn try_again(&self) {
        let mut state = self.state();
        let has_failed = state.latest.as_ref().is_some_and(|latest| latest.failure.is_some());
        if has_failed && state.running.is_none() && !state.closed {
            state.backoff.reset();
            self.start(&mut state);
        }
    }

    /// Cancels a running refresh and starts no more; what is held is still served.
    ///
    /// The snapshot's file is safe at any moment, so nothing is waited for.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let running = state.running.take();
        // A task that ends takes the lock.
        drop(state);
        if let Some(running) = running {
            running.abort();
            // Those who wait for it need wait no longer.
            self.0.ended.send_modify(|ended| *ended += 1);
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.state()
    }

    fn start(&self, state: &mut State<T>) {
        let cache = self.clone();
        let previous = state.servable(Instant::now(), self.0.options.max_age);
        // What is logged there is about the account for which this is called.
        let task = tokio::spawn(
            async move {
                let ending = Ending(&cache.0);
                let (began, read_at) = (Instant::now(), (cache.0.wall_clock)());
                let deadline = Deadline::after(cache.0.options.refresh_timeout);
                // The closure itself may panic too, so it is called inside what is caught.
                let refresh = AssertUnwindSafe(async { (cache.0.refresh)(previous, deadline).await }).catch_unwind();
                let result = match deadline.bound(refresh).await {
                    Ok(Ok(result)) => result,
                    Ok(Err(_panic)) => Err(Failure::new(Reason::Internal, "the refresh panicked")),
                    Err(_) => Err(Failure::new(Reason::Timeout, "the refresh was not done by its deadline")),
                };
                let is_new = cache.finish(result, began, read_at);
                drop(ending);
                if is_new {
                    cache.keep().await;
                }
            }
            .in_current_span(),
        );
        state.running = Some(task.abort_handle());
    }

    /// Takes in what a refresh brought; whether there is a new value.
    fn finish(&self, result: Result<Outcome<T>, Failure>, began: Instant, read_at: SystemTime) -> bool {
        let (value, failure) = match result {
            Ok(Outcome { value, gap }) => (Some(Arc::new(value)), gap),
            Err(failure) => (None, Some(failure)),
        };
        self.0.metrics.refreshed(failure.as_ref().map(|failure| failure.reason));
        let is_new = value.is_some();
        let mut state = self.state();
        let now = Instant::now();
        state.say(&self.0.options, failure.as_ref(), value.is_some(), now);
        match &failure {
            None => state.backoff.reset(),
            Some(failure) => {
                state.backoff.failed(now, failure.retry_after, fastrand::f64());
                state.last_failure = Some((failure.clone(), now));
            }
        }
        if let Some(value) = value {
            let fresh_until = now + self.0.options.window;
            state.held = Some(Held { value, read_at, age_then: Duration::ZERO, since: began, fresh_until });
        }
        state.latest =
            Some(Attempt { ended_at: (self.0.wall_clock)(), took: now.saturating_duration_since(began), failure });
        is_new
    }

    /// Keeps the newest value. While another task does, it is left to that one, which looks again when it is done.
    async fn keep(&self) {
        if self.0.keep.is_none() || std::mem::replace(&mut self.state().keeping, true) {
            return;
        }
        let mut kept: Option<Arc<T>> = None;
        loop {
            let newest = {
                let mut state = self.state();
                let held = state.held.as_ref().map(|held| (held.value.clone(), held.read_at));
                let newest = held.filter(|(value, _)| kept.as_ref().is_none_or(|kept| !Arc::ptr_eq(kept, value)));
                state.keeping = newest.is_some();
                newest
            };
            let Some((value, read_at)) = newest else { return };
            kept = Some(value.clone());
            let (cache, span) = (self.clone(), Span::current());
            let keeping = tokio::task::spawn_blocking(move || {
                if let Some(keep) = &cache.0.keep {
                    span.in_scope(|| keep(&value, read_at));
                }
            });
            if keeping.await.is_err() {
                error!("keeping the snapshot panicked; it is served all the same");
            }
        }
    }
}

/// Ends a refresh however its task goes on: were one that panicked still taken to be running, all would wait for it for
/// ever. The state must not be locked when it is dropped.
struct Ending<'a, T>(&'a Shared<T>);

impl<T> Drop for Ending<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running = None;
        if std::thread::panicking() {
            state.backoff.failed(Instant::now(), None, fastrand::f64());
        }
        drop(state);
        // Those who wait read the state, so it is unlocked before they are woken.
        self.0.ended.send_modify(|ended| *ended += 1);
    }
}

impl<T> State<T> {
    fn servable(&self, now: Instant, max_age: Duration) -> Option<Arc<T>> {
        self.held.as_ref().filter(|held| held.age(now) <= max_age).map(|held| held.value.clone())
    }

    /// One line for what changed. Repeated failures are not news, nor is a recovery from one that was not told.
    fn say(&mut self, options: &Options, failure: Option<&Failure>, partial: bool, now: Instant) {
        let Some(failure) = failure else {
            if self.latest.is_none() {
                info!("the first refresh is complete");
            } else if self.said_failing {
                info!(failed = self.backoff.failures(), "refreshes succeed again");
            }
            self.said_failing = false;
            return;
        };
        let Some(suppressed) = self.quiet.admit(failure.reason, now) else { return };
        self.said_failing = true;
        let serving = match (&self.held, partial) {
            (_, true) => "what could be read is served",
            (Some(held), _) if held.age(now) <= options.max_age => "the last good data is served",
            _ => "there is no data to serve",
        };
        let in_a_row = self.backoff.failures().saturating_add(1);
        let (reason, message) = (failure.reason, &failure.message);
        if reason.needs_action() {
            error!(%reason, in_a_row, suppressed, "a refresh failed, {serving}: {message}");
        } else {
            warn!(%reason, in_a_row, suppressed, "a refresh failed, {serving}: {message}");
        }
    }
}

fn stale<T>(older: Option<Arc<T>>) -> Served<T> {
    let how = if older.is_some() { ServedKind::Stale } else { ServedKind::Nothing };
    Served { value: older, how }
}

#[cfg(test)]
#[path = "cache/cache_tests.rs"]
mod tests;
