//! Whether a request is answered: rate limit, client certificate, user name and password, in this order.

use super::PROBES;
use super::basic_auth::{BasicAuth, LoginVerdict};
use super::body::Body;
use super::metrics::Metrics;
use super::peer::Peer;
use super::response::{LastResponse, closing, plain, retry_later, with};
use super::security::{CurrentSecurity, RateLimit, Security};
use crate::base::rate_limit::TokenBucket;
use hyper::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// The challenge of a 401.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"swr-exporter\", charset=\"UTF-8\"");

/// Admits requests. Counts and known logins survive a change of the settings.
pub(super) struct Admission {
    security: CurrentSecurity,
    basic_auth: BasicAuth,
    /// The bucket of the rate limit, and the limit it belongs to.
    requests: Mutex<Option<(RateLimit, TokenBucket)>>,
}

impl Admission {
    /// Admits by the settings in force at each request.
    pub(super) fn new(security: CurrentSecurity) -> Self {
        Self { security, basic_auth: BasicAuth::new(), requests: Mutex::default() }
    }

    pub(super) fn settings(&self) -> Arc<Security> {
        Arc::clone(&self.security.borrow())
    }

    /// Whether a request is to be answered, or the response to send instead.
    pub(super) async fn admit(
        &self,
        security: &Security,
        request: &Parts,
        peer: Peer,
        metrics: &Metrics,
    ) -> Result<(), Response<Body>> {
        let path = request.uri.path();
        // Probes are exempt from the rate limit: a supervisor that gets 429 kills a process that works.
        let is_probe = PROBES.contains(&path) && (security.is_open(path) || security.is_for_everybody());
        if let Some(limit) = security.rate_limit
            && !is_probe
            && let Err(wait) = self.take_request(limit)
        {
            metrics.rate_limited.inc();
            return Err(retry_later(StatusCode::TOO_MANY_REQUESTS, "too many requests\n", wait));
        }
        if security.is_open(path) {
            return Ok(());
        }
        if let Some(tls) = security.tls.as_ref().filter(|tls| tls.needs_certificate())
            && !tls.still_accepts(peer.certified.as_ref())
        {
            // The connection may be older than this requirement. Closing it makes the client connect again, and then it is
            // asked for a certificate.
            metrics.logins_refused.inc();
            let mut response = closing(plain(StatusCode::FORBIDDEN, "a client certificate is needed\n"));
            response.extensions_mut().insert(LastResponse);
            return Err(response);
        }
        if security.users.is_empty() {
            return Ok(());
        }
        let mut headers = request.headers.get_all(AUTHORIZATION).iter();
        // Two headers are ambiguous, so neither counts.
        let authorization = headers.next().filter(|_| headers.next().is_none());
        match self.basic_auth.check(&security.users, authorization, peer.address).await {
            LoginVerdict::Accepted => Ok(()),
            LoginVerdict::Refused => {
                metrics.logins_refused.inc();
                let response = plain(StatusCode::UNAUTHORIZED, "a name and a password are needed\n");
                Err(with(response, WWW_AUTHENTICATE, CHALLENGE))
            }
            LoginVerdict::TooManyGuesses(wait) => {
                metrics.logins_throttled.inc();
                let text = "too many wrong passwords from this address\n";
                Err(retry_later(StatusCode::TOO_MANY_REQUESTS, text, wait))
            }
            LoginVerdict::QueueFull(wait) => {
                metrics.logins_throttled.inc();
                Err(retry_later(StatusCode::SERVICE_UNAVAILABLE, "too many logins at once\n", wait))
            }
        }
    }

    /// Counts a request against the rate limit, or tells the time until the next request is allowed.
    fn take_request(&self, limit: RateLimit) -> Result<(), Duration> {
        let mut requests = self.requests.lock();
        let rate = limit.rate();
        // An unchanged limit keeps its bucket when other settings change.
        let (_, bucket) = match requests.as_mut() {
            Some(counted) if counted.0 == limit => counted,
            _ => requests.insert((limit, TokenBucket::full(rate))),
        };
        bucket.take(rate, 1.0)
    }
}
