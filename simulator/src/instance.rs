//! What the metadata service of a virtual machine remembers: the tokens it gave, and the key it gives now.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::identity::{Metadata, TemporaryKey};
use super::image::mix;
use super::keys::Keys;

/// Tokens that are remembered. A service that gave more has forgotten the expired ones, or all.
const MOST_TOKENS: usize = 1_000;

/// The memory of the metadata service.
#[derive(Debug, Default)]
pub(super) struct Instance {
    tokens: HashMap<String, Instant>,
    count: u64,
    current: Option<TemporaryKey>,
}

impl Instance {
    /// A fresh token for the metadata service itself.
    pub(super) fn issue_token(&mut self, life: Duration) -> String {
        let now = Instant::now();
        if self.tokens.len() >= MOST_TOKENS {
            self.tokens.retain(|_, until| now < *until);
        }
        if self.tokens.len() >= MOST_TOKENS {
            self.tokens.clear();
        }
        self.count += 1;
        let text: String = (0..3).map(|part| format!("{:016x}", mix(1 << 40 | self.count << 8 | part))).collect();
        self.tokens.insert(text.clone(), now + life);
        text
    }

    pub(super) fn takes(&self, token: &str) -> bool {
        self.tokens.get(token).is_some_and(|until| Instant::now() < *until)
    }

    /// The key of the hour, a new one once the old one nears its end.
    pub(super) fn key(&mut self, keys: &mut Keys, options: &Metadata, now: SystemTime) -> TemporaryKey {
        if let Some(key) = &self.current
            && keys.remaining(&key.access_key) > options.rotate_before
        {
            return key.clone();
        }
        let key = keys.issue(options.key_life, now);
        self.current = Some(key.clone());
        key
    }

    /// Gives a new key from the next time on. The old one stays good until its end.
    pub(super) fn rotate(&mut self) {
        self.current = None;
    }

    /// Forgets every token, as if all had expired.
    pub(super) fn expire_tokens(&mut self) {
        self.tokens.clear();
    }
}
