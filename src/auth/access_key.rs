//! An access key from the settings or from files, permanent or temporary.

use super::{AccessKey, AuthError, Credential, Grant, file};
use crate::secret::Secret;
use std::path::PathBuf;

/// Where one part of the key is.
#[derive(Debug)]
pub enum Part {
    /// In the settings.
    Given(Secret),
    /// In a file.
    File(PathBuf),
}

impl Part {
    fn read(&self, what: &'static str) -> Result<Secret, AuthError> {
        match self {
            Self::Given(secret) => Ok(secret.clone()),
            Self::File(path) => file::read(path, what),
        }
    }
}

/// Where the three parts of an access key are.
#[derive(Debug)]
pub struct Source {
    /// The access key id.
    pub id: Part,
    /// The secret key.
    pub secret: Part,
    /// The security token of a temporary key.
    pub security_token: Option<Part>,
}

impl Source {
    pub(super) fn obtain(&self) -> Result<Grant, AuthError> {
        let key = AccessKey {
            id: self.id.read("the access key")?.expose().to_owned(),
            secret: self.secret.read("the secret key")?,
            security_token: self.security_token.as_ref().map(|part| part.read("the security token")).transpose()?,
        };
        Ok(Grant { credential: Credential::AccessKey(key), expires_at: None })
    }
}
