//! Places for the scrapes that are being served: a limit on all of them, shared fairly between addresses.
//!
//! A place is held while a response is encoded and sent, not while a scrape waits for a refresh.

use super::peer::AddressCounts;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::oneshot;

/// An address may hold this many times as many places as are free: of 40 it gets 30, two addresses get 17 each. So some
/// places stay free for a newcomer, however slowly a few others read.
const SHARE: usize = 3;

/// The places of a server. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct ScrapePlaces(Arc<Mutex<Places>>);

#[derive(Debug)]
struct Places {
    free: usize,
    held: AddressCounts,
    waiting: VecDeque<(IpAddr, oneshot::Sender<ScrapePlace>)>,
}

impl Places {
    fn take(&mut self, address: IpAddr) -> bool {
        if self.free == 0 || self.held.of(address) >= SHARE.saturating_mul(self.free) {
            return false;
        }
        self.free -= 1;
        self.held.add(address);
        true
    }
}

impl ScrapePlaces {
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Mutex::new(Places { free: count, held: AddressCounts::default(), waiting: VecDeque::new() })))
    }

    /// A place for an address, if it may have one now.
    pub(super) fn try_take(&self, address: IpAddr) -> Option<ScrapePlace> {
        self.0.lock().take(address).then(|| self.place(address))
    }

    /// A place for an address, as soon as it may have one. Dropping the future leaves the line.
    pub(super) async fn take(&self, address: IpAddr) -> ScrapePlace {
        let (sender, receiver) = oneshot::channel();
        {
            let mut places = self.0.lock();
            if places.take(address) {
                return self.place(address);
            }
            places.waiting.push_back((address, sender));
        }
        receiver.await.expect("a sender stays in the line until it has sent")
    }

    fn place(&self, address: IpAddr) -> ScrapePlace {
        ScrapePlace { address, places: self.clone() }
    }

    /// Takes a place back and hands out those that others wait for.
    fn give_back(&self, address: IpAddr) {
        let mut granted = Vec::new();
        {
            let mut places = self.0.lock();
            places.free += 1;
            places.held.remove(address);
            let mut waiting = std::mem::take(&mut places.waiting);
            waiting.retain(|(_, sender)| !sender.is_closed());
            while let Some((address, sender)) = waiting.pop_front() {
                if places.take(address) {
                    granted.push((address, sender));
                } else {
                    places.waiting.push_back((address, sender));
                }
            }
        }
        // Unlocked: the place of a receiver that has gone meanwhile is dropped here, and so given back again.
        for (address, sender) in granted {
            drop(sender.send(self.place(address)));
        }
    }
}

/// One place, given back when dropped.
#[derive(Debug)]
pub(super) struct ScrapePlace {
    address: IpAddr,
    places: ScrapePlaces,
}

impl Drop for ScrapePlace {
    fn drop(&mut self) {
        self.places.give_back(self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use proptest::prelude::*;

    fn address(number: usize) -> IpAddr {
        IpAddr::from([192, 0, 2, u8::try_from(number).unwrap()])
    }

    fn take_all(places: &ScrapePlaces, number: usize) -> Vec<ScrapePlace> {
        std::iter::from_fn(|| places.try_take(address(number))).collect()
    }

    #[test]
    fn one_address_never_takes_all_places() {
        let places = ScrapePlaces::new(40);
        let first = take_all(&places, 1);
        assert_eq!((first.len(), take_all(&places, 2).len()), (30, 8));
        drop(first);
        assert_eq!(places.0.lock().free, 40);
        assert_eq!(take_all(&ScrapePlaces::new(1), 1).len(), 1);
    }

    #[test]
    fn a_place_that_is_given_back_goes_to_the_first_in_line_that_may_have_it() {
        let places = ScrapePlaces::new(4);
        let mut held = take_all(&places, 1);
        assert_eq!(held.len(), 3);
        held.extend(places.try_take(address(2)));
        let (mut same, mut gone, mut other) =
            (Box::pin(places.take(address(1))), Box::pin(places.take(address(3))), Box::pin(places.take(address(4))));
        for line in [&mut same, &mut gone, &mut other] {
            assert!(line.now_or_never().is_none());
        }
        drop(gone);
        // Of address 2: address 1 already has its share.
        drop(held.pop());
        assert!((&mut same).now_or_never().is_none());
        assert!(other.now_or_never().is_some());
        held.clear();
        assert!(same.now_or_never().is_some());
        assert_eq!(places.0.lock().free, 4);
    }

    proptest! {
        #[test]
        fn a_newcomer_finds_a_place_and_none_is_lost(count in 40usize..200, takers in prop::collection::vec(1usize..4, 0..500)) {
            let places = ScrapePlaces::new(count);
            let mut held: Vec<_> = takers.iter().filter_map(|number| places.try_take(address(*number))).collect();
            prop_assert!(places.try_take(address(9)).is_some(), "{} of {count} are held by three addresses", held.len());
            held.clear();
            let places = places.0.lock();
            prop_assert_eq!((places.free, places.held.0.len()), (count, 0));
        }
    }
}
