//! One call from start to end: credential, circuit breaker, rate limit, an attempt, and retries.

mod attempt;
mod resend;

use super::breaker::{Breaker, CircuitPermit};
use super::error::ApiError;
use super::metrics::{Metrics, Purpose};
use super::request::{BodyReader, Call};
use super::retry::CallBudget;
use super::row_reader::FingerprintKey;
use super::throttle::{Cooldowns, Throttle};
use crate::auth::{Authenticator, CredentialLease};
use crate::base::deadline::Deadline;
use crate::base::rate_limit::Rate;
use crate::transport::Transport;
use attempt::AttemptInfo;
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
    /// Sent as `X-Project-Id` with signed requests.
    pub project_id: Option<String>,
    /// How to look up the project's id when a call needs it and it is not configured.
    pub project_lookup: Option<ProjectLookup>,
    /// The most requests in flight.
    pub concurrency: usize,
    /// The rate limit of all requests together.
    pub rate: Rate,
    /// The time that one request may take.
    pub request_timeout: Duration,
    /// The time that may pass without a byte of the body.
    pub stall_timeout: Duration,
    /// The most bytes of one response, after decompression.
    pub max_response_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            project_id: None,
            project_lookup: None,
            concurrency: 4,
            rate: Rate { per_second: 20.0, burst: 40.0 },
            request_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(20),
            // A page of a thousand repositories has 0.6 MB, several with long tag lists.
            max_response_bytes: 32 << 20,
        }
    }
}

/// How to look up the project's id in IAM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectLookup {
    /// `https://iam.<region>...`, without a path.
    pub iam_endpoint: String,
    /// The project's name.
    pub name: String,
}

/// How long a discovered property of the upstream is used. It may change: rows get shorter, and a region may begin to
/// offer the v3 listing.
const DISCOVERY_TTL: Duration = Duration::from_secs(3600);

/// The API client of one account. Share it by reference or `Arc`.
pub struct Client {
    pub(super) options: Options,
    transport: Box<dyn Transport>,
    pub(super) authenticator: Authenticator,
    throttle: Throttle,
    cooldowns: Cooldowns,
    breaker: Breaker,
    /// The circuit of the calls for single repositories. They are retried continuously, so their failures must not open the listing's.
    images_breaker: Breaker,
    in_flight: Arc<Semaphore>,
    pub(super) metrics: Metrics,
    wall_clock: fn() -> SystemTime,
    skew_warned: AtomicBool,
    clock_offset_seconds: AtomicI64,
    /// The page sizes of the list of repositories.
    pub page_sizes: PageSizes,
    /// The largest page of tags that the upstream serves.
    pub max_tag_page_size: Discovered<u64>,
    /// Whether the upstream offers the v3 listing.
    pub lists_by_markers: Discovered<bool>,
    pub(super) project: OnceCell<String>,
    /// By which rows of the listing are known again.
    pub fingerprint_key: FingerprintKey,
}

/// The page sizes that the upstream was found to serve.
#[derive(Debug, Default)]
pub struct PageSizes {
    /// The largest page without an error.
    pub accepted: Discovered<u64>,
    /// The number of rows to which larger pages are cut without an error.
    pub clamp: Discovered<u64>,
}

/// A property of the upstream that is discovered once and not in every refresh.
#[derive(Debug)]
pub struct Discovered<T>(Mutex<Option<(T, Instant)>>);

impl<T> Default for Discovered<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Copy> Discovered<T> {
    /// The property; `None` when it is not known.
    pub fn get(&self) -> Option<T> {
        let found = *self.0.lock();
        found.filter(|(_, at)| at.elapsed() < DISCOVERY_TTL).map(|(found, _)| found)
    }

    /// Remembers the property.
    pub fn set(&self, found: T) {
        *self.0.lock() = Some((found, Instant::now()));
    }

    /// Forgets the property.
    pub fn forget(&self) {
        *self.0.lock() = None;
    }
}

impl Client {
    /// A client that has sent nothing yet. `wall_clock` dates signatures and is never used for waiting.
    pub fn new(
        options: Options,
        transport: Box<dyn Transport>,
        authenticator: Authenticator,
        metrics: Metrics,
        wall_clock: fn() -> SystemTime,
    ) -> Self {
        Self {
            transport,
            authenticator,
            throttle: Throttle::new(options.rate),
            cooldowns: Cooldowns::default(),
            breaker: Breaker::new(Some(metrics.circuit_open.clone())),
            images_breaker: Breaker::new(None),
            in_flight: Arc::new(Semaphore::new(options.concurrency.max(1))),
            metrics,
            wall_clock,
            skew_warned: AtomicBool::new(false),
            clock_offset_seconds: AtomicI64::new(0),
            page_sizes: PageSizes::default(),
            max_tag_page_size: Discovered::default(),
            lists_by_markers: Discovered::default(),
            project: OnceCell::new(),
            fingerprint_key: FingerprintKey::random(),
            options,
        }
    }

    /// The most requests in flight.
    pub fn concurrency(&self) -> usize {
        self.options.concurrency.max(1)
    }

    /// Makes one call, with retries as far as the budget allows. Dropping the future cancels it.
    ///
    /// # Errors
    /// The error of the last attempt.
    pub async fn get<R: BodyReader>(
        &self,
        call: Call<'_>,
        budget: &CallBudget,
        reader: impl Fn() -> R,
    ) -> Result<R::Output, ApiError> {
        let _permit = self.in_flight.acquire().await.expect("the semaphore is never closed");
        let mut attempt = 1;
        let mut credential_retries = CredentialRetries::default();
        loop {
            let (acquired, admission) = self.admit(call.operation.purpose(), budget.deadline).await?;
            let lease = &acquired.credential;
            let mut info = AttemptInfo::default();
            let error = match self.attempt(&call, lease, admission, budget.deadline, reader(), &mut info).await {
                Ok(output) => {
                    self.authenticator.report_success(lease);
                    budget.record_success();
                    return Ok(output);
                }
                Err(error) => error,
            };
            if let ApiError::Auth(response) = &error {
                let retries = &mut credential_retries;
                if !self.retries_refused(&call, lease, response, budget.deadline, &info, retries).await {
                    return Err(self.authenticator.held_back(lease).map_or(error, ApiError::Credential));
                }
                self.metrics.retry(call.operation);
                continue;
            }
            if error.accepted_credential() {
                self.authenticator.report_success(lease);
            }
            drop(acquired);
            let wait = self.wait_before_retry(call.operation.purpose(), &error, attempt, budget).ok_or(error)?;
            tokio::time::sleep(wait).await;
            self.metrics.retry(call.operation);
            attempt += 1;
        }
    }

    /// The circuit that holds back calls of this purpose. Auxiliary calls never open the listing's circuit, but respect it
    /// when it is open.
    fn breaker(&self, purpose: Purpose) -> &Breaker {
        if purpose == Purpose::Images { &self.images_breaker } else { &self.breaker }
    }

    /// Waits until a request may be sent, and acquires the credential for it.
    async fn admit(
        &self,
        purpose: Purpose,
        deadline: Deadline,
    ) -> Result<(CredentialLease, CircuitPermit<'_>), ApiError> {
        loop {
            self.cooldowns.check(purpose)?;
            let acquired = deadline.bound(self.authenticator.acquire()).await;
            let acquired = acquired.map_err(|_| ApiError::Timeout("the refresh"))?.map_err(ApiError::Credential)?;
            let admission = self.breaker(purpose).admit(deadline).await?;
            let waited = self.throttle.acquire(deadline).await?;
            if deadline.passed() {
                // A future is polled once even after its deadline, which would be enough to send a request.
                return Err(ApiError::Timeout("the refresh"));
            }
            self.metrics.throttle_wait.inc_by(waited.as_secs_f64());
            // A token may have expired during the wait.
            if acquired.credential.is_valid(Instant::now()) {
                return Ok((acquired, admission));
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
