//! Tags and details, read repository by repository at a rate of their own, while listings come and go.
//!
//! One task an account works on what the latest listing made necessary (`plan`) and enters it in the book. A refresh
//! hands it the fresh listing, waits a moment so that small changes show at once, and publishes with what is known; the
//! rest shows in later pages. What fails delays itself and no other; what would fail for all of them ends the work until
//! the next refresh. With nothing to do the task sleeps. It ends with the handle.

use super::book::{Book, Subject, Wants};
use super::book_codec;
use super::metrics::Metrics;
use super::plan::{Errand, Need};
use crate::deadline::Deadline;
use crate::failure::{Reason, chain};
use crate::model::pattern::Pattern;
use crate::model::tags::Reading;
use crate::model::{Images, Snapshot, Timestamp, tags};
use crate::swr::throttle::{Rate, Throttle};
use crate::swr::{ApiError, Client, Effort};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use std::collections::{BTreeSet, HashSet};
use std::io::{self, Write};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

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
    /// The longest that a refresh waits for changes to be read.
    pub patience: Duration,
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
            patience: Duration::from_secs(2),
            // Some 2 GB.
            most_layers: 32 << 20,
        }
    }
}

/// Is given what writes the book; called on a thread that may block.
pub type Keep = Arc<dyn Fn(&dyn Fn(&mut dyn Write) -> io::Result<()>) + Send + Sync>;

/// One call, with its pages and retries, may take so long: a pause that the upstream asks for is not sat out in the
/// client, where others wait for their turn.
const LONGEST_CALL: Duration = Duration::from_secs(90);

/// What failed is tried again after this, at first.
const FIRST_DELAY: Duration = Duration::from_secs(30);

/// So many refusals in a row are not about single repositories.
const REFUSALS: u32 = 3;

/// Where the upstream asks for a pause and does not say how long.
const PAUSE: Duration = Duration::from_secs(5);

/// How often the book is kept while work goes on, and how soon after it ended. A book that takes long to write is
/// written less often.
const KEEP_EVERY: Duration = Duration::from_secs(60);
const KEEP_AT_REST: Duration = Duration::from_secs(2);
const KEEP_SHARE: u32 = 20;

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

struct Shared {
    client: Arc<Client>,
    throttle: Throttle,
    options: Options,
    wants: Wants,
    metrics: Metrics,
    keep: Option<Keep>,
    wall_clock: fn() -> SystemTime,
    state: Mutex<State>,
    keeping: Mutex<()>,
    /// How much of the latest listing's work is left before a refresh need no longer wait; changes wake the task too.
    left: watch::Sender<usize>,
}

struct State {
    book: Book,
    /// The most urgent last.
    errands: Vec<Errand>,
    delayed: BTreeSet<(Instant, Errand)>,
    /// Errands under way, by place, serial and whether they are about details.
    running: HashSet<(u32, u32, bool)>,
    /// Of all these, those that a refresh waits for, and those whose tags are out of date.
    left: usize,
    pending: usize,
    /// The upstream asked for a pause.
    pause: Option<Instant>,
    tags: Lane,
    details: Lane,
    most_layers: usize,
    /// Whether the book's order is that of the latest listing.
    is_aligned: bool,
    is_dirty: bool,
    kept_at: Instant,
    keep_took: Duration,
}

/// How one kind of call fares: what one of them is refused is no matter of the other.
#[derive(Debug, Default)]
struct Lane {
    /// What failed would fail again: no more of it until the next refresh.
    is_stopped: bool,
    /// Refusals in a row.
    refusals: u32,
    /// What the log said last of a failure, and whether of all or of one, so that it says it once.
    said: Option<(Reason, bool)>,
}

impl State {
    fn lane(&mut self, errand: &Errand) -> &mut Lane {
        if errand.need == Need::Details { &mut self.details } else { &mut self.tags }
    }
}

/// What the log calls it.
fn kind(errand: &Errand) -> &'static str {
    if errand.need == Need::Details { "details" } else { "tags" }
}

impl Tags {
    /// Starts the task; it waits for the first listing. `book` is what a former process kept.
    pub fn start(
        client: Arc<Client>,
        options: Options,
        metrics: Metrics,
        mut book: Book,
        keep: Option<Keep>,
        wall_clock: fn() -> SystemTime,
    ) -> Self {
        let wants = Wants {
            tags: options.tags,
            details: options.details,
            series: options.series.clone(),
            full_interval: options.full_interval,
        };
        book.drop_unwanted_series(&wants);
        let state = State {
            book,
            errands: Vec::new(),
            delayed: BTreeSet::new(),
            running: HashSet::new(),
            left: 0,
            pending: 0,
            pause: None,
            tags: Lane::default(),
            details: Lane::default(),
            most_layers: options.most_layers,
            is_aligned: false,
            is_dirty: false,
            kept_at: Instant::now(),
            keep_took: Duration::ZERO,
        };
        let shared = Arc::new(Shared {
            client,
            throttle: Throttle::new(rate(options.per_second)),
            options,
            wants,
            metrics,
            keep,
            wall_clock,
            state: Mutex::new(state),
            keeping: Mutex::new(()),
            left: watch::Sender::new(0),
        });
        let task = tokio::spawn(work(shared.clone()));
        Self { shared, task: Arc::new(Task(task.abort_handle())) }
    }

    /// Takes a fresh listing, waits a moment for what has changed, and gives what is known then. The wait ends early when
    /// all is read, and is left out when it could not end in time.
    pub async fn refresh(&self, listing: &Snapshot, deadline: Deadline) -> Images {
        let mut left = self.shared.left.subscribe();
        self.take(listing);
        let rate = self.shared.options.per_second;
        let patience = self.shared.options.patience.min(deadline.left() / 10);
        #[expect(clippy::cast_precision_loss, reason = "compared with what fits into a moment")]
        let in_time = |left: usize| left as f64 <= f64::from(burst(rate)) + rate * patience.as_secs_f64();
        if in_time(*left.borrow_and_update()) {
            // When the moment is over, what is known is shown.
            let _ = Deadline::after(patience).bound(left.wait_for(|left| *left == 0)).await;
        }
        self.shown(listing)
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
        // The errands are left for the first refresh: nothing is asked without a scrape.
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
            before.is_dirty = false;
            std::mem::take(&mut before.book)
        };
        book.drop_unwanted_series(&self.shared.wants);
        let mut state = self.shared.state();
        if book.len() < state.book.len() {
            return;
        }
        state.book = book;
        // These speak of places in the other book; the next refresh finds them again.
        state.errands.clear();
        state.delayed.clear();
        (state.left, state.is_dirty, state.is_aligned) = (0, true, false);
    }

    /// Distinct layers and configurations that are known.
    pub fn layers(&self) -> usize {
        self.shared.state().book.layers().len()
    }

    /// Ends the task and keeps the book once more, if it has changed, on a thread that may block.
    pub fn close(&self) {
        self.task.0.abort();
        let shared = self.shared.clone();
        if std::mem::take(&mut shared.state().is_dirty) {
            tokio::task::spawn_blocking(move || shared.keep_now());
        }
    }

    fn take(&self, listing: &Snapshot) {
        let shared = &self.shared;
        let left = {
            let mut state = shared.state();
            let plan = state.book.align(listing, &shared.wants, shared.seconds(), Instant::now());
            state.is_aligned = true;
            state.pending = plan.pending();
            state.left = plan.errands.iter().filter(|errand| errand.need != Need::Drift).count();
            let State { errands, delayed, running, .. } = &mut *state;
            // What is under way goes on. If the listing knows more by now, it will be asked for after the next one.
            *errands = plan.errands;
            errands.retain(|errand| !running.contains(&errand.subject()));
            *delayed = plan.delayed.into_iter().collect();
            let State { tags, details, .. } = &mut *state;
            for lane in [tags, details] {
                (lane.is_stopped, lane.refusals) = (false, 0);
            }
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

/// The task: as many errands at a time as leave the listing a connection.
async fn work(shared: Arc<Shared>) {
    let width = (shared.client.concurrency() - 1).max(1);
    let mut changes = shared.left.subscribe();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < width
            && let Some((errand, subject)) = shared.next()
        {
            let shared = &shared;
            running.push(async move {
                if AssertUnwindSafe(shared.perform(errand, subject)).catch_unwind().await.is_err() {
                    shared.panicked(errand);
                }
            });
        }
        let wake = shared.next_wake();
        tokio::select! {
            Some(_) = running.next(), if !running.is_empty() => {}
            _ = changes.changed() => {}
            () = sleep_until(wake) => shared.keep_if_due(),
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
enum Meaning {
    /// There is no such repository any more.
    Gone,
    /// This one repository has to wait.
    Later,
    /// This one is refused; several in a row end the work.
    Refused,
    /// Any other would fare the same.
    Hopeless,
    /// The upstream wants a pause; the errand is not to blame.
    Pause(Duration),
}

fn meaning(error: &ApiError) -> Meaning {
    match error {
        ApiError::Auth(_) | ApiError::Credential(_) => Meaning::Hopeless,
        // The gateway does not know the call at all.
        ApiError::NotFound(answer) if answer.said.code.as_deref().is_some_and(|code| code.starts_with("APIG")) => {
            Meaning::Refused
        }
        ApiError::NotFound(_) => Meaning::Gone,
        ApiError::Permission(_) | ApiError::Redirect(_) | ApiError::Refused(_) => Meaning::Refused,
        ApiError::Throttled { .. } | ApiError::Crowded { .. } | ApiError::CircuitOpen { .. } => {
            Meaning::Pause(error.retry_after().unwrap_or(PAUSE).max(Duration::from_secs(1)))
        }
        _ => Meaning::Later,
    }
}

/// What an errand brought.
enum Found {
    Tags(Reading),
    Details(tags::Details),
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seconds(&self) -> u32 {
        tags::seconds(Timestamp::from((self.wall_clock)()))
    }

    /// The live metrics.
    fn show(&self, state: &State) {
        if self.options.tags {
            self.metrics.tags_pending(state.pending);
        }
        let waits = |details: bool| state.delayed.iter().any(|(_, errand)| (errand.need == Need::Details) == details);
        let up = |lane: &Lane, details: bool| !lane.is_stopped && !waits(details);
        let tags = self.options.tags.then(|| up(&state.tags, false));
        self.metrics.images_up(tags, self.options.details.then(|| up(&state.details, true)));
    }

    /// What to do next, if anything can be done now.
    fn next(&self) -> Option<(Errand, Subject)> {
        let mut state = self.state();
        let now = Instant::now();
        if state.pause.take_if(|until| *until <= now).is_none() && state.pause.is_some() {
            return None;
        }
        loop {
            let due = state.delayed.first().filter(|(at, _)| *at <= now).is_some();
            let errand = if due { state.delayed.pop_first().map(|(_, errand)| errand) } else { state.errands.pop() }?;
            if state.lane(&errand).is_stopped {
                // The next refresh will find it again.
                continue;
            }
            if let Some(subject) = state.book.subject(&errand) {
                state.running.insert(errand.subject());
                return Some((errand, subject));
            }
        }
    }

    /// When there is something to do although nothing happens.
    fn next_wake(&self) -> Option<Instant> {
        let state = self.state();
        let work = state.pause.or_else(|| state.delayed.first().map(|(at, _)| *at));
        // With all connections busy there is nothing to wake for but their ends.
        let work = work.map(|at| at.max(Instant::now() + Duration::from_millis(10)));
        [work, self.keep_due(&state)].into_iter().flatten().min()
    }

    async fn perform(&self, errand: Errand, subject: Subject) {
        // No longer than this: the rate limit's own wait is the number of errands under way by the rate.
        let turn = self.throttle.turn(Deadline::after(Duration::from_secs(24 * 3600))).await;
        if turn.is_err() || self.is_held(&errand) {
            self.put_back(errand);
            return;
        }
        let effort = Effort::until(Deadline::after(LONGEST_CALL));
        let (namespace, name) = (&subject.namespace, &subject.name);
        let outcome = if errand.need == Need::Details {
            self.client.repository(namespace, name, &effort).await.map(Found::Details)
        } else {
            let with_series = self.options.series.as_ref().is_some_and(|series| series.matches(namespace, name));
            self.client.tags(namespace, name, &effort).await.map(|tags| Found::Tags(Reading::of(tags, with_series)))
        };
        let left = self.conclude(errand, &subject, outcome);
        self.left.send_replace(left);
    }

    /// Whether it may not be done now, although it could when its turn was asked for.
    fn is_held(&self, errand: &Errand) -> bool {
        let mut state = self.state();
        state.pause.is_some() || state.lane(errand).is_stopped
    }

    fn put_back(&self, errand: Errand) {
        let mut state = self.state();
        state.running.remove(&errand.subject());
        state.errands.push(errand);
    }

    fn panicked(&self, errand: Errand) {
        error!("reading tags or details panicked; the repository is tried again later");
        let mut state = self.state();
        state.running.remove(&errand.subject());
        let until = state.book.put_off(&errand, Instant::now(), FIRST_DELAY);
        state.delayed.insert((until, errand));
    }

    /// Enters what came of an errand; how much is left that a refresh waits for.
    fn conclude(&self, errand: Errand, subject: &Subject, outcome: Result<Found, ApiError>) -> usize {
        let mut state = self.state();
        let state = &mut *state;
        state.running.remove(&errand.subject());
        let seconds = self.seconds();
        // A repository that has vanished from the listing is not counted there either.
        let is_listed = state.book.subject(&errand).is_some();
        let mut is_settled = true;
        match outcome {
            Ok(Found::Tags(reading)) if state.book.layers().len() + reading.blobs.len() > state.most_layers => {
                self.stop(state, &errand, Reason::Incomplete, "there are more layers than memory leaves room for");
                is_settled = false;
            }
            Ok(found) => {
                let lane = state.lane(&errand);
                lane.refusals = 0;
                if lane.said.take_if(|(_, of_all)| *of_all).is_some() {
                    info!("reading {} succeeds again", kind(&errand));
                }
                match found {
                    Found::Tags(reading) => {
                        is_settled = state.book.enter_tags(&errand, subject, Some(reading), seconds);
                    }
                    Found::Details(details) => state.book.enter_details(&errand, subject, Some(details)),
                }
            }
            Err(error) => is_settled = self.failed(state, errand, subject, &error),
        }
        state.is_dirty = true;
        if is_settled && is_listed && errand.need.is_pending() {
            state.pending = state.pending.saturating_sub(1);
        }
        if state.pause.is_some() {
            // Whoever waits would wait in vain.
            state.left = 0;
        } else if is_listed && errand.need != Need::Drift {
            state.left = state.left.saturating_sub(1);
        }
        self.show(state);
        state.left
    }

    /// Whether the errand is done with all the same.
    fn failed(&self, state: &mut State, errand: Errand, subject: &Subject, error: &ApiError) -> bool {
        let (now, seconds) = (Instant::now(), self.seconds());
        debug!(namespace = %subject.namespace, repository = %subject.name, "reading failed: {}", chain(error));
        match meaning(error) {
            Meaning::Gone => {
                if errand.need == Need::Details {
                    state.book.enter_details(&errand, subject, None);
                } else {
                    state.book.enter_tags(&errand, subject, None, seconds);
                }
                return true;
            }
            Meaning::Pause(pause) => {
                state.pause = Some(now + pause);
                state.errands.push(errand);
                return false;
            }
            Meaning::Hopeless => {
                self.stop(state, &errand, error.reason(), &chain(error));
                (state.tags.is_stopped, state.details.is_stopped) = (true, true);
                return false;
            }
            Meaning::Refused => {
                let lane = state.lane(&errand);
                lane.refusals += 1;
                if lane.refusals >= REFUSALS {
                    self.stop(state, &errand, error.reason(), &chain(error));
                }
            }
            Meaning::Later => {}
        }
        let lane = state.lane(&errand);
        if lane.said.is_none_or(|(reason, _)| reason != error.reason()) {
            lane.said = Some((error.reason(), false));
            warn!(
                reason = %error.reason(),
                "the {} of `{}/{}` could not be read, and are tried again later: {}",
                kind(&errand),
                subject.namespace,
                subject.name,
                chain(error)
            );
        }
        let until = state.book.put_off(&errand, now, FIRST_DELAY);
        state.delayed.insert((until, errand));
        false
    }

    /// No more calls of this kind until the next refresh.
    fn stop(&self, state: &mut State, errand: &Errand, reason: Reason, why: &str) {
        let (pending, lane) = (state.pending, state.lane(errand));
        lane.is_stopped = true;
        if lane.said != Some((reason, true)) {
            lane.said = Some((reason, true));
            warn!(%reason, pending, "{} are not read until the next refresh: {why}", kind(errand));
        }
        let is_details = errand.need == Need::Details;
        state.errands.retain(|other| (other.need == Need::Details) != is_details);
        state.left = state.errands.iter().filter(|other| other.need != Need::Drift).count();
    }

    /// When the book is to be kept, if it has changed.
    fn keep_due(&self, state: &State) -> Option<Instant> {
        self.keep.as_ref()?;
        let is_at_rest = state.errands.is_empty() && state.running.is_empty();
        let pause = if is_at_rest { KEEP_AT_REST } else { KEEP_EVERY };
        state.is_dirty.then(|| state.kept_at + pause.max(state.keep_took * KEEP_SHARE))
    }

    /// Starts to keep the book if it is time. Calls that are under way do not wait for the disk.
    fn keep_if_due(self: &Arc<Self>) {
        let now = Instant::now();
        {
            let mut state = self.state();
            if self.keep_due(&state).is_none_or(|at| at > now) {
                return;
            }
            (state.is_dirty, state.kept_at) = (false, now);
        }
        let shared = self.clone();
        tokio::task::spawn_blocking(move || {
            shared.keep_now();
            let mut state = shared.state();
            (state.kept_at, state.keep_took) = (Instant::now(), now.elapsed());
        });
    }

    /// Writes the book, locked for a few entries at a time.
    fn keep_now(&self) {
        let Some(keep) = &self.keep else { return };
        let _one_at_a_time = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        keep(&|out| {
            book_codec::begin(&self.state().book, out)?;
            let mut from = 0;
            loop {
                let mut lot = Vec::new();
                let more = book_codec::lot(&self.state().book, from, &mut lot)?;
                out.write_all(&lot)?;
                if !more {
                    return Ok(());
                }
                from += book_codec::LOT;
            }
        });
    }
}
