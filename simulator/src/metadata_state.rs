//! State of the metadata service: issued tokens and the current key.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::credential_options::{Metadata, TemporaryKey};
use super::image::mix;
use super::temporary_keys::TemporaryKeys;

/// Most tokens kept. At the limit expired ones are dropped, or all.
const MAX_TOKENS: usize = 1_000;

/// State of the metadata service.
#[derive(Debug, Default)]
pub(super) struct MetadataState {
    tokens: HashMap<String, Instant>,
    count: u64,
    current: Option<TemporaryKey>,
}

impl MetadataState {
    /// Issues a token for the metadata service itself.
    pub(super) fn issue_token(&mut self, life: Duration) -> String {
        let now = Instant::now();
        if self.tokens.len() >= MAX_TOKENS {
            self.tokens.retain(|_, until| now < *until);
        }
        if self.tokens.len() >= MAX_TOKENS {
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

    /// The current key, renewed before it expires.
    pub(super) fn key(&mut self, keys: &mut TemporaryKeys, options: &Metadata, now: SystemTime) -> TemporaryKey {
        if let Some(key) = &self.current
            && keys.remaining(&key.access_key) > options.rotate_before
        {
            return key.clone();
        }
        let key = keys.issue(options.key_life, now);
        self.current = Some(key.clone());
        key
    }

    /// Issues a new key at the next request. The old one stays valid until it expires.
    pub(super) fn rotate(&mut self) {
        self.current = None;
    }

    /// Expires every token.
    pub(super) fn expire_tokens(&mut self) {
        self.tokens.clear();
    }
}
