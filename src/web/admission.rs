//! Whether a request is answered at all: by the rate, a client certificate, and a name with its password.

use super::basic_auth::{BasicAuth, Verdict};
use super::body::Body;
use super::connection::Peer;
use super::respond::{Last, closing, plain};
use super::security::{InForce, RateLimit, Security};
use super::{PROBES, Tally};
use crate::base::rate_limit::TokenBucket;
use hyper::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// What a client without a login is asked for.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"swr-exporter\", charset=\"UTF-8\"");

/// Judges requests. What it has counted and learnt goes on when the settings change.
pub(super) struct Admission {
    security: InForce,
    doorkeeper: BasicAuth,
    /// What is left of which rate.
    requests: Mutex<Option<(RateLimit, TokenBucket)>>,
}

impl Admission {
    /// By the settings in force, whichever they are at the time.
    pub(super) fn new(security: InForce) -> Self {
        Self { security, doorkeeper: BasicAuth::new(), requests: Mutex::default() }
    }

    /// The settings in force.
    pub(super) fn settings(&self) -> Arc<Security> {
        Arc::clone(&self.security.borrow())
    }

    /// Whether a request is to be answered.
    ///
    /// # Errors
    /// If not: with what instead.
    pub(super) async fn admit(
        &self,
        security: &Security,
        request: &Parts,
        peer: Peer,
        tally: &Tally,
    ) -> Result<(), Response<Body>> {
        let path = request.uri.path();
        // A probe costs nothing, and who is told that it is refused ends a process that works.
        let is_probe = PROBES.contains(&path) && (security.is_open(path) || security.is_for_everybody());
        if let Some(limit) = security.rate_limit
            && !is_probe
            && let Err(wait) = self.count(limit)
        {
            Tally::add(&tally.rate_limited);
            return Err(later(StatusCode::TOO_MANY_REQUESTS, "too many requests\n", wait));
        }
        if security.is_open(path) {
            return Ok(());
        }
        if let Some(tls) = security.tls.as_ref().filter(|tls| tls.needs_certificate())
            && !tls.still_takes(peer.certified.as_ref())
        {
            // Also on connections that are older than this setting: the next one is asked for a certificate.
            Tally::add(&tally.logins_refused);
            let mut response = closing(plain(StatusCode::FORBIDDEN, "a client certificate is needed\n"));
            response.extensions_mut().insert(Last);
            return Err(response);
        }
        if security.users.is_empty() {
            return Ok(());
        }
        let mut shown = request.headers.get_all(AUTHORIZATION).iter();
        // Of two it is not certain which counts.
        let authorization = shown.next().filter(|_| shown.next().is_none());
        match self.doorkeeper.judge(&security.users, authorization, peer.address).await {
            Verdict::Allowed => Ok(()),
            Verdict::Refused => {
                Tally::add(&tally.logins_refused);
                let mut response = plain(StatusCode::UNAUTHORIZED, "a name and a password are needed\n");
                response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
                Err(response)
            }
            Verdict::TooMany(wait) => {
                Tally::add(&tally.logins_throttled);
                Err(later(StatusCode::TOO_MANY_REQUESTS, "too many wrong passwords from this address\n", wait))
            }
            Verdict::Busy(wait) => {
                Tally::add(&tally.logins_throttled);
                Err(later(StatusCode::SERVICE_UNAVAILABLE, "too many logins at once\n", wait))
            }
        }
    }

    /// Counts a request against the rate limit; how long until one more is answered.
    fn count(&self, limit: RateLimit) -> Result<(), Duration> {
        let mut requests = self.requests.lock();
        let rate = limit.rate();
        // Settings that say the same as before do not begin anew.
        let (_, bucket) = match requests.as_mut() {
            Some(counted) if counted.0 == limit => counted,
            _ => requests.insert((limit, TokenBucket::full(rate))),
        };
        bucket.take(rate, 1.0)
    }
}

/// A refusal that says when to come again.
fn later(status: StatusCode, text: &'static str, wait: Duration) -> Response<Body> {
    let mut response = plain(status, text);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}
