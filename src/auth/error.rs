//! Why there is no credential to use.

use super::token_client::Operation;
use crate::failure::Reason;
use crate::transport::TransportError;
use crate::transport::answer::Answer;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Why there is no credential to use.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A secret file could not be read.
    #[error("cannot read {what} from {}", path.display())]
    Unreadable {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A secret file holds nothing that can be sent.
    #[error("{what} in {} {problem}", path.display())]
    Unusable {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without quoting it.
        problem: &'static str,
    },
    /// A secret of the settings cannot be sent.
    #[error("{what} of the settings {problem}")]
    Unfit {
        /// What it should be.
        what: &'static str,
        /// What is wrong with it, without quoting it.
        problem: &'static str,
    },
    /// Files that belong together change faster than they can be read.
    #[error("the files of the credential keep changing while they are read")]
    Unsettled,
    /// The upstream refused this credential repeatedly; trying on could lock the key or the user.
    #[error(
        "the credential was refused repeatedly and is not tried again for {wait_seconds} s, because the cloud locks \
         keys and users after repeated failures; a changed credential is tried at once"
    )]
    HeldBack {
        /// Seconds until the next attempt with the same credential.
        wait_seconds: u64,
        /// The latest refusal, where it was not the API's own.
        #[source]
        last: Option<Arc<AuthError>>,
    },
    /// Whoever gives credentials refused.
    #[error("{what} was refused{hint}: {answer}")]
    Refused {
        /// What was asked for.
        what: Operation,
        /// What was answered.
        answer: Answer,
        /// What to do, where the answer lets us know.
        hint: &'static str,
    },
    /// Whoever gives credentials failed.
    #[error("{what} failed: {answer}")]
    Failed {
        /// What was asked for.
        what: Operation,
        /// What was answered.
        answer: Answer,
        /// How long to wait, where it said so.
        retry_after: Option<Duration>,
    },
    /// No connection, or one that broke.
    #[error("{what} could not be done")]
    Network {
        /// What was asked for.
        what: Operation,
        /// Why.
        #[source]
        source: TransportError,
    },
    /// No answer in time.
    #[error("{0} timed out")]
    Timeout(Operation),
    /// An answer that holds no credential.
    #[error("{what} was answered with something else than expected: {problem}")]
    Odd {
        /// What was asked for.
        what: Operation,
        /// What is wrong, without quoting it.
        problem: &'static str,
    },
    /// The latest attempt failed and the next is not due.
    #[error("no credential could be obtained, and the next attempt is in {wait_seconds} s")]
    Waiting {
        /// Seconds until the next attempt.
        wait_seconds: u64,
        /// The latest attempt's error.
        #[source]
        last: Arc<AuthError>,
    },
    /// The attempt that was waited for failed.
    #[error("no credential could be obtained")]
    Unobtained(#[source] Arc<AuthError>),
    /// Nothing is configured and the machine has nothing to give.
    #[error(
        "no credential is configured and this machine's metadata service gives none; set SWR_EXPORTER_ACCESS_KEY and \
         SWR_EXPORTER_SECRET_KEY, or another source"
    )]
    Nothing(#[source] Box<AuthError>),
    /// The API took the credential before it and not this one.
    #[error("the API refused the renewed credential")]
    NewRefused,
    /// The renewal ended without a result.
    #[error("the renewal of the credential was cut short")]
    CutShort,
}

impl AuthError {
    /// The reason under which a refresh that this ends is counted.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Network { .. } => Reason::Network,
            Self::Timeout(_) => Reason::Timeout,
            Self::Odd { .. } => Reason::Decode,
            Self::Failed { answer, .. } if answer.status.as_u16() == 429 => Reason::Throttled,
            Self::Failed { .. } => Reason::Server,
            Self::Waiting { last, .. } | Self::Unobtained(last) => last.reason(),
            Self::CutShort => Reason::Internal,
            _ => Reason::Auth,
        }
    }

    /// How long whoever gives credentials asked to be left alone.
    pub(super) fn retry_after(&self) -> Duration {
        match self {
            Self::Failed { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }
}
