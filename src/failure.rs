//! The reasons of a failed refresh: a closed set, because they are a metric label, each with a sentence for people.
//!
//! All stages use these reasons. A new one changes the metrics contract.

use std::time::Duration;
use strum::{Display, IntoStaticStr, VariantNames};

/// The reason of a failed refresh: the `reason` label of `swr_refresh_failures_total`. Each counter exists from the start.
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq, Hash, VariantNames, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    /// No, wrong, expired or locked credentials.
    Auth,
    /// The credential is valid, but its user lacks a permission.
    Permission,
    /// The upstream, or the circuit breaker before it, asked for fewer requests.
    Throttled,
    /// A deadline passed, or a body stalled.
    Timeout,
    /// Name resolution, connection, TLS, or a connection that broke.
    Network,
    /// The upstream failed.
    Server,
    /// The response could not be parsed, or exceeds the size limit.
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
            Self::Auth => "The API rejects the credential, or none is configured.",
            Self::Permission => "The credential is valid, but its user lacks a permission.",
            Self::Throttled => "The API asks for fewer calls.",
            Self::Timeout => "The API did not respond in time.",
            Self::Network => "The API could not be reached.",
            Self::Server => "The API failed.",
            Self::Decode => "The response could not be parsed, or exceeds the size limit.",
            Self::Incomplete => "The listing could not be completed, so it is not published.",
            Self::Internal => "The exporter failed, or the API calls its request invalid.",
        }
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
