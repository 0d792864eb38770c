//! Responses that every handler can make.

use super::body::Body;
use bytes::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use std::time::Duration;

pub(super) fn content(media_type: &'static str, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::new([text.into()]));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

pub(super) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = content("text/plain; charset=utf-8", text);
    *response.status_mut() = status;
    response
}

/// A refusal with `Retry-After`, rounded up to seconds.
pub(super) fn retry_later(status: StatusCode, text: &'static str, wait: Duration) -> Response<Body> {
    let mut response = plain(status, text);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    response
}

/// Marks the last response of a connection for HTTP/2, which has no `Connection` header.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastResponse;

/// Closes an HTTP/1.1 connection after this response.
pub(super) fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
