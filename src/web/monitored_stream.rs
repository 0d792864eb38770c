//! Deadlines of one connection that hyper does not have.
//!
//! [`MonitoredStream`] wraps the socket and records progress; the handler records the phase of the exchange; from both,
//! [`ConnectionTimer::due`] tells when the peer is overdue. All of it runs in the connection's one task, so nothing has to
//! be woken and the lock is never contended.
//!
//! Under TLS the stream is below the encryption and sees what is on the wire. In HTTP/2, with several responses at once, it
//! only limits what a peer may send unasked and checks that the socket takes bytes; `streams` has the responses.
//!
//! A scrape that waits for a refresh has no deadline here: it has its own.

use super::Limits;
use super::body::BodyObserver;
use crate::base::rate_limit::{Rate, TokenBucket};
use parking_lot::Mutex;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// Bytes that a peer may send over HTTP/2. A request takes some 200 bytes from a scraper and 1 KiB from a browser; a flood of
/// empty frames or pings exceeds this within a second.
const RECEIVE_RATE: Rate = Rate { burst: 48.0 * 1024.0, per_second: 16.0 * 1024.0 };

/// For this many bytes sent, a peer may send one more: Go's client acknowledges every 4 KiB with up to 70 bytes.
const SENT_PER_ACKNOWLEDGED: f64 = 32.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Handshake,
    /// Accepted, no byte received.
    Fresh,
    Head,
    /// The peer waits for our response.
    Answering,
    Sending,
    Idle,
    /// HTTP/2: `streams` knows the phase of each stream.
    Streams,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// It did not finish the TLS handshake.
    Handshake,
    FirstByte,
    /// It did not finish a request head.
    Head,
    /// It sent no further request.
    Idle,
    /// It took no byte of a response.
    Stalled,
    /// It took the response too slowly.
    Slow,
    /// It sent more than any client needs to.
    Flood,
}

#[derive(Debug)]
struct TimerState {
    phase: Phase,
    since: Instant,
    /// Since when the socket has taken nothing of what there is to send.
    blocked: Option<Instant>,
    /// hyper has the whole body; the exchange is over once it is flushed.
    body_ended: bool,
    /// Bytes that the peer may still send in [`Phase::Streams`].
    allowance: TokenBucket,
    flooded: bool,
    /// Unsent bytes are discarded at close.
    abandoned: bool,
}

#[derive(Debug)]
pub(super) struct ConnectionTimer {
    limits: Arc<Limits>,
    state: Mutex<TimerState>,
}

impl ConnectionTimer {
    /// For a connection that was just accepted.
    pub(super) fn new(limits: Arc<Limits>) -> Arc<Self> {
        let state = TimerState {
            phase: Phase::Fresh,
            since: Instant::now(),
            blocked: None,
            body_ended: false,
            allowance: TokenBucket::full(RECEIVE_RATE),
            flooded: false,
            abandoned: false,
        };
        Arc::new(Self { limits, state: Mutex::new(state) })
    }

    /// The TLS handshake begins. Its deadline is that of a first byte.
    pub(super) fn handshake(&self) {
        self.enter(Phase::Handshake);
    }

    /// The handshake is over; the first request may come.
    pub(super) fn secured(&self) {
        self.enter(Phase::Fresh);
    }

    /// The peers agreed on HTTP/2.
    pub(super) fn multiplexed(&self) {
        self.enter(Phase::Streams);
    }

    /// Discards unsent bytes when the socket closes; otherwise the kernel would keep megabytes for as long as the peer likes.
    pub(super) fn abandon(&self) {
        self.state.lock().abandoned = true;
    }

    /// The next deadline of the peer, and what it is for.
    pub(super) fn due(&self) -> Option<(Instant, Overdue)> {
        let state = self.state.lock();
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

    /// The request head is read: from now on the peer waits for us.
    pub(super) fn answering(&self) {
        self.enter(Phase::Answering);
    }

    /// The response head is ready: from now on we wait for the peer. The body holds the returned guard.
    pub(super) fn sending(self: &Arc<Self>) -> BodyGuard {
        self.enter(Phase::Sending);
        BodyGuard(Arc::clone(self))
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.state.lock();
        (state.phase, state.since, state.body_ended) = (phase, Instant::now(), false);
    }

    #[expect(clippy::cast_precision_loss, reason = "nothing is read in pieces of 2^53 bytes")]
    fn received(&self, bytes: usize) {
        let phase = self.state.lock().phase;
        match phase {
            Phase::Fresh | Phase::Idle => self.enter(Phase::Head),
            Phase::Streams => {
                let mut state = self.state.lock();
                state.flooded |= state.allowance.take(RECEIVE_RATE, bytes as f64).is_err();
            }
            _ => {}
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "nothing is sent in pieces of 2^53 bytes")]
    fn sent(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.blocked = None;
        state.allowance.give(RECEIVE_RATE, bytes as f64 / SENT_PER_ACKNOWLEDGED);
    }

    fn blocked(&self) {
        self.state.lock().blocked.get_or_insert_with(Instant::now);
    }

    fn flushed(&self) {
        let over = {
            let mut state = self.state.lock();
            state.blocked = None;
            state.phase == Phase::Sending && state.body_ended
        };
        if over {
            self.enter(Phase::Idle);
        }
    }
}

/// Held by the body of a response: its drop tells the timer that hyper has the whole body.
#[derive(Debug)]
pub(super) struct BodyGuard(Arc<ConnectionTimer>);

impl BodyObserver for BodyGuard {
    fn taken(&mut self, _: bool) {
        // The socket tells more exactly what the peer has taken.
    }
}

impl Drop for BodyGuard {
    fn drop(&mut self) {
        self.0.state.lock().body_ended = true;
    }
}

/// Completes when the peer is overdue. Poll it in the same task as, and after, what moves the deadlines.
pub(super) struct Watchdog {
    sleep: Pin<Box<Sleep>>,
}

impl Watchdog {
    /// A watchdog without a deadline.
    pub(super) fn new() -> Self {
        Self { sleep: Box::pin(tokio::time::sleep_until(Instant::now())) }
    }

    /// Ready with the reason once `due` has passed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, due: Option<(Instant, Overdue)>) -> Poll<Overdue> {
        let Some((at, overdue)) = due else { return Poll::Pending };
        // Deadlines mostly move away. Then the timer is left alone, and is reset when it fires.
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

/// A socket that reports its progress to a timer.
#[derive(Debug)]
pub(super) struct MonitoredStream {
    pub(super) socket: TcpStream,
    timer: Arc<ConnectionTimer>,
}

impl MonitoredStream {
    pub(super) fn new(socket: TcpStream, timer: Arc<ConnectionTimer>) -> Self {
        Self { socket, timer }
    }

    fn record(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Pending => self.timer.blocked(),
            Poll::Ready(Ok(bytes)) if *bytes > 0 => self.timer.sent(*bytes),
            Poll::Ready(_) => {}
        }
        written
    }
}

impl Drop for MonitoredStream {
    fn drop(&mut self) {
        if self.timer.state.lock().abandoned {
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
            self.timer.received(bytes);
        }
        read
    }
}

impl AsyncWrite for MonitoredStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.record(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.record(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // hyper and TLS flush what is below them only once their own buffers are empty.
        let flushed = ready!(Pin::new(&mut self.socket).poll_flush(cx));
        self.timer.flushed();
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(timer: &ConnectionTimer) -> Option<(Duration, Overdue)> {
        timer.due().map(|(at, overdue)| (at - Instant::now(), overdue))
    }

    #[tokio::test(start_paused = true)]
    async fn every_phase_has_the_deadline_of_the_side_that_is_waited_for() {
        let seconds = Duration::from_secs;
        let timer = ConnectionTimer::new(Arc::default());
        assert_eq!(left(&timer), Some((seconds(10), Overdue::FirstByte)));
        tokio::time::advance(seconds(9)).await;
        timer.received(1);
        tokio::time::advance(seconds(3)).await;
        timer.received(1);
        assert_eq!(left(&timer), Some((seconds(7), Overdue::Head)), "more bytes do not prolong a head");
        timer.answering();
        assert_eq!(left(&timer), None, "a scrape that waits for a refresh has no deadline here");
        let held = timer.sending();
        assert_eq!(left(&timer), Some((seconds(120), Overdue::Slow)));
        timer.blocked();
        tokio::time::advance(seconds(20)).await;
        timer.blocked();
        assert_eq!(left(&timer), Some((seconds(10), Overdue::Stalled)));
        timer.sent(1);
        assert_eq!(left(&timer), Some((seconds(100), Overdue::Slow)), "a byte is progress, but time runs on");
        timer.flushed();
        assert_eq!(left(&timer), Some((seconds(100), Overdue::Slow)), "there is more of the body");
        drop(held);
        timer.flushed();
        assert_eq!(left(&timer), Some((seconds(90), Overdue::Idle)));
        timer.received(1);
        assert_eq!(left(&timer), Some((seconds(10), Overdue::Head)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_has_its_time_and_the_first_byte_its_own_after_it() {
        let seconds = Duration::from_secs;
        let timer = ConnectionTimer::new(Arc::default());
        timer.handshake();
        tokio::time::advance(seconds(9)).await;
        timer.received(1);
        timer.flushed();
        assert_eq!(left(&timer), Some((seconds(1), Overdue::Handshake)), "bytes do not prolong it");
        timer.secured();
        assert_eq!(left(&timer), Some((seconds(10), Overdue::FirstByte)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sends_more_than_a_client_has_to_say_is_overdue_at_once() {
        let timer = ConnectionTimer::new(Arc::default());
        timer.multiplexed();
        // A large page at full speed, as Go's client acknowledges it.
        for _ in 0..10_000 {
            timer.sent(4096);
            timer.received(70);
        }
        assert_eq!(left(&timer), None);
        // A request of a kilobyte ten times a second.
        for _ in 0..1000 {
            tokio::time::advance(Duration::from_millis(100)).await;
            timer.received(1024);
        }
        assert_eq!(left(&timer), None);
        for _ in 0..10_000 {
            tokio::time::advance(Duration::from_micros(100)).await;
            timer.received(17);
        }
        assert_eq!(left(&timer), Some((Duration::ZERO, Overdue::Flood)), "a second of pings");
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_follows_deadlines_that_move_both_ways() {
        let timer = ConnectionTimer::new(Arc::default());
        let started = Instant::now();
        let mut watchdog = Watchdog::new();
        drop(timer.sending());
        timer.flushed();
        let mut polls = 0;
        let overdue = std::future::poll_fn(|cx| {
            // The first byte comes with the first poll, so 90 s become 10 s.
            polls += 1;
            let first = watchdog.poll(cx, timer.due());
            timer.received(1);
            if polls == 1 { watchdog.poll(cx, timer.due()) } else { first }
        });
        assert_eq!(overdue.await, Overdue::Head);
        assert_eq!(started.elapsed().as_secs(), 10);
    }
}
