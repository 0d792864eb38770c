//! Logins that wait to be checked: a short priority queue.

/// A bounded queue that serves the lowest priority number first, and the oldest among equals.
///
/// The number is how often the address of a login has guessed. So an address that guesses a lot waits for, and makes room
/// for, one that does not, and no number of guessing addresses keeps out a client that has the right password.
#[derive(Debug)]
pub(super) struct LoginQueue<T> {
    capacity: usize,
    /// In the order of arrival.
    waiting: Vec<(u32, T)>,
}

/// Every waiting entry comes before the one that was pushed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QueueFull;

impl<T> LoginQueue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, waiting: Vec::with_capacity(capacity) }
    }

    /// Adds an entry. A full queue refuses it, or removes and returns the one that would be served after it and all others.
    pub(super) fn push(&mut self, guesses: u32, entry: T) -> Result<Option<T>, QueueFull> {
        let mut evicted = None;
        if self.waiting.len() >= self.capacity {
            let last = self.waiting.iter().enumerate().max_by_key(|(place, (guesses, _))| (*guesses, *place));
            match last {
                Some((place, (most, _))) if *most > guesses => evicted = Some(self.waiting.remove(place).1),
                _ => return Err(QueueFull),
            }
        }
        self.waiting.push((guesses, entry));
        Ok(evicted)
    }

    /// Removes the entry to serve next.
    pub(super) fn pop(&mut self) -> Option<T> {
        let (place, _) = self.waiting.iter().enumerate().min_by_key(|(place, (guesses, _))| (*guesses, *place))?;
        Some(self.waiting.remove(place).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_of_an_address_that_guesses_less_is_served_first_and_makes_room_for_itself() {
        let mut queue = LoginQueue::new(3);
        for (guesses, entry) in [(1, "a1"), (2, "a2"), (3, "a3")] {
            assert_eq!(queue.push(guesses, entry), Ok(None));
        }
        assert_eq!(queue.push(4, "a4"), Err(QueueFull), "not for one more of its own");
        assert_eq!(queue.push(1, "b1"), Ok(Some("a3")), "the latest of the address with the most");
        assert_eq!(queue.push(1, "c1"), Ok(Some("a2")));
        assert_eq!(queue.push(1, "d1"), Err(QueueFull), "equals are served in the order of arrival");
        let served: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(served, ["a1", "b1", "c1"]);
    }

    proptest! {
        #[test]
        fn a_first_guess_gets_in_among_any_number_of_second_guesses(guesses in prop::collection::vec(2u32..50, 0..200)) {
            let mut queue = LoginQueue::new(32);
            for guesses in &guesses {
                let _ = queue.push(*guesses, false);
            }
            prop_assert!(queue.push(1, true).is_ok());
            prop_assert_eq!(queue.pop(), Some(true));
            prop_assert!(queue.waiting.len() < 32);
        }
    }
}
