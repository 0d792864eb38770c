//! The circuit breaker: after repeated failures of the upstream, requests are held back, then one probe is let through.

use super::error::ApiError;
use crate::base::backoff::Backoff;
use crate::base::deadline::Deadline;
use crate::failure::Failure;
use parking_lot::Mutex;
use prometheus::Gauge;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Consecutive failures that open the circuit: more than one call with all its attempts.
pub const THRESHOLD: u32 = super::retry::MAX_ATTEMPTS + 1;

/// How long the circuit stays open, longer with each failed probe. A recovery is noticed within a minute in any case.
const OPEN_FOR: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(30));

/// The circuit breaker of one upstream, or of one purpose of calls.
#[derive(Debug)]
pub struct Breaker {
    state: Mutex<BreakerState>,
    gauge: Option<Gauge>,
    /// Wakes waiting requests when a probe ends, with or without a result.
    probe_ended: Notify,
}

#[derive(Debug)]
enum BreakerState {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
        /// How often the circuit opened without closing in between.
        openings: u32,
        probing: bool,
        cause: Arc<Failure>,
    },
}

/// Permission to send one request. Dropping it without a result (a cancelled request) changes nothing.
#[derive(Debug)]
pub struct CircuitPermit<'a> {
    breaker: &'a Breaker,
    is_probe: bool,
}

impl Breaker {
    /// A closed circuit. The gauge, where there is one, shows whether it is open.
    pub fn new(gauge: Option<Gauge>) -> Self {
        Self { state: Mutex::new(BreakerState::Closed { failures: 0 }), gauge, probe_ended: Notify::new() }
    }

    /// Permission to send a request. While a probe is in flight, its result is awaited: failing the other calls at once
    /// would fail the first refresh after a recovery.
    ///
    /// # Errors
    /// How long the circuit stays open, and the failure that opened it.
    pub async fn admit(&self, deadline: Deadline) -> Result<CircuitPermit<'_>, ApiError> {
        loop {
            // Created before the state is read, so that no end of a probe is missed.
            let probe_ended = self.probe_ended.notified();
            match self.try_admit() {
                Ok(permit) => return Ok(permit),
                Err((Some(wait), cause)) => return Err(ApiError::CircuitOpen { wait, cause }),
                Err((None, cause)) => {
                    let open = |_| ApiError::CircuitOpen { wait: Duration::ZERO, cause };
                    deadline.bound(probe_ended).await.map_err(open)?;
                }
            }
        }
    }

    /// As [`Breaker::admit`], without waiting; the error has no time while the result of a probe is awaited.
    fn try_admit(&self) -> Result<CircuitPermit<'_>, (Option<Duration>, Arc<Failure>)> {
        let mut state = self.state.lock();
        let is_probe = match &mut *state {
            BreakerState::Closed { .. } => false,
            BreakerState::Open { probing: true, cause, .. } => return Err((None, cause.clone())),
            BreakerState::Open { until, probing, cause, .. } => {
                let wait = until.saturating_duration_since(Instant::now());
                if !wait.is_zero() {
                    return Err((Some(wait), cause.clone()));
                }
                *probing = true;
                true
            }
        };
        Ok(CircuitPermit { breaker: self, is_probe })
    }

    fn set_gauge(&self, open: f64) {
        if let Some(gauge) = &self.gauge {
            gauge.set(open);
        }
    }

    /// Whether requests are held back.
    pub fn is_open(&self) -> bool {
        matches!(*self.state.lock(), BreakerState::Open { .. })
    }
}

impl CircuitPermit<'_> {
    /// Records that the upstream answered, even with a refusal.
    pub fn record_success(self) {
        let mut state = self.breaker.state.lock();
        // Only the probe closes an open circuit, not a late success of a request from before.
        if self.is_probe || matches!(*state, BreakerState::Closed { .. }) {
            *state = BreakerState::Closed { failures: 0 };
            self.breaker.set_gauge(0.0);
        }
    }

    /// Records that the upstream failed, and how.
    pub fn record_failure(self, cause: Failure) {
        let mut state = self.breaker.state.lock();
        let openings = match &*state {
            BreakerState::Closed { failures } if failures + 1 < THRESHOLD => {
                let failures = failures + 1;
                *state = BreakerState::Closed { failures };
                return;
            }
            BreakerState::Closed { .. } => 1,
            BreakerState::Open { openings, .. } if self.is_probe => openings.saturating_add(1),
            BreakerState::Open { .. } => return,
        };
        let until = Instant::now() + OPEN_FOR.delay(openings);
        *state = BreakerState::Open { until, openings, probing: false, cause: Arc::new(cause) };
        self.breaker.set_gauge(1.0);
    }
}

impl Drop for CircuitPermit<'_> {
    fn drop(&mut self) {
        if !self.is_probe {
            return;
        }
        if let BreakerState::Open { probing, .. } = &mut *self.breaker.state.lock() {
            *probing = false;
        }
        self.breaker.probe_ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Reason;

    fn breaker() -> Breaker {
        Breaker::new(Some(Gauge::new("open", "Open.").unwrap()))
    }

    fn shown(breaker: &Breaker) -> f64 {
        breaker.gauge.as_ref().unwrap().get()
    }

    fn failure() -> Failure {
        Failure::new(Reason::Network, "no route to host")
    }

    /// How long the circuit stays open.
    fn wait(breaker: &Breaker) -> Duration {
        match breaker.try_admit().unwrap_err() {
            (Some(wait), cause) if *cause == failure() => wait,
            other => panic!("{other:?}"),
        }
    }

    fn fail(breaker: &Breaker) {
        breaker.try_admit().unwrap().record_failure(failure());
    }

    fn open(breaker: &Breaker) {
        (0..THRESHOLD).for_each(|_| fail(breaker));
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_repeated_failures_and_half_opens_for_one_request() {
        let breaker = breaker();
        for _ in 0..THRESHOLD {
            assert!(!breaker.is_open());
            fail(&breaker);
        }
        assert!(breaker.is_open() && shown(&breaker) == 1.0);
        assert_eq!(wait(&breaker), OPEN_FOR.delay(1));
        tokio::time::advance(OPEN_FOR.delay(1)).await;
        let probe = breaker.try_admit().unwrap();
        assert!(matches!(breaker.try_admit().unwrap_err(), (None, _)), "one probe at a time");
        probe.record_success();
        assert!(!breaker.is_open() && shown(&breaker) == 0.0);
    }

    #[tokio::test(start_paused = true)]
    async fn failed_probes_lengthen_the_pause_up_to_its_bound() {
        let breaker = breaker();
        open(&breaker);
        let mut waits = Vec::new();
        for _ in 0..5 {
            let wait = wait(&breaker);
            waits.push(wait.as_secs());
            tokio::time::advance(wait).await;
            fail(&breaker);
        }
        assert_eq!(waits, [5, 10, 20, 30, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_probe_makes_room_for_the_next() {
        let breaker = breaker();
        open(&breaker);
        tokio::time::advance(OPEN_FOR.delay(1)).await;
        drop(breaker.try_admit().unwrap());
        assert!(breaker.try_admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn late_results_from_before_the_opening_are_ignored() {
        let breaker = breaker();
        let early = breaker.try_admit().unwrap();
        let bad = breaker.try_admit().unwrap();
        open(&breaker);
        early.record_success();
        bad.record_failure(failure());
        assert!(breaker.is_open());
        assert_eq!(wait(&breaker), OPEN_FOR.delay(1));
    }
}
