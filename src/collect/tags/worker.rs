//! The task: one task after the other, and what a failure means for the others.

use super::state::{FIRST_DELAY, Shared, State, kind};
use crate::collect::inventory::Subject;
use crate::collect::plan::{FetchTask, Need};
use crate::failure::{Reason, error_chain};
use crate::model::tags::{self, Reading};
use crate::swr::{ApiError, CallBudget};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// One call, with its retries, may take so long: a pause that the upstream asks for is not sat out in the client, where
/// others wait for their turn.
pub(super) const LONGEST_CALL: Duration = Duration::from_secs(90);

/// So many refusals in a row are not about single repositories.
const REFUSALS: u32 = 3;

/// Where the upstream asks for a pause and does not say how long.
const PAUSE: Duration = Duration::from_secs(5);

/// The task: as many tasks at a time as leave the listing a connection.
pub(super) async fn work(shared: Arc<Shared>) {
    let width = (shared.client.concurrency() - 1).max(1);
    let mut changes = shared.left.subscribe();
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < width
            && let Some((task, subject)) = shared.next()
        {
            let shared = &shared;
            running.push(async move {
                if AssertUnwindSafe(shared.perform(task, subject)).catch_unwind().await.is_err() {
                    shared.panicked(task);
                }
            });
        }
        shared.rest(&shared.state());
        // With all connections busy there is nothing to wake for but their ends, and the file.
        let due = if running.len() < width { shared.next_due() } else { None };
        let wake = [due, shared.keep_due()].into_iter().flatten().min();
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
    /// The upstream wants a pause; the task is not to blame.
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

/// What an task brought.
enum Found {
    Tags(Reading),
    Details(tags::Details),
}

impl Shared {
    async fn perform(&self, task: FetchTask, subject: Subject) {
        let mut effort = CallBudget::paced(self.pace.clone()).await;
        if self.is_held(&task) {
            self.put_back(task);
            return;
        }
        let (namespace, name) = (&subject.namespace, &subject.name);
        let outcome = if task.need == Need::Details {
            self.client.repository(namespace, name, &effort).await.map(Found::Details)
        } else {
            let with_series = self.options.series.as_ref().is_some_and(|series| series.matches(namespace, name));
            self.client.tags(namespace, name, &mut effort).await.map(|tags| Found::Tags(Reading::of(tags, with_series)))
        };
        let left = self.conclude(task, &subject, outcome);
        self.left.send_replace(left);
    }

    /// Enters what came of an task; how much is left that a refresh waits for.
    fn conclude(&self, task: FetchTask, subject: &Subject, outcome: Result<Found, ApiError>) -> usize {
        let mut state = self.state();
        let state = &mut *state;
        state.running.remove(&task.subject());
        let seconds = self.seconds();
        // A repository that has vanished from the listing is not counted there either.
        let is_listed = state.book.subject(&task).is_some();
        let mut is_settled = true;
        match outcome {
            Ok(Found::Tags(reading)) if !state.has_room_for(&task, &reading) => {
                self.stop(state, &task, Reason::Incomplete, "there are more layers than memory leaves room for");
                is_settled = false;
            }
            Ok(found) => {
                let lane = state.lane(&task);
                lane.refusals = 0;
                if lane.said.take_if(|(_, of_all)| *of_all).is_some() {
                    info!("reading {} succeeds again", kind(&task));
                }
                match found {
                    Found::Tags(reading) => {
                        is_settled = state.book.enter_tags(&task, subject, Some(reading), seconds);
                    }
                    Found::Details(details) => state.book.enter_details(&task, subject, Some(details)),
                }
            }
            Err(error) => is_settled = self.failed(state, task, subject, &error),
        }
        state.is_dirty = true;
        if is_settled && is_listed && task.need.is_pending() {
            state.pending = state.pending.saturating_sub(1);
        }
        if state.pause.is_some() {
            // Whoever waits would wait in vain.
            state.left = 0;
        } else if is_listed && task.need != Need::Drift {
            state.left = state.left.saturating_sub(1);
        }
        self.show(state);
        state.left
    }

    /// Whether the task is done with all the same.
    fn failed(&self, state: &mut State, task: FetchTask, subject: &Subject, error: &ApiError) -> bool {
        let (now, seconds) = (Instant::now(), self.seconds());
        debug!(namespace = %subject.namespace, repository = %subject.name, "reading failed: {}", error_chain(error));
        match meaning(error) {
            Meaning::Gone => {
                if task.need == Need::Details {
                    state.book.enter_details(&task, subject, None);
                } else {
                    state.book.enter_tags(&task, subject, None, seconds);
                }
                return true;
            }
            Meaning::Pause(pause) => {
                state.pause = Some(now + pause);
                state.tasks.push(task);
                return false;
            }
            Meaning::Hopeless => {
                self.stop(state, &task, error.reason(), &error_chain(error));
                (state.tags.is_stopped, state.details.is_stopped) = (true, true);
                return false;
            }
            Meaning::Refused => {
                let lane = state.lane(&task);
                lane.refusals += 1;
                if lane.refusals >= REFUSALS {
                    self.stop(state, &task, error.reason(), &error_chain(error));
                }
            }
            Meaning::Later => {}
        }
        let lane = state.lane(&task);
        if lane.said.is_none_or(|(reason, _)| reason != error.reason()) {
            lane.said = Some((error.reason(), false));
            warn!(
                reason = %error.reason(),
                "the {} of `{}/{}` could not be read, and are tried again later: {}",
                kind(&task),
                subject.namespace,
                subject.name,
                error_chain(error)
            );
        }
        let until = state.book.put_off(&task, now, FIRST_DELAY);
        state.delayed.insert((until, task));
        false
    }

    /// No more calls of this kind until the next refresh.
    fn stop(&self, state: &mut State, task: &FetchTask, reason: Reason, why: &str) {
        let (pending, lane) = (state.pending, state.lane(task));
        lane.is_stopped = true;
        if lane.said != Some((reason, true)) {
            lane.said = Some((reason, true));
            warn!(%reason, pending, "{} are not read until the next refresh: {why}", kind(task));
        }
        let is_details = task.need == Need::Details;
        state.tasks.retain(|other| (other.need == Need::Details) != is_details);
        state.left = state.tasks.iter().filter(|other| other.need != Need::Drift).count();
    }
}
