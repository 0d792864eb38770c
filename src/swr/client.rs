//! One call from beginning to end: breaker, rate limit, credential, send, read, and again if that may help.

use super::breaker::{Admission, Breaker};
use super::error::{Answer, ApiError};
use super::metrics::{Metrics, Operation, Purpose};
use super::project::ProjectLookup;
use super::retry::{Effort, MOST_ATTEMPTS, backoff};
use super::throttle::{Rate, Throttle};
use crate::auth::{Authenticator, Credential, Lease, Loan, sign};
use crate::deadline::Deadline;
use crate::transport::answer::{date, retry_after};
use crate::transport::{Request, Response, Transport};
use bytes::Bytes;
use futures_util::StreamExt;
use hyper::http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::Instant;
use tracing::{debug, info, warn};

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

/// A skew at which signatures are about to be refused; the cloud allows fifteen minutes.
const WORRYING_SKEW: f64 = 600.0;

/// What was found out about the upstream is believed so long: a page that was short by accident looks like a server with
/// small pages, and a region may learn to list by markers.
const FINDING_HOLDS: Duration = Duration::from_secs(3600);

/// A refused signature whose clock was further off than this may have been refused for that.
const SUSPICIOUS_SKEW: f64 = 120.0;

/// What is further off is no clock.
const LARGEST_SKEW: f64 = 1e10;

/// Error texts are short; what is longer is not read to its end.
const LARGEST_ERROR: usize = 64 << 10;

/// What was noticed of an attempt, however it ended.
#[derive(Debug, Default)]
struct Seen {
    status: Option<u16>,
    /// The upstream's clock minus ours, in seconds.
    skew: Option<f64>,
    /// What was added to our clock to sign by.
    offset_seconds: i64,
}

/// What was done about refusals of one call's credential: each once.
#[derive(Debug, Default)]
struct Remedies {
    /// Another credential took its place.
    renewed: bool,
    /// The clock that signs was set by the upstream's.
    corrected: bool,
}

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
    iam_host: String,
    transport: Box<dyn Transport>,
    pub(super) authenticator: Authenticator,
    throttle: Throttle,
    breaker: Breaker,
    /// Tags and details are tried again and again, listing or not: what fails there must not use up the listing's chances.
    images_breaker: Breaker,
    in_flight: Arc<Semaphore>,
    pub(super) metrics: Metrics,
    wall_clock: fn() -> SystemTime,
    skew_warned: AtomicBool,
    clock_offset_seconds: AtomicI64,
    largest_page: Finding<u64>,
    largest_tag_page: AtomicU64,
    lists_by_markers: Finding<bool>,
    pub(super) project: OnceCell<String>,
}

/// Something that was found out about the upstream, so that it is found out once and not at every refresh.
#[derive(Debug)]
struct Finding<T>(Mutex<Option<(T, Instant)>>);

impl<T: Copy> Finding<T> {
    const fn none() -> Self {
        Self(Mutex::new(None))
    }

    fn get(&self) -> Option<T> {
        let found = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.filter(|(_, at)| at.elapsed() < FINDING_HOLDS).map(|(found, _)| found)
    }

    fn set(&self, found: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((found, Instant::now()));
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
            breaker: Breaker::new(Some(metrics.circuit_open.clone())),
            images_breaker: Breaker::new(None),
            in_flight: Arc::new(Semaphore::new(options.concurrency.max(1))),
            metrics,
            wall_clock,
            skew_warned: AtomicBool::new(false),
            clock_offset_seconds: AtomicI64::new(0),
            largest_page: Finding::none(),
            largest_tag_page: AtomicU64::new(u64::MAX),
            lists_by_markers: Finding::none(),
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
        self.largest_tag_page.load(Ordering::Relaxed).min(most)
    }

    /// The upstream gives no more tags at once than this.
    pub(super) fn found_largest_tag_page(&self, tags: u64) {
        self.largest_tag_page.store(tags, Ordering::Relaxed);
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
        let mut remedies = Remedies::default();
        loop {
            let (loan, admission) = self.turn(call.operation.purpose(), effort.deadline).await?;
            let lease = &loan.lease;
            let mut seen = Seen::default();
            let error = match self.attempt(&call, lease, admission, effort.deadline, reader(), &mut seen).await {
                Ok(output) => {
                    self.authenticator.accepted(lease);
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
                self.authenticator.accepted(lease);
            }
            drop(loan);
            let wait = self.wait_before_retry(call.operation.purpose(), &error, attempt, effort).ok_or(error)?;
            tokio::time::sleep(wait).await;
            self.metrics.retry(call.operation);
            attempt += 1;
        }
    }

    /// What follows from a refusal of the credential, and whether the request is sent again.
    async fn resends_refused(
        &self,
        call: &Call<'_>,
        lease: &Lease,
        deadline: Deadline,
        seen: &Seen,
        remedies: &mut Remedies,
    ) -> bool {
        let lists = call.operation.purpose() == Purpose::Listing;
        let corrects = !remedies.corrected && self.corrects_clock(seen, lease);
        if corrects || !lists {
            // The clock may be the reason, or that it is this call. The listing will tell.
            self.authenticator.doubted(lease);
            remedies.corrected |= corrects;
            return corrects && lists;
        }
        // The same credential again would only count towards a lock-out.
        let replaced = deadline.bound(self.authenticator.replaced(lease)).await.unwrap_or(false);
        replaced && !std::mem::replace(&mut remedies.renewed, true)
    }

    /// How long to wait, besides the pause that the upstream asks for, before the same request is sent again; `None` when
    /// it is not. The last error is the one to show.
    fn wait_before_retry(&self, purpose: Purpose, error: &ApiError, attempt: u32, effort: &Effort) -> Option<Duration> {
        let (pause, own) = match error {
            ApiError::Throttled { retry_after, .. } => {
                // The vendor advises two to five seconds where the answer says nothing. One that says "now" is not believed.
                let pause = match retry_after {
                    None => backoff(attempt + 3, fastrand::f64()),
                    Some(asked) => backoff(attempt, fastrand::f64()).max(*asked),
                };
                (Some(pause), Duration::ZERO)
            }
            ApiError::Server { retry_after, .. } => (*retry_after, backoff(attempt, fastrand::f64())),
            _ => (None, backoff(attempt, fastrand::f64())),
        };
        let paused = paused(purpose, error);
        // The pause holds for every such call, this one among them, where the turn is taken.
        if let Some(pause) = pause {
            self.throttle.pause(paused, pause);
        }
        // What can be done without does not wait: the listing may be waiting for it.
        let worth_waiting = pause.is_none() || paused.contains(&Purpose::Listing);
        let again = error.passing()
            && worth_waiting
            && attempt < MOST_ATTEMPTS
            && effort.deadline.allows(own.max(pause.unwrap_or_default()))
            && !self.breaker(purpose).is_open()
            && effort.spend();
        debug!(%error, attempt, again, "a call failed");
        again.then_some(own)
    }

    /// Whoever has no say in a circuit is held back all the same where the listing is: an upstream that fails is not asked
    /// for more.
    fn breaker(&self, purpose: Purpose) -> &Breaker {
        if purpose == Purpose::Images { &self.images_breaker } else { &self.breaker }
    }

    /// Waits until a request may leave, and with what.
    async fn turn(&self, purpose: Purpose, deadline: Deadline) -> Result<(Loan, Admission<'_>), ApiError> {
        loop {
            let lending = deadline.bound(self.authenticator.lend()).await;
            let loan = lending.map_err(|_| ApiError::Timeout("the refresh"))?.map_err(ApiError::Credential)?;
            let admission =
                self.breaker(purpose).admit(deadline).await.map_err(|wait| ApiError::CircuitOpen { wait })?;
            let waited = self.throttle.turn(purpose, deadline).await.map_err(|wait| ApiError::Crowded { wait })?;
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

    async fn attempt<R: Reader>(
        &self,
        call: &Call<'_>,
        lease: &Lease,
        admission: Admission<'_>,
        deadline: Deadline,
        reader: R,
        seen: &mut Seen,
    ) -> Result<R::Output, ApiError> {
        let start = Instant::now();
        let result = deadline
            .at_most(self.options.request_timeout)
            .bound(self.exchange(call, lease, reader, seen))
            .await
            .unwrap_or(Err(ApiError::Timeout("the request")));
        self.metrics.request(call.operation, seen.status, start.elapsed());
        match &result {
            _ if matches!(call.operation.purpose(), Purpose::Beside | Purpose::Project) => drop(admission),
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
        seen: &mut Seen,
    ) -> Result<R::Output, ApiError> {
        seen.offset_seconds = self.clock_offset_seconds.load(Ordering::Relaxed);
        let request = self.request(call, lease, seen.offset_seconds);
        let Response { status: code, headers, mut body } =
            self.transport.send(request).await.map_err(ApiError::Network)?;
        seen.status = Some(code.as_u16());
        let now = (self.wall_clock)();
        seen.skew = self.note_skew(&headers, now);
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
    fn request(&self, call: &Call<'_>, lease: &Lease, offset_seconds: i64) -> Request {
        let (endpoint, host) = self.origin(call.operation);
        let query = sign::canonical_query(call.query);
        let mut headers = HeaderMap::new();
        let content_type = "application/json";
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        match &lease.credential {
            Credential::Token(token) => insert(&mut headers, "x-auth-token", token.expose(), true),
            Credential::AccessKey(key) => {
                let date = sdk_date(shifted((self.wall_clock)(), offset_seconds));
                let mut signed = vec![("content-type", content_type), ("host", host), ("x-sdk-date", date.as_str())];
                if let Some(project) = self.options.project_id.as_ref().or(key.project_id.as_ref()) {
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
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!("{endpoint}{}{mark}{query}", call.path);
        Request { method: Method::GET, url, headers, body: Bytes::new() }
    }

    /// The address that a call goes to, and its `Host`.
    fn origin(&self, operation: Operation) -> (&str, &str) {
        match (&self.options.project_lookup, operation) {
            (Some(lookup), Operation::FindProject) => (&lookup.iam_endpoint, &self.iam_host),
            _ => (&self.options.endpoint, &self.host),
        }
    }

    /// Shows how far the clocks are apart, and says it once when signatures are about to fail over it.
    fn note_skew(&self, headers: &HeaderMap, now: SystemTime) -> Option<f64> {
        let theirs = date(headers)?;
        // `Date` has whole seconds: half a second is the honest middle.
        let skew = seconds_from(now, theirs) + 0.5;
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
        Some(skew)
    }

    /// After a refusal: whether our clock may be the reason, in which case requests are signed by theirs from now on.
    fn corrects_clock(&self, seen: &Seen, lease: &Lease) -> bool {
        let Some(skew) = seen.skew.filter(|skew| skew.is_finite() && skew.abs() < LARGEST_SKEW) else { return false };
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a few centuries at most")]
        let (wrong_by, offset) = (skew - seen.offset_seconds as f64, skew.round() as i64);
        let is_reason = matches!(lease.credential, Credential::AccessKey(_)) && wrong_by.abs() > SUSPICIOUS_SKEW;
        if is_reason {
            self.clock_offset_seconds.store(offset, Ordering::Relaxed);
            info!(offset_seconds = offset, "requests are signed by the upstream's clock, which is {offset} s ahead");
        }
        is_reason
    }
}

/// What has to pause when a call is asked to.
const fn paused(purpose: Purpose, error: &ApiError) -> &'static [Purpose] {
    match (purpose, error) {
        (Purpose::Project, _) => &[Purpose::Project],
        // Too many requests are everybody's.
        (Purpose::Listing, _) | (_, ApiError::Throttled { .. }) => {
            &[Purpose::Listing, Purpose::Images, Purpose::Beside]
        }
        (Purpose::Images, _) => &[Purpose::Images],
        (Purpose::Beside, _) => &[Purpose::Beside],
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

/// A time moved by some seconds, or left where it cannot be.
fn shifted(time: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let moved = if seconds < 0 { time.checked_sub(by) } else { time.checked_add(by) };
    moved.unwrap_or(time)
}

fn seconds_from(start: SystemTime, end: SystemTime) -> f64 {
    match end.duration_since(start) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
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
