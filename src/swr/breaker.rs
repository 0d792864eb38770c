//! The circuit breaker: an upstream that fails again and again is left alone, then asked by one request at a time.

use crate::base::deadline::Deadline;
use parking_lot::Mutex;
use prometheus::Gauge;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Consecutive failures that open the circuit: more than one call with all its attempts.
pub const THRESHOLD: u32 = super::retry::MOST_ATTEMPTS + 1;

/// How long it stays open at first, and at most. With the longest, an upstream that has recovered is found within a
/// minute, counting the wait of the cache's own back-off.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(30);

/// The breaker of one upstream, or of one kind of its calls.
#[derive(Debug)]
pub struct Breaker {
    state: Mutex<State>,
    open: Option<Gauge>,
    /// A probe ended, with a verdict or without.
    probed: Notify,
}

#[derive(Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, length: Duration, probing: bool },
}

/// Why a request may not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// The circuit is open so long.
    Open(Duration),
    /// A probe is on its way and will tell.
    Probed,
}

/// Leave to send one request. Dropped without a verdict (a cancelled request), it changes nothing.
#[derive(Debug)]
pub struct Admission<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Breaker {
    /// A closed circuit; `open` shows its state, where that is shown.
    pub fn new(open: Option<Gauge>) -> Self {
        Self { state: Mutex::new(State::Closed { failures: 0 }), open, probed: Notify::new() }
    }

    /// Leave for a request. While another request finds out whether the upstream has recovered, its verdict is awaited:
    /// to fail all others would cost a refresh of several calls its first chance.
    ///
    /// # Errors
    /// How long the circuit stays open.
    pub async fn admit(&self, deadline: Deadline) -> Result<Admission<'_>, Duration> {
        loop {
            // Before the state is looked at, so that no end of a probe is missed.
            let probed = self.probed.notified();
            match self.try_admit() {
                Ok(admission) => return Ok(admission),
                Err(Held::Open(wait)) => return Err(wait),
                Err(Held::Probed) => deadline.bound(probed).await.map_err(|_| Duration::ZERO)?,
            }
        }
    }

    fn try_admit(&self) -> Result<Admission<'_>, Held> {
        let mut state = self.state.lock();
        let probe = match &mut *state {
            State::Closed { .. } => false,
            State::Open { until, probing, .. } => {
                if *probing {
                    return Err(Held::Probed);
                }
                let wait = until.saturating_duration_since(Instant::now());
                if !wait.is_zero() {
                    return Err(Held::Open(wait));
                }
                *probing = true;
                true
            }
        };
        Ok(Admission { breaker: self, probe })
    }

    fn show(&self, open: f64) {
        if let Some(gauge) = &self.open {
            gauge.set(open);
        }
    }

    /// Whether requests are held back now.
    pub fn is_open(&self) -> bool {
        matches!(*self.state.lock(), State::Open { .. })
    }
}

impl Admission<'_> {
    /// The upstream answered, be it with a refusal.
    pub fn healthy(self) {
        let mut state = self.breaker.state.lock();
        // A late success of a request from before the opening does not close the circuit; the probe does.
        if self.probe || matches!(*state, State::Closed { .. }) {
            *state = State::Closed { failures: 0 };
            self.breaker.show(0.0);
        }
    }

    /// The upstream failed.
    pub fn unhealthy(self) {
        let mut state = self.breaker.state.lock();
        let length = match *state {
            State::Closed { failures } if failures + 1 < THRESHOLD => {
                *state = State::Closed { failures: failures + 1 };
                return;
            }
            State::Closed { .. } => FIRST,
            State::Open { length, .. } if self.probe => (length * 2).min(LONGEST),
            State::Open { .. } => return,
        };
        *state = State::Open { until: Instant::now() + length, length, probing: false };
        self.breaker.show(1.0);
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if !self.probe {
            return;
        }
        if let State::Open { probing, .. } = &mut *self.breaker.state.lock() {
            *probing = false;
        }
        self.breaker.probed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(Some(Gauge::new("open", "Open.").unwrap()))
    }

    fn shown(breaker: &Breaker) -> f64 {
        breaker.open.as_ref().unwrap().get()
    }

    fn fail(breaker: &Breaker) {
        breaker.try_admit().unwrap().unhealthy();
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_repeated_failures_and_half_opens_for_one_request() {
        let breaker = breaker();
        for _ in 0..THRESHOLD {
            assert!(!breaker.is_open());
            fail(&breaker);
        }
        assert!(breaker.is_open() && shown(&breaker) == 1.0);
        assert_eq!(breaker.try_admit().unwrap_err(), Held::Open(FIRST));
        tokio::time::advance(FIRST).await;
        let probe = breaker.try_admit().unwrap();
        assert_eq!(breaker.try_admit().unwrap_err(), Held::Probed, "one probe at a time");
        probe.healthy();
        assert!(!breaker.is_open() && shown(&breaker) == 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn failed_probes_lengthen_the_pause_up_to_its_bound() {
        let breaker = breaker();
        for _ in 0..THRESHOLD {
            fail(&breaker);
        }
        let mut waits = Vec::new();
        for _ in 0..5 {
            let Held::Open(wait) = breaker.try_admit().unwrap_err() else { panic!("nothing is on its way") };
            waits.push(wait.as_secs());
            tokio::time::advance(wait).await;
            fail(&breaker);
        }
        assert_eq!(waits, [5, 10, 20, 30, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_probe_makes_room_for_the_next() {
        let breaker = breaker();
        for _ in 0..THRESHOLD {
            fail(&breaker);
        }
        tokio::time::advance(FIRST).await;
        drop(breaker.try_admit().unwrap());
        assert!(breaker.try_admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn late_verdicts_from_before_the_opening_are_ignored() {
        let breaker = breaker();
        let early = breaker.try_admit().unwrap();
        let bad = breaker.try_admit().unwrap();
        for _ in 0..THRESHOLD {
            fail(&breaker);
        }
        early.healthy();
        bad.unhealthy();
        assert!(breaker.is_open());
        assert_eq!(breaker.try_admit().unwrap_err(), Held::Open(FIRST));
    }
}
