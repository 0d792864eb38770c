//! From a request to its answer, whatever the request.

use super::admission::Admission;
use super::body::Body;
use super::connection::Peer;
use super::landing::{self, landing};
use super::route::{Resource, Route, route};
use super::scrape::{Series, scrape};
use super::security::{InForce, Security};
use super::{Options, Site, Sites, Tally, discovery, probe};
use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::Body as HttpBody;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Request, Response, StatusCode, Version};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// A request that declares a longer body gets 413. No page takes a body, so none is read; shorter ones are ignored.
const LONGEST_BODY: u64 = 64 * 1024;

/// Answers requests.
pub(super) struct Responder {
    sites: Sites,
    options: Options,
    scrapes: Arc<Semaphore>,
    admission: Admission,
}

impl Responder {
    /// For the site that is in force whenever a request comes.
    pub(super) fn new(sites: Sites, options: Options, security: InForce) -> Self {
        let scrapes = Arc::new(Semaphore::new(options.max_requests.min(Semaphore::MAX_PERMITS)));
        Self { sites, options, scrapes, admission: Admission::new(security) }
    }

    /// The settings in force.
    pub(super) fn security(&self) -> Arc<Security> {
        self.admission.settings()
    }

    /// The answer; 500 when making it panics.
    ///
    /// A connection whose request declared a body is closed after it: what follows is not certain to be a request, so
    /// there is never a second answer (request smuggling).
    pub(super) async fn answer<B: HttpBody>(&self, request: Request<B>, peer: Peer) -> Response<Body> {
        let unread = !request.body().is_end_stream();
        let version = request.version();
        let (site, security) = (Arc::clone(&self.sites.borrow()), self.security());
        let (request, body) = request.into_parts();
        let answered = async {
            match self.admission.admit(&security, &request, peer, &site.tally).await {
                Ok(()) => self.try_answer(&site, Request::from_parts(request, body)).await,
                Err(refusal) => refusal,
            }
        };
        let answered = AssertUnwindSafe(answered).catch_unwind().await;
        let mut response = answered.unwrap_or_else(|_| {
            Tally::add(&site.tally.panics);
            tracing::error!("answering a request panicked");
            closing(plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n"))
        });
        if unread {
            response = closing(response);
        }
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        security.apply_headers(headers);
        if version == Version::HTTP_2 {
            // It has no such header: there the next request is never taken for the rest of this one.
            headers.remove(CONNECTION);
        }
        response
    }

    async fn try_answer<B: HttpBody>(&self, site: &Site, request: Request<B>) -> Response<Body> {
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
        match route(&request.method, request.uri.path(), &self.options.telemetry_path) {
            Route::Found(Resource::Metrics) => {
                // With several accounts their series would clash here: each has a page of its own.
                let series = match site.accounts.as_slice() {
                    [only] => Series { process: Some(&site.live), account: Some(only) },
                    _ => Series { process: Some(&site.live), account: None },
                };
                scrape(site, series, &self.options, &self.scrapes, &request.headers).await
            }
            Route::Found(Resource::Probe) => match probe::account(site, request.uri.query()) {
                Ok(account) => {
                    let series = Series { process: None, account: Some(account) };
                    scrape(site, series, &self.options, &self.scrapes, &request.headers).await
                }
                Err((status, text)) => plain(status, text),
            },
            Route::Found(Resource::Discovery) => discovery::answer(site, &request),
            Route::Found(Resource::Settings) => plain(StatusCode::OK, site.settings.clone()),
            Route::Found(Resource::Reload) => match (site.reload)().await {
                Ok(done) => plain(StatusCode::OK, done),
                Err(problems) => plain(StatusCode::INTERNAL_SERVER_ERROR, problems),
            },
            Route::Found(Resource::Landing) => html(landing(site, &self.options.telemetry_path)),
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

/// A short text.
pub(super) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::new([text.into()]));
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

/// Marks an answer after which the connection ends in HTTP/2 too, where no header says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last;

/// Ends the connection after this answer, but in HTTP/2.
pub(super) fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
