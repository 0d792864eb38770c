//! What guards the server: TLS, headers, logins and a rate, as one value that is swapped as a whole.
//!
//! Nothing of it is read or parsed while a request is answered. A connection keeps the TLS that it was accepted with;
//! everything else holds for each request from the moment of the swap.

use super::basic_auth::{PasswordHash, Users};
use super::tls::{self, Problem, Tls};
use crate::base::rate_limit::Rate;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What may be chosen. The default guards nothing: plain HTTP for everybody.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `None`: plain HTTP.
    pub tls: Option<tls::Options>,
    /// Headers of every answer, besides those that are always there or instead of them.
    pub headers: Vec<Header>,
    /// Who may log in, and with what; empty: nobody has to.
    pub users: HashMap<String, PasswordHash>,
    /// Paths that are open to everybody.
    pub open_paths: Vec<String>,
    /// How many requests are answered; `None`: any number.
    pub rate_limit: Option<RateLimit>,
}

/// How many requests are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// One more each time that this has passed; longer than nothing.
    pub interval: Duration,
    /// At once after a rest; at least 1.
    pub burst: u32,
}

impl RateLimit {
    pub(super) fn rate(self) -> Rate {
        Rate { burst: f64::from(self.burst), per_second: 1.0 / self.interval.as_secs_f64() }
    }
}

/// A header of every answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: HeaderName,
    value: HeaderValue,
}

/// The headers that may be set, and where only some values make sense, those: Prometheus' exporters have the same.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

impl Header {
    /// The headers that may be set.
    pub fn names() -> impl Iterator<Item = &'static str> {
        HEADERS.iter().map(|(name, _)| *name)
    }

    /// Checks a header.
    ///
    /// # Errors
    /// When it may not be set, or not to this.
    pub fn new(name: &str, value: &str) -> Result<Self, String> {
        let Some((_, values)) = HEADERS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = Self::names().collect();
            return Err(format!("the header `{name}` cannot be set; {} can", known.join(", ")));
        };
        if !values.is_empty() && !values.contains(&value) {
            return Err(format!("`{value}` is no value of it; use {}", values.join(" or ")));
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        let value = HeaderValue::from_str(value).map_err(|_| format!("`{value:?}` cannot be sent in a header"))?;
        Ok(Self { name, value })
    }
}

/// The settings, checked and ready for use.
#[derive(Debug, Default)]
pub struct Security {
    pub(super) tls: Option<Tls>,
    headers: Vec<Header>,
    pub(super) users: Users,
    open_paths: Vec<String>,
    pub(super) rate_limit: Option<RateLimit>,
}

impl Security {
    /// Checks what can only be checked as a whole.
    ///
    /// # Errors
    /// All problems with TLS at once.
    pub fn new(options: Options) -> Result<Self, Vec<Problem>> {
        let some_open = !options.open_paths.is_empty();
        Ok(Self {
            tls: options.tls.map(|tls| Tls::new(tls, some_open)).transpose()?,
            headers: options.headers,
            users: Users::new(options.users),
            open_paths: options.open_paths,
            rate_limit: options.rate_limit,
        })
    }

    /// What it amounts to, in a few words for the log.
    pub fn summary(&self) -> String {
        let tls = match &self.tls {
            None => "no TLS",
            Some(tls) if tls.needs_certificate() => "TLS with client certificates",
            Some(_) => "TLS",
        };
        format!("{tls}, {}", if self.users.is_empty() { "no passwords" } else { "passwords" })
    }

    /// Whether nobody has to show who they are.
    pub(super) fn is_for_everybody(&self) -> bool {
        self.users.is_empty() && self.tls.as_ref().is_none_or(|tls| !tls.needs_certificate())
    }

    /// Whether everybody may see it.
    pub(super) fn is_open(&self, path: &str) -> bool {
        self.open_paths.iter().any(|open| open == path)
    }

    /// Adds the headers of every answer.
    pub(super) fn apply_headers(&self, headers: &mut HeaderMap) {
        for Header { name, value } in &self.headers {
            headers.insert(name, value.clone());
        }
    }
}

/// The settings in force, whichever they are at the time.
pub type InForce = watch::Receiver<Arc<Security>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certain_headers_can_be_set_and_some_only_to_certain_values() {
        let cases = [
            ("X-Frame-Options", "sameorigin", Ok(())),
            ("Strict-Transport-Security", "max-age=31536000; includeSubDomains", Ok(())),
            ("X-Frame-Options", "allow", Err("`allow` is no value of it; use deny or sameorigin")),
            ("X-Content-Type-Options", "sniff", Err("`sniff` is no value of it; use nosniff")),
            (
                "Content-Security-Policy",
                "a\r\nSet-Cookie: b",
                Err("`\"a\\r\\nSet-Cookie: b\"` cannot be sent in a header"),
            ),
            (
                "Set-Cookie",
                "a=b",
                Err(
                    "the header `Set-Cookie` cannot be set; Content-Security-Policy, Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection can",
                ),
            ),
        ];
        for (name, value, expected) in cases {
            assert_eq!(Header::new(name, value).map(drop), expected.map_err(str::to_owned), "{name}: {value}");
        }
    }
}
