//! One attempt at a call: build and sign the request, send it, read the response.

use super::super::breaker::CircuitPermit;
use super::super::error::{ApiError, ErrorResponse};
use super::super::metrics::{Operation, Purpose};
use super::super::request::{BodyReader, Call};
use super::Client;
use crate::auth::{CachedCredential, Credential, sign};
use crate::base::clock::seconds_between;
use crate::base::deadline::Deadline;
use crate::transport::error_response::date;
use crate::transport::{Request, Response, SentSecrets, TransportError};
use bytes::Bytes;
use futures_util::StreamExt;
use hyper::http::{HeaderMap, Method};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tracing::warn;

/// The clock skew in seconds from which on a warning is logged; signatures are refused from 900 s on.
const SKEW_WARNING_SECONDS: f64 = 600.0;

/// The most bytes of an error response that are read.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// What is known of an attempt, however it ended.
#[derive(Debug, Default)]
pub(super) struct AttemptInfo {
    pub(super) status: Option<u16>,
    /// The upstream's clock minus ours, in seconds.
    pub(super) skew: Option<f64>,
    /// The offset that was added to our clock for the signature.
    pub(super) offset_seconds: i64,
}

impl Client {
    /// Sends a request once.
    pub(super) async fn attempt<R: BodyReader>(
        &self,
        call: &Call<'_>,
        lease: &CachedCredential,
        admission: CircuitPermit<'_>,
        deadline: Deadline,
        reader: R,
        info: &mut AttemptInfo,
    ) -> Result<R::Output, ApiError> {
        let start = Instant::now();
        let result = deadline
            .at_most(self.options.request_timeout)
            .bound(self.exchange(call, lease, reader, info))
            .await
            .unwrap_or(Err(ApiError::Timeout("the request")));
        self.metrics.request(call.operation, info.status, start.elapsed());
        match &result {
            _ if matches!(call.operation.purpose(), Purpose::Auxiliary | Purpose::Project) => drop(admission),
            Err(error) if error.is_upstream_failure() => admission.record_failure(error.describe()),
            _ => admission.record_success(),
        }
        result
    }

    async fn exchange<R: BodyReader>(
        &self,
        call: &Call<'_>,
        lease: &CachedCredential,
        mut reader: R,
        info: &mut AttemptInfo,
    ) -> Result<R::Output, ApiError> {
        info.offset_seconds = self.clock_offset_seconds.load(Ordering::Relaxed);
        let request = self.request(call, lease, info.offset_seconds);
        let mut secrets = SentSecrets::default();
        secrets.add_headers(&request.headers);
        let network = |error: TransportError| ApiError::Network(error.hiding(&secrets));
        let Response { status, headers, mut body } = self.transport.send(request).await.map_err(network)?;
        info.status = Some(status.as_u16());
        let now = (self.wall_clock)();
        info.skew = self.note_skew(&headers, now);
        let mut next_piece = async || match tokio::time::timeout(self.options.stall_timeout, body.next()).await {
            Err(_) => Err(ApiError::Timeout("waiting for more of the response")),
            Ok(None) => Ok(None),
            Ok(Some(Ok(piece))) => Ok(Some(piece)),
            Ok(Some(Err(error))) => Err(network(error)),
        };
        if status != hyper::StatusCode::OK {
            let mut text = Vec::new();
            // If the rest of the error's text does not arrive, the status is enough.
            while let Ok(Some(piece)) = next_piece().await {
                text.extend_from_slice(&piece[..piece.len().min(MAX_ERROR_BYTES - text.len())]);
                if text.len() == MAX_ERROR_BYTES {
                    break;
                }
            }
            let service = call.operation.service();
            return Err(ApiError::classify(ErrorResponse::read(service, status, &headers, &text, &secrets, now)));
        }
        let mut size = 0;
        while let Some(piece) = next_piece().await? {
            size += piece.len();
            if size > self.options.max_response_bytes {
                return Err(ApiError::TooLarge { limit: self.options.max_response_bytes });
            }
            reader.feed(&piece)?;
        }
        reader.finish(&headers)
    }

    /// Builds and signs a request. Content-Type is mandatory in this API even without a body.
    fn request(&self, call: &Call<'_>, lease: &CachedCredential, offset_seconds: i64) -> Request {
        let endpoint = match &self.options.project_lookup {
            Some(lookup) if call.operation == Operation::FindProject => &lookup.iam_endpoint,
            _ => &self.options.endpoint,
        };
        let host = sign::host_of(endpoint);
        let query = sign::canonical_query(call.query);
        // The HTTP client writes Host itself, with the same value.
        let mut signed = vec![("content-type", "application/json"), ("host", &*host)];
        if let Credential::AccessKey(_) = lease.credential {
            let project = self.options.project_id.as_deref().or(lease.credential.project_id());
            signed.extend(project.map(|project| ("x-project-id", project)));
        }
        let mut headers = HeaderMap::new();
        signed.iter().filter(|(name, _)| *name != "host").for_each(|(name, it)| sign::insert(&mut headers, name, it));
        let unsigned = sign::Request { method: "GET", path: call.path, query: call.query, headers: &signed, body: &[] };
        let now = shifted((self.wall_clock)(), offset_seconds);
        sign::authenticate(&unsigned, &lease.credential, now, &mut headers);
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!("{endpoint}{}{mark}{query}", call.path);
        Request { method: Method::GET, url, headers, body: Bytes::new() }
    }

    /// Records the clock skew, and warns once before signatures fail because of it.
    fn note_skew(&self, headers: &HeaderMap, now: SystemTime) -> Option<f64> {
        let theirs = date(headers)?;
        // `Date` has whole seconds: the expected value lies half a second later.
        let skew = seconds_between(now, theirs) + 0.5;
        self.metrics.clock_skew.set(Some(skew));
        let is_large = skew.abs() > SKEW_WARNING_SECONDS;
        if !self.skew_warned.swap(is_large, Ordering::Relaxed) && is_large {
            warn!(
                skew_seconds = skew.round(),
                "the clock differs from the API's by {} s; signatures fail from 900 s on",
                skew.round()
            );
        }
        Some(skew)
    }
}

/// A time moved by some seconds; unchanged if the result cannot be represented.
fn shifted(time: SystemTime, seconds: i64) -> SystemTime {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let moved = if seconds < 0 { time.checked_sub(by) } else { time.checked_add(by) };
    moved.unwrap_or(time)
}
