//! How many passwords each address may still guess.

use crate::base::rate_limit::{Rate, TokenBucket};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Addresses that are told apart. When as many have guessed lately, the others share one bucket.
const ADDRESSES: usize = 4096;

/// The buckets of those who have guessed lately.
#[derive(Debug, Default)]
pub(super) struct LoginRateLimiter {
    of: HashMap<IpAddr, TokenBucket>,
    others: Option<TokenBucket>,
}

impl LoginRateLimiter {
    /// Takes a guess of an address, which stands for its whole /64 in IPv6.
    ///
    /// # Errors
    /// When it has none left: how long until it has one.
    pub(super) fn take(&mut self, rate: Rate, peer: IpAddr) -> Result<(), Duration> {
        self.bucket(rate, peer).take(rate, 1.0)
    }

    /// Gives one back, because it was no guess.
    pub(super) fn give_back(&mut self, rate: Rate, peer: IpAddr) {
        self.bucket(rate, peer).give(rate, 1.0);
    }

    fn bucket(&mut self, rate: Rate, peer: IpAddr) -> &mut TokenBucket {
        if self.of.len() >= ADDRESSES && !self.of.contains_key(&peer) {
            self.of.retain(|_, bucket| !bucket.is_full(rate));
            if self.of.len() >= ADDRESSES {
                return self.others.get_or_insert_with(|| TokenBucket::full(rate));
            }
        }
        self.of.entry(peer).or_insert_with(|| TokenBucket::full(rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[tokio::test(start_paused = true)]
    async fn each_address_has_its_own_and_memory_is_bounded() {
        let rate = Rate { burst: 2.0, per_second: 1.0 };
        let mut guesses = LoginRateLimiter::default();
        let peer = |number: usize| IpAddr::from(Ipv4Addr::from_bits(u32::try_from(number).unwrap()));
        for _ in 0..2 {
            assert_eq!(guesses.take(rate, peer(0)), Ok(()));
        }
        assert_eq!(guesses.take(rate, peer(0)), Err(Duration::from_secs(1)));
        guesses.give_back(rate, peer(0));
        assert_eq!(guesses.take(rate, peer(0)), Ok(()));
        for number in 1..ADDRESSES {
            assert_eq!(guesses.take(rate, peer(number)), Ok(()));
        }
        let more: usize = (0..10).filter(|number| guesses.take(rate, peer(ADDRESSES + number)).is_ok()).count();
        assert_eq!((more, guesses.of.len()), (2, ADDRESSES), "the others share one");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(guesses.take(rate, peer(ADDRESSES)), Ok(()));
        assert_eq!(guesses.of.len(), 1, "whoever has rested is forgotten");
    }
}
