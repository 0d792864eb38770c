//! From a request to its response: admission, routing, and the headers of every response.

use super::admission::Admission;
use super::body::Body;
use super::metrics::Metrics;
use super::peer::Peer;
use super::places::ScrapePlaces;
use super::response::{closing, content, plain, with};
use super::route::{Resource, Route, route};
use super::scrape::{ScrapeTarget, scrape};
use super::security::{CurrentSecurity, Security};
use super::{HtmlPage, Limits, Options, Site, Sites, discovery, lifecycle, probe};
use crate::exposition::PlainTextRoom;
use futures_util::FutureExt;
use hyper::body::Body as HttpBody;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderValue, LOCATION,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Version};
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// A request that declares a body of more bytes gets 413. Smaller bodies are ignored: no resource takes one.
const MAX_BODY: u64 = 64 * 1024;

/// What all connections share.
pub(super) struct Responder {
    sites: Sites,
    options: Options,
    places: ScrapePlaces,
    room: PlainTextRoom,
    admission: Admission,
    pub(super) limits: Arc<Limits>,
    pub(super) metrics: Metrics,
}

impl Responder {
    /// Answers from the site and by the settings in force at each request.
    pub(super) fn new(sites: Sites, options: Options, security: CurrentSecurity, metrics: Metrics) -> Self {
        let (places, limits) = (ScrapePlaces::new(options.max_requests), Arc::new(options.limits.clone()));
        let room = PlainTextRoom::new(options.plain_text_bytes);
        Self { sites, options, places, room, admission: Admission::new(security), limits, metrics }
    }

    pub(super) fn security(&self) -> Arc<Security> {
        self.admission.settings()
    }

    /// The response; 500 if the handler panics.
    ///
    /// If the request declared a body, the connection is closed after the response: what follows may be the rest of that
    /// body, and must not be taken for a second request (request smuggling).
    pub(super) async fn answer<B: HttpBody>(&self, request: Request<B>, peer: Peer) -> Response<Body> {
        let has_body = !request.body().is_end_stream();
        let version = request.version();
        let (site, security) = (Arc::clone(&self.sites.borrow()), self.security());
        let (request, body) = request.into_parts();
        let (address, declared) = (peer.address, body.size_hint().lower());
        let handled = async {
            let admitted = self.admission.admit(&security, &request, peer, &self.metrics).await;
            drop(body);
            match admitted {
                Ok(()) => self.handle(&site, &security, &request, declared, address).await,
                Err(refusal) => refusal,
            }
        };
        let handled = AssertUnwindSafe(handled).catch_unwind().await;
        let mut response = handled.unwrap_or_else(|_| {
            self.metrics.panics.inc();
            tracing::error!("request handler panicked");
            closing(plain(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n"))
        });
        if has_body {
            response = closing(response);
        }
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        security.apply_headers(headers);
        if version == Version::HTTP_2 {
            // HTTP/2 forbids the header, and its frames leave no doubt about where a request ends.
            headers.remove(CONNECTION);
        }
        response
    }

    /// `declared`: the least bytes of the body.
    async fn handle(
        &self,
        site: &Site,
        security: &Security,
        request: &Parts,
        declared: u64,
        peer: IpAddr,
    ) -> Response<Body> {
        // RFC 9112, 3.2: a request without a host, or with several, is malformed.
        let hosts = request.headers.get_all(HOST).iter().count();
        if hosts > 1 || (hosts == 0 && request.version == Version::HTTP_11) {
            return closing(plain(StatusCode::BAD_REQUEST, "exactly one Host header is needed\n"));
        }
        if declared > MAX_BODY {
            return closing(plain(StatusCode::PAYLOAD_TOO_LARGE, "no resource takes a body\n"));
        }
        let scrape = async |target| {
            scrape(target, &self.options, (&self.places, peer), &self.room, &request.headers, &self.metrics).await
        };
        match route(&request.method, request.uri.path(), &self.options) {
            Route::Found(Resource::Metrics) => {
                // The series of several accounts would clash here: each account has a page of its own.
                let account = site.accounts.first().filter(|_| site.accounts.len() == 1);
                scrape(ScrapeTarget { process: Some(&site.live), account }).await
            }
            Route::Found(Resource::Probe) => match probe::account(site, request.uri.query()) {
                Ok(account) => scrape(ScrapeTarget { process: None, account: Some(account) }).await,
                Err((status, text)) => plain(status, text),
            },
            Route::Found(Resource::Discovery) => discovery::targets(site, request, &self.options),
            Route::Found(Resource::Settings) => plain(StatusCode::OK, site.settings.clone()),
            Route::Found(Resource::Reload) => {
                let authenticated = !security.is_for_everybody() && !security.is_open(request.uri.path());
                if let Err(refusal) = lifecycle::authorize(request, &self.options, authenticated) {
                    return plain(StatusCode::FORBIDDEN, refusal);
                }
                match (site.reload)().await {
                    Ok(done) => plain(StatusCode::OK, done),
                    Err(problems) => plain(StatusCode::INTERNAL_SERVER_ERROR, problems),
                }
            }
            Route::Found(Resource::Landing) => html((site.landing)()),
            Route::Found(Resource::Healthy) => plain(StatusCode::OK, "healthy\n"),
            // The settings were read and the sockets bound before the first accept; the upstream does not matter.
            Route::Found(Resource::Ready) => plain(StatusCode::OK, "ready\n"),
            Route::Redirect(to) => redirect(&to),
            Route::NotFound => plain(StatusCode::NOT_FOUND, "not found\n"),
            Route::Options(methods) => {
                let mut response = allowing(methods, plain(StatusCode::NO_CONTENT, ""));
                response.headers_mut().remove(CONTENT_TYPE);
                response
            }
            Route::MethodNotAllowed(methods) => {
                allowing(methods, plain(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n"))
            }
        }
    }
}

fn allowing(methods: &'static str, response: Response<Body>) -> Response<Body> {
    with(response, ALLOW, HeaderValue::from_static(methods))
}

fn redirect(to: &str) -> Response<Body> {
    let location = HeaderValue::from_str(to).expect("a prefix has no character that a header may not have");
    with(plain(StatusCode::FOUND, format!("the status page is at {to}\n")), LOCATION, location)
}

fn html(HtmlPage { body, security_policy }: HtmlPage) -> Response<Body> {
    let policy = HeaderValue::from_static(security_policy);
    with(content("text/html; charset=utf-8", body), CONTENT_SECURITY_POLICY, policy)
}
