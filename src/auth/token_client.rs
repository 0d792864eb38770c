//! How a credential is asked for: one bounded request at a time, counted like every other call.

use super::AuthError;
use crate::metrics::{Calls, OptionalGauge};
use crate::transport::answer::{Answer, date, retry_after};
use crate::transport::{Request, Response, Transport};
use bytes::Bytes;
use futures_util::StreamExt;
use hyper::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use zeroize::Zeroizing;

/// A token or a key has a few kilobytes; no answer is read beyond this.
const LARGEST_ANSWER: usize = 64 << 10;

/// What is asked for: the `operation` label, and words for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A login with a password.
    IamToken,
    /// The metadata service of an ECS instance.
    Metadata,
    /// An identity token for a key.
    Oidc,
    /// The agent of a CCE cluster.
    PodIdentity,
}

impl Operation {
    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IamToken => "iam_token",
            Self::Metadata => "metadata",
            Self::Oidc => "oidc",
            Self::PodIdentity => "pod_identity",
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::IamToken => "the login with the password",
            Self::Metadata => "the request to the metadata service",
            Self::Oidc => "the exchange of the identity token",
            Self::PodIdentity => "the request for the pod's identity",
        })
    }
}

/// What is counted here; the families belong to the API's client.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Requests and how long they took.
    pub calls: Calls,
    /// When the credential in use expires.
    pub expiry: OptionalGauge,
}

/// The way out to those who give credentials.
pub struct TokenClient {
    /// To IAM and STS: verified TLS, proxies as configured.
    pub cloud: Box<dyn Transport>,
    /// To services of this machine alone: never through a proxy.
    pub machine: Box<dyn Transport>,
    /// What is counted.
    pub metrics: Metrics,
    /// Tells a life where an answer does not say what time it is.
    pub wall_clock: fn() -> SystemTime,
}

impl std::fmt::Debug for TokenClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenClient")
    }
}

/// Which way a request takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Network {
    Public,
    LinkLocal,
}

/// One request for a credential.
pub(super) struct HttpRequest {
    pub(super) what: Operation,
    pub(super) way: Network,
    /// The longest that it may take.
    pub(super) patience: Duration,
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl HttpRequest {
    /// Adds a header; one that cannot be sent is left out and will be missed by whoever is asked.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// A JSON body, written without leaving copies behind.
    pub(super) fn with_json(mut self, body: &impl serde::Serialize) -> Self {
        let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST_ANSWER * 2));
        serde_json::to_writer(&mut *bytes, body).expect("plain texts and numbers can always be written");
        self.body = bytes;
        self.with("content-type", "application/json;charset=utf8")
    }
}

/// An answer, whatever its status.
pub(super) struct HttpResponse {
    what: Operation,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
    /// What time it is where the answer comes from, or here where it does not say.
    pub(super) now: SystemTime,
    /// When it was asked for.
    pub(super) asked_at: Instant,
}

impl HttpResponse {
    /// The answer if it is good.
    pub(super) fn good(self) -> Result<Self, AuthError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let what = self.what;
        let retry_after = retry_after(&self.headers, self.now);
        let answer = Answer::read(self.status, &self.headers, &self.body);
        match self.status.as_u16() {
            408 | 425 | 429 | 500.. => Err(AuthError::Failed { what, answer, retry_after }),
            _ => Err(AuthError::Refused { what, hint: hint(&answer), answer }),
        }
    }

    pub(super) fn odd(&self, problem: &'static str) -> AuthError {
        AuthError::Odd { what: self.what, problem }
    }

    /// The text of a header that holds a secret.
    pub(super) fn secret_header(&self, name: &str) -> Option<crate::base::secret::Secret> {
        let text = self.headers.get(name)?.to_str().ok()?;
        (!text.is_empty()).then(|| crate::base::secret::Secret::new(text.to_owned()))
    }
}

/// What to do about a refusal that says more than "wrong".
fn hint(answer: &Answer) -> &'static str {
    let said = answer.said.message.as_deref().unwrap_or_default().to_ascii_lowercase();
    if said.contains("mfa") || said.contains("multi-factor") {
        " (the user has login protection by MFA, which no program can pass: use an access key, or a user without it)"
    } else if said.contains("lock") {
        " (IAM has locked the user for a while: correct the password first, then wait for the end of the lock)"
    } else if said.contains("agency") {
        " (bind an agency to this instance, or use another source of credentials)"
    } else {
        ""
    }
}

/// What time it is there. `Date` has whole seconds, so where it agrees with our clock ours is the finer one; where it does
/// not, the second may be nearly over.
fn their_time(date: Option<SystemTime>, ours: SystemTime) -> SystemTime {
    let Some(date) = date else { return ours };
    let apart = date.duration_since(ours).unwrap_or_else(|behind| behind.duration());
    if apart < Duration::from_secs(2) { ours } else { date + Duration::from_secs(1) }
}

impl TokenClient {
    /// Asks once. Dropping the future cancels the request.
    pub(super) async fn ask(&self, question: HttpRequest) -> Result<HttpResponse, AuthError> {
        let HttpRequest { what, way, patience, method, url, headers, body } = question;
        let transport = match way {
            Network::Public => &self.cloud,
            Network::LinkLocal => &self.machine,
        };
        let asked_at = Instant::now();
        let request = Request { method, url, headers, body: Bytes::from_owner(body) };
        let mut status = None;
        let exchange = async {
            let Response { status: code, headers, mut body } = transport.send(request).await?;
            status = Some(code.as_u16());
            let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST_ANSWER));
            while let Some(piece) = body.next().await {
                let piece = piece?;
                let room = LARGEST_ANSWER - bytes.len();
                bytes.extend_from_slice(&piece[..piece.len().min(room)]);
                if bytes.len() == LARGEST_ANSWER {
                    break;
                }
            }
            let now = their_time(date(&headers), (self.wall_clock)());
            Ok(HttpResponse { what, status: code, headers, body: bytes, now, asked_at })
        };
        let result = tokio::time::timeout(patience, exchange).await;
        self.metrics.calls.record(what.as_str(), status, asked_at.elapsed());
        match result {
            Err(_) => Err(AuthError::Timeout(what)),
            Ok(Err(source)) => Err(AuthError::Network { what, source }),
            Ok(Ok(reply)) => Ok(reply),
        }
    }
}
