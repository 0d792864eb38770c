//! What an answer says besides its body: an error in words, when to come back, and what time it is there.

use super::error_body::{self, Said};
use hyper::http::{HeaderMap, StatusCode};
use std::time::{Duration, SystemTime};

/// However long the upstream asks to be left alone, it is asked again after this.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// What the body says.
    pub said: Said,
}

impl Answer {
    /// Reads an error answer.
    pub fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let mut said = error_body::read(body);
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).and_then(error_body::one_line);
        said.request_id = header("x-request-id").or_else(|| header("x-iam-trace-id")).or(said.request_id);
        Self { status, said }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the API answered {}", self.status.as_u16())?;
        if let Some(code) = &self.said.code {
            write!(f, " {code}")?;
        }
        match &self.said.message {
            Some(message) => write!(f, " \"{message}\"")?,
            None => write!(f, " without a word")?,
        }
        match &self.said.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

/// `Retry-After` in both its forms (RFC 9110, 10.2.3): seconds, or an HTTP date, which is measured against the answer's
/// own `Date` so that a wrong clock here does not matter. A date that has passed is no wait; garbage is no word at all.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_or(LONGEST_PAUSE, Duration::from_secs)
    } else {
        let until = httpdate::parse_http_date(text).ok()?;
        until.duration_since(date(headers).unwrap_or(now)).unwrap_or_default()
    };
    Some(wait.min(LONGEST_PAUSE))
}

/// The upstream's clock, from the `Date` header.
pub fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get("date")?.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(wait(huge), Some(LONGEST_PAUSE), "{huge}");
        }
        for garbage in ["soon", "-7", "7.5", ""] {
            assert_eq!(wait(garbage), None, "{garbage:?}");
        }
    }

    #[test]
    fn a_date_to_come_back_is_measured_by_the_clock_that_wrote_it() {
        let theirs = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        let mut headers = HeaderMap::new();
        headers.insert("date", httpdate::fmt_http_date(theirs).parse().unwrap());
        let until = httpdate::fmt_http_date(theirs + Duration::from_secs(5));
        headers.insert("retry-after", until.parse().unwrap());
        assert_eq!(retry_after(&headers, SystemTime::UNIX_EPOCH), Some(Duration::from_secs(5)));
    }
}
