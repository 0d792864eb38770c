//! HTTP: one request out, one response in.
//!
//! The API's client and the credential providers both send through [`Transport`]. [`Https`] is the implementation that
//! ships; tests use others, on a paused clock. Redirects are never followed, because `X-Auth-Token` would go along.
//! Nothing is retried here.

pub mod error_response;
mod endpoint;
pub mod error_body;
mod gzip;
mod resolver;
mod https;
pub mod proxy;
mod sent_secrets;

pub use endpoint::{Endpoint, EndpointError};
pub use https::{BuildError, Https, HttpsOptions, read_ca_file};
pub use sent_secrets::SentSecrets;

use crate::failure::error_chain;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use hyper::http::{HeaderMap, HeaderValue, Method, StatusCode};

/// A request, ready to be sent.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The absolute URL, percent-encoded as it goes onto the wire.
    pub url: String,
    /// Headers; those with secrets are marked sensitive.
    pub headers: HeaderMap<HeaderValue>,
    /// The body.
    pub body: Bytes,
}

impl std::fmt::Debug for Request {
    /// Without the body, which may be a password or an identity token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .field("headers", &self.headers)
            .finish_non_exhaustive()
    }
}

/// A response whose body is still arriving.
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The pieces of the body, decompressed.
    pub body: BoxStream<'static, Result<Bytes, TransportError>>,
}

/// A connection that could not be made, or broke.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct TransportError {
    /// What failed, in words.
    pub what: &'static str,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl TransportError {
    /// The same error in words that repeat no secret: an HTTP/2 connection is closed with a text, and a certificate has
    /// names, that are the other side's.
    pub fn hiding(self, secrets: &SentSecrets) -> Self {
        let chain = error_chain(&*self.source);
        let words = error_body::one_line(&secrets.hide(&chain)).unwrap_or_default();
        Self { what: self.what, source: words.into() }
    }
}

/// Sends requests.
pub trait Transport: Send + Sync + 'static {
    /// Sends one request and waits for the head of its response. Dropping the future cancels the request.
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, TransportError>>;
}
