//! From a request to its answer, whatever the request.

use super::body::Body;
use super::landing::{self, landing};
use super::route::{Resource, Route, route};
use super::{Options, Site, Tally, scrape::scrape};
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
    site: Arc<Site>,
    options: Options,
    scrapes: Arc<Semaphore>,
}

impl Responder {
    /// For one site.
    pub(super) fn new(site: Arc<Site>, options: Options) -> Self {
        let scrapes = Arc::new(Semaphore::new(options.max_requests.min(Semaphore::MAX_PERMITS)));
        Self { site, options, scrapes }
    }

    /// The answer; 500 when making it panics.
    ///
    /// A connection whose request declared a body is closed after it: what follows is not certain to be a request, so
    /// there is never a second answer (request smuggling).
    pub(super) async fn answer<B: HttpBody>(&self, request: Request<B>) -> Response<Body> {
        let unread = !request.body().is_end_stream();
        let answered = AssertUnwindSafe(self.try_answer(request)).catch_unwind().await;
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
        response
    }

    async fn try_answer<B: HttpBody>(&self, request: Request<B>) -> Response<Body> {
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
