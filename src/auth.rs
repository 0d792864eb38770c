//! Where a credential comes from, how long it may be used, and how a request is signed with it.
//!
//! Each source is a file of its own that turns its settings into a [`Credential`]; the [`Authenticator`] keeps the one
//! in use and guards it: the cloud locks keys and users after a few failures, so a refused credential is tried at most
//! [`MOST_REJECTIONS`] times in [`REJECTION_PERIOD`] until it changes. Deliberately absent: which requests are made.

pub mod access_key;
mod file;
mod guard;
pub mod sign;
pub mod token;

pub use guard::{Authenticator, Lease, Loan, MOST_REJECTIONS, REJECTION_PERIOD};

use crate::secret::Secret;
use std::path::PathBuf;
use std::time::SystemTime;

/// What proves an identity to the API.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An IAM token, sent as `X-Auth-Token`.
    Token(Secret),
    /// An access key, with which each request is signed.
    AccessKey(AccessKey),
}

/// A permanent or temporary access key.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// The public half (AK).
    pub id: String,
    /// The secret half (SK).
    pub secret: Secret,
    /// Present for temporary keys only; sent and signed as `X-Security-Token`.
    pub security_token: Option<Secret>,
}

/// A credential with its end, as a source gives it.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The credential.
    pub credential: Credential,
    /// When it expires; `None` when it never does or nobody said.
    pub expires_at: Option<SystemTime>,
}

/// Where credentials come from. A new source is a file under `auth/` and a variant here.
#[derive(Debug)]
pub enum Source {
    /// A ready-made token.
    Token(token::Source),
    /// An access key from the settings or from files.
    AccessKey(access_key::Source),
}

impl Source {
    /// The name that `--credentials.source` knows it by.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::AccessKey(_) => "access-key",
        }
    }

    /// The credential as it is now. Files are read anew, so a rotated secret needs no restart.
    ///
    /// # Errors
    /// When a file cannot be read or holds nothing usable.
    pub fn obtain(&self) -> Result<Grant, AuthError> {
        match self {
            Self::Token(source) => source.obtain(),
            Self::AccessKey(source) => source.obtain(),
        }
    }
}

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
    /// The upstream refused this credential repeatedly; trying on could lock the key or the user.
    #[error(
        "the credential was refused {MOST_REJECTIONS} times and is not tried again for {wait_seconds} s, \
         because the cloud locks keys and users after repeated failures; a changed credential is tried at once"
    )]
    HeldBack {
        /// Seconds until the next attempt with the same credential.
        wait_seconds: u64,
    },
}
