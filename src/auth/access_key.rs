//! An access key from the settings or from files, permanent or temporary.

use super::{AccessKey, AuthError, Credential, SecretSource, fingerprint};

/// Where the three parts of an access key are.
#[derive(Debug)]
pub struct AccessKeyProvider {
    /// The access key id.
    pub id: SecretSource,
    /// The secret key.
    pub secret: SecretSource,
    /// The security token of a temporary key.
    pub security_token: Option<SecretSource>,
}

/// Files that are being replaced are read again so often.
const MOST_READS: usize = 5;

impl AccessKeyProvider {
    /// Reads until two reads agree: a directory that is swapped between two of the files gives halves of two keys.
    pub(super) fn read(&self) -> Result<Credential, AuthError> {
        let mut before = self.read_once()?;
        for _ in 0..MOST_READS {
            let again = self.read_once()?;
            if fingerprint(&before) == fingerprint(&again) {
                return Ok(again);
            }
            before = again;
        }
        Err(AuthError::Unsettled)
    }

    fn read_once(&self) -> Result<Credential, AuthError> {
        Ok(Credential::AccessKey(AccessKey {
            id: self.id.read("the access key")?.expose().to_owned(),
            secret: self.secret.read("the secret key")?,
            security_token: self.security_token.as_ref().map(|part| part.read("the security token")).transpose()?,
            project_id: None,
        }))
    }
}
