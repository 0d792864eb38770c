//! Why a refresh failed, in a closed set that is a metric label, with the words for the log.
//!
//! Every stage speaks of failure in these terms, so a new reason is a change to the metrics contract and is made here.

use std::time::Duration;

/// The reason of a failed refresh: the `reason` label of `swr_refresh_failures_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The identity could not be established: no, wrong, expired or locked credentials.
    Auth,
    /// The identity is known and not allowed.
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
    /// The listing could not be made whole.
    Incomplete,
    /// Our own fault, or a request that the API calls wrong.
    Internal,
}

impl Reason {
    /// All reasons, in the order of the metrics contract: each counter exists from the start.
    pub const ALL: [Self; 9] = [
        Self::Auth,
        Self::Permission,
        Self::Throttled,
        Self::Timeout,
        Self::Network,
        Self::Server,
        Self::Decode,
        Self::Incomplete,
        Self::Internal,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Permission => "permission",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::Server => "server",
            Self::Decode => "decode",
            Self::Incomplete => "incomplete",
            Self::Internal => "internal",
        }
    }
}

impl Reason {
    /// Whether it stays until somebody does something about it. The others may well pass by themselves.
    pub const fn needs_somebody(self) -> bool {
        matches!(self, Self::Auth | Self::Permission)
    }

    /// The same as a sentence for people.
    pub const fn words(self) -> &'static str {
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

/// A failed refresh: what is counted, what is logged and how long the upstream asked to be left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The class, for metrics.
    pub reason: Reason,
    /// The whole chain of causes in words, free of secrets and control characters.
    pub message: String,
    /// Not before so long from now may the upstream be asked again, where it said so.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure without a word from the upstream on when to come back.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), retry_after: None }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

/// An error with all its causes on one line, each said once.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Libraries that repeat their source in `Display` would say it twice.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}
