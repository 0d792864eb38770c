//! Temporary access keys and their validity.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::credential_options::TemporaryKey;
use super::image::mix;
use super::lockout::LockoutTracker;
use super::timestamp;

/// Most keys kept; older ones become unknown.
const MAX_KEYS: usize = 10_000;

/// Issued temporary keys, and failed attempts of all keys.
#[derive(Debug, Default)]
pub(super) struct TemporaryKeys {
    issued: HashMap<String, Issued>,
    /// Access keys, oldest first.
    order: VecDeque<String>,
    count: u64,
    pub(super) attempts: LockoutTracker,
}

#[derive(Debug)]
struct Issued {
    key: TemporaryKey,
    /// Expiry; `None` once revoked.
    until: Option<Instant>,
}

/// Validity of a temporary key.
pub(super) enum KeyStatus<'a> {
    Valid(&'a TemporaryKey),
    /// Expired or revoked.
    Ended,
    Unknown,
}

impl TemporaryKeys {
    /// Issues a key. `now` is the service's clock; expiry is checked on the monotonic clock.
    pub(super) fn issue(&mut self, life: Duration, now: SystemTime) -> TemporaryKey {
        self.count += 1;
        let number = self.count;
        let digits = |salt: u64, parts: u64| -> String {
            (0..parts).map(|part| format!("{:016X}", mix(salt << 48 | number << 8 | part))).collect()
        };
        let key = TemporaryKey {
            access_key: format!("HSTA{}", digits(1, 1)),
            secret_key: digits(2, 3)[..40].to_owned(),
            // Real tokens have about a kilobyte.
            security_token: format!("gQpjbi1ub3J0aC00{}==", digits(3, 48)),
            expires_at: now + life,
        };
        if self.order.len() >= MAX_KEYS
            && let Some(oldest) = self.order.pop_front()
        {
            self.issued.remove(&oldest);
        }
        self.order.push_back(key.access_key.clone());
        let issued = Issued { key: key.clone(), until: Some(Instant::now() + life) };
        self.issued.insert(key.access_key.clone(), issued);
        key
    }

    pub(super) fn status(&self, access_key: &str) -> KeyStatus<'_> {
        match self.issued.get(access_key) {
            None => KeyStatus::Unknown,
            Some(issued) if issued.until.is_some_and(|until| Instant::now() < until) => KeyStatus::Valid(&issued.key),
            Some(_) => KeyStatus::Ended,
        }
    }

    /// Remaining lifetime of a key; zero if it has ended.
    pub(super) fn remaining(&self, access_key: &str) -> Duration {
        let until = self.issued.get(access_key).and_then(|issued| issued.until);
        until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Revokes every key issued so far.
    pub(super) fn revoke_all(&mut self) {
        for issued in self.issued.values_mut() {
            issued.until = None;
        }
    }

    /// All keys kept, oldest first.
    pub(super) fn all(&self) -> Vec<TemporaryKey> {
        self.order
            .iter()
            .filter_map(|access_key| self.issued.get(access_key))
            .map(|issued| issued.key.clone())
            .collect()
    }
}

/// A key as IAM and the metadata service return it.
pub(super) fn credential(key: &TemporaryKey) -> Value {
    json!({
        "access": key.access_key,
        "secret": key.secret_key,
        "securitytoken": key.security_token,
        "expires_at": timestamp::token_time(key.expires_at),
    })
}

/// A key as STS and the pod identity service return it.
pub(super) fn credentials(key: &TemporaryKey) -> Value {
    json!({
        "access_key_id": key.access_key,
        "secret_access_key": key.secret_key,
        "security_token": key.security_token,
        "expiration": timestamp::token_time(key.expires_at),
    })
}

#[cfg(test)]
mod tests {
    use super::super::test_client::{ask_signed, signer, until};

    use super::super::{AccessKey, Options, Simulator};
    use super::*;

    const LIST: &str = "/v2/manage/repos";
    const HOUR: Duration = Duration::from_secs(3_600);

    #[tokio::test]
    async fn a_temporary_key_signs_until_it_ends() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let simulator = &running.handle;
        let lasting = signer(&simulator.issue_temporary_key(HOUR));
        let passing = simulator.issue_temporary_key(Duration::from_millis(200));
        assert_eq!(ask_signed(&running, &lasting, LIST).await.status, 200);
        assert_eq!(simulator.temporary_keys().len(), 2);
        // Wait on the monotonic clock: wall time can be slightly ahead of it.
        until("it ends", || simulator.state.keys.lock().remaining(&passing.access_key).is_zero()).await;
        let mut late = ask_signed(&running, &signer(&passing), LIST).await;
        assert_eq!((late.status, &late.json()["error_code"]), (401, &json!("APIGW.0301")));
        assert!(late.text().contains("decrypt token fail"), "{}", late.text());
        simulator.revoke_temporary_keys();
        late = ask_signed(&running, &lasting, LIST).await;
        assert_eq!(late.status, 401);
        assert!(late.text().contains("decrypt token fail"), "{}", late.text());
        assert_eq!(simulator.failed_signatures(), 0);
    }

    #[tokio::test]
    async fn a_temporary_key_needs_its_own_security_token() {
        let running = Simulator::start(Options::default()).await.unwrap();
        let right = signer(&running.handle.issue_temporary_key(HOUR));
        for security_token in [None, Some("another".to_owned())] {
            let reply = ask_signed(&running, &AccessKey { security_token, ..right.clone() }, LIST).await;
            assert_eq!((reply.status, &reply.json()["error_code"]), (401, &json!("APIGW.0301")));
            assert!(reply.text().contains("verify security token fail"), "{}", reply.text());
        }
    }

    #[test]
    fn keys_differ_and_the_oldest_are_forgotten() {
        let mut keys = TemporaryKeys::default();
        let first = keys.issue(HOUR, SystemTime::UNIX_EPOCH);
        assert_eq!((first.access_key.len(), first.secret_key.len()), (20, 40));
        for _ in 1..=MAX_KEYS {
            assert_ne!(keys.issue(HOUR, SystemTime::UNIX_EPOCH), first);
        }
        assert_eq!(keys.all().len(), MAX_KEYS);
        assert!(matches!(keys.status(&first.access_key), KeyStatus::Unknown));
        assert_eq!(credential(&first)["expires_at"], "1970-01-01T01:00:00.000000Z");
    }
}
