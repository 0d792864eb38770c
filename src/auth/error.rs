//! Errors of providers and credential requests.

use super::token_client::Operation;
use crate::failure::Reason;
use crate::transport::TransportError;
use crate::transport::error_response::ErrorResponse;
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
    /// A secret file holds nothing that can be used.
    #[error("{what} in {} {problem}", path.display())]
    UnusableFile {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it, without quoting it.
        problem: &'static str,
    },
    /// A secret of the settings cannot be used.
    #[error("{what} of the settings {problem}")]
    UnusableSetting {
        /// What it should be.
        what: &'static str,
        /// What is wrong with it, without quoting it.
        problem: &'static str,
    },
    /// The file system of the secret files hangs.
    #[error("the files of the credential cannot be read: their file system does not answer")]
    FilesHang,
    /// Files of one key change faster than they can be read.
    #[error("the files of the credential keep changing while they are read")]
    Unsettled,
    /// The upstream refused this credential repeatedly; trying it again could lock the key or the user.
    #[error(
        "the credential was refused repeatedly and is not tried again for {wait_seconds} s, because the cloud locks \
         keys and users after repeated failures; a changed credential is tried at once"
    )]
    HeldBack {
        /// Seconds until the next attempt with the same credential.
        wait_seconds: u64,
        /// The latest refusal, if it is known.
        #[source]
        last: Option<Arc<AuthError>>,
    },
    /// The API refused the credential.
    #[error("{0}")]
    RefusedByApi(ErrorResponse),
    /// The service refused the request.
    #[error("{operation} was refused{hint}: {response}")]
    Refused {
        /// The request.
        operation: Operation,
        /// The response.
        response: ErrorResponse,
        /// What to do, if the response lets us know.
        hint: &'static str,
    },
    /// The service failed.
    #[error("{operation} failed: {response}")]
    Failed {
        /// The request.
        operation: Operation,
        /// The response.
        response: ErrorResponse,
    },
    /// No connection, or one that broke.
    #[error("{operation} could not be done")]
    Network {
        /// The request.
        operation: Operation,
        /// Why.
        #[source]
        source: TransportError,
    },
    /// No response in time.
    #[error("{0} timed out")]
    Timeout(Operation),
    /// A response without a credential.
    #[error("{operation} got an unexpected response: {problem}")]
    UnexpectedResponse {
        /// The request.
        operation: Operation,
        /// What is wrong, without quoting it.
        problem: &'static str,
    },
    /// The latest attempt failed, and the next is not due yet.
    #[error("no credential could be obtained, and the next attempt is in {wait_seconds} s")]
    Waiting {
        /// Seconds until the next attempt.
        wait_seconds: u64,
        /// The latest attempt's error.
        #[source]
        last: Arc<AuthError>,
    },
    /// The attempt that this caller waited for failed.
    #[error(transparent)]
    Unobtained(Arc<AuthError>),
    /// Nothing is configured, and this machine has no metadata service.
    #[error(
        "no credential is configured and this machine's metadata service gives none; set SWR_EXPORTER_ACCESS_KEY and \
         SWR_EXPORTER_SECRET_KEY, or another source"
    )]
    NoCredential(#[source] Box<AuthError>),
    /// The API accepted the previous credential and refused this one.
    #[error("the API refused the renewed credential")]
    NewRefused,
    /// The renewal ended without a result, by a panic.
    #[error("the renewal of the credential was cut short")]
    CutShort,
}

impl AuthError {
    /// The `reason` label of a refresh that fails because of this.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Network { .. } => Reason::Network,
            Self::Timeout(_) => Reason::Timeout,
            Self::UnexpectedResponse { .. } => Reason::Decode,
            Self::Failed { response, .. } if response.status.as_u16() == 429 => Reason::Throttled,
            Self::Failed { .. } => Reason::Server,
            Self::Waiting { last, .. } | Self::Unobtained(last) => last.reason(),
            Self::CutShort => Reason::Internal,
            _ => Reason::Auth,
        }
    }

    /// How long this credential is not tried again.
    pub fn held_for(&self) -> Option<Duration> {
        match self {
            Self::HeldBack { wait_seconds, .. } | Self::Waiting { wait_seconds, .. } => {
                Some(Duration::from_secs(*wait_seconds))
            }
            Self::Unobtained(last) => last.held_for(),
            _ => None,
        }
    }

    /// The pause that the service asked for.
    pub(super) fn retry_after(&self) -> Duration {
        match self {
            Self::Failed { response, .. } => response.retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }
}
