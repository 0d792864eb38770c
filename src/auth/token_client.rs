//! The HTTP client of all credential requests: one bounded request at a time, counted like every other call.

use super::{AuthError, Credential, IssuedCredential, sign};
use crate::base::secret::Secret;
use crate::metrics::{Calls, OptionalGauge};
use crate::transport::error_response::{ErrorResponse, Service, date};
use crate::transport::{Request, Response, SentSecrets, Transport, TransportError};
use bytes::Bytes;
use futures_util::StreamExt;
use hyper::http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::time::{Duration, SystemTime};
use strum::{IntoStaticStr, VariantNames};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// The most bytes of a response that are read. A token or a key has a few kilobytes.
const MAX_RESPONSE: usize = 64 << 10;

/// The longest lifetime of an issued credential that is believed.
const MAX_LIFETIME: Duration = Duration::from_secs(366 * 24 * 3600);

/// The kind of request: the `operation` label, and words for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, VariantNames, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Operation {
    /// A login with a password.
    IamToken,
    /// The metadata service of an ECS instance.
    Metadata,
    /// The exchange of an identity token for a key.
    Oidc,
    /// The agent of a CCE cluster.
    PodIdentity,
    /// A key of an agency of another account.
    Agency,
}

impl Operation {
    /// All label values.
    pub const LABELS: &[&str] = Self::VARIANTS;

    /// The label value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Who answers, the longest that a request may take in seconds, and words. IAM and STS answer in a second or two; the
    /// other services are on this machine, and if they are not there, that should be known soon.
    const fn properties(self) -> (Service, u64, &'static str) {
        match self {
            Self::IamToken => (Service::Iam, 20, "the login with the password"),
            Self::Metadata => (Service::Metadata, 3, "the request to the metadata service"),
            Self::Oidc => (Service::Identity, 20, "the exchange of the identity token"),
            Self::PodIdentity => (Service::ClusterAgent, 5, "the request for the pod's identity"),
            Self::Agency => (Service::Iam, 20, "the request for a key of the agency"),
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.properties().2)
    }
}

/// Metrics of credential requests; the families are registered by the API's client.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Requests and their duration.
    pub calls: Calls,
    /// When the credential in use expires.
    pub expiry: OptionalGauge,
}

/// Sends credential requests.
pub struct TokenClient {
    /// To IAM and STS: verified TLS, proxies as configured.
    pub public: Box<dyn Transport>,
    /// To services of this machine: never through a proxy.
    pub link_local: Box<dyn Transport>,
    /// Metrics.
    pub metrics: Metrics,
    /// The time if a response does not tell it.
    pub wall_clock: fn() -> SystemTime,
}

impl std::fmt::Debug for TokenClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenClient")
    }
}

pub(super) struct HttpRequest {
    operation: Operation,
    request: Request,
    secrets: SentSecrets,
}

impl HttpRequest {
    pub(super) fn new(operation: Operation, method: Method, url: String) -> Self {
        let request = Request { method, url, headers: HeaderMap::new(), body: Bytes::new() };
        Self { operation, request, secrets: SentSecrets::default() }
    }

    /// Adds a header. A value that cannot be sent is left out, which the service will answer with an error.
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        sign::insert(&mut self.request.headers, name, value);
        self
    }

    /// As [`Self::header`], with a secret.
    pub(super) fn secret_header(mut self, name: &'static str, secret: &str) -> Self {
        sign::insert_secret(&mut self.request.headers, name, secret);
        self
    }

    /// Sets a JSON body, written without leaving copies behind.
    pub(super) fn json(mut self, content_type: &str, body: &Json<'_>) -> Self {
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_RESPONSE * 2));
        serde_json::to_writer(&mut *text, body).expect("texts and numbers can always be written");
        self.request.body = Bytes::from_owner(text);
        body.collect_secrets(&mut self.secrets);
        self.header("content-type", content_type)
    }

    /// Adds the token, or a signature of the request as it is now.
    pub(super) fn authenticated(mut self, credential: &Credential, now: SystemTime) -> Self {
        let Request { method, url, headers, body } = &mut self.request;
        let (host, path) = (sign::host_of(url), url.splitn(4, '/').nth(3).unwrap_or_default());
        let signed = [("content-type", JSON_UTF8), ("host", &host)];
        let (method, path) = (method.as_str(), &format!("/{path}"));
        let request = sign::Request { method, path, query: &[], headers: &signed, body };
        sign::authenticate(&request, credential, now, headers);
        self
    }
}

/// The content type that IAM and STS are sent.
pub(super) const JSON_UTF8: &str = "application/json;charset=utf8";

/// A JSON value made of borrowed texts: secrets in it are not copied.
pub(super) enum Json<'a> {
    Text(&'a str),
    Secret(&'a str),
    Number(u32),
    List(&'a [Json<'a>]),
    Object(&'a [(&'a str, Json<'a>)]),
}

impl Json<'_> {
    fn collect_secrets(&self, secrets: &mut SentSecrets) {
        match self {
            Self::Secret(secret) => secrets.add(secret),
            Self::List(items) => items.iter().for_each(|item| item.collect_secrets(secrets)),
            Self::Object(fields) => fields.iter().for_each(|(_, value)| value.collect_secrets(secrets)),
            Self::Text(_) | Self::Number(_) => {}
        }
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) | Self::Secret(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u32(*number),
            Self::List(items) => serializer.collect_seq(*items),
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in *fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// A response, whatever its status.
pub(super) struct HttpResponse {
    operation: Operation,
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
    secrets: SentSecrets,
    /// The time by the clock of the service, or by ours if it does not tell.
    now: SystemTime,
    requested: Instant,
}

impl HttpResponse {
    pub(super) fn success(self) -> Result<Self, AuthError> {
        if self.status.is_success() {
            return Ok(self);
        }
        if self.status.is_redirection() {
            // Whoever sent that saw no credential, or did not look at it.
            return Err(self.unexpected("a redirect, which is not followed"));
        }
        let operation = self.operation;
        let service = operation.properties().0;
        let response = ErrorResponse::read(service, self.status, &self.headers, &self.body, &self.secrets, self.now);
        match self.status.as_u16() {
            408 | 425 | 429 | 500.. => Err(AuthError::Failed { operation, response }),
            _ => Err(AuthError::Refused { operation, hint: hint(operation, &response), response }),
        }
    }

    pub(super) fn subject_token(&self) -> Result<Secret, AuthError> {
        let token = self.headers.get("x-subject-token").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if token.is_empty() {
            return Err(self.unexpected("there is no X-Subject-Token"));
        }
        Ok(Secret::new(token.to_owned()))
    }

    /// The credential that this response issues, unless it has expired already.
    pub(super) fn issue(
        &self,
        credential: Credential,
        expires_at: Option<SystemTime>,
    ) -> Result<IssuedCredential, AuthError> {
        if expires_at.is_some_and(|end| end <= self.now) {
            return Err(self.unexpected(match credential {
                Credential::Token(_) => "the token in it has expired",
                Credential::AccessKey(_) => "the key in it has expired",
            }));
        }
        // Two times of the service's clock tell the lifetime, so it does not matter whether ours is right.
        let lifetime = |end: SystemTime| end.duration_since(self.now).unwrap_or_default().min(MAX_LIFETIME);
        let expires_monotonic = expires_at.map(|end| self.requested + lifetime(end));
        Ok(IssuedCredential { credential, expires_at, expires_monotonic })
    }

    pub(super) fn unexpected(&self, problem: &'static str) -> AuthError {
        AuthError::UnexpectedResponse { operation: self.operation, problem }
    }
}

/// What to do about a refusal, if its text lets us know.
fn hint(operation: Operation, response: &ErrorResponse) -> &'static str {
    let message = response.body.message.as_deref().unwrap_or_default().to_ascii_lowercase();
    if message.contains("mfa") || message.contains("multi-factor") {
        " (the user has login protection by MFA, which no program can pass: use an access key, or a user without it)"
    } else if message.contains("lock") {
        " (IAM has locked the user for a while: correct the password first, then wait for the end of the lock)"
    } else if operation == Operation::Agency && matches!(response.status.as_u16(), 403 | 404) {
        " (the agency must be there in that account and be for the account of this credential, whose user needs the \
         permission to take on agencies, as Agent Operator has it)"
    } else if operation == Operation::Agency {
        ""
    } else if message.contains("agency") {
        " (bind an agency to this instance, or use another source of credentials)"
    } else {
        ""
    }
}

/// The time by the clock of the service. `Date` has whole seconds: if it agrees with our clock, ours is more exact; if not,
/// its second may be nearly over.
fn service_time(date: Option<SystemTime>, ours: SystemTime) -> SystemTime {
    let Some(date) = date else { return ours };
    let difference = date.duration_since(ours).unwrap_or_else(|behind| behind.duration());
    if difference < Duration::from_secs(2) { ours } else { date + Duration::from_secs(1) }
}

impl TokenClient {
    /// Sends a request once. Dropping the future cancels it.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<HttpResponse, AuthError> {
        let HttpRequest { operation, request, mut secrets } = request;
        secrets.add_headers(&request.headers);
        let (service, seconds, _) = operation.properties();
        let transport = match service {
            Service::Metadata | Service::ClusterAgent => &self.link_local,
            _ => &self.public,
        };
        let requested = Instant::now();
        let mut code = None;
        let exchange = async {
            let Response { status, headers, body: mut pieces } = transport.send(request).await?;
            code = Some(status.as_u16());
            let mut body = Zeroizing::new(Vec::with_capacity(MAX_RESPONSE));
            while body.len() < MAX_RESPONSE
                && let Some(piece) = pieces.next().await
            {
                let piece = piece?;
                let room = MAX_RESPONSE - body.len();
                body.extend_from_slice(&piece[..piece.len().min(room)]);
            }
            let now = service_time(date(&headers), (self.wall_clock)());
            Ok((status, headers, body, now))
        };
        let result = tokio::time::timeout(Duration::from_secs(seconds), exchange).await;
        self.metrics.calls.record(operation.as_str(), code, requested.elapsed());
        match result {
            Err(_) => Err(AuthError::Timeout(operation)),
            Ok(Err(source)) => Err(AuthError::Network { operation, source: TransportError::hiding(source, &secrets) }),
            Ok(Ok((status, headers, body, now))) => {
                Ok(HttpResponse { operation, status, headers, body, secrets, now, requested })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;

    #[test]
    fn a_redirect_or_a_failure_of_the_service_is_no_refusal_of_the_credential() {
        let reason = |status: u16| {
            let response = HttpResponse {
                operation: Operation::IamToken,
                status: StatusCode::from_u16(status).unwrap(),
                headers: HeaderMap::new(),
                body: Zeroizing::default(),
                secrets: SentSecrets::default(),
                now: SystemTime::UNIX_EPOCH,
                requested: Instant::now(),
            };
            response.success().map(drop).map_err(|error| error.reason())
        };
        assert_eq!([200, 201].map(reason), [Ok(()), Ok(())]);
        assert_eq!([301, 302, 307].map(reason), [Err(Reason::Decode); 3]);
        assert_eq!([400, 401, 403].map(reason), [Err(Reason::Auth); 3]);
        assert_eq!([429, 500].map(reason), [Err(Reason::Throttled), Err(Reason::Server)]);
    }
}
