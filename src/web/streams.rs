//! The deadlines of an HTTP/2 connection, stream by stream.
//!
//! A peer can stall one response by flow control while the socket is free, and can reset streams as fast as it opens them.
//! Neither shows on the socket, so `monitored_stream` is not enough here. A single overdue stream ends the connection.

use super::Limits;
use super::body::BodyObserver;
use super::monitored_stream::Overdue;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

/// How many more streams a peer may reset than it completes. A closing browser resets a few.
const MAX_RESETS: usize = 50;

#[derive(Clone, Copy, Debug)]
enum StreamPhase {
    /// The peer waits for us.
    Answering,
    /// We wait for the peer: since when, and since when it has taken nothing.
    Sending { since: Instant, moved: Instant },
}

#[derive(Debug)]
struct TimerState {
    next_id: u64,
    open: BTreeMap<u64, StreamPhase>,
    /// Since when no stream is open.
    idle_since: Instant,
    completed: usize,
    reset: usize,
}

/// The timers of one connection's streams.
#[derive(Debug)]
pub(super) struct StreamTimers {
    limits: Arc<Limits>,
    state: Mutex<TimerState>,
}

impl StreamTimers {
    /// For a new connection, which waits for its first request.
    pub(super) fn new(limits: Arc<Limits>) -> Arc<Self> {
        let state =
            TimerState { next_id: 0, open: BTreeMap::new(), idle_since: Instant::now(), completed: 0, reset: 0 };
        Arc::new(Self { limits, state: Mutex::new(state) })
    }

    /// The next deadline of the peer, and what it is for.
    pub(super) fn due(&self) -> Option<(Instant, Overdue)> {
        let state = self.state.lock();
        if state.reset > state.completed + MAX_RESETS {
            return Some((Instant::now(), Overdue::Flood));
        }
        if state.open.is_empty() {
            return Some(match state.next_id {
                0 => (state.idle_since + self.limits.first_byte, Overdue::FirstByte),
                _ => (state.idle_since + self.limits.idle, Overdue::Idle),
            });
        }
        let sending = state.open.values().filter_map(|phase| match *phase {
            StreamPhase::Answering => None,
            StreamPhase::Sending { since, moved } => Some([
                (moved + self.limits.write_progress, Overdue::Stalled),
                (since + self.limits.response_total, Overdue::Slow),
            ]),
        });
        sending.flatten().min_by_key(|(at, _)| *at)
    }

    /// A request has come. The returned guard belongs to its handler, and then to the body of its response.
    pub(super) fn answering(self: &Arc<Self>) -> OpenStream {
        let mut state = self.state.lock();
        let id = state.next_id;
        state.next_id += 1;
        state.open.insert(id, StreamPhase::Answering);
        OpenStream { id, timers: Arc::clone(self), completed: false }
    }
}

/// A stream in progress; counts as reset if dropped before the peer has taken the whole response.
#[derive(Debug)]
pub(super) struct OpenStream {
    id: u64,
    timers: Arc<StreamTimers>,
    completed: bool,
}

impl OpenStream {
    /// The head of the response is ready: from now on we wait for the peer. `empty`: there is no body to take.
    pub(super) fn sending(mut self, empty: bool) -> Self {
        let now = Instant::now();
        self.completed = empty;
        self.timers.state.lock().open.insert(self.id, StreamPhase::Sending { since: now, moved: now });
        self
    }
}

impl BodyObserver for OpenStream {
    fn taken(&mut self, last: bool) {
        self.completed = last;
        if let Some(StreamPhase::Sending { moved, .. }) = self.timers.state.lock().open.get_mut(&self.id) {
            *moved = Instant::now();
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut state = self.timers.state.lock();
        state.open.remove(&self.id);
        if state.open.is_empty() {
            state.idle_since = Instant::now();
        }
        if self.completed {
            state.completed += 1;
        } else {
            state.reset += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn left(streams: &StreamTimers) -> Option<(u64, Overdue)> {
        streams.due().map(|(at, overdue)| ((at - Instant::now()).as_secs(), overdue))
    }

    #[tokio::test(start_paused = true)]
    async fn the_stream_that_is_due_first_decides() {
        let streams = StreamTimers::new(Arc::default());
        assert_eq!(left(&streams), Some((10, Overdue::FirstByte)));
        let (first, second) = (streams.answering(), streams.answering());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(left(&streams), None, "a scrape that waits for a refresh has no deadline here");
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
    async fn a_peer_that_keeps_resetting_streams_is_overdue_at_once() {
        let streams = StreamTimers::new(Arc::default());
        for _ in 0..MAX_RESETS {
            drop(streams.answering());
        }
        assert_eq!(left(&streams), Some((90, Overdue::Idle)));
        drop(streams.answering().sending(true));
        drop(streams.answering().sending(false));
        assert_eq!(left(&streams), Some((90, Overdue::Idle)), "completed streams allow more resets");
        drop(streams.answering());
        assert_eq!(left(&streams), Some((0, Overdue::Flood)));
    }
}
