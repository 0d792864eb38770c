//! An API call as data, and the trait that parses the body of its response.

use super::error::ApiError;
use super::metrics::Operation;
use hyper::http::HeaderMap;

/// One GET request to the API.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The kind of call, which decides what a failure means.
    pub operation: Operation,
    /// The path, percent-encoded.
    pub path: &'a str,
    /// Query pairs, decoded.
    pub query: &'a [(&'a str, &'a str)],
}

/// Parses the body of a response while it arrives.
pub trait BodyReader: Send {
    /// The parsed body.
    type Output;
    /// Takes the next piece.
    fn feed(&mut self, piece: &[u8]) -> Result<(), ApiError>;
    /// Ends the body.
    fn finish(self, headers: &HeaderMap) -> Result<Self::Output, ApiError>;
}
