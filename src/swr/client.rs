//! One call from beginning to end: credential, breaker, rate limit, an attempt, and again if that may help.

mod attempt;
mod resend;

pub use attempt::{Call, Reader};

use super::breaker::{Admission, Breaker};
use super::error::ApiError;
use super::metrics::{Metrics, Purpose};
use super::project::ProjectLookup;
use super::retry::CallBudget;
use super::throttle::{Cooldowns, Rate, Throttle};
use crate::auth::{Authenticator, CredentialLease};
use crate::base::deadline::Deadline;
use crate::transport::Transport;
use attempt::{Seen, host_of};
use parking_lot::Mutex;
use resend::CredentialRetries;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::time::{Duration, SystemTime};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;

/// Settings of the client.
#[derive(Clone, Debug)]
pub struct Options {
    /// `https://swr-api.<region>...`, without a path.
    pub endpoint: String,
    /// Sent as `X-Project-Id` with signed requests, where given.
    pub project_id: Option<String>,
    /// How its id is found where a call needs it and it is not given.
    pub project_lookup: Option<ProjectLookup>,
    /// Requests in flight at once.
    pub concurrency: usize,
    /// Requests a second over everything.
    pub rate: Rate,
    /// The longest that one request may take.
    pub request_timeout: Duration,
    /// The longest without a byte of the body.
    pub stall_timeout: Duration,
    /// The most bytes of one answer that are read, after decompression.
    pub largest_answer: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            project_id: None,
            project_lookup: None,
            concurrency: 4,
            rate: Rate { per_second: 20.0, burst: 40 },
            request_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(20),
            // A page of a thousand repositories has 0.6 MB, several with long tag lists.
            largest_answer: 32 << 20,
        }
    }
}

/// What was found out about the upstream is believed so long: a page that was short by accident looks like a server with
/// small pages, and a region may learn to list by markers.
const FINDING_HOLDS: Duration = Duration::from_secs(3600);

/// The client of one account. Share it by reference or `Arc`.
pub struct Client {
    pub(super) options: Options,
    host: String,
    iam_host: String,
    transport: Box<dyn Transport>,
    pub(super) authenticator: Authenticator,
    throttle: Throttle,
    rests: Cooldowns,
    breaker: Breaker,
    /// Tags and details are tried again and again, listing or not: what fails there must not use up the listing's chances.
    images_breaker: Breaker,
    in_flight: Arc<Semaphore>,
    pub(super) metrics: Metrics,
    wall_clock: fn() -> SystemTime,
    skew_warned: AtomicBool,
    clock_offset_seconds: AtomicI64,
    largest_page: Discovered<u64>,
    largest_tag_page: Discovered<u64>,
    lists_by_markers: Discovered<bool>,
    pub(super) project: OnceCell<String>,
}

/// Something that was found out about the upstream, so that it is found out once and not at every refresh.
#[derive(Debug)]
struct Discovered<T>(Mutex<Option<(T, Instant)>>);

impl<T: Copy> Discovered<T> {
    const fn none() -> Self {
        Self(Mutex::new(None))
    }

    fn get(&self) -> Option<T> {
        let found = *self.0.lock();
        found.filter(|(_, at)| at.elapsed() < FINDING_HOLDS).map(|(found, _)| found)
    }

    fn set(&self, found: T) {
        *self.0.lock() = Some((found, Instant::now()));
    }
}

impl Client {
    /// A client that has sent nothing yet. `wall_clock` dates signatures; waiting never uses it.
    pub fn new(
        options: Options,
        transport: Box<dyn Transport>,
        authenticator: Authenticator,
        metrics: Metrics,
        wall_clock: fn() -> SystemTime,
    ) -> Self {
        let host = host_of(&options.endpoint);
        let iam_host = options.project_lookup.as_ref().map(|lookup| host_of(&lookup.iam_endpoint)).unwrap_or_default();
        Self {
            host,
            iam_host,
            transport,
            authenticator,
            throttle: Throttle::new(options.rate),
            rests: Cooldowns::default(),
            breaker: Breaker::new(Some(metrics.circuit_open.clone())),
            images_breaker: Breaker::new(None),
            in_flight: Arc::new(Semaphore::new(options.concurrency.max(1))),
            metrics,
            wall_clock,
            skew_warned: AtomicBool::new(false),
            clock_offset_seconds: AtomicI64::new(0),
            largest_page: Discovered::none(),
            largest_tag_page: Discovered::none(),
            lists_by_markers: Discovered::none(),
            project: OnceCell::new(),
            options,
        }
    }

    /// Requests in flight at most.
    pub fn concurrency(&self) -> usize {
        self.options.concurrency.max(1)
    }

    /// The largest page that this upstream was found to serve.
    pub fn largest_page(&self) -> u64 {
        self.largest_page.get().unwrap_or(u64::MAX)
    }

    /// The upstream serves no larger page than this, for all that was seen.
    pub fn found_largest_page(&self, rows: u64) {
        self.largest_page.set(rows);
    }

    /// Whether this upstream was found to list by markers; none where that is not known.
    pub fn lists_by_markers(&self) -> Option<bool> {
        self.lists_by_markers.get()
    }

    /// The upstream lists by markers, or does not.
    pub fn found_lists_by_markers(&self, does: bool) {
        self.lists_by_markers.set(does);
    }

    /// How many tags to ask for at once: `most`, or fewer where the upstream was found to refuse as many.
    pub(super) fn largest_tag_page(&self, most: u64) -> u64 {
        self.largest_tag_page.get().unwrap_or(most).min(most)
    }

    /// The upstream gives no more tags at once than this.
    pub(super) fn found_largest_tag_page(&self, tags: u64) {
        self.largest_tag_page.set(tags);
    }

    /// Makes one call, again where that may help and the effort allows. Dropping the future cancels it.
    ///
    /// # Errors
    /// The last attempt's error.
    pub async fn get<R: Reader>(
        &self,
        call: Call<'_>,
        effort: &CallBudget,
        reader: impl Fn() -> R,
    ) -> Result<R::Output, ApiError> {
        let _permit = self.in_flight.acquire().await.expect("the semaphore is never closed");
        let mut attempt = 1;
        let mut remedies = CredentialRetries::default();
        loop {
            let (loan, admission) = self.turn(call.operation.purpose(), effort.deadline).await?;
            let lease = &loan.lease;
            let mut seen = Seen::default();
            let error = match self.attempt(&call, lease, admission, effort.deadline, reader(), &mut seen).await {
                Ok(output) => {
                    self.authenticator.report_success(lease);
                    effort.earn();
                    return Ok(output);
                }
                Err(error) => error,
            };
            if let ApiError::Auth(_) = &error {
                if !self.resends_refused(&call, lease, effort.deadline, &seen, &mut remedies).await {
                    return Err(error);
                }
                self.metrics.retry(call.operation);
                continue;
            }
            if error.knows_caller() {
                self.authenticator.report_success(lease);
            }
            drop(loan);
            let wait = self.wait_before_retry(call.operation.purpose(), &error, attempt, effort).ok_or(error)?;
            tokio::time::sleep(wait).await;
            self.metrics.retry(call.operation);
            attempt += 1;
        }
    }

    /// Whoever has no say in a circuit is held back all the same where the listing is: an upstream that fails is not asked
    /// for more.
    fn breaker(&self, purpose: Purpose) -> &Breaker {
        if purpose == Purpose::Images { &self.images_breaker } else { &self.breaker }
    }

    /// Waits until a request may leave, and with what.
    async fn turn(&self, purpose: Purpose, deadline: Deadline) -> Result<(CredentialLease, Admission<'_>), ApiError> {
        let crowded = |wait| ApiError::Crowded { wait };
        loop {
            self.rests.over(purpose).map_err(crowded)?;
            let lending = deadline.bound(self.authenticator.acquire()).await;
            let loan = lending.map_err(|_| ApiError::Timeout("the refresh"))?.map_err(ApiError::Credential)?;
            let admission =
                self.breaker(purpose).admit(deadline).await.map_err(|wait| ApiError::CircuitOpen { wait })?;
            let waited = self.throttle.turn(deadline).await.map_err(crowded)?;
            if deadline.passed() {
                // A future is polled once even when its time is over, and that would be enough to send.
                return Err(ApiError::Timeout("the refresh"));
            }
            self.metrics.waited(waited);
            // A pause may outlast a token.
            if loan.lease.holds(Instant::now()) {
                return Ok((loan, admission));
            }
        }
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod rules;

#[cfg(test)]
#[path = "client_credential_tests.rs"]
mod credential_rules;

#[cfg(test)]
#[path = "client_isolation_tests.rs"]
mod isolation_rules;
