//! What is known of one account's credential, and the decisions that follow from it. Time is an argument.

use super::cached_credential::CachedCredential;
use super::lockout_guard::LockoutGuard;
use super::{AuthError, Credential, Fingerprint, fingerprint};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a credential that was accepted counts as good: longer than the pause between two requests of one refresh, and
/// shorter than the usual one between two refreshes, so that each refresh finds out with one request first.
const PROOF: Duration = Duration::from_secs(60);

/// The longest pause between two attempts to obtain a credential.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A pair of which only one half has changed is given so long for the other half to follow.
const SETTLE: Duration = Duration::from_secs(5);

/// Credentials that worked and were then refused are renewed so often in [`RENEWAL_PERIOD`], lest an API that refuses
/// everything is answered with a stream of logins.
const MOST_RENEWALS: usize = 10;

/// See [`MOST_RENEWALS`].
const RENEWAL_PERIOD: Duration = Duration::from_secs(5 * 60);

#[derive(Debug, Default)]
pub(super) struct State {
    /// The credential in use.
    lease: Option<Arc<CachedCredential>>,
    /// Whether it was ever accepted, and when last.
    worked: bool,
    accepted: Option<Instant>,
    /// The one that worked before it, until it has worked itself.
    older: Option<Arc<CachedCredential>>,
    /// A changed secret that may be half of a change, and since when it is seen.
    unsettled: Option<(Fingerprint, Instant)>,
    refusals: LockoutGuard,
    /// When credentials that had worked were refused.
    renewals: VecDeque<Instant>,
    pub(super) last_failure: Option<LastFailure>,
}

/// What came of the latest attempt to obtain a credential, if it failed.
#[derive(Clone, Debug)]
pub(super) struct LastFailure {
    pub(super) error: Arc<AuthError>,
    pub(super) basis: Fingerprint,
    /// When the next attempt is due.
    pub(super) until: Instant,
    pub(super) in_a_row: u32,
}

/// What a refusal leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another credential has taken its place already, or it is asked for anew.
    MoveOn,
    /// The credential before the changed one is used again.
    FellBack,
    /// Nothing else is at hand.
    Stuck,
}

impl State {
    /// The secrets that were refused.
    pub(super) fn refusals(&self) -> LockoutGuard {
        self.refusals.clone()
    }

    /// Holds back what another one was refused with.
    pub(super) fn remember(&mut self, refusals: LockoutGuard) {
        self.refusals = refusals;
    }

    /// The credential in use, if it holds.
    pub(super) fn usable(&self, now: Instant) -> Option<Arc<CachedCredential>> {
        self.lease.clone().filter(|lease| lease.holds(now))
    }

    /// The credential in use, where nothing can be read that it could be compared with. One that was found and is held back
    /// is not lent then either.
    pub(super) fn kept(&self, now: Instant) -> Option<Arc<CachedCredential>> {
        self.usable(now).filter(|lease| !lease.was_ready() || self.admitted(&lease.basis, now).is_ok())
    }

    pub(super) fn is_proven(&self, lease: &CachedCredential, now: Instant) -> bool {
        self.uses(lease) && self.accepted.is_some_and(|at| now.saturating_duration_since(at) < PROOF)
    }

    fn uses(&self, lease: &CachedCredential) -> bool {
        self.lease.as_ref().is_some_and(|used| used.same_as(lease))
    }

    /// The credential that was found, unless it has yet to prove itself against one that works.
    pub(super) fn found(&mut self, credential: Credential, now: Instant) -> Result<Arc<CachedCredential>, AuthError> {
        let found = fingerprint(&credential);
        if let Some(lease) = self.lease.clone() {
            if lease.is(&found) {
                self.unsettled = None;
                return self.admitted(&found, now).map(|()| lease);
            }
            if self.worked {
                if self.refusals.knows(&found, now) || !self.has_settled(&lease.credential, &credential, found, now) {
                    return Ok(lease);
                }
                self.older = Some(lease);
            }
        }
        self.admitted(&found, now)?;
        Ok(self.install(CachedCredential::ready(credential, found)))
    }

    /// Whether a pair that differs in one half only has stayed like that: no rotation changes one half alone, so it may be
    /// caught in the middle.
    fn has_settled(&mut self, used: &Credential, candidate: &Credential, found: Fingerprint, now: Instant) -> bool {
        let (Credential::AccessKey(used), Credential::AccessKey(candidate)) = (used, candidate) else { return true };
        let same_secret = used.secret.expose() == candidate.secret.expose();
        if (used.id == candidate.id) == same_secret {
            return true;
        }
        match self.unsettled {
            Some((seen, since)) if seen == found => now.saturating_duration_since(since) >= SETTLE,
            _ => {
                self.unsettled = Some((found, now));
                false
            }
        }
    }

    /// Puts a credential in use; it has to prove itself.
    pub(super) fn install(&mut self, lease: Arc<CachedCredential>) -> Arc<CachedCredential> {
        (self.lease, self.worked, self.accepted, self.unsettled) = (Some(lease.clone()), false, None, None);
        lease
    }

    /// A credential was obtained. Whether that ends a time without one.
    pub(super) fn obtained(&mut self, lease: Arc<CachedCredential>, now: Instant) -> Obtained {
        let had_none = self.usable(now).is_none();
        let failures = self.last_failure.take().map_or(0, |last_failure| last_failure.in_a_row);
        // The same one again need not prove itself again.
        let unchanged = self.uses(&lease);
        let (worked, accepted) = (self.worked, self.accepted);
        if worked && !unchanged {
            self.older = self.usable(now);
        }
        self.install(lease);
        if unchanged {
            (self.worked, self.accepted) = (worked, accepted);
        }
        Obtained { had_none, failures }
    }

    /// An attempt to obtain one failed. `random` is uniform in [0, 1): replicas that failed together do not come back
    /// together. Returns how many have failed in a row.
    pub(super) fn failed(
        &mut self,
        error: Arc<AuthError>,
        basis: Fingerprint,
        locks_out: bool,
        now: Instant,
        random: f64,
    ) -> u32 {
        let in_a_row = self.last_failure.as_ref().map_or(0, |last_failure| last_failure.in_a_row).saturating_add(1);
        let ramp = Duration::from_secs(1).saturating_mul(2u32.saturating_pow(in_a_row.min(10)));
        let pause = if ramp < LONGEST_PAUSE { ramp.mul_f64(0.75 + random / 4.0) } else { LONGEST_PAUSE };
        let mut until = now + pause.max(error.retry_after());
        if locks_out && matches!(*error, AuthError::Refused { .. }) {
            self.refusals.note(&basis, now);
            until = until.max(self.refusals.held_until(&basis, now).unwrap_or(now));
        }
        self.last_failure = Some(LastFailure { error, basis, until, in_a_row });
        in_a_row
    }

    /// Whether a credential may be asked for with this secret now.
    pub(super) fn may_ask(&self, basis: &Fingerprint, now: Instant) -> Result<(), AuthError> {
        self.admitted(basis, now)?;
        match &self.last_failure {
            Some(last_failure) if last_failure.basis == *basis && last_failure.until > now => Err(AuthError::Waiting {
                wait_seconds: seconds(last_failure.until - now),
                last: last_failure.error.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn admitted(&self, secret: &Fingerprint, now: Instant) -> Result<(), AuthError> {
        let Some(until) = self.refusals.held_until(secret, now) else { return Ok(()) };
        let last = self
            .last_failure
            .as_ref()
            .filter(|last_failure| last_failure.basis == *secret)
            .map(|last_failure| last_failure.error.clone());
        Err(AuthError::HeldBack { wait_seconds: seconds(until - now), last })
    }

    /// The upstream refused this credential. What that leads to, and whether it is held back from now on.
    pub(super) fn refused(&mut self, lease: &CachedCredential, now: Instant) -> (Verdict, bool) {
        if !self.uses(lease) {
            if lease.was_ready() {
                self.older = self.older.take().filter(|older| !older.same_as(lease));
                return (Verdict::MoveOn, self.refusals.note(&lease.basis, now));
            }
            return (Verdict::MoveOn, false);
        }
        let worked = std::mem::take(&mut self.worked);
        self.accepted = None;
        // One that never worked is no better than a wrong password.
        let counts = lease.was_ready() || !worked || !self.admits_renewal(now);
        let held = counts && self.refusals.note(&lease.basis, now);
        if let Some(older) = self.older.take().filter(|older| older.holds(now)) {
            if !lease.was_ready() {
                let error = Arc::new(AuthError::NewRefused);
                self.last_failure =
                    Some(LastFailure { error, basis: lease.basis, until: now + LONGEST_PAUSE, in_a_row: 1 });
            }
            (self.lease, self.worked) = (Some(older), true);
            return (Verdict::FellBack, held);
        }
        if lease.was_ready() {
            return (Verdict::Stuck, held);
        }
        self.lease = None;
        (Verdict::MoveOn, held)
    }

    /// The upstream refused this credential, perhaps for another reason. However often that happens it counts once: it must
    /// not hold back what the next call may prove, and what it cannot prove is not tried twice again.
    pub(super) fn report_uncertain(&mut self, lease: &CachedCredential, now: Instant) {
        // What worked and is obtained anew when it is refused says nothing of the secret it was obtained with.
        let counts = lease.was_ready() || (self.uses(lease) && !self.worked);
        if counts && !self.refusals.knows(&lease.basis, now) {
            self.refusals.note(&lease.basis, now);
        }
    }

    fn admits_renewal(&mut self, now: Instant) -> bool {
        while self.renewals.front().is_some_and(|first| now.saturating_duration_since(*first) >= RENEWAL_PERIOD) {
            self.renewals.pop_front();
        }
        let admitted = self.renewals.len() < MOST_RENEWALS;
        if admitted {
            self.renewals.push_back(now);
        }
        admitted
    }

    /// The upstream took this credential: what went before is forgotten. Whether it took the place of one that worked.
    pub(super) fn report_success(&mut self, lease: &CachedCredential, now: Instant) -> bool {
        self.refusals.forget(&lease.basis);
        if !self.uses(lease) {
            return false;
        }
        (self.worked, self.accepted) = (true, Some(now));
        self.older.take().is_some()
    }

    /// Whether nothing is wrong as far as is known.
    pub(super) fn is_well(&self, now: Instant) -> bool {
        self.worked && self.usable(now).is_some()
    }

    /// Whether this secret was refused.
    pub(super) fn knows(&self, secret: &Fingerprint, now: Instant) -> bool {
        self.refusals.knows(secret, now)
    }

    /// When the next attempt with this secret is due.
    pub(super) fn due(&self, secret: &Fingerprint, now: Instant) -> Instant {
        let last_failure = self
            .last_failure
            .as_ref()
            .filter(|last_failure| last_failure.basis == *secret)
            .map(|last_failure| last_failure.until);
        let held = self.refusals.held_until(secret, now);
        last_failure.into_iter().chain(held).fold(now, Instant::max)
    }
}

/// What it meant to obtain a credential.
#[derive(Debug)]
pub(super) struct Obtained {
    /// There was none to use.
    pub(super) had_none: bool,
    /// So many attempts had failed before.
    pub(super) failures: u32,
}

fn seconds(wait: Duration) -> u64 {
    wait.as_secs().max(1)
}
