//! An access key from the settings or from files, permanent or temporary.

use super::exchange::{Provider, ProviderState};
use super::{AccessKey, AuthError, Credential, SecretSource};

/// The parts of an access key.
#[derive(Clone, Debug)]
pub struct AccessKeyProvider {
    /// The access key id.
    pub id: SecretSource,
    /// The secret key.
    pub secret: SecretSource,
    /// The security token of a temporary key.
    pub security_token: Option<SecretSource>,
}

/// How often files that change while they are read are read again.
const MAX_READS: usize = 5;

impl AccessKeyProvider {
    fn read(&self) -> Result<Credential, AuthError> {
        Ok(Credential::AccessKey(AccessKey {
            id: self.id.read("the access key")?.expose().to_owned(),
            secret: self.secret.read("the secret key")?,
            security_token: self.security_token.as_ref().map(|token| token.read("the security token")).transpose()?,
            project_id: None,
        }))
    }
}

impl Provider for AccessKeyProvider {
    /// Reads until two reads agree: if a directory is swapped between two of the files, they are halves of two keys.
    fn load(&self) -> Result<ProviderState, AuthError> {
        let mut before = self.read()?;
        for _ in 0..MAX_READS {
            let again = self.read()?;
            if before.fingerprint() == again.fingerprint() {
                return Ok(ProviderState::Ready(again));
            }
            before = again;
        }
        Err(AuthError::Unsettled)
    }

    fn owner(&self) -> String {
        self.id.path()
    }
}
