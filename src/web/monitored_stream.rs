//! How long a peer may take: the deadlines around one connection that hyper does not have.
//!
//! [`MonitoredStream`] wraps the socket and notes what moves; the handler notes where the exchange is; [`ConnectionTimer::due`] says, as
//! a pure function of both, when the peer has had its time. All of it runs within the connection's one task, so there
//! is nobody to wake and the lock is never contended.
//!
//! Under TLS the guard is below it and sees what is on the wire. In HTTP/2, where several answers are under way at once,
//! it keeps to the socket: what a peer may send unasked, and whether it takes bytes; the answers have `streams`.
//!
//! A scrape that waits for a refresh has no deadline here: it has its own, and the peer is not at fault.

use super::Limits;
use super::body::Observer;
use crate::base::rate_limit::{Rate, TokenBucket};
use parking_lot::{Mutex, MutexGuard};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// What a peer may send over HTTP/2, in bytes: at once, and each second. A scraper sends some 200 bytes a request, a
/// browser a kilobyte; floods of empty frames or pings are over it within a second.
const UNASKED: Rate = Rate { burst: 48.0 * 1024.0, per_second: 16.0 * 1024.0 };

/// For so many bytes that are sent to it a peer may send one more: Go's client acknowledges every 4 KiB with up to 70.
const SENT_PER_ACKNOWLEDGED: f64 = 32.0;

/// Where the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// TLS is being agreed upon.
    Handshake,
    /// Accepted; nothing came yet.
    Fresh,
    /// A request has begun to come.
    Head,
    /// The request is being answered; the peer waits for us.
    Answering,
    /// The answer is being sent.
    Sending,
    /// Between requests.
    Idle,
    /// HTTP/2: where each answer is, `streams` knows.
    Streams,
}

/// What the peer was too slow in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// It did not finish the TLS handshake.
    Handshake,
    /// It never sent a byte.
    FirstByte,
    /// It did not finish a request's head.
    Head,
    /// It sent no further request.
    Idle,
    /// It took no byte of an answer.
    Stalled,
    /// It took the answer, but too slowly.
    Slow,
    /// It sent more than any client has to say.
    Flood,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    /// Since when the socket takes nothing, while there is something to send.
    blocked: Option<Instant>,
    /// hyper has all of the answer's body; once it is flushed too, the exchange is over.
    body_ended: bool,
    /// What the peer may still send in [`Phase::Streams`].
    allowance: TokenBucket,
    flooded: bool,
    /// Closing is to discard what is unsent.
    abandoned: bool,
}

/// The clock of one connection.
#[derive(Debug)]
pub(super) struct ConnectionTimer {
    limits: Arc<Limits>,
    state: Mutex<State>,
}

impl ConnectionTimer {
    /// Starts the clock: the connection is accepted now.
    pub(super) fn new(limits: Arc<Limits>) -> Arc<Self> {
        let state = State {
            phase: Phase::Fresh,
            since: Instant::now(),
            blocked: None,
            body_ended: false,
            allowance: TokenBucket::full(UNASKED),
            flooded: false,
            abandoned: false,
        };
        Arc::new(Self { limits, state: Mutex::new(state) })
    }

    /// TLS comes first; its handshake has the time of a first byte.
    pub(super) fn handshake(&self) {
        self.enter(Phase::Handshake);
    }

    /// The handshake is over: now a request is waited for.
    pub(super) fn secured(&self) {
        self.enter(Phase::Fresh);
    }

    /// HTTP/2 was agreed upon.
    pub(super) fn multiplexed(&self) {
        self.enter(Phase::Streams);
    }

    /// When the socket is closed, what is unsent is discarded: otherwise the kernel would keep megabytes for as long as
    /// the peer likes.
    pub(super) fn abandon(&self) {
        self.state().abandoned = true;
    }

    /// When the peer's time is over, and in what.
    pub(super) fn due(&self) -> Option<(Instant, Overdue)> {
        let state = self.state();
        if state.flooded {
            return Some((Instant::now(), Overdue::Flood));
        }
        let phase = match state.phase {
            Phase::Handshake => Some((state.since + self.limits.first_byte, Overdue::Handshake)),
            Phase::Fresh => Some((state.since + self.limits.first_byte, Overdue::FirstByte)),
            Phase::Head => Some((state.since + self.limits.header, Overdue::Head)),
            Phase::Idle => Some((state.since + self.limits.idle, Overdue::Idle)),
            Phase::Sending => Some((state.since + self.limits.response_total, Overdue::Slow)),
            Phase::Answering | Phase::Streams => None,
        };
        let stalled = state.blocked.map(|since| (since + self.limits.write_progress, Overdue::Stalled));
        phase.into_iter().chain(stalled).min_by_key(|(at, _)| *at)
    }

    /// The head has been read: from now on the peer waits for us.
    pub(super) fn answering(&self) {
        self.enter(Phase::Answering);
    }

    /// The answer's head is there: from now on we wait for the peer. Returns what the answer's body must hold.
    pub(super) fn sending(self: &Arc<Self>) -> BodyHeld {
        self.enter(Phase::Sending);
        BodyHeld(Arc::clone(self))
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state();
        state.phase = phase;
        state.since = Instant::now();
        state.body_ended = false;
    }

    #[expect(clippy::cast_precision_loss, reason = "nothing is read in pieces of 2^53 bytes")]
    fn received(&self, bytes: usize) {
        let phase = self.state().phase;
        match phase {
            Phase::Fresh | Phase::Idle => self.enter(Phase::Head),
            Phase::Streams => {
                let mut state = self.state();
                state.flooded |= state.allowance.take(UNASKED, bytes as f64).is_err();
            }
            _ => {}
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "nothing is sent in pieces of 2^53 bytes")]
    fn sent(&self, bytes: usize) {
        let mut state = self.state();
        state.blocked = None;
        state.allowance.give(UNASKED, bytes as f64 / SENT_PER_ACKNOWLEDGED);
    }

    fn blocked(&self) {
        self.state().blocked.get_or_insert_with(Instant::now);
    }

    fn flushed(&self) {
        let over = {
            let mut state = self.state();
            state.blocked = None;
            state.phase == Phase::Sending && state.body_ended
        };
        if over {
            self.enter(Phase::Idle);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every section leaves a valid state, so a panic elsewhere in the task does not spoil it.
        self.state.lock()
    }
}

/// Held by an answer's body: tells the clock when hyper needs no more of it.
#[derive(Debug)]
pub(super) struct BodyHeld(Arc<ConnectionTimer>);

impl Observer for BodyHeld {
    fn taken(&mut self, _: bool) {
        // The socket tells more exactly what the peer has taken.
    }
}

impl Drop for BodyHeld {
    fn drop(&mut self) {
        self.0.state().body_ended = true;
    }
}

/// Ends when the peer's time is over. To be polled after whatever moves the clock, in the same task.
pub(super) struct Watchdog {
    sleep: Pin<Box<Sleep>>,
}

impl Watchdog {
    /// One that waits for nothing yet.
    pub(super) fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep_until(Instant::now())) }
    }

    /// Ready with the reason once the peer is overdue, which a clock has just told.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, due: Option<(Instant, Overdue)>) -> Poll<Overdue> {
        let Some((at, overdue)) = due else { return Poll::Pending };
        // Deadlines mostly move away: then the timer stays as it is, and when it fires it is set anew.
        if at < self.sleep.deadline() {
            self.sleep.as_mut().reset(at);
        }
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            if at <= Instant::now() {
                return Poll::Ready(overdue);
            }
            self.sleep.as_mut().reset(at);
        }
    }
}

/// A socket whose movements the clock is told of.
#[derive(Debug)]
pub(super) struct MonitoredStream {
    socket: TcpStream,
    watch: Arc<ConnectionTimer>,
}

impl MonitoredStream {
    /// Wraps a socket.
    pub(super) fn new(socket: TcpStream, watch: Arc<ConnectionTimer>) -> Self {
        Self { socket, watch }
    }

    /// The socket.
    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    fn note(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.watch.blocked(),
            Poll::Ready(Ok(bytes)) if *bytes > 0 => self.watch.sent(*bytes),
            Poll::Ready(_) => {}
        }
        written
    }
}

impl Drop for MonitoredStream {
    fn drop(&mut self) {
        if self.watch.state().abandoned {
            let _ = socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
        }
    }
}

impl AsyncRead for MonitoredStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buffer);
        let bytes = buffer.filled().len() - before;
        if bytes > 0 {
            self.watch.received(bytes);
        }
        read
    }
}

impl AsyncWrite for MonitoredStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper flushes, and TLS flushes what is below it, only once its own buffer is empty.
        let flushed = ready!(Pin::new(&mut self.socket).poll_flush(cx));
        self.watch.flushed();
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(watch: &ConnectionTimer) -> Option<(Duration, Overdue)> {
        watch.due().map(|(at, overdue)| (at - Instant::now(), overdue))
    }

    #[tokio::test(start_paused = true)]
    async fn every_phase_has_the_deadline_of_who_is_waited_for() {
        let seconds = Duration::from_secs;
        let watch = ConnectionTimer::new(Arc::default());
        assert_eq!(left(&watch), Some((seconds(10), Overdue::FirstByte)));
        tokio::time::advance(seconds(9)).await;
        watch.received(1);
        tokio::time::advance(seconds(3)).await;
        watch.received(1);
        assert_eq!(left(&watch), Some((seconds(7), Overdue::Head)), "more bytes do not prolong a head");
        watch.answering();
        assert_eq!(left(&watch), None, "a scrape that waits for a refresh is not the peer's fault");
        let held = watch.sending();
        assert_eq!(left(&watch), Some((seconds(120), Overdue::Slow)));
        watch.blocked();
        tokio::time::advance(seconds(20)).await;
        watch.blocked();
        assert_eq!(left(&watch), Some((seconds(10), Overdue::Stalled)));
        watch.sent(1);
        assert_eq!(left(&watch), Some((seconds(100), Overdue::Slow)), "a byte is progress, but time runs on");
        watch.flushed();
        assert_eq!(left(&watch), Some((seconds(100), Overdue::Slow)), "there is more of the body");
        drop(held);
        watch.flushed();
        assert_eq!(left(&watch), Some((seconds(90), Overdue::Idle)));
        watch.received(1);
        assert_eq!(left(&watch), Some((seconds(10), Overdue::Head)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_has_its_time_and_the_first_byte_its_own_after_it() {
        let seconds = Duration::from_secs;
        let watch = ConnectionTimer::new(Arc::default());
        watch.handshake();
        tokio::time::advance(seconds(9)).await;
        watch.received(1);
        watch.flushed();
        assert_eq!(left(&watch), Some((seconds(1), Overdue::Handshake)), "bytes do not prolong it");
        watch.secured();
        assert_eq!(left(&watch), Some((seconds(10), Overdue::FirstByte)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sends_more_than_a_client_has_to_say_is_overdue_at_once() {
        let watch = ConnectionTimer::new(Arc::default());
        watch.multiplexed();
        // A large page at full speed, as Go's client acknowledges it.
        for _ in 0..10_000 {
            watch.sent(4096);
            watch.received(70);
        }
        assert_eq!(left(&watch), None);
        // A request of a kilobyte ten times a second.
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_millis(100)).await;
            watch.received(1024);
        }
        assert_eq!(left(&watch), None);
        for _ in 0..10_000 {
            tokio::time::advance(Duration::from_micros(100)).await;
            watch.received(17);
        }
        assert_eq!(left(&watch), Some((Duration::ZERO, Overdue::Flood)), "a second of pings");
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_follows_deadlines_that_move_both_ways() {
        let watch = ConnectionTimer::new(Arc::default());
        let started = Instant::now();
        let mut dog = Watchdog::new();
        drop(watch.sending());
        watch.flushed();
        let mut polls = 0;
        let overdue = std::future::poll_fn(|cx| {
            // The first byte comes with the first poll, so 90 s become 10 s.
            polls += 1;
            let first = dog.poll(cx, watch.due());
            watch.received(1);
            if polls == 1 { dog.poll(cx, watch.due()) } else { first }
        });
        assert_eq!(overdue.await, Overdue::Head);
        assert_eq!(started.elapsed().as_secs(), 10);
    }
}
