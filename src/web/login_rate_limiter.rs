//! A rate limit of password guesses for each address.

use crate::base::rate_limit::{Rate, TokenBucket};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Addresses with a bucket of their own. Beyond, further addresses share one.
const MAX_ADDRESSES: usize = 4096;

/// The guesses of one address.
#[derive(Debug)]
struct Record {
    bucket: TokenBucket,
    guesses: u32,
}

/// The addresses that have guessed lately.
#[derive(Debug, Default)]
pub(super) struct LoginRateLimiter {
    records: HashMap<IpAddr, Record>,
    shared: Option<Record>,
}

impl LoginRateLimiter {
    /// Counts a guess of an address: how many it has made so far, or the time until the next one is allowed.
    pub(super) fn take(&mut self, rate: Rate, peer: IpAddr) -> Result<u32, Duration> {
        let record = self.record(rate, peer);
        record.bucket.take(rate, 1.0)?;
        record.guesses += 1;
        Ok(record.guesses)
    }

    /// Takes back a guess that was right, or was not tried.
    pub(super) fn give_back(&mut self, rate: Rate, peer: IpAddr) {
        let record = self.record(rate, peer);
        record.bucket.give(rate, 1.0);
        record.guesses = record.guesses.saturating_sub(1);
    }

    fn record(&mut self, rate: Rate, peer: IpAddr) -> &mut Record {
        let new = || Record { bucket: TokenBucket::full(rate), guesses: 0 };
        if self.records.len() >= MAX_ADDRESSES && !self.records.contains_key(&peer) {
            self.records.retain(|_, record| !record.bucket.is_full(rate));
            if self.records.len() >= MAX_ADDRESSES {
                return self.shared.get_or_insert_with(new);
            }
        }
        self.records.entry(peer).or_insert_with(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[tokio::test(start_paused = true)]
    async fn each_address_has_its_own_limit_and_memory_is_bounded() {
        let rate = Rate { burst: 2.0, per_second: 1.0 };
        let mut limiter = LoginRateLimiter::default();
        let peer = |number: usize| IpAddr::from(Ipv4Addr::from_bits(u32::try_from(number).unwrap()));
        assert_eq!([limiter.take(rate, peer(0)), limiter.take(rate, peer(0))], [Ok(1), Ok(2)]);
        assert_eq!(limiter.take(rate, peer(0)), Err(Duration::from_secs(1)));
        limiter.give_back(rate, peer(0));
        assert_eq!(limiter.take(rate, peer(0)), Ok(2));
        for number in 1..MAX_ADDRESSES {
            assert_eq!(limiter.take(rate, peer(number)), Ok(1));
        }
        let more: usize = (0..10).filter(|number| limiter.take(rate, peer(MAX_ADDRESSES + number)).is_ok()).count();
        assert_eq!((more, limiter.records.len()), (2, MAX_ADDRESSES), "the others share one");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(limiter.take(rate, peer(MAX_ADDRESSES)), Ok(1));
        assert_eq!(limiter.records.len(), 1, "addresses with a full bucket are forgotten");
    }
}
