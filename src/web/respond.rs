//! From a request to its answer, whatever the request.

use super::basic_auth::{Doorkeeper, Verdict};
use super::body::Body;
use super::bucket::Bucket;
use super::connection::Peer;
use super::landing::{self, landing};
use super::route::{Resource, Route, route};
use super::security::{InForce, RateLimit, Security};
use super::{Options, Site, Tally, scrape::scrape};
use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::Body as HttpBody;
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap,
    HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Request, Response, StatusCode, Version};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A request that declares a longer body gets 413. No page takes a body, so none is read; shorter ones are ignored.
const LONGEST_BODY: u64 = 64 * 1024;

/// What a client without a login is asked for.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"swr-exporter\", charset=\"UTF-8\"");

/// Answers requests.
pub(super) struct Responder {
    site: Arc<Site>,
    options: Options,
    scrapes: Arc<Semaphore>,
    security: InForce,
    doorkeeper: Doorkeeper,
    /// What is left of which rate.
    requests: Mutex<Option<(RateLimit, Bucket)>>,
}

impl Responder {
    /// For one site.
    pub(super) fn new(site: Arc<Site>, options: Options, security: InForce) -> Self {
        let scrapes = Arc::new(Semaphore::new(options.max_requests.min(Semaphore::MAX_PERMITS)));
        let (doorkeeper, requests) = (Doorkeeper::new(), Mutex::default());
        Self { site, options, scrapes, security, doorkeeper, requests }
    }

    /// The settings in force.
    pub(super) fn security(&self) -> Arc<Security> {
        Arc::clone(&self.security.borrow())
    }

    /// The answer; 500 when making it panics.
    ///
    /// A connection whose request declared a body is closed after it: what follows is not certain to be a request, so
    /// there is never a second answer (request smuggling).
    pub(super) async fn answer<B: HttpBody>(&self, request: Request<B>, peer: Peer) -> Response<Body> {
        let unread = !request.body().is_end_stream();
        let version = request.version();
        let security = self.security();
        let answered = AssertUnwindSafe(self.try_answer(request, peer, &security)).catch_unwind().await;
        let mut response = answered.unwrap_or_else(|_| {
            Tally::add(&self.site.tally.panics);
            tracing::error!("answering a request panicked");
            closing(plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n"))
        });
        if unread {
            response = closing(response);
        }
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        security.dress(headers);
        if version == Version::HTTP_2 {
            // It has no such header: there the next request is never taken for the rest of this one.
            headers.remove(CONNECTION);
        }
        response
    }

    async fn try_answer<B: HttpBody>(&self, request: Request<B>, peer: Peer, security: &Security) -> Response<Body> {
        let (request, body) = request.into_parts();
        let declared = body.size_hint().lower();
        drop(body);
        // RFC 9112, 3.2: a request with no host or several is malformed.
        let hosts = request.headers.get_all(HOST).iter().count();
        if hosts > 1 || (hosts == 0 && request.version == Version::HTTP_11) {
            return closing(plain(StatusCode::BAD_REQUEST, "exactly one Host header is needed\n"));
        }
        if declared > LONGEST_BODY {
            return closing(plain(StatusCode::PAYLOAD_TOO_LARGE, "no page takes a body\n"));
        }
        if let Err(refusal) = self.admit(&request.headers, request.uri.path(), peer, security).await {
            return refusal;
        }
        match route(&request.method, request.uri.path(), &self.options.telemetry_path) {
            Route::Found(Resource::Metrics) => scrape(&self.site, &self.options, &self.scrapes, &request.headers).await,
            Route::Found(Resource::Landing) => html(landing(&self.site, &self.options.telemetry_path)),
            Route::Found(Resource::Healthy) => plain(StatusCode::OK, "healthy\n"),
            // Settings were loaded and sockets bound before anything was accepted; the upstream has no say in this.
            Route::Found(Resource::Ready) => plain(StatusCode::OK, "ready\n"),
            Route::NotFound => plain(StatusCode::NOT_FOUND, "not found\n"),
            Route::MethodNotAllowed(allow) => {
                let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
                response
            }
        }
    }
}

impl Responder {
    /// Whether the request is to be answered; if not, with what instead.
    async fn admit(
        &self,
        headers: &HeaderMap,
        path: &str,
        peer: Peer,
        security: &Security,
    ) -> Result<(), Response<Body>> {
        let tally = &self.site.tally;
        if let Some(limit) = security.rate_limit
            && let Err(wait) = self.count(limit)
        {
            Tally::add(&tally.rate_limited);
            return Err(later(StatusCode::TOO_MANY_REQUESTS, "too many requests\n", wait));
        }
        if security.is_open(path) {
            return Ok(());
        }
        if security.tls.as_ref().is_some_and(|tls| tls.certificate_needed) && !peer.certified {
            // Also on connections that are older than this setting: the next one is asked for a certificate.
            Tally::add(&tally.logins_refused);
            return Err(closing(plain(StatusCode::FORBIDDEN, "a client certificate is needed\n")));
        }
        if security.users.is_empty() {
            return Ok(());
        }
        let mut shown = headers.get_all(AUTHORIZATION).iter();
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
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = limit.rate();
        // Settings that say the same as before do not begin anew.
        let (_, bucket) = match requests.as_mut() {
            Some(counted) if counted.0 == limit => counted,
            _ => requests.insert((limit, Bucket::full(rate))),
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

/// A short text.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::new([Bytes::from_static(text.as_bytes())]));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn html(page: String) -> Response<Body> {
    let mut response = Response::new(Body::new([Bytes::from(page)]));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(landing::POLICY));
    response
}

fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
