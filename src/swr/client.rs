//! One call from beginning to end: breaker, rate limit, credential, send, read, and again if that may help.

use super::breaker::Breaker;
use super::error::{Answer, ApiError, date, retry_after};
use super::metrics::{Metrics, Operation};
use super::retry::{Effort, MOST_ATTEMPTS, backoff};
use super::throttle::{Rate, Throttle};
use super::transport::{Request, Response, Transport};
use crate::auth::{Authenticator, Credential, Lease, sign};
use crate::deadline::Deadline;
use bytes::Bytes;
use futures_util::StreamExt;
use hyper::http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{debug, warn};

/// Settings of the client.
#[derive(Clone, Debug)]
pub struct Options {
    /// `https://swr-api.<region>...`, without a path.
    pub endpoint: String,
    /// Sent as `X-Project-Id` with signed requests, where given.
    pub project_id: Option<String>,
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
            concurrency: 4,
            rate: Rate { per_second: 20.0, burst: 40 },
            request_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(20),
            // A page of a thousand repositories has 0.6 MB, several with long tag lists.
            largest_answer: 32 << 20,
        }
    }
}

/// A skew at which signatures are about to be refused; the cloud allows fifteen minutes.
const WORRYING_SKEW: f64 = 600.0;

/// A page that was short by accident looks like a server with small pages; the larger ones are tried again after this.
const PAGE_SIZE_HOLDS: Duration = Duration::from_secs(3600);

/// Error texts are short; what is longer is not read to its end.
const LARGEST_ERROR: usize = 64 << 10;

/// What to ask for.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// For the metrics.
    pub operation: Operation,
    /// The path, percent-encoded.
    pub path: &'a str,
    /// Query pairs, decoded.
    pub query: &'a [(&'a str, &'a str)],
}

/// Takes in the body of an answer, piece by piece.
pub trait Reader: Send {
    /// What comes out of it.
    type Output;
    /// Takes the next piece.
    ///
    /// # Errors
    /// When the body is not what it should be.
    fn feed(&mut self, piece: &[u8]) -> Result<(), ApiError>;
    /// The body is complete.
    ///
    /// # Errors
    /// When it should not have ended here.
    fn finish(self, headers: &HeaderMap) -> Result<Self::Output, ApiError>;
}

/// The client of one account. Share it by reference or `Arc`.
pub struct Client {
    pub(super) options: Options,
    host: String,
    transport: Box<dyn Transport>,
    authenticator: Authenticator,
    throttle: Throttle,
    breaker: Breaker,
    in_flight: Arc<Semaphore>,
    pub(super) metrics: Metrics,
    wall_clock: fn() -> SystemTime,
    skew_warned: AtomicBool,
    largest_page: Mutex<Option<(u64, Instant)>>,
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
        Self {
            host,
            transport,
            authenticator,
            throttle: Throttle::new(options.rate),
            breaker: Breaker::new(metrics.circuit_open.clone()),
            in_flight: Arc::new(Semaphore::new(options.concurrency.max(1))),
            metrics,
            wall_clock,
            skew_warned: AtomicBool::new(false),
            largest_page: Mutex::new(None),
            options,
        }
    }

    /// Requests in flight at most.
    pub fn concurrency(&self) -> usize {
        self.options.concurrency.max(1)
    }

    /// The largest page that this upstream was found to serve, so that it is found out once and not at every refresh.
    pub fn largest_page(&self) -> u64 {
        let found = *self.largest_page.lock().unwrap_or_else(PoisonError::into_inner);
        found.filter(|(_, at)| at.elapsed() < PAGE_SIZE_HOLDS).map_or(u64::MAX, |(rows, _)| rows)
    }

    /// The upstream serves no larger page than this, for all that was seen.
    pub fn found_largest_page(&self, rows: u64) {
        *self.largest_page.lock().unwrap_or_else(PoisonError::into_inner) = Some((rows, Instant::now()));
    }

    /// Makes one call, again where that may help and the effort allows. Dropping the future cancels it.
    ///
    /// # Errors
    /// The last attempt's error.
    pub async fn get<R: Reader>(
        &self,
        call: Call<'_>,
        effort: &Effort,
        reader: impl Fn() -> R,
    ) -> Result<R::Output, ApiError> {
        let _permit = self.in_flight.acquire().await.expect("the semaphore is never closed");
        let mut attempt = 1;
        let mut renewed = false;
        loop {
            let lending = effort.deadline.bound(self.authenticator.lend()).await;
            let loan = lending.map_err(|_| ApiError::Timeout("the refresh"))?.map_err(ApiError::Credential)?;
            let lease = &loan.lease;
            self.metrics.credential_expiry.set(lease.expires_at.map(unix_seconds));
            let error = match self.attempt(&call, lease, effort.deadline, reader()).await {
                Ok(output) => {
                    self.authenticator.accepted(lease);
                    effort.earn();
                    return Ok(output);
                }
                Err(error) => error,
            };
            if let ApiError::Auth(_) = &error {
                self.authenticator.refused(lease);
                // Another credential may have come meanwhile; the same one again would only count towards a lock-out.
                let fresh = self.authenticator.lease().is_ok_and(|fresh| !fresh.same_as(lease));
                if renewed || !fresh {
                    return Err(error);
                }
                renewed = true;
                self.metrics.retry(call.operation);
                continue;
            }
            if let ApiError::Permission(_) | ApiError::NotFound(_) = &error {
                // Whom it knows it may still turn away.
                self.authenticator.accepted(lease);
            }
            drop(loan);
            let wait = self.wait_before_retry(&error, attempt, effort).ok_or(error)?;
            tokio::time::sleep(wait).await;
            self.metrics.retry(call.operation);
            attempt += 1;
        }
    }

    /// How long to wait, besides the pause that the upstream asks for, before the same request is sent again; `None` when
    /// it is not. The last error is the one to show.
    fn wait_before_retry(&self, error: &ApiError, attempt: u32, effort: &Effort) -> Option<Duration> {
        let (pause, own) = match error {
            // The vendor advises two to five seconds where the answer says nothing.
            ApiError::Throttled { retry_after, .. } => {
                (Some(retry_after.unwrap_or_else(|| backoff(attempt + 3, fastrand::f64()))), Duration::ZERO)
            }
            ApiError::Server { retry_after, .. } => (*retry_after, backoff(attempt, fastrand::f64())),
            _ => (None, backoff(attempt, fastrand::f64())),
        };
        // The pause holds for every call, this one among them, where the turn is taken.
        if let Some(pause) = pause {
            self.throttle.pause(pause);
        }
        let again = error.passing()
            && attempt < MOST_ATTEMPTS
            && effort.deadline.allows(own.max(pause.unwrap_or_default()))
            && !self.breaker.is_open()
            && effort.spend();
        debug!(%error, attempt, again, "a call failed");
        again.then_some(own)
    }

    async fn attempt<R: Reader>(
        &self,
        call: &Call<'_>,
        lease: &Lease,
        deadline: Deadline,
        reader: R,
    ) -> Result<R::Output, ApiError> {
        let admission = self.breaker.admit(deadline).await.map_err(|wait| ApiError::CircuitOpen { wait })?;
        let waited = self.throttle.turn(deadline).await.map_err(|wait| ApiError::Crowded { wait })?;
        if deadline.passed() {
            // A future is polled once even when its time is over, and that would be enough to send.
            return Err(ApiError::Timeout("the refresh"));
        }
        self.metrics.waited(waited);
        let start = Instant::now();
        let mut status = None;
        let result = deadline
            .at_most(self.options.request_timeout)
            .bound(self.exchange(call, lease, reader, &mut status))
            .await
            .unwrap_or(Err(ApiError::Timeout("the request")));
        self.metrics.request(call.operation, status, start.elapsed());
        match &result {
            Err(error) if error.unhealthy() => admission.unhealthy(),
            _ => admission.healthy(),
        }
        result
    }

    async fn exchange<R: Reader>(
        &self,
        call: &Call<'_>,
        lease: &Lease,
        mut reader: R,
        status: &mut Option<u16>,
    ) -> Result<R::Output, ApiError> {
        let request = self.request(call, lease);
        let Response { status: code, headers, mut body } =
            self.transport.send(request).await.map_err(ApiError::Network)?;
        *status = Some(code.as_u16());
        let now = (self.wall_clock)();
        self.note_skew(&headers, now);
        let mut pieces = async || match tokio::time::timeout(self.options.stall_timeout, body.next()).await {
            Err(_) => Err(ApiError::Timeout("waiting for more of the answer")),
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(error))) => Err(ApiError::Network(error)),
        };
        if code != hyper::StatusCode::OK {
            let mut text = Vec::new();
            // The status says enough if the rest of the error's text does not come.
            while let Ok(Some(piece)) = pieces().await {
                text.extend_from_slice(&piece[..piece.len().min(LARGEST_ERROR - text.len())]);
                if text.len() == LARGEST_ERROR {
                    break;
                }
            }
            let answer = Answer::read(code, &headers, &text);
            return Err(ApiError::classify(answer, retry_after(&headers, now)));
        }
        let mut size = 0;
        while let Some(piece) = pieces().await? {
            size += piece.len();
            if size > self.options.largest_answer {
                return Err(ApiError::TooLarge { limit: self.options.largest_answer });
            }
            reader.feed(&piece)?;
        }
        reader.finish(&headers)
    }

    /// Builds and signs. Content-Type is declared mandatory even without a body (swr-api.md, 1.1).
    fn request(&self, call: &Call<'_>, lease: &Lease) -> Request {
        let query = sign::canonical_query(call.query);
        let mut headers = HeaderMap::new();
        let content_type = "application/json";
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        match &lease.credential {
            Credential::Token(token) => insert(&mut headers, "x-auth-token", token.expose(), true),
            Credential::AccessKey(key) => {
                let date = sdk_date((self.wall_clock)());
                let mut signed =
                    vec![("content-type", content_type), ("host", self.host.as_str()), ("x-sdk-date", date.as_str())];
                if let Some(project) = &self.options.project_id {
                    signed.push(("x-project-id", project));
                }
                if let Some(token) = &key.security_token {
                    signed.push(("x-security-token", token.expose()));
                }
                let authorization = sign::authorization(
                    &sign::Request { method: "GET", path: call.path, query: call.query, headers: &signed, body: &[] },
                    key,
                );
                for (name, value) in signed {
                    // The HTTP client writes Host itself, from the address, and to the same value.
                    if name != "host" {
                        insert(&mut headers, name, value, name == "x-security-token");
                    }
                }
                insert(&mut headers, "authorization", &authorization, true);
            }
        }
        let url = format!("{}{}?{query}", self.options.endpoint, call.path);
        Request { method: Method::GET, url, headers, body: Bytes::new() }
    }

    /// Shows how far the clocks are apart, and says it once when signatures are about to fail over it.
    fn note_skew(&self, headers: &HeaderMap, now: SystemTime) {
        let Some(theirs) = date(headers) else { return };
        // `Date` has whole seconds: half a second is the honest middle.
        let skew = unix_seconds(theirs) + 0.5 - unix_seconds(now);
        self.metrics.clock_skew.set(Some(skew));
        let worrying = skew.abs() > WORRYING_SKEW;
        if worrying && !self.skew_warned.swap(worrying, Ordering::Relaxed) {
            warn!(
                skew_seconds = skew.round(),
                "the clock differs from the upstream's by {} s; signatures fail from 900 s on: check the time service",
                skew.round()
            );
        } else if !worrying {
            self.skew_warned.store(false, Ordering::Relaxed);
        }
    }
}

/// Settings and secret files are checked for what no header can carry; what slips through is not sent.
fn insert(headers: &mut HeaderMap, name: &'static str, value: &str, sensitive: bool) {
    if let Ok(mut value) = HeaderValue::from_str(value) {
        value.set_sensitive(sensitive);
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The `Host` header as the HTTP client writes it: without a default port.
fn host_of(endpoint: &str) -> String {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
    let host = rest.split('/').next().unwrap_or_default();
    let default = if scheme == "https" { ":443" } else { ":80" };
    host.strip_suffix(default).unwrap_or(host).to_ascii_lowercase()
}

/// `YYYYMMDDTHHMMSSZ`.
fn sdk_date(now: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(now).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn unix_seconds(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod rules;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_signed_as_it_is_sent() {
        for (endpoint, host) in [
            ("https://swr-api.cn-north-4.myhuaweicloud.com", "swr-api.cn-north-4.myhuaweicloud.com"),
            ("https://Example.com:443", "example.com"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://example.com:80", "example.com"),
            ("https://[::1]:443", "[::1]"),
        ] {
            assert_eq!(host_of(endpoint), host);
        }
    }

    #[test]
    fn the_date_of_a_signature_has_no_punctuation() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_735_787_045);
        assert_eq!(sdk_date(time), "20250102T030405Z");
    }
}
