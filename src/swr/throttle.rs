//! How fast requests may leave: a token bucket over all of them, and pauses that the upstream asks for.

use super::metrics::Purpose;
use crate::base::deadline::Deadline;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Settings of the bucket.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Requests a second in the long run.
    pub per_second: f64,
    /// Requests that may leave at once after a rest.
    pub burst: u32,
}

/// The gate before every request. Cheap to ask; waiting is cancelled by dropping the future.
#[derive(Debug)]
pub struct Throttle {
    interval: Duration,
    tolerance: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The virtual time at which the bucket is full again (generic cell rate algorithm).
    full_at: Option<Instant>,
    paused_until: Option<Instant>,
}

impl Throttle {
    /// A full bucket. A rate that is no positive number counts as one request a second.
    pub fn new(rate: Rate) -> Self {
        let interval = Duration::try_from_secs_f64(1.0 / rate.per_second)
            .ok()
            .filter(|interval| *interval <= Duration::from_secs(3600))
            .unwrap_or(Duration::from_secs(1));
        Self { interval, tolerance: interval * rate.burst.max(1), state: Mutex::default() }
    }

    /// Waits for a turn and says how long that took.
    ///
    /// # Errors
    /// The wait that would have been necessary, when it ends after the deadline; no turn is taken then.
    pub async fn turn(&self, deadline: Deadline) -> Result<Duration, Duration> {
        let start = Instant::now();
        let mut at = self.take(start, deadline)?;
        while at > Instant::now() {
            tokio::time::sleep_until(at).await;
            // The upstream may have asked for a pause meanwhile; it holds for those in the queue too.
            if let Some(until) = self.paused_until()
                && until > at
            {
                let wait = until.saturating_duration_since(Instant::now());
                if !deadline.allows(wait) {
                    return Err(wait);
                }
                at = until;
            }
        }
        Ok(start.elapsed())
    }

    /// Nothing leaves for this long.
    pub fn pause(&self, duration: Duration) {
        let until = Instant::now() + duration;
        let mut state = self.state.lock();
        state.paused_until = Some(state.paused_until.map_or(until, |before| before.max(until)));
    }

    fn paused_until(&self) -> Option<Instant> {
        self.state.lock().paused_until
    }

    fn take(&self, now: Instant, deadline: Deadline) -> Result<Instant, Duration> {
        let mut state = self.state.lock();
        let full_at = state.full_at.map_or(now, |at| at.max(now)) + self.interval;
        let free = full_at.checked_sub(self.tolerance).unwrap_or(now);
        let at = state.paused_until.map_or(free, |until| until.max(free)).max(now);
        let wait = at - now;
        if !wait.is_zero() && !deadline.allows(wait) {
            return Err(wait);
        }
        state.full_at = Some(full_at);
        Ok(at)
    }

    /// Takes a turn without a wait: those that come later wait longer.
    pub fn charge(&self) {
        let mut state = self.state.lock();
        let now = Instant::now();
        state.full_at = Some(state.full_at.map_or(now, |at| at.max(now)) + self.interval);
    }
}

/// Pauses that the upstream asks one purpose's calls for, and no others. Nobody waits for them to end: they are of what can
/// be done without, which the listing may be waiting for.
#[derive(Debug, Default)]
pub struct Cooldowns(Mutex<HashMap<Purpose, Instant>>);

impl Cooldowns {
    /// No such call leaves for this long.
    pub fn rest(&self, purpose: Purpose, duration: Duration) {
        self.0.lock().insert(purpose, Instant::now() + duration);
    }

    /// Whether such a call may leave.
    ///
    /// # Errors
    /// How long it may not.
    pub fn over(&self, purpose: Purpose) -> Result<(), Duration> {
        let until = self.0.lock().get(&purpose).copied();
        let left = until.map(|until| until.saturating_duration_since(Instant::now())).unwrap_or_default();
        if left.is_zero() { Ok(()) } else { Err(left) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(100))
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_leaves_at_once_and_the_rest_at_the_rate() {
        let throttle = Throttle::new(Rate { per_second: 10.0, burst: 5 });
        let start = Instant::now();
        for _ in 0..5 {
            throttle.turn(soon()).await.unwrap();
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..20 {
            throttle.turn(soon()).await.unwrap();
        }
        let took = start.elapsed().as_secs_f64();
        assert!((1.9..=2.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_for_those_already_in_the_queue() {
        let throttle = Arc::new(Throttle::new(Rate { per_second: 1.0, burst: 1 }));
        throttle.turn(soon()).await.unwrap();
        let start = Instant::now();
        let queued = tokio::spawn({
            let throttle = throttle.clone();
            async move { throttle.turn(soon()).await }
        });
        tokio::task::yield_now().await;
        throttle.pause(Duration::from_secs(7));
        queued.await.unwrap().unwrap();
        assert_eq!(start.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_beyond_the_deadline_is_refused_at_once_and_takes_no_turn() {
        let throttle = Throttle::new(Rate { per_second: 0.1, burst: 1 });
        throttle.turn(soon()).await.unwrap();
        let start = Instant::now();
        for _ in 0..3 {
            let wait = throttle.turn(Deadline::after(Duration::from_secs(1))).await.unwrap_err();
            assert_eq!(wait.as_secs(), 10, "refusals do not lengthen the queue");
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn absurd_rates_do_not_panic() {
        for per_second in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300, 1e300] {
            let throttle = Throttle::new(Rate { per_second, burst: 0 });
            throttle.turn(soon()).await.unwrap();
        }
    }
}
