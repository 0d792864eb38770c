//! One attempt: the request is built and signed, sent, and its answer read.

use super::super::breaker::Admission;
use super::super::error::{ApiError, ErrorAnswer};
use super::super::metrics::{Operation, Purpose};
use super::Client;
use crate::auth::{CachedCredential, Credential, sign};
use crate::base::deadline::Deadline;
use crate::transport::answer::{date, retry_after};
use crate::transport::{Request, Response, SentSecrets, TransportError};
use bytes::Bytes;
use futures_util::StreamExt;
use hyper::http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tracing::warn;

/// A skew at which signatures are about to be refused; the cloud allows fifteen minutes.
const WORRYING_SKEW: f64 = 600.0;

/// Error texts are short; what is longer is not read to its end.
const LARGEST_ERROR: usize = 64 << 10;

/// What to ask for.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What is asked, and with it what a failure means.
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

/// What was noticed of an attempt, however it ended.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) status: Option<u16>,
    /// The upstream's clock minus ours, in seconds.
    pub(super) skew: Option<f64>,
    /// What was added to our clock to sign by.
    pub(super) offset_seconds: i64,
}

impl Client {
    /// Sends a request once.
    pub(super) async fn attempt<R: Reader>(
        &self,
        call: &Call<'_>,
        lease: &CachedCredential,
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
            _ if matches!(call.operation.purpose(), Purpose::Auxiliary | Purpose::Project) => drop(admission),
            Err(error) if error.unhealthy() => admission.unhealthy(),
            _ => admission.healthy(),
        }
        result
    }

    async fn exchange<R: Reader>(
        &self,
        call: &Call<'_>,
        lease: &CachedCredential,
        mut reader: R,
        seen: &mut Seen,
    ) -> Result<R::Output, ApiError> {
        seen.offset_seconds = self.clock_offset_seconds.load(Ordering::Relaxed);
        let request = self.request(call, lease, seen.offset_seconds);
        let secrets = SentSecrets::of_headers(&request.headers);
        let network = |error: TransportError| ApiError::Network(error.hiding(&secrets));
        let Response { status: code, headers, mut body } = self.transport.send(request).await.map_err(network)?;
        seen.status = Some(code.as_u16());
        let now = (self.wall_clock)();
        seen.skew = self.note_skew(&headers, now);
        let mut pieces = async || match tokio::time::timeout(self.options.stall_timeout, body.next()).await {
            Err(_) => Err(ApiError::Timeout("waiting for more of the answer")),
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(error))) => Err(network(error)),
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
            let answer = ErrorAnswer::read(code, &headers, &text, &secrets);
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
    fn request(&self, call: &Call<'_>, lease: &CachedCredential, offset_seconds: i64) -> Request {
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
}

/// Settings and secret files are checked for what no header can carry; what slips through is not sent.
fn insert(headers: &mut HeaderMap, name: &'static str, value: &str, sensitive: bool) {
    if let Ok(mut value) = HeaderValue::from_str(value) {
        value.set_sensitive(sensitive);
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The `Host` header as the HTTP client writes it: without a default port.
pub(super) fn host_of(endpoint: &str) -> String {
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
