//! A ready-made IAM token. It does not say when it expires.

use super::exchange::{Provider, ProviderState};
use super::{AuthError, Credential, SecretSource};

/// A token in the settings, or in a file that another program keeps fresh.
#[derive(Clone, Debug)]
pub struct TokenProvider(pub SecretSource);

impl Provider for TokenProvider {
    fn load(&self) -> Result<ProviderState, AuthError> {
        self.0.read("the token").map(|token| ProviderState::Ready(Credential::Token(token)))
    }

    fn owner(&self) -> String {
        self.0.path()
    }
}
