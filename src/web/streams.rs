//! The clock of an HTTP/2 connection: where each of its answers is, and when the peer has had its time.
//!
//! A peer can stall one answer by its flow control while the socket is free, and can call off answers as fast as it asks
//! for them; neither shows on the socket, which is why `guard` is not enough here. There is nothing to refuse within a
//! connection: whoever is overdue with one answer loses all.

use super::Limits;
use super::body::Observer;
use super::monitored_stream::Overdue;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

/// So many more answers may be called off than are taken whole. A browser that is closed calls off a few.
const CALLED_OFF: usize = 50;

/// Where an answer is.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// The peer waits for us.
    Awaited,
    /// We wait for the peer: since when, and since when it takes nothing.
    Sent { since: Instant, moved: Instant },
}

#[derive(Debug)]
struct State {
    next: u64,
    open: BTreeMap<u64, Answer>,
    /// Since when nothing is open.
    idle: Instant,
    taken: usize,
    called_off: usize,
}

/// The clock of one connection.
#[derive(Debug)]
pub(super) struct Streams {
    limits: Arc<Limits>,
    state: Mutex<State>,
}

impl Streams {
    /// Starts the clock: the first request is waited for.
    pub(super) fn new(limits: Arc<Limits>) -> Arc<Self> {
        let state = State { next: 0, open: BTreeMap::new(), idle: Instant::now(), taken: 0, called_off: 0 };
        Arc::new(Self { limits, state: Mutex::new(state) })
    }

    /// When the peer's time is over, and in what.
    pub(super) fn due(&self) -> Option<(Instant, Overdue)> {
        let state = self.state();
        if state.called_off > state.taken + CALLED_OFF {
            return Some((Instant::now(), Overdue::Flood));
        }
        if state.open.is_empty() {
            return Some(match state.next {
                0 => (state.idle + self.limits.first_byte, Overdue::FirstByte),
                _ => (state.idle + self.limits.idle, Overdue::Idle),
            });
        }
        let sent = state.open.values().filter_map(|answer| match *answer {
            Answer::Awaited => None,
            Answer::Sent { since, moved } => Some([
                (moved + self.limits.write_progress, Overdue::Stalled),
                (since + self.limits.response_total, Overdue::Slow),
            ]),
        });
        sent.flatten().min_by_key(|(at, _)| *at)
    }

    /// A request has come. What is returned is held until it is answered, first by the work and then by the body.
    pub(super) fn answering(self: &Arc<Self>) -> Open {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.open.insert(id, Answer::Awaited);
        Open { id, streams: Arc::clone(self), taken: false }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every section leaves a valid state, so a panic elsewhere in the task does not spoil it.
        self.state.lock()
    }
}

/// An answer that is under way.
#[derive(Debug)]
pub(super) struct Open {
    id: u64,
    streams: Arc<Streams>,
    taken: bool,
}

impl Open {
    /// Its head is there: from now on we wait for the peer. `empty`: there is no body to be taken.
    pub(super) fn sending(mut self, empty: bool) -> Self {
        let now = Instant::now();
        self.taken = empty;
        self.streams.state().open.insert(self.id, Answer::Sent { since: now, moved: now });
        self
    }
}

impl Observer for Open {
    fn taken(&mut self, last: bool) {
        self.taken = last;
        if let Some(Answer::Sent { moved, .. }) = self.streams.state().open.get_mut(&self.id) {
            *moved = Instant::now();
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.streams.state();
        state.open.remove(&self.id);
        if state.open.is_empty() {
            state.idle = Instant::now();
        }
        if self.taken {
            state.taken += 1;
        } else {
            state.called_off += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn left(streams: &Streams) -> Option<(u64, Overdue)> {
        streams.due().map(|(at, overdue)| ((at - Instant::now()).as_secs(), overdue))
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_that_is_due_first_decides() {
        let streams = Streams::new(Arc::default());
        assert_eq!(left(&streams), Some((10, Overdue::FirstByte)));
        let (first, second) = (streams.answering(), streams.answering());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(left(&streams), None, "scrapes that wait for a refresh are not the peer's fault");
        let mut first = first.sending(false);
        tokio::time::advance(Duration::from_secs(20)).await;
        let second = second.sending(false);
        assert_eq!(left(&streams), Some((10, Overdue::Stalled)));
        first.taken(false);
        assert_eq!(left(&streams), Some((30, Overdue::Stalled)));
        drop(second);
        for _ in 0..4 {
            tokio::time::advance(Duration::from_secs(20)).await;
            first.taken(false);
        }
        assert_eq!(left(&streams), Some((20, Overdue::Slow)), "progress is not enough for ever");
        first.taken(true);
        drop(first);
        assert_eq!(left(&streams), Some((90, Overdue::Idle)));
    }

    #[tokio::test(start_paused = true)]
    async fn who_calls_off_answers_time_and_again_is_overdue_at_once() {
        let streams = Streams::new(Arc::default());
        for _ in 0..CALLED_OFF {
            drop(streams.answering());
        }
        assert_eq!(left(&streams), Some((90, Overdue::Idle)));
        drop(streams.answering().sending(true));
        drop(streams.answering().sending(false));
        assert_eq!(left(&streams), Some((90, Overdue::Idle)), "what is taken counts for it");
        drop(streams.answering());
        assert_eq!(left(&streams), Some((0, Overdue::Flood)));
    }
}
