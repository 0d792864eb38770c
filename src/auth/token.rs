//! A token that somebody else obtained. It says nothing about its end.

use super::{AuthError, Credential, SecretSource};

/// Where the token is: in the settings, or in a file that somebody keeps fresh.
#[derive(Debug)]
pub struct TokenProvider(pub SecretSource);

impl TokenProvider {
    pub(super) fn read(&self) -> Result<Credential, AuthError> {
        self.0.read("the token").map(Credential::Token)
    }
}
