//! For tests: an upstream that is a function, and a client for it on a paused clock.

use super::client::{Client, Options};
use super::error::ApiError;
use super::metrics::Metrics;
use super::retry::CallBudget;
use crate::auth::{Authenticator, CredentialProvider, SecretSource, token};
use crate::base::deadline::Deadline;
use crate::base::secret::Secret;
use crate::transport::{Request, Response, Transport, TransportError};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use hyper::StatusCode;
use hyper::http::{HeaderMap, HeaderValue};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

pub(crate) enum Reply {
    Status(u16, Option<&'static str>),
    Error(u16, &'static str),
    /// A page: its `Content-Range` and its body.
    Page(&'static str, String),
    /// An error with a `Date`.
    Dated(u16, SystemTime),
    /// A connection that breaks.
    Broken,
    /// No response.
    Silence,
    /// The pieces of the body, each after a pause, and how it ends.
    Pieces(Vec<(Duration, &'static str)>, BodyEnd),
}

#[derive(Clone, Copy)]
pub(crate) enum BodyEnd {
    Complete,
    Never,
}

pub(crate) fn good() -> Reply {
    Reply::Pieces(vec![(Duration::ZERO, "[]")], BodyEnd::Complete)
}

#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) url: String,
    pub(crate) token: Option<HeaderValue>,
}

impl Sent {
    pub(crate) fn lists(&self) -> bool {
        self.url.contains("/repos?")
    }
}

/// The reply to a request, by its number from 0 and its URL.
type Script = Box<dyn Fn(usize, &str) -> Reply + Send + Sync>;

/// Replies after 20 ms, and records each request.
struct Scripted {
    script: Script,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Transport for Scripted {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>> {
        Box::pin(async move {
            let number = {
                let mut sent = self.sent.lock().unwrap();
                let token = request.headers.get("x-auth-token").cloned();
                sent.push(Sent { at: Instant::now(), url: request.url.clone(), token });
                sent.len() - 1
            };
            tokio::time::sleep(Duration::from_millis(20)).await;
            let mut headers = HeaderMap::new();
            let whole = |text: String| (vec![(Duration::ZERO, Bytes::from(text))], BodyEnd::Complete);
            let (status, (pieces, end)) = match (self.script)(number, &request.url) {
                Reply::Broken => {
                    return Err(TransportError { what: "no response", source: "connection reset".into() });
                }
                Reply::Silence => std::future::pending().await,
                Reply::Status(status, retry_after) => {
                    headers.extend(retry_after.map(|text| (hyper::header::RETRY_AFTER, text.parse().unwrap())));
                    (status, whole(String::new()))
                }
                Reply::Error(status, code) => (status, whole(format!(r#"{{"error_code":"{code}","error_msg":"x"}}"#))),
                Reply::Page(range, body) => {
                    headers.insert("content-range", range.parse().unwrap());
                    (200, whole(body))
                }
                Reply::Dated(status, date) => {
                    headers.insert("date", httpdate::fmt_http_date(date).parse().unwrap());
                    (status, whole(String::new()))
                }
                Reply::Pieces(pieces, end) => {
                    let bytes = |(pause, text): (_, &'static str)| (pause, Bytes::from_static(text.as_bytes()));
                    (200, (pieces.into_iter().map(bytes).collect(), end))
                }
            };
            let pieces = futures_util::stream::iter(pieces).then(|(pause, bytes)| async move {
                tokio::time::sleep(pause).await;
                Ok(bytes)
            });
            let body = match end {
                BodyEnd::Complete => pieces.boxed(),
                BodyEnd::Never => pieces.chain(futures_util::stream::pending()).boxed(),
            };
            Ok(Response { status: StatusCode::from_u16(status).unwrap(), headers, body })
        })
    }
}

pub(crate) struct Setup {
    pub(crate) client: Arc<Client>,
    sent: Arc<Mutex<Vec<Sent>>>,
    pub(crate) started: Instant,
}

/// A client with a configured token.
pub(crate) fn setup(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Setup {
    setup_by(Options::default(), Authenticator::new(given(), None), move |number, _| script(number))
}

pub(crate) fn given() -> CredentialProvider {
    CredentialProvider::Token(token::TokenProvider(SecretSource::Given(Secret::new("token".to_owned()))))
}

pub(crate) fn setup_by(
    options: Options,
    authenticator: Authenticator,
    script: impl Fn(usize, &str) -> Reply + Send + Sync + 'static,
) -> Setup {
    // Seeds the jitter of waits, so that every run is the same.
    fastrand::seed(7);
    let sent = Arc::new(Mutex::default());
    let transport = Scripted { script: Box::new(script), sent: Arc::clone(&sent) };
    let metrics = Metrics::new(&prometheus::Registry::new());
    let options = Options { endpoint: "http://127.0.0.1:1".into(), ..options };
    let client = Client::new(options, Box::new(transport), authenticator, metrics, SystemTime::now);
    Setup { client: Arc::new(client), sent, started: Instant::now() }
}

impl Setup {
    pub(crate) async fn list(&self, budget: &CallBudget) -> Result<(), ApiError> {
        let known = super::row_reader::KnownRows::none(self.client.fingerprint_key);
        self.client.repositories(None, 0, 100, &known, budget).await.map(drop)
    }

    pub(crate) async fn tags(&self, budget: CallBudget) -> Result<(), ApiError> {
        self.client.tag_page("organization", "repository", 0, 100, &budget).await.map(drop)
    }

    pub(crate) fn requests(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// When each request was sent, in milliseconds from the beginning.
    pub(crate) fn sent(&self) -> Vec<u128> {
        self.sent.lock().unwrap().iter().map(|sent| (sent.at - self.started).as_millis()).collect()
    }
}

pub(crate) fn minutes(minutes: u64) -> CallBudget {
    CallBudget::until(Deadline::after(Duration::from_secs(60 * minutes)))
}
