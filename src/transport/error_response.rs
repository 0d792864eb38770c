//! An error response: its status, message, `Retry-After` and `Date`.

use super::SentSecrets;
use super::error_body::{self, ErrorBody};
use hyper::http::{HeaderMap, StatusCode};
use std::time::{Duration, SystemTime};

/// The longest pause that an upstream can ask for; after it we ask again in any case.
pub const MAX_PAUSE: Duration = Duration::from_secs(5 * 60);

/// Who answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Service {
    /// SWR.
    #[strum(to_string = "the API")]
    Api,
    /// IAM.
    #[strum(to_string = "IAM")]
    Iam,
    /// IAM or STS, when an identity token is exchanged.
    #[strum(to_string = "the identity service")]
    Identity,
    /// The metadata service of an ECS instance.
    #[strum(to_string = "the metadata service")]
    Metadata,
    /// The agent of a CCE cluster.
    #[strum(to_string = "the cluster's agent")]
    ClusterAgent,
}

/// A response that is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorResponse {
    /// Who answered.
    pub from: Service,
    /// The HTTP status.
    pub status: StatusCode,
    /// What the body says.
    pub body: ErrorBody,
    /// The pause that it asks for, at most [`MAX_PAUSE`].
    pub retry_after: Option<Duration>,
}

impl ErrorResponse {
    /// Reads an error response of the service `from` at `now`. What it repeats of the request's secrets is hidden.
    pub fn read(
        from: Service,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        secrets: &SentSecrets,
        now: SystemTime,
    ) -> Self {
        let mut body = error_body::read(body, secrets);
        let header = |name| error_body::one_line(&secrets.hide(headers.get(name)?.to_str().ok()?));
        if status.is_redirection() {
            body.message = header("location").map(|target| format!("to {target}")).or(body.message);
        }
        body.request_id = header("x-request-id").or_else(|| header("x-iam-trace-id")).or(body.request_id);
        Self { from, status, body, retry_after: retry_after(headers, now) }
    }
}

impl std::fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} answered {}", self.from, self.status.as_u16())?;
        if let Some(code) = &self.body.code {
            write!(f, " {code}")?;
        }
        match &self.body.message {
            Some(message) => write!(f, " \"{message}\"")?,
            None => write!(f, " with no message")?,
        }
        match &self.body.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

/// `Retry-After` in both its forms (RFC 9110, 10.2.3): seconds, or an HTTP date. The date is compared with the response's own
/// `Date`, so that a wrong clock here does not matter; one in the past is no wait. `None` if it is absent or garbage.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_or(MAX_PAUSE, Duration::from_secs)
    } else {
        let until = httpdate::parse_http_date(text).ok()?;
        until.duration_since(date(headers).unwrap_or(now)).unwrap_or_default()
    };
    Some(wait.min(MAX_PAUSE))
}

/// The time by the upstream's clock, from the `Date` header.
pub fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get("date")?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_says_where_to_without_secrets() {
        let mut secrets = SentSecrets::default();
        secrets.add("canary-token-0123456789");
        let target = "https://login.example.com/?from=x&t=canary-token-0123456789";
        let headers = HeaderMap::from_iter([("location".parse().unwrap(), target.parse().unwrap())]);
        let read = |status| {
            ErrorResponse::read(Service::Api, status, &headers, b"moved", &secrets, SystemTime::UNIX_EPOCH).body.message
        };
        assert_eq!(read(StatusCode::FOUND).as_deref(), Some("to https://login.example.com/?from=x&t=<secret>"));
        assert_eq!(read(StatusCode::FORBIDDEN).as_deref(), Some("moved"));
    }

    #[test]
    fn retry_after_is_understood_in_both_forms_and_capped() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait(&httpdate::fmt_http_date(now + Duration::from_secs(9))), Some(Duration::from_secs(9)));
        assert_eq!(wait(&httpdate::fmt_http_date(now - Duration::from_secs(9))), Some(Duration::ZERO));
        for huge in ["1000000000", "99999999999999999999999"] {
            assert_eq!(wait(huge), Some(MAX_PAUSE), "{huge}");
        }
        for garbage in ["soon", "-7", "7.5", ""] {
            assert_eq!(wait(garbage), None, "{garbage:?}");
        }
        let (theirs, in_five) = (now + Duration::from_secs(1 << 30), now + Duration::from_secs((1 << 30) + 5));
        let headers = [("date", theirs), ("retry-after", in_five)]
            .map(|(name, time)| (name.parse().unwrap(), httpdate::fmt_http_date(time).parse().unwrap()));
        let wait = retry_after(&HeaderMap::from_iter(headers), now);
        assert_eq!(wait, Some(Duration::from_secs(5)), "measured by the clock that wrote it");
    }
}
