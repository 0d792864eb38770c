//! Why a call failed, by meaning.
//!
//! Status *and* error code decide the class: throttling comes as 429, 403 and 409, and a resource of another account as
//! 401. The codes are those of the vendor's error code pages.

use super::advice;
use super::json_array::ArrayError;
use crate::auth::AuthError;
use crate::failure::{Failure, Reason, error_chain};
use crate::transport::TransportError;
pub use crate::transport::error_response::{ErrorResponse, MAX_PAUSE};
use std::sync::Arc;
use std::time::Duration;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The credential was refused; another one may help, a retry does not.
    #[error("the credential was refused: {0}")]
    Auth(ErrorResponse),
    /// There is no credential to send.
    #[error("no usable credential")]
    Credential(#[source] AuthError),
    /// The caller is known but lacks the permission.
    #[error("not permitted: {0}")]
    Permission(ErrorResponse),
    /// Too many requests, or the service is busy.
    #[error("throttled: {0}")]
    Throttled(ErrorResponse),
    /// The resource does not exist.
    #[error("not found: {0}")]
    NotFound(ErrorResponse),
    /// The API considers the request invalid.
    #[error("the request was refused: {0}")]
    Refused(ErrorResponse),
    /// The upstream failed.
    #[error("the upstream failed: {0}")]
    Server(ErrorResponse),
    /// A redirect, which is not followed because credentials would go with it.
    #[error("the upstream redirects, which is not followed: {0}")]
    Redirect(ErrorResponse),
    /// The response was not complete in time.
    #[error("{0} timed out")]
    Timeout(&'static str),
    /// The connection could not be established, or broke.
    #[error("the connection failed")]
    Network(#[source] TransportError),
    /// The body is not an array of objects.
    #[error("the response could not be parsed")]
    Array(#[from] ArrayError),
    /// The body, or an object in it, is not valid JSON.
    #[error("the response could not be parsed: {0}")]
    Json(String),
    /// The body is larger than the limit.
    #[error("the response is larger than {limit} bytes")]
    TooLarge {
        /// The limit on decompressed bytes.
        limit: usize,
    },
    /// The call needs the project's id, which is not known.
    #[error("the project's id is not known: {why}")]
    NoProject {
        /// Why.
        why: String,
        /// The failure of the lookup in IAM, if there was one.
        #[source]
        source: Option<Box<ApiError>>,
    },
    /// The page has more rows than the limit.
    #[error("the response has more than {limit} rows")]
    TooManyRows {
        /// The limit on rows.
        limit: u64,
    },
    /// The list changed in every attempt to read it.
    #[error("the list changed each time that it was read")]
    ListChanging,
    /// Requests are held back after repeated failures of the upstream.
    #[error("{} (held back for {} s because the upstream failed repeatedly)", cause.message, wait.as_secs().max(1))]
    CircuitOpen {
        /// The time until the next request.
        wait: Duration,
        /// The latest failure that opened the circuit.
        cause: Arc<Failure>,
    },
    /// A pause that the upstream asked for would end after the deadline; an optional call does not wait for a pause at all.
    #[error("the upstream asked for a pause, of which {} s are left, which is not waited for", wait.as_secs())]
    WaitTooLong {
        /// How long the request would have to wait.
        wait: Duration,
    },
    /// The rate limit leaves no request before the deadline.
    #[error("the time of the refresh is up: the rate limit allows the next call in {} s", wait.as_secs_f64().ceil())]
    RateLimited {
        /// How long the request would have to wait.
        wait: Duration,
    },
    /// The name is `.` or `..`, which no HTTP client sends as a path segment.
    #[error("the name `{0}` cannot be part of a path")]
    UnusableName(String),
    /// A web application firewall refused the request.
    #[error("blocked by a firewall in front of the API, which may not like this address or rate: {0}")]
    Blocked(ErrorResponse),
}

/// Whether the service itself answered, by its error code, and not a gateway before it.
pub fn is_from_swr(response: &ErrorResponse) -> bool {
    response.body.code.as_deref().is_some_and(|code| code.starts_with("SVCSTG."))
}

impl From<serde_json::Error> for ApiError {
    /// Without the words of the library that quote the text: it may repeat what was sent.
    fn from(error: serde_json::Error) -> Self {
        let words = error.to_string();
        let quotes = ["invalid type: ", "invalid value: ", "invalid length: ", "unknown "];
        Self::Json(match quotes.iter().any(|quote| words.starts_with(quote)) {
            true => format!("a value is not of the expected type at line {} column {}", error.line(), error.column()),
            false => words,
        })
    }
}

impl ApiError {
    /// Classifies an error response.
    pub fn classify(response: ErrorResponse) -> Self {
        let (status, code) = (response.status.as_u16(), response.body.code.as_deref().unwrap_or_default());
        let number = code.rsplit('.').next().unwrap_or_default();
        let gateway = code.starts_with("APIG");
        match (gateway, number) {
            // Busy, or too many requests, with statuses that mean something else elsewhere.
            (false, "4031032" | "4031042" | "4090023") | (true, "0308") => {
                return Self::Throttled(response);
            }
            // A resource of another account: a new token would change nothing.
            (false, "4011064" | "4011044") => return Self::Permission(response),
            // A bad or missing key or token, with status 400 or 403.
            (false, "4000031" | "4001013" | "4001048" | "4019000" | "4031043") | (true, "0301" | "0307") => {
                return Self::Auth(response);
            }
            _ => {}
        }
        // SWR's codes begin with the intended status, which a proxy may have changed.
        let intended = (code.starts_with("SVCSTG.") && number.len() == 7)
            .then(|| number.get(..3)?.parse::<u16>().ok())
            .flatten()
            .filter(|intended| (400..600).contains(intended))
            .unwrap_or(status);
        match intended {
            300..=399 => Self::Redirect(response),
            401 => Self::Auth(response),
            403 => Self::Permission(response),
            404 | 410 => Self::NotFound(response),
            408 | 425 => Self::Server(response),
            // The block page of the vendor's firewall.
            418 => Self::Blocked(response),
            429 => Self::Throttled(response),
            400..=499 => Self::Refused(response),
            _ => Self::Server(response),
        }
    }

    /// The reason under which the failed refresh is counted.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Auth(_) => Reason::Auth,
            Self::Credential(error) => error.reason(),
            Self::NoProject { source, .. } => source.as_ref().map_or(Reason::Internal, |error| error.reason()),
            Self::Permission(_) | Self::Blocked(_) => Reason::Permission,
            // SWR itself knows the call, so the organization does not exist or may not be seen.
            Self::NotFound(response) if is_from_swr(response) => Reason::Permission,
            Self::Throttled(_) | Self::WaitTooLong { .. } => Reason::Throttled,
            Self::Server(_) => Reason::Server,
            Self::CircuitOpen { cause, .. } => cause.reason,
            Self::Timeout(_) | Self::RateLimited { .. } => Reason::Timeout,
            Self::Network(_) => Reason::Network,
            Self::Array(_) | Self::Json(_) | Self::TooLarge { .. } | Self::TooManyRows { .. } => Reason::Decode,
            Self::ListChanging => Reason::Incomplete,
            Self::NotFound(_) | Self::Refused(_) | Self::Redirect(_) | Self::UnusableName(_) => Reason::Internal,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Throttled(_) | Self::Array(_) | Self::Json(_)) || self.is_upstream_failure()
    }

    /// Whether the upstream accepted the credential although it refused the call. A gateway that does not know the call has
    /// not checked the credential.
    pub fn accepted_credential(&self) -> bool {
        match self {
            Self::Permission(_) => true,
            Self::NotFound(response) => is_from_swr(response),
            _ => false,
        }
    }

    /// Whether the circuit breaker counts this as a failure of the upstream.
    pub fn is_upstream_failure(&self) -> bool {
        matches!(self, Self::Server(_) | Self::Timeout(_) | Self::Network(_))
    }

    /// The pause that the upstream asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled(response) | Self::Server(response) => response.retry_after,
            Self::CircuitOpen { wait, .. } | Self::WaitTooLong { wait } => Some(*wait),
            _ => None,
        }
    }

    /// The failure of a refresh that this error ends.
    pub fn describe(&self) -> Failure {
        let advice = match self {
            Self::CircuitOpen { cause, .. } => cause.advice.clone(),
            error => advice::on_call(error, None),
        };
        let held_for = match self {
            Self::Credential(error) => error.held_for(),
            _ => None,
        };
        let (reason, retry_after) = (self.reason(), self.retry_after());
        Failure { reason, message: error_chain(self), advice, retry_after, held_for }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        error.describe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::SentSecrets;
    use crate::transport::error_response::Service;
    use hyper::http::{HeaderMap, StatusCode};
    use proptest::prelude::*;

    fn class(status: u16, code: &str) -> Reason {
        let body = format!(r#"{{"error_code":"{code}","error_msg":"x"}}"#);
        let response = ErrorResponse::read(
            Service::Api,
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
            &SentSecrets::default(),
            std::time::UNIX_EPOCH,
        );
        ApiError::classify(response).reason()
    }

    #[test]
    fn a_value_of_the_wrong_type_is_not_quoted() {
        for text in ["[\"canary\"]", "{\"canary\":1}", "\"canary\"", "[canary]"] {
            let error = ApiError::from(serde_json::from_str::<Vec<u64>>(text).unwrap_err());
            let said = error_chain(&error);
            assert!(said.starts_with("the response could not be parsed: ") && !said.contains("canary"), "{said}");
        }
    }

    #[test]
    fn classes_follow_status_and_code() {
        for (status, code, reason) in [
            (429, "", Reason::Throttled),
            (429, "APIG.0308", Reason::Throttled),
            (403, "SVCSTG.SWR.4031042", Reason::Throttled),
            (403, "SVCSTG.SWR.4031032", Reason::Throttled),
            (409, "SVCSTG.SWR.4090023", Reason::Throttled),
            (403, "SVCSTG.SWR.4030170", Reason::Permission),
            (403, "APIGW.0302", Reason::Permission),
            (401, "SVCSTG.SWR.4011064", Reason::Permission),
            (401, "SVCSTG.SWR.4010000", Reason::Auth),
            (401, "APIGW.0301", Reason::Auth),
            (401, "APIGW.0307", Reason::Auth),
            (400, "SVCSTG.SWR.4000031", Reason::Auth),
            (401, "SVCSTG.S2I.4019000", Reason::Auth),
            (400, "SVCSTG.SWR.4001025", Reason::Internal),
            (404, "APIGW.0101", Reason::Internal),
            (404, "SVCSTG.SWR.4040058", Reason::Permission),
            (403, "SVCSTG.SWR.4031043", Reason::Auth),
            (400, "SVCSTG.SWR.4001013", Reason::Auth),
            (418, "", Reason::Permission),
            (500, "SVCSTG.SWR.5000003", Reason::Server),
            (200, "SVCSTG.SWR.5000003", Reason::Server),
            (503, "", Reason::Server),
            (302, "", Reason::Internal),
            // Seven bytes, which are no seven digits.
            (400, "SVCSTG.SWR.aa\u{e9}aaa", Reason::Internal),
        ] {
            assert_eq!(class(status, code), reason, "{status} {code}");
        }
    }

    proptest! {
        #[test]
        fn no_code_makes_the_reader_panic(
            status in 100u16..1000,
            place in "(SVCSTG\\.SWR\\.|APIGW\\.)?",
            number in "\\PC{0,7}",
        ) {
            class(status, &(place + &number));
        }
    }

    #[test]
    fn the_log_line_says_what_the_api_said() {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", "77aa".parse().unwrap());
        let body = br#"{"error_code":"SVCSTG.SWR.4030170","error_msg":"no permission"}"#;
        let secrets = SentSecrets::default();
        let response =
            ErrorResponse::read(Service::Api, StatusCode::FORBIDDEN, &headers, body, &secrets, std::time::UNIX_EPOCH);
        let failure = ApiError::classify(response).describe();
        assert_eq!(
            failure.message,
            "not permitted: the API answered 403 SVCSTG.SWR.4030170 \"no permission\" (request 77aa)"
        );
    }
}
