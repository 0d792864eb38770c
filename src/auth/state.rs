//! The state of one account's credential and the decisions that follow from it. Time is an argument.

use super::cached_credential::CachedCredential;
use super::lockout_guard::LockoutGuard;
use super::{AuthError, Credential};
use crate::base::backoff::Backoff;
use crate::base::digest::Sha256Digest;
use crate::transport::error_response::ErrorResponse;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long an accepted credential counts as proven: longer than the pause between two requests of one refresh, and
/// shorter than the usual pause between two refreshes, so that each refresh probes it with one request first.
const PROVEN_FOR: Duration = Duration::from_secs(60);

/// The longest pause between two attempts to obtain a credential.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// The pause after failed attempts to obtain a credential.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), MAX_PAUSE);

/// If only one half of a key pair changes, the other half has this long to follow.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// How often credentials that worked and were then refused are renewed in [`RENEWAL_PERIOD`], so that an API that refuses
/// everything does not cause a stream of logins.
const MAX_RENEWALS: usize = 10;

/// See [`MAX_RENEWALS`].
const RENEWAL_PERIOD: Duration = Duration::from_secs(5 * 60);

#[derive(Debug, Default)]
pub(super) struct CredentialState {
    current: Option<Arc<CachedCredential>>,
    /// Whether the current credential was ever accepted, and when last.
    worked: bool,
    accepted_at: Option<Instant>,
    /// The credential that worked before the current one, until the current one has worked.
    previous: Option<Arc<CachedCredential>>,
    /// A changed secret that may be half of a change, and since when it is seen.
    unsettled: Option<(Sha256Digest, Instant)>,
    pub(super) lockout: LockoutGuard,
    /// When credentials that had worked were refused.
    renewals: VecDeque<Instant>,
    last_failure: Option<LastFailure>,
    /// The latest refusal by the API, and the secret that it refused.
    refusal: Option<(Sha256Digest, Arc<AuthError>)>,
    /// Whether the log was told that a secret cannot be read.
    pub(super) unreadable_logged: bool,
}

/// The latest attempt to obtain a credential, if it failed.
#[derive(Clone, Debug)]
struct LastFailure {
    error: Arc<AuthError>,
    /// The secret that it was made with.
    secret: Sha256Digest,
    retry_at: Instant,
    in_a_row: u32,
}

/// The consequence of a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RejectionOutcome {
    /// Another credential is in use already, or will be requested.
    Replaced,
    /// The previous credential is used again.
    FellBack,
    NoAlternative,
}

impl CredentialState {
    pub(super) fn usable(&self, now: Instant) -> Option<Arc<CachedCredential>> {
        self.current.clone().filter(|current| current.is_valid(now))
    }

    pub(super) fn renew_at(&self) -> Option<Instant> {
        self.current.as_ref()?.renew_at
    }

    /// The current credential while the local secret cannot be read; not if it was found locally and is held back.
    pub(super) fn usable_unread(&self, now: Instant) -> Option<Arc<CachedCredential>> {
        self.usable(now).filter(|current| !current.was_ready() || self.check_lockout(&current.secret, now).is_ok())
    }

    pub(super) fn is_proven(&self, credential: &CachedCredential, now: Instant) -> bool {
        self.is_current(credential) && self.accepted_at.is_some_and(|at| now.saturating_duration_since(at) < PROVEN_FOR)
    }

    fn is_current(&self, credential: &CachedCredential) -> bool {
        self.current.as_ref().is_some_and(|current| current.same_as(credential))
    }

    /// Takes the credential that was found locally into use, or keeps one that works if the new one is suspect.
    pub(super) fn found(&mut self, credential: Credential, now: Instant) -> Result<Arc<CachedCredential>, AuthError> {
        let found = credential.fingerprint();
        if let Some(current) = self.current.clone() {
            if current.has_fingerprint(&found) {
                self.unsettled = None;
                return self.check_lockout(&found, now).map(|()| current);
            }
            if self.worked {
                if self.lockout.is_suspect(&found, now)
                    || !self.has_settled(&current.credential, &credential, found, now)
                {
                    return Ok(current);
                }
                self.previous = Some(current);
            }
        }
        self.check_lockout(&found, now)?;
        Ok(self.install(CachedCredential::ready(credential)))
    }

    /// Whether a key pair of which one half has changed has stayed like that. No rotation changes one half alone, so it may
    /// have been read in the middle of a change.
    fn has_settled(&mut self, current: &Credential, candidate: &Credential, found: Sha256Digest, now: Instant) -> bool {
        let (Credential::AccessKey(current), Credential::AccessKey(candidate)) = (current, candidate) else {
            return true;
        };
        if (current.id == candidate.id) == (current.secret.expose() == candidate.secret.expose()) {
            return true;
        }
        match self.unsettled {
            Some((seen, since)) if seen == found => now.saturating_duration_since(since) >= SETTLE_TIME,
            _ => {
                self.unsettled = Some((found, now));
                false
            }
        }
    }

    /// Puts a credential into use, unproven.
    fn install(&mut self, credential: Arc<CachedCredential>) -> Arc<CachedCredential> {
        (self.current, self.worked, self.accepted_at, self.unsettled) = (Some(credential.clone()), false, None, None);
        credential
    }

    /// Puts an issued credential into use. Returns whether there was no usable one before, and how many attempts had failed.
    pub(super) fn obtained(&mut self, credential: Arc<CachedCredential>, now: Instant) -> (bool, u32) {
        let had_none = self.usable(now).is_none();
        let failures = self.last_failure.take().map_or(0, |failure| failure.in_a_row);
        let (worked, accepted_at) = (self.worked, self.accepted_at);
        if self.is_current(&credential) {
            // The same credential issued again stays proven.
            self.install(credential);
            (self.worked, self.accepted_at) = (worked, accepted_at);
        } else {
            if worked {
                self.previous = self.usable(now);
            }
            self.install(credential);
        }
        (had_none, failures)
    }

    /// Notes a failed attempt to obtain a credential. `random` is uniform in [0, 1). Returns the number of failures in a row.
    pub(super) fn failed(
        &mut self,
        error: Arc<AuthError>,
        secret: Sha256Digest,
        can_lock_out: bool,
        now: Instant,
        random: f64,
    ) -> u32 {
        let in_a_row = self.last_failure.as_ref().map_or(0, |failure| failure.in_a_row).saturating_add(1);
        let jitter = if BACKOFF.delay(in_a_row) < MAX_PAUSE { 0.25 } else { 0.0 };
        let mut retry_at = now + BACKOFF.jittered(in_a_row, jitter, random).max(error.retry_after());
        if can_lock_out && matches!(*error, AuthError::Refused { .. }) {
            self.lockout.reject(&secret, now);
            retry_at = retry_at.max(self.lockout.held_until(&secret, now).unwrap_or(now));
        }
        self.last_failure = Some(LastFailure { error, secret, retry_at, in_a_row });
        in_a_row
    }

    pub(super) fn last_error(&self) -> Option<Arc<AuthError>> {
        self.last_failure.as_ref().map(|failure| failure.error.clone())
    }

    fn last_failure_with(&self, secret: &Sha256Digest) -> Option<&LastFailure> {
        self.last_failure.as_ref().filter(|failure| failure.secret == *secret)
    }

    pub(super) fn may_request(&self, secret: &Sha256Digest, now: Instant) -> Result<(), AuthError> {
        self.check_lockout(secret, now)?;
        match self.last_failure_with(secret) {
            Some(failure) if failure.retry_at > now => Err(AuthError::Waiting {
                wait_seconds: whole_seconds(failure.retry_at - now),
                last: failure.error.clone(),
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn check_lockout(&self, secret: &Sha256Digest, now: Instant) -> Result<(), AuthError> {
        let Some(until) = self.lockout.held_until(secret, now) else { return Ok(()) };
        let failed = self.last_failure_with(secret).map(|failure| &failure.error);
        let refused = self.refusal.as_ref().filter(|(refused, _)| refused == secret).map(|(_, error)| error);
        let last = failed.or(refused).cloned();
        Err(AuthError::HeldBack { wait_seconds: whole_seconds(until - now), last })
    }

    /// Notes that the upstream refused this credential. Returns what follows, and whether it is held back from now on.
    pub(super) fn rejected(
        &mut self,
        credential: &CachedCredential,
        response: &ErrorResponse,
        now: Instant,
    ) -> (RejectionOutcome, bool) {
        self.refusal = Some((credential.secret, Arc::new(AuthError::RefusedByApi(response.clone()))));
        if !self.is_current(credential) {
            if !credential.was_ready() {
                return (RejectionOutcome::Replaced, false);
            }
            self.previous = self.previous.take().filter(|previous| !previous.same_as(credential));
            return (RejectionOutcome::Replaced, self.lockout.reject(&credential.secret, now));
        }
        let worked = std::mem::take(&mut self.worked);
        self.accepted_at = None;
        // An issued credential that never worked counts like a wrong password.
        let counts = credential.was_ready() || !worked || !self.admits_renewal(now);
        let held = counts && self.lockout.reject(&credential.secret, now);
        if let Some(previous) = self.previous.take().filter(|previous| previous.is_valid(now)) {
            if !credential.was_ready() {
                self.last_failure = Some(LastFailure {
                    error: Arc::new(AuthError::NewRefused),
                    secret: credential.secret,
                    retry_at: now + MAX_PAUSE,
                    in_a_row: 1,
                });
            }
            (self.current, self.worked) = (Some(previous), true);
            return (RejectionOutcome::FellBack, held);
        }
        if credential.was_ready() {
            return (RejectionOutcome::NoAlternative, held);
        }
        self.current = None;
        (RejectionOutcome::Replaced, held)
    }

    /// Notes that the upstream refused this credential, perhaps for another reason. It counts once, however often it
    /// happens: it must not hold back the next call, which may prove the credential.
    pub(super) fn report_uncertain(&mut self, credential: &CachedCredential, now: Instant) {
        // An issued credential that worked is renewed when it is refused; that says nothing about its secret.
        let counts = credential.was_ready() || (self.is_current(credential) && !self.worked);
        if counts && !self.lockout.is_suspect(&credential.secret, now) {
            self.lockout.reject(&credential.secret, now);
        }
    }

    fn admits_renewal(&mut self, now: Instant) -> bool {
        while self.renewals.front().is_some_and(|first| now.saturating_duration_since(*first) >= RENEWAL_PERIOD) {
            self.renewals.pop_front();
        }
        let admitted = self.renewals.len() < MAX_RENEWALS;
        if admitted {
            self.renewals.push_back(now);
        }
        admitted
    }

    /// Notes that the upstream accepted this credential. Returns whether it has replaced one that worked.
    pub(super) fn report_success(&mut self, credential: &CachedCredential, now: Instant) -> bool {
        self.lockout.accept(&credential.secret);
        if !self.is_current(credential) {
            return false;
        }
        (self.worked, self.accepted_at) = (true, Some(now));
        self.previous.take().is_some()
    }

    /// Whether the current credential is valid and has worked.
    pub(super) fn is_healthy(&self, now: Instant) -> bool {
        self.worked && self.usable(now).is_some()
    }

    /// When the next attempt with this secret is due.
    pub(super) fn retry_at(&self, secret: &Sha256Digest, now: Instant) -> Instant {
        let failed = self.last_failure_with(secret).map(|failure| failure.retry_at);
        failed.into_iter().chain(self.lockout.held_until(secret, now)).fold(now, Instant::max)
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().max(1)
}
