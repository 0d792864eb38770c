//! Who waits for a guess to be tried: a short queue that no address can keep to itself.

use std::net::IpAddr;

/// Those who wait, the longest first. `T` is their work.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    most: usize,
    waiting: Vec<(T, IpAddr)>,
}

impl<T> FairQueue<T> {
    /// An empty one with so many places.
    pub(super) fn new(most: usize) -> Self {
        Self { most, waiting: Vec::with_capacity(most) }
    }

    /// Makes room for one more of an address, if there is none: the latest of the address with the most places has to go,
    /// provided that it keeps as many as `peer` will have. So whoever has no place gets one, as long as fewer addresses
    /// than places wait.
    ///
    /// # Errors
    /// When there is no room and nobody has to go.
    pub(super) fn make_room(&mut self, peer: IpAddr) -> Result<Option<(T, IpAddr)>, Full> {
        if self.waiting.len() < self.most {
            return Ok(None);
        }
        // Some thirty places: counting them costs less than keeping count.
        let held = |address: IpAddr| self.waiting.iter().filter(|(_, other)| *other == address).count();
        let latest = self.waiting.iter().enumerate().max_by_key(|(place, (_, address))| (held(*address), *place));
        match latest {
            Some((place, (_, address))) if held(*address) >= held(peer) + 2 => Ok(Some(self.waiting.remove(place))),
            _ => Err(Full),
        }
    }

    /// Enters one for whom there is room.
    pub(super) fn enter(&mut self, work: T, peer: IpAddr) {
        self.waiting.push((work, peer));
    }

    /// Ends the wait of the one whose turn it is; `false` when it had to go.
    pub(super) fn leave(&mut self, is_it: impl Fn(&T) -> bool) -> bool {
        let place = self.waiting.iter().position(|(work, _)| is_it(work));
        place.map(|place| self.waiting.remove(place)).is_some()
    }
}

/// There is no room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn peer(number: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, number).into()
    }

    /// Lets one of an address in, if it can be.
    fn come(queue: &mut FairQueue<u32>, work: u32, from: u8) -> Result<Option<u32>, Full> {
        let gone = queue.make_room(peer(from))?;
        queue.enter(work, peer(from));
        Ok(gone.map(|(work, _)| work))
    }

    #[test]
    fn whoever_has_most_makes_room_and_nobody_loses_the_last_place() {
        let mut queue = FairQueue::new(4);
        for work in 0..4 {
            assert_eq!(come(&mut queue, work, 1), Ok(None));
        }
        assert_eq!(come(&mut queue, 4, 1), Err(Full), "not for one more of its own");
        assert_eq!(come(&mut queue, 5, 2), Ok(Some(3)), "its latest");
        assert_eq!(come(&mut queue, 6, 2), Ok(Some(2)));
        assert_eq!(come(&mut queue, 7, 2), Err(Full), "two and two are fair");
        assert_eq!(come(&mut queue, 8, 3), Ok(Some(6)));
        assert_eq!(come(&mut queue, 9, 4), Ok(Some(1)));
        assert_eq!(come(&mut queue, 10, 5), Err(Full), "each place has another address");
        let mut leave = |work| queue.leave(|waiting| *waiting == work);
        assert_eq!([leave(0), leave(0), leave(1)], [true, false, false]);
        assert_eq!(come(&mut queue, 11, 5), Ok(None));
        assert_eq!(queue.waiting.len(), 4);
    }

    #[test]
    fn however_many_guess_a_newcomer_finds_a_place() {
        for guessing in 1..32 {
            let mut queue = FairQueue::new(32);
            for work in 0..3200 {
                let _ = come(&mut queue, work, u8::try_from(work % guessing).unwrap());
            }
            assert!(come(&mut queue, 9999, 200).is_ok(), "{guessing} addresses");
        }
    }
}
