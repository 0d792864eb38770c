//! A token that somebody else obtained. It says nothing about its end.

use super::{AuthError, Credential, Part};

/// Where the token is: in the settings, or in a file that somebody keeps fresh.
#[derive(Debug)]
pub struct Source(pub Part);

impl Source {
    pub(super) fn read(&self) -> Result<Credential, AuthError> {
        self.0.read("the token").map(Credential::Token)
    }
}
