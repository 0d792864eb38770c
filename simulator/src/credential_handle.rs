//! The part of the handle that deals in credentials: giving, taking away, counting.

use std::time::Duration;

use super::Simulator;
use super::credential_options::TemporaryKey;

use super::tokens::Scope;

impl Simulator {
    /// Makes a token that is valid for a time.
    #[must_use]
    pub fn issue_token(&self, life: Duration) -> String {
        self.state.tokens.lock().issue(Scope::Project, life)
    }

    /// Makes a token of choice valid for a time.
    pub fn accept_token(&self, token: &str, life: Duration) {
        self.state.tokens.lock().accept(token, life);
    }

    /// Makes a token invalid: 401 with `APIGW.0307` from now on.
    pub fn revoke_token(&self, token: &str) {
        self.state.tokens.lock().revoke(token);
    }

    /// Makes every token invalid that the simulated IAM has issued so far.
    pub fn revoke_issued_tokens(&self) {
        self.state.tokens.lock().revoke_issued();
    }

    /// Makes a temporary key that is valid for a time.
    #[must_use]
    pub fn issue_temporary_key(&self, life: Duration) -> TemporaryKey {
        self.state.keys.lock().issue(life, self.state.now())
    }

    /// Ends the life of every temporary key so far, whoever issued it: 401 with `APIGW.0301` from now on. The metadata
    /// service gives another one when it is asked next.
    pub fn revoke_temporary_keys(&self) {
        self.state.keys.lock().revoke_all();
    }

    /// The temporary keys that were issued, the last ten thousand, oldest first.
    #[must_use]
    pub fn temporary_keys(&self) -> Vec<TemporaryKey> {
        self.state.keys.lock().all()
    }

    /// Lets the metadata service give a new key from now on. The old one stays good until its end.
    pub fn rotate_metadata_key(&self) {
        self.state.instance.lock().rotate();
    }

    /// Makes every token of the metadata service invalid, as if it had expired.
    pub fn expire_metadata_tokens(&self) {
        self.state.instance.lock().expire_tokens();
    }

    /// Takes one more identity token.
    pub fn accept_id_token(&self, token: &str) {
        self.configure(|options| options.id_tokens.push(token.to_owned()));
    }

    /// No longer takes an identity token.
    pub fn revoke_id_token(&self, token: &str) {
        self.configure(|options| options.id_tokens.retain(|known| known != token));
    }

    /// Logins by password that got a token.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.state.logins.lock().succeeded
    }

    /// Logins by password that did not get a token because of the user, the password or a lock.
    #[must_use]
    pub fn failed_logins(&self) -> u64 {
        self.state.logins.lock().failed
    }

    /// Signatures that were wrong, or came while their key was locked.
    #[must_use]
    pub fn failed_signatures(&self) -> u64 {
        self.state.keys.lock().attempts.failed
    }

    /// Opens the locks of all users and access keys and forgets their failures. The counts go on.
    pub fn unlock(&self) {
        self.state.logins.lock().unlock();
        self.state.keys.lock().attempts.unlock();
    }
}
