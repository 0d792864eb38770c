//! Security settings of the server: TLS, headers, users and a rate limit, as one value that is replaced as a whole.
//!
//! Nothing is read or parsed while a request is answered. A connection keeps the TLS settings it was accepted with;
//! everything else applies to each request from the replacement on.

use super::basic_auth::{PasswordHash, Users};
use super::pem::TlsProblem;
use super::tls::{self, Tls};
use crate::base::rate_limit::Rate;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What the operator may choose. The default is plain HTTP for everybody.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `None`: plain HTTP.
    pub tls: Option<tls::Options>,
    /// Headers of every response; they replace our own of the same name.
    pub headers: Vec<Header>,
    /// Users and their passwords; empty: no login is required.
    pub users: HashMap<String, PasswordHash>,
    /// Paths that need neither a login nor a certificate.
    pub open_paths: Vec<String>,
    /// The rate limit of requests; `None`: unlimited.
    pub rate_limit: Option<RateLimit>,
}

/// A rate limit of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Time between two requests in the long run; more than zero.
    pub interval: Duration,
    /// Requests at once after a pause; at least 1.
    pub burst: u32,
}

impl RateLimit {
    pub(super) fn rate(self) -> Rate {
        Rate { burst: f64::from(self.burst), per_second: 1.0 / self.interval.as_secs_f64() }
    }
}

/// A header of every response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    name: HeaderName,
    value: HeaderValue,
}

/// The headers that may be set, and their allowed values where these are limited; as in Prometheus' exporters.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

impl Header {
    /// Names of the headers that may be set.
    pub fn names() -> impl Iterator<Item = &'static str> {
        HEADERS.iter().map(|(name, _)| *name)
    }

    /// Checks a header.
    ///
    /// # Errors
    /// When this header or this value may not be set.
    pub fn new(name: &str, value: &str) -> Result<Self, String> {
        let Some((_, values)) = HEADERS.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = Self::names().collect();
            return Err(format!("the header `{name}` cannot be set; {} can", known.join(", ")));
        };
        if !values.is_empty() && !values.contains(&value) {
            return Err(format!("invalid value `{value}` (use {})", values.join(" or ")));
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        let value = HeaderValue::from_str(value).map_err(|_| format!("`{value:?}` cannot be sent in a header"))?;
        Ok(Self { name, value })
    }
}

/// Checked settings, ready for use.
#[derive(Debug, Default)]
pub struct Security {
    pub(super) tls: Option<Tls>,
    headers: Vec<Header>,
    pub(super) users: Users,
    open_paths: Vec<String>,
    pub(super) rate_limit: Option<RateLimit>,
}

impl Security {
    /// Checks the settings as a whole.
    ///
    /// # Errors
    /// All problems with TLS.
    pub fn new(options: Options) -> Result<Self, Vec<TlsProblem>> {
        let some_open = !options.open_paths.is_empty();
        Ok(Self {
            tls: options.tls.map(|tls| Tls::new(tls, some_open)).transpose()?,
            headers: options.headers,
            users: Users::new(options.users),
            open_paths: options.open_paths,
            rate_limit: options.rate_limit,
        })
    }

    /// A few words for the log.
    pub fn summary(&self) -> String {
        let tls = match &self.tls {
            None => "no TLS",
            Some(tls) if tls.needs_certificate() => "TLS with client certificates",
            Some(_) => "TLS",
        };
        format!("{tls}, {}", if self.users.is_empty() { "no passwords" } else { "passwords" })
    }

    /// What would be served without the protection that it has now, if `next` took the place of these settings.
    ///
    /// A path that was open `at_start` may be opened again: a file that was cut off may have closed it.
    pub fn weakened_by(&self, next: &Self, at_start: &Self) -> Vec<String> {
        let tls = self.tls.as_ref().zip(next.tls.as_ref());
        let lost = [
            (self.tls.is_some() && next.tls.is_none(), "TLS would be off"),
            (!self.users.is_empty() && next.users.is_empty(), "no password would be needed"),
            (
                tls.is_some_and(|(now, next)| now.client_auth.is_weakened_by(&next.client_auth)),
                "other client certificates, or none, would be enough",
            ),
            (tls.is_some_and(|(now, next)| next.min_version < now.min_version), "an older TLS version would be enough"),
            (self.rate_limit.is_some() && next.rate_limit.is_none(), "requests would not be limited"),
        ];
        let lost = lost.into_iter().filter(|(is_lost, _)| *is_lost);
        let mut weakened: Vec<String> = lost.map(|(_, what)| what.to_owned()).collect();
        if !self.is_for_everybody() {
            let opened = next.open_paths.iter().filter(|path| !self.is_open(path) && !at_start.is_open(path));
            weakened.extend(opened.map(|path| format!("`{path}` would be open to everybody")));
        }
        weakened
    }

    /// Whether no request needs authentication.
    pub(super) fn is_for_everybody(&self) -> bool {
        self.users.is_empty() && self.tls.as_ref().is_none_or(|tls| !tls.needs_certificate())
    }

    /// Whether a path needs no authentication.
    pub(super) fn is_open(&self, path: &str) -> bool {
        self.open_paths.iter().any(|open| open == path)
    }

    /// Adds the headers of every response.
    pub(super) fn apply_headers(&self, headers: &mut HeaderMap) {
        for Header { name, value } in &self.headers {
            headers.insert(name, value.clone());
        }
    }
}

/// The settings in force; the sender replaces them.
pub type CurrentSecurity = watch::Receiver<Arc<Security>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::client_certificates::ClientAuth;

    #[test]
    fn only_certain_headers_can_be_set_and_some_only_to_certain_values() {
        let cases = [
            ("X-Frame-Options", "sameorigin", Ok(())),
            ("Strict-Transport-Security", "max-age=31536000; includeSubDomains", Ok(())),
            ("X-Frame-Options", "allow", Err("invalid value `allow` (use deny or sameorigin)")),
            ("X-Content-Type-Options", "sniff", Err("invalid value `sniff` (use nosniff)")),
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

    #[test]
    fn settings_that_take_a_protection_away_are_recognized() {
        let user = |name: &str| (name.to_owned(), bcrypt::hash("x", 4).unwrap().parse().unwrap());
        let with = |users: &[&str], open_paths: &[&str]| {
            let users = users.iter().map(|name| user(name)).collect();
            let open_paths = open_paths.iter().map(|path| (*path).to_owned()).collect();
            Security::new(Options { users, open_paths, ..Options::default() }).unwrap()
        };
        let (open, guarded) = (with(&[], &[]), with(&["a"], &["/-/healthy"]));
        assert_eq!(open.weakened_by(&guarded, &open), [""; 0]);
        assert_eq!(open.weakened_by(&with(&[], &["/metrics"]), &open), [""; 0], "everything is open already");
        assert_eq!(guarded.weakened_by(&with(&["b"], &[]), &guarded), [""; 0], "users may change");
        assert_eq!(guarded.weakened_by(&open, &open), ["no password would be needed"]);
        let opened = with(&["a"], &["/-/healthy", "/"]);
        assert_eq!(guarded.weakened_by(&opened, &guarded), ["`/` would be open to everybody"]);
        assert_eq!(guarded.weakened_by(&opened, &opened), [""; 0], "it was open at the start");
    }

    #[test]
    fn a_rate_limit_may_change_but_not_end() {
        let with = |burst: Option<u32>| {
            let rate_limit = burst.map(|burst| RateLimit { interval: Duration::from_secs(1), burst });
            Security::new(Options { rate_limit, ..Options::default() }).unwrap()
        };
        let [none, slow, fast] = [None, Some(1), Some(9)].map(with);
        assert_eq!((none.weakened_by(&slow, &none), slow.weakened_by(&fast, &slow)), (Vec::new(), Vec::new()));
        assert_eq!(fast.weakened_by(&none, &fast), ["requests would not be limited"]);
    }

    #[test]
    fn client_certificates_may_be_asked_for_more_strictly_but_not_less() {
        let (ca, names) = (|| b"ca".to_vec(), || vec!["a".to_owned()]);
        let policies = [
            ClientAuth::None,
            ClientAuth::Any(Vec::new()),
            ClientAuth::Any(names()),
            ClientAuth::Verified(ca(), Vec::new()),
            ClientAuth::Verified(ca(), names()),
        ];
        let weakened: Vec<Vec<bool>> =
            policies.iter().map(|now| policies.iter().map(|next| now.is_weakened_by(next)).collect()).collect();
        assert_eq!(
            weakened,
            [
                [false, false, false, false, false],
                [true, false, false, false, false],
                [true, true, false, true, false],
                [true, true, true, false, false],
                [true, true, true, true, false],
            ]
        );
        let given = ClientAuth::VerifiedIfGiven(ca());
        assert!(!ClientAuth::Requested.is_weakened_by(&ClientAuth::None) && given.is_weakened_by(&ClientAuth::None));
        assert!(
            !policies[3].is_weakened_by(&ClientAuth::Verified(b"another".to_vec(), Vec::new())),
            "CAs may be rotated"
        );
    }
}
