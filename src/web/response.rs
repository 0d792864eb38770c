//! Responses that every handler can make.

use super::body::Body;
use bytes::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use std::time::Duration;

/// The response with a header, in the place of one of this name.
pub(super) fn with(mut response: Response<Body>, name: HeaderName, value: HeaderValue) -> Response<Body> {
    response.headers_mut().insert(name, value);
    response
}

pub(super) fn content(media_type: &'static str, text: impl Into<Bytes>) -> Response<Body> {
    with(Response::new(Body::new([text.into()])), CONTENT_TYPE, HeaderValue::from_static(media_type))
}

pub(super) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = content("text/plain; charset=utf-8", text);
    *response.status_mut() = status;
    response
}

/// A refusal with `Retry-After`, rounded up to seconds.
pub(super) fn retry_later(status: StatusCode, text: &'static str, wait: Duration) -> Response<Body> {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    with(plain(status, text), RETRY_AFTER, HeaderValue::from(seconds.max(1)))
}

/// Marks the last response of a connection for HTTP/2, which has no `Connection` header.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastResponse;

/// Closes an HTTP/1.1 connection after this response.
pub(super) fn closing(response: Response<Body>) -> Response<Body> {
    with(response, CONNECTION, HeaderValue::from_static("close"))
}
