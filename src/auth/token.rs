//! A token that somebody else obtained.

use super::{AuthError, Credential, Grant, file};
use crate::secret::Secret;
use std::path::PathBuf;

/// Where the token is.
#[derive(Debug)]
pub enum Source {
    /// In the settings.
    Given(Secret),
    /// In a file that somebody keeps fresh.
    File(PathBuf),
}

impl Source {
    pub(super) fn obtain(&self) -> Result<Grant, AuthError> {
        let token = match self {
            Self::Given(token) => token.clone(),
            Self::File(path) => file::read(path, "the token")?,
        };
        // A token says nothing about its end.
        Ok(Grant { credential: Credential::Token(token), expires_at: None })
    }
}
