//! The cache decides when to collect and what to serve: window, single flight, deadline, last good value, maximum age,
//! back-off.
//!
//! Generic over the value it holds. A refresh is detached from the scrape that caused it: a scraper that hangs up cancels
//! nothing, and one refresh runs at a time however many scrapes wait. Waits are measured on the monotonic clock; the wall
//! clock is only shown. Deliberately absent: how to collect, and HTTP.

pub mod metrics;
pub mod policy;

use crate::base::clock;
use crate::base::deadline::Deadline;
use crate::base::log_limiter::LogLimiter;
use crate::failure::{Failure, Reason};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use policy::Backoff;
pub use policy::{Options, Wait};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use strum::{IntoStaticStr, VariantNames};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{Instrument, error, info, warn};

/// The result of a refresh.
#[derive(Debug)]
pub struct Outcome<T> {
    /// The new value, which replaces the old one.
    pub value: T,
    /// Why it is incomplete, if it is.
    pub gap: Option<Failure>,
}

/// Collects a new value by the deadline, given the one held so far. Dropping its future must be safe.
pub type Refresh<T> =
    Box<dyn Fn(Option<Arc<T>>, Deadline) -> BoxFuture<'static, Result<Outcome<T>, Failure>> + Send + Sync>;

/// Persists each new value, given the time its collection began.
pub type Persister<T> = Box<dyn Fn(Arc<T>, SystemTime) -> BoxFuture<'static, ()> + Send + Sync>;

/// How a scrape was served: the `served` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantNames, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ServedKind {
    /// Inside the window.
    Fresh,
    /// From a refresh that ended in time.
    Refreshed,
    /// Older data: the refresh failed, is late, or waits for its back-off.
    Stale,
    /// There is no data, or none young enough.
    Nothing,
}

impl ServedKind {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The answer to a scrape.
#[derive(Debug)]
pub struct Served<T> {
    /// The value; `None` exactly if `kind` is [`ServedKind::Nothing`].
    pub value: Option<Arc<T>>,
    /// How it was served.
    pub kind: ServedKind,
}

/// A refresh that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// When it ended, by the wall clock.
    pub ended_at: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
}

/// The latest refresh that failed; later ones may have succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastFailure {
    /// Why it failed.
    pub failure: Failure,
    /// How long ago it ended.
    pub ago: Duration,
}

/// The state of the cache.
#[derive(Debug)]
pub struct Status<T> {
    /// The value that would be served now, and the wall-clock time its collection began.
    pub held: Option<(Arc<T>, SystemTime)>,
    /// The age of that value.
    pub age: Option<Duration>,
    /// The latest refresh that ended.
    pub latest: Option<Attempt>,
    /// The latest refresh that failed.
    pub last_failure: Option<PastFailure>,
    /// Whether a refresh is running.
    pub running: bool,
    /// The time until a scrape may start a refresh; zero if the next one will.
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
    persister: Option<Persister<T>>,
    wall_clock: fn() -> SystemTime,
    /// The time the machine was suspended, which `Instant` does not count.
    suspended_time: fn() -> Duration,
    metrics: metrics::Counters,
    /// The number of refreshes that have ended.
    ended: watch::Sender<u64>,
    state: Mutex<State<T>>,
    /// Held by the task that persists values. One at a time: two would write one file, more would wait for a disk that hangs.
    persisting: tokio::sync::Mutex<()>,
}

impl<T> Shared<T> {
    fn now(&self) -> Moment {
        Moment { instant: Instant::now(), suspended: (self.suspended_time)() }
    }
}

struct State<T> {
    held: Option<Held<T>>,
    latest: Option<Attempt>,
    last_failure: Option<(Failure, Moment)>,
    running: Option<AbortHandle>,
    backoff: Backoff,
    log: LogLimiter<Reason>,
    /// Whether the latest log line about refreshes reported a failure.
    is_failure_logged: bool,
    is_closed: bool,
}

/// A point in time, by a clock that also runs while the machine is suspended.
#[derive(Clone, Copy)]
struct Moment {
    instant: Instant,
    suspended: Duration,
}

impl Moment {
    fn since(self, earlier: Self) -> Duration {
        let awake = self.instant.saturating_duration_since(earlier.instant);
        awake + self.suspended.saturating_sub(earlier.suspended)
    }
}

struct Held<T> {
    value: Arc<T>,
    read_at: SystemTime,
    /// The age at `since`; not zero for a value from before a restart.
    initial_age: Duration,
    since: Moment,
    /// The window that is left, from this moment on: no refresh starts within it.
    window: (Moment, Duration),
}

impl<T> Held<T> {
    fn age(&self, now: Moment) -> Duration {
        self.initial_age + now.since(self.since)
    }

    /// How long it stays fresh.
    fn fresh_for(&self, now: Moment) -> Duration {
        let (from, window) = self.window;
        window.saturating_sub(now.since(from))
    }
}

impl<T: Send + Sync + 'static> Cache<T> {
    /// An empty cache; the first scrape starts the first refresh.
    pub fn new(
        options: Options,
        refresh: Refresh<T>,
        persister: Option<Persister<T>>,
        metrics: metrics::Counters,
        wall_clock: fn() -> SystemTime,
    ) -> Self {
        let state = State {
            held: None,
            latest: None,
            last_failure: None,
            running: None,
            backoff: Backoff::new(&options),
            log: LogLimiter::default(),
            is_failure_logged: false,
            is_closed: false,
        };
        Self(Arc::new(Shared {
            options,
            refresh,
            persister,
            wall_clock,
            suspended_time: clock::suspended_time,
            metrics,
            ended: watch::Sender::new(0),
            state: Mutex::new(state),
            persisting: tokio::sync::Mutex::default(),
        }))
    }

    /// Puts in a value from before a restart. Its age goes on counting; no refresh starts within its window.
    pub fn restore(&self, value: T, read_at: SystemTime, age: Duration) {
        let now = self.0.now();
        let window = (now, self.0.options.window.saturating_sub(age));
        let held = Held { value: Arc::new(value), read_at, initial_age: age, since: now, window };
        self.0.state.lock().held = Some(held);
    }

    /// The value to serve, after waiting for a refresh if one is due, no longer than the deadline.
    ///
    /// Dropping the future ends the wait, not the refresh.
    pub async fn get(&self, deadline: Deadline) -> Served<T> {
        let served = self.serve(deadline).await;
        self.0.metrics.served(served.kind);
        served
    }

    async fn serve(&self, deadline: Deadline) -> Served<T> {
        let (older, mut ended, before) = {
            let mut state = self.0.state.lock();
            let now = self.0.now();
            let older = state.servable(now, self.0.options.max_age);
            if let Some(held) = &state.held
                && let Some(value) = &older
                && !held.fresh_for(now).is_zero()
            {
                return Served { value: Some(value.clone()), kind: ServedKind::Fresh };
            }
            if state.running.is_none() {
                if state.is_closed || !state.backoff.allows(now.instant) {
                    return stale(older);
                }
                self.start(&mut state);
            }
            // Under the lock, which the end of a refresh takes: every later end is noticed.
            let ended = self.0.ended.subscribe();
            let before = *ended.borrow();
            (older, ended, before)
        };
        let deadline = match (&older, self.0.options.wait) {
            (Some(_), Wait::AtMost(longest)) => deadline.at_most(longest),
            _ => deadline,
        };
        let has_ended = deadline.bound(ended.wait_for(|ended| *ended > before)).await.is_ok();
        let now = self.0.state.lock().servable(self.0.now(), self.0.options.max_age);
        match (now, older) {
            (Some(new), Some(old)) if has_ended && !Arc::ptr_eq(&new, &old) => {
                Served { value: Some(new), kind: ServedKind::Refreshed }
            }
            (Some(new), None) if has_ended => Served { value: Some(new), kind: ServedKind::Refreshed },
            (now, _) => stale(now),
        }
    }

    /// The state now.
    pub fn status(&self) -> Status<T> {
        let state = self.0.state.lock();
        let now = self.0.now();
        let held = state.held.as_ref().filter(|held| held.age(now) <= self.0.options.max_age);
        let fresh_for = held.map_or(Duration::ZERO, |held| held.fresh_for(now));
        let back_off = state.backoff.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now.instant));
        Status {
            held: held.map(|held| (held.value.clone(), held.read_at)),
            age: held.map(|held| held.age(now)),
            latest: state.latest.clone(),
            last_failure: state
                .last_failure
                .as_ref()
                .map(|(failure, ended)| PastFailure { failure: failure.clone(), ago: now.since(*ended) }),
            running: state.running.is_some(),
            next_in: fresh_for.max(back_off),
        }
    }

    /// The settings.
    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Refreshes at once, without the back-off, if the latest refresh failed: its cause may be gone.
    pub fn try_again(&self) {
        let mut state = self.0.state.lock();
        let has_failed = state.latest.as_ref().is_some_and(|latest| latest.failure.is_some());
        if has_failed && state.running.is_none() && !state.is_closed {
            state.backoff.reset();
            self.start(&mut state);
        }
    }

    /// Cancels a running refresh and starts no more. The value held is still served.
    pub fn close(&self) {
        let mut state = self.0.state.lock();
        state.is_closed = true;
        let running = state.running.take();
        // The end of the task takes the lock.
        drop(state);
        if let Some(running) = running {
            running.abort();
            // Wakes the scrapes that wait for it.
            self.0.ended.send_modify(|ended| *ended += 1);
        }
    }

    fn start(&self, state: &mut State<T>) {
        let cache = self.clone();
        let previous = state.servable(self.0.now(), self.0.options.max_age);
        // Its log lines name the account of the current span.
        let task = tokio::spawn(
            async move {
                let ending = Ending(&cache.0);
                let (began, read_at) = (cache.0.now(), (cache.0.wall_clock)());
                let deadline = Deadline::after(cache.0.options.refresh_timeout);
                // The closure may panic before it returns a future, so it is called within `catch_unwind`.
                let refresh = AssertUnwindSafe(async { (cache.0.refresh)(previous, deadline).await }).catch_unwind();
                let result = match deadline.bound(refresh).await {
                    Ok(Ok(result)) => result,
                    Ok(Err(_panic)) => Err(Failure::new(Reason::Internal, "the refresh panicked")),
                    Err(_) => Err(Failure::new(Reason::Timeout, "the refresh was not done by its deadline")),
                };
                let is_new = cache.finish(result, began, read_at);
                drop(ending);
                if is_new {
                    cache.persist().await;
                }
            }
            .in_current_span(),
        );
        state.running = Some(task.abort_handle());
    }

    /// Stores the outcome of a refresh. Returns whether there is a new value.
    fn finish(&self, result: Result<Outcome<T>, Failure>, began: Moment, read_at: SystemTime) -> bool {
        let (value, failure) = match result {
            Ok(Outcome { value, gap }) => (Some(Arc::new(value)), gap),
            Err(failure) => (None, Some(failure)),
        };
        self.0.metrics.refreshed(failure.as_ref().map(|failure| failure.reason));
        let is_new = value.is_some();
        let mut state = self.0.state.lock();
        let now = self.0.now();
        state.log_outcome(&self.0.options, failure.as_ref(), value.is_some(), now);
        match &failure {
            None => state.backoff.reset(),
            Some(failure) => {
                state.backoff.failed(now.instant, failure.retry_after, fastrand::f64());
                state.last_failure = Some((failure.clone(), now));
            }
        }
        if let Some(value) = value {
            let window = (now, self.0.options.window);
            state.held = Some(Held { value, read_at, initial_age: Duration::ZERO, since: began, window });
        }
        state.latest = Some(Attempt { ended_at: (self.0.wall_clock)(), took: now.since(began), failure });
        is_new
    }

    /// Persists the newest value. If another task is persisting one, it continues with the newest when it is done.
    async fn persist(&self) {
        let Some(persister) = &self.0.persister else { return };
        let Ok(turn) = self.0.persisting.try_lock() else { return };
        let mut persisted: Option<Arc<T>> = None;
        loop {
            let (value, read_at) = {
                let state = self.0.state.lock();
                let newest = state.held.as_ref().map(|held| (held.value.clone(), held.read_at));
                let is_new = |value: &Arc<T>| persisted.as_ref().is_none_or(|persisted| !Arc::ptr_eq(persisted, value));
                let Some(newest) = newest.filter(|(value, _)| is_new(value)) else {
                    // While the state is locked: the task of a value that is stored after this finds its turn.
                    return drop(turn);
                };
                newest
            };
            persisted = Some(value.clone());
            persister(value, read_at).await;
        }
    }
}

/// Marks a refresh as ended when it is dropped, also by a panic: otherwise all scrapes would wait for it for ever. The
/// state must not be locked then.
struct Ending<'a, T>(&'a Shared<T>);

impl<T> Drop for Ending<'_, T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.running = None;
        if std::thread::panicking() {
            state.backoff.failed(Instant::now(), None, fastrand::f64());
        }
        drop(state);
        // Unlocked before the waiting scrapes are woken, because they read the state.
        self.0.ended.send_modify(|ended| *ended += 1);
    }
}

impl<T> State<T> {
    fn servable(&self, now: Moment, max_age: Duration) -> Option<Arc<T>> {
        self.held.as_ref().filter(|held| held.age(now) <= max_age).map(|held| held.value.clone())
    }

    /// Logs what changed: not every repeated failure, and no recovery from a failure that was not logged.
    fn log_outcome(&mut self, options: &Options, failure: Option<&Failure>, partial: bool, now: Moment) {
        let Some(failure) = failure else {
            if self.latest.is_none() {
                info!("first refresh complete");
            } else if self.is_failure_logged {
                info!(failed = self.backoff.failures, "refreshes succeed again");
            }
            self.is_failure_logged = false;
            return;
        };
        let Some(suppressed) = self.log.admit(failure.reason, now.instant) else { return };
        self.is_failure_logged = true;
        let serving = match (&self.held, partial) {
            (_, true) => "serving what could be read",
            (Some(held), _) if held.age(now) <= options.max_age => "serving the last good data",
            _ => "no data to serve",
        };
        let in_a_row = self.backoff.failures.saturating_add(1);
        let (reason, message) = (failure.reason, &failure.message);
        if reason.needs_action() {
            error!(%reason, in_a_row, suppressed, "refresh failed, {serving}: {message}");
        } else {
            warn!(%reason, in_a_row, suppressed, "refresh failed, {serving}: {message}");
        }
    }
}

fn stale<T>(older: Option<Arc<T>>) -> Served<T> {
    let kind = if older.is_some() { ServedKind::Stale } else { ServedKind::Nothing };
    Served { value: older, kind }
}

#[cfg(test)]
#[path = "cache/cache_tests.rs"]
mod tests;
