//! The part of the handle that deals in credentials: giving, taking away, counting.

use std::time::Duration;

use super::Simulator;
use super::identity::TemporaryKey;
use super::shared::lock;
use super::tokens::Scope;

impl Simulator {
    /// Makes a token that is valid for a time.
    #[must_use]
    pub fn issue_token(&self, life: Duration) -> String {
        lock(&self.shared.tokens).issue(Scope::Project, life)
    }

    /// Makes a token of choice valid for a time.
    pub fn accept_token(&self, token: &str, life: Duration) {
        lock(&self.shared.tokens).accept(token, life);
    }

    /// Makes a token invalid: 401 with `APIGW.0307` from now on.
    pub fn revoke_token(&self, token: &str) {
        lock(&self.shared.tokens).revoke(token);
    }

    /// Makes every token invalid that the simulated IAM has issued so far.
    pub fn revoke_issued_tokens(&self) {
        lock(&self.shared.tokens).revoke_issued();
    }

    /// Makes a temporary key that is valid for a time.
    #[must_use]
    pub fn issue_temporary_key(&self, life: Duration) -> TemporaryKey {
        lock(&self.shared.keys).issue(life, self.shared.now())
    }

    /// Ends the life of every temporary key so far, whoever issued it: 401 with `APIGW.0301` from now on. The metadata
    /// service gives another one when it is asked next.
    pub fn revoke_temporary_keys(&self) {
        lock(&self.shared.keys).revoke_all();
    }

    /// The temporary keys that were issued, the last ten thousand, oldest first.
    #[must_use]
    pub fn temporary_keys(&self) -> Vec<TemporaryKey> {
        lock(&self.shared.keys).all()
    }

    /// Lets the metadata service give a new key from now on. The old one stays good until its end.
    pub fn rotate_metadata_key(&self) {
        lock(&self.shared.instance).rotate();
    }

    /// Makes every token of the metadata service invalid, as if it had expired.
    pub fn expire_metadata_tokens(&self) {
        lock(&self.shared.instance).expire_tokens();
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
        lock(&self.shared.logins).succeeded
    }

    /// Logins by password that did not get a token because of the user, the password or a lock.
    #[must_use]
    pub fn failed_logins(&self) -> u64 {
        lock(&self.shared.logins).failed
    }

    /// Signatures that were wrong, or came while their key was locked.
    #[must_use]
    pub fn failed_signatures(&self) -> u64 {
        lock(&self.shared.keys).attempts.failed
    }

    /// Opens the locks of all users and access keys and forgets their failures. The counts go on.
    pub fn unlock(&self) {
        lock(&self.shared.logins).unlock();
        lock(&self.shared.keys).attempts.unlock();
    }
}
