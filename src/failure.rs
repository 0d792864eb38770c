//! The reasons for which a refresh fails: a closed set, because they are a metric label, and their words for people.
//!
//! All stages use these reasons. A new one changes the metrics contract.

use std::time::Duration;
use strum::{IntoStaticStr, VariantNames};

/// The reason of a failed refresh: the `reason` label of `swr_refresh_failures_total`. Each counter exists from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, VariantNames, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// No, wrong, expired or locked credentials.
    Auth,
    /// The user is known and lacks a permission.
    Permission,
    /// The upstream, or the circuit breaker before it, asked for fewer requests.
    Throttled,
    /// A deadline passed, or a body stalled.
    Timeout,
    /// Name resolution, connection, TLS, or a connection that broke.
    Network,
    /// The upstream failed.
    Server,
    /// The answer could not be understood, or was larger than the bounds allow.
    Decode,
    /// The listing could not be completed.
    Incomplete,
    /// A fault of the exporter, or a request that the API calls invalid.
    Internal,
}

impl Reason {
    /// All label values, in the order of the metrics contract.
    pub const LABELS: &[&str] = Self::VARIANTS;

    /// The label value.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it lasts until somebody acts. The others may pass without.
    pub const fn needs_action(self) -> bool {
        matches!(self, Self::Auth | Self::Permission)
    }

    /// A sentence for people.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Auth => "The cloud does not accept the credential, or there is none.",
            Self::Permission => "The credential is known, and its user may not do what is needed.",
            Self::Throttled => "The cloud asked for fewer calls.",
            Self::Timeout => "The cloud did not answer in time.",
            Self::Network => "The cloud could not be reached.",
            Self::Server => "The cloud's service failed.",
            Self::Decode => "The answer could not be understood, or is larger than is read.",
            Self::Incomplete => "The list could not be made whole, so it is not shown.",
            Self::Internal => "The exporter failed, or the cloud calls its request wrong.",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The metric label.
    pub reason: Reason,
    /// The error with all its causes, without secrets and control characters.
    pub message: String,
    /// What the operator can do; empty if that is not known.
    pub advice: String,
    /// How long the upstream asked us to wait.
    pub retry_after: Option<Duration>,
    /// How long the exporter itself holds the credential back. A changed credential is tried at once.
    pub held_for: Option<Duration>,
}

impl Failure {
    /// A failure without advice, after which the upstream asked for no wait.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), advice: String::new(), retry_after: None, held_for: None }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

/// An error with all its causes on one line.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some libraries repeat their source in `Display`.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}
