//! Methods of [`Simulator`] for credentials: issue, revoke, count.

use std::time::Duration;

use super::Simulator;
use super::credential_options::TemporaryKey;

use super::tokens::Scope;

impl Simulator {
    /// Issues a token with a lifetime.
    #[must_use]
    pub fn issue_token(&self, life: Duration) -> String {
        self.state.tokens.lock().issue(Scope::Project, life)
    }

    /// Accepts a given token for a lifetime.
    pub fn accept_token(&self, token: &str, life: Duration) {
        self.state.tokens.lock().accept(token, life);
    }

    /// Revokes a token: 401 with `APIGW.0307` from now on.
    pub fn revoke_token(&self, token: &str) {
        self.state.tokens.lock().revoke(token);
    }

    /// Revokes every token that the simulated IAM has issued.
    pub fn revoke_issued_tokens(&self) {
        self.state.tokens.lock().revoke_issued();
    }

    /// Issues a temporary key with a lifetime.
    #[must_use]
    pub fn issue_temporary_key(&self, life: Duration) -> TemporaryKey {
        self.state.keys.lock().issue(life, self.state.now())
    }

    /// Revokes every temporary key issued so far: 401 with `APIGW.0301` from now on. The metadata
    /// service issues another one at the next request.
    pub fn revoke_temporary_keys(&self) {
        self.state.keys.lock().revoke_all();
    }

    /// The last ten thousand temporary keys issued, oldest first.
    #[must_use]
    pub fn temporary_keys(&self) -> Vec<TemporaryKey> {
        self.state.keys.lock().all()
    }

    /// Makes the metadata service issue a new key. The old one stays valid until it expires.
    pub fn rotate_metadata_key(&self) {
        self.state.instance.lock().rotate();
    }

    /// Expires every token of the metadata service.
    pub fn expire_metadata_tokens(&self) {
        self.state.instance.lock().expire_tokens();
    }

    /// Accepts a further identity token.
    pub fn accept_id_token(&self, token: &str) {
        self.configure(|options| options.id_tokens.push(token.to_owned()));
    }

    /// Rejects an identity token from now on.
    pub fn revoke_id_token(&self, token: &str) {
        self.configure(|options| options.id_tokens.retain(|known| known != token));
    }

    /// Successful password logins.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.state.logins.lock().succeeded
    }

    /// Failed password logins: unknown user, wrong password, or locked.
    #[must_use]
    pub fn failed_logins(&self) -> u64 {
        self.state.logins.lock().failed
    }

    /// Wrong signatures, and signatures made with a locked key.
    #[must_use]
    pub fn failed_signatures(&self) -> u64 {
        self.state.keys.lock().attempts.failed
    }

    /// Unlocks all users and access keys and clears their failures. The counters continue.
    pub fn unlock(&self) {
        self.state.logins.lock().unlock();
        self.state.keys.lock().attempts.unlock();
    }
}
