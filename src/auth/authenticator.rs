//! Lends the credential to each request; one task at a time renews it, another looks whether a refused one has changed.

use super::cached_credential::{CachedCredential, CredentialLease};
use super::state::{State, Verdict};
use super::{AuthError, CredentialProvider, Fingerprint, ProviderState, REJECTION_PERIOD, TokenClient};
use crate::failure::error_chain;
use crate::metrics::unix_seconds;
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{Instrument, debug, error, info, warn};

/// When nobody has asked for so long, a renewal that fails is not tried on.
const FORGOTTEN: Duration = Duration::from_secs(10 * 60);

/// While something is wrong, secret files are looked at so often.
const LOOK: Duration = Duration::from_secs(1);

/// So often a caller waits for an attempt that brings neither a credential nor an error.
const MOST_ROUNDS: u32 = 3;

/// Lends the credential of one account. Clones are the same.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    source: CredentialProvider,
    door: Option<TokenClient>,
    state: Mutex<State>,
    /// Held by the one request that finds out whether a credential is good.
    probe_lock: Arc<tokio::sync::Mutex<()>>,
    renewing: AtomicBool,
    watching: AtomicBool,
    /// Whether it was said that a secret cannot be read.
    unreadable: AtomicBool,
    asked: Mutex<Instant>,
    /// How many attempts to obtain a credential have ended.
    ended: watch::Sender<u64>,
    recoveries: watch::Sender<u64>,
}

impl Authenticator {
    /// An authenticator that has asked for nothing yet. Sources that have to ask somebody need a door.
    pub fn new(source: CredentialProvider, door: Option<TokenClient>) -> Self {
        Self(Arc::new(Shared {
            source,
            door,
            state: Mutex::default(),
            probe_lock: Arc::default(),
            renewing: AtomicBool::new(false),
            watching: AtomicBool::new(false),
            unreadable: AtomicBool::new(false),
            asked: Mutex::new(Instant::now()),
            ended: watch::Sender::new(0),
            recoveries: watch::Sender::new(0),
        }))
    }

    /// Takes over which secrets were refused: whoever reloads settings again and again must not lock the key out.
    pub fn remember(&self, predecessor: &Self) {
        let refusals = predecessor.0.state().refusals();
        self.0.state().remember(refusals);
    }

    /// Changes when there is hope again after a failure: a secret has changed, or a credential could be obtained.
    pub fn recoveries(&self) -> watch::Receiver<u64> {
        self.0.recoveries.subscribe()
    }

    /// The credential for one request. One that was not accepted lately is lent to one request at a time: many at once
    /// would be refused more often than the cloud forgives. Keep the loan until the verdict is in; dropping the future
    /// ends the wait and no renewal.
    ///
    /// # Errors
    /// As [`Authenticator::lease`].
    pub async fn acquire(&self) -> Result<CredentialLease, AuthError> {
        let lease = self.lease().await?;
        if self.0.state().is_proven(&lease, Instant::now()) {
            return Ok(CredentialLease { lease, _probe_lock: None });
        }
        let alone = self.0.probe_lock.clone().lock_owned().await;
        // The request before may have proved it, or have used up its attempts.
        let lease = self.lease().await?;
        let proven = self.0.state().is_proven(&lease, Instant::now());
        Ok(CredentialLease { lease, _probe_lock: (!proven).then_some(alone) })
    }

    /// The credential to use now, after waiting for it where there is none.
    ///
    /// # Errors
    /// When there is none, or when it was refused too often to be tried again yet.
    pub async fn lease(&self) -> Result<Arc<CachedCredential>, AuthError> {
        *self.0.asked.lock() = Instant::now();
        let mut rounds = 0;
        let mut before: Option<Arc<AuthError>> = None;
        loop {
            let basis = self.0.source.state();
            let mut ticket = {
                let mut state = self.0.state();
                let now = Instant::now();
                if basis.is_ok() {
                    self.0.unreadable.store(false, Ordering::Relaxed);
                }
                let basis = match basis {
                    Ok(basis) => {
                        let fingerprint = basis.fingerprint();
                        if let ProviderState::Ready(credential) = basis {
                            let found = state.found(credential, now);
                            drop(state);
                            self.0.show_expiry(None);
                            return found.inspect_err(|_| self.watch(Some(fingerprint)));
                        }
                        fingerprint
                    }
                    // A file that is empty or gone is being replaced: what it held goes on while it holds.
                    Err(error) => match state.kept(now) {
                        Some(lease) => {
                            if !self.0.unreadable.swap(true, Ordering::Relaxed) {
                                warn!("the credential in use is kept: {}", error_chain(&error));
                            }
                            return Ok(lease);
                        }
                        None => {
                            let refused = state.usable(now).map(|lease| lease.basis);
                            drop(state);
                            self.watch(refused);
                            return Err(error);
                        }
                    },
                };
                if let Some(lease) = state.usable(now) {
                    if lease.is_due(now) && state.may_ask(&basis, now).is_ok() {
                        self.renew();
                    }
                    return Ok(lease);
                }
                let latest = state.last_failure.as_ref().map(|last_failure| last_failure.error.clone());
                match latest {
                    Some(error) if rounds > 0 && !before.is_some_and(|before| Arc::ptr_eq(&before, &error)) => {
                        return Err(AuthError::Unobtained(error));
                    }
                    // A renewal that panics, or credentials that are refused as soon as they are there.
                    _ if rounds == MOST_ROUNDS => return Err(AuthError::CutShort),
                    latest => before = latest,
                }
                if let Err(error) = state.may_ask(&basis, now) {
                    // Somebody has to notice when the secret changes.
                    self.renew();
                    return Err(error);
                }
                // Subscribed under the lock: an end that comes from here on is seen.
                let ticket = self.0.ended.subscribe();
                self.renew();
                ticket
            };
            // The sender lives as long as we do.
            let _ = ticket.changed().await;
            rounds += 1;
        }
    }

    /// The upstream refused this credential. Whether another one is to be had, which is waited for.
    pub async fn report_rejected(&self, lease: &CachedCredential) -> bool {
        let (verdict, held) = self.0.state().refused(lease, Instant::now());
        if held {
            error!(
                source = self.0.source.name(),
                "the credential was refused repeatedly and is held back for {} minutes or more, because the cloud locks \
                 keys and users after repeated failures; a changed credential is tried at once",
                REJECTION_PERIOD.as_secs() / 60
            );
        }
        match verdict {
            Verdict::FellBack => warn!("the changed credential was refused; the one before it is used on"),
            Verdict::Stuck => self.watch(Some(lease.basis)),
            Verdict::MoveOn => {}
        }
        self.lease().await.is_ok_and(|fresh| !fresh.same_as(lease))
    }

    /// The upstream refused this credential, but perhaps for another reason: the clock, or what was asked for. It is lent on;
    /// unless it is accepted, the next refusal counts as the second.
    pub fn report_uncertain(&self, lease: &CachedCredential) {
        self.0.state().report_uncertain(lease, Instant::now());
    }

    /// The upstream took this credential.
    pub fn report_success(&self, lease: &CachedCredential) {
        if self.0.state().report_success(lease, Instant::now()) {
            info!("the changed credential works and is used from now on");
        }
    }

    /// Starts the task that obtains a credential, unless it runs.
    fn renew(&self) {
        if self.0.renewing.swap(true, Ordering::AcqRel) {
            return;
        }
        let flight = RenewalTask(Arc::downgrade(&self.0));
        tokio::spawn(
            async move {
                while let Some(shared) = flight.0.upgrade() {
                    let Some((until, basis)) = shared.obtain().await else { break };
                    drop(shared);
                    if !flight.wait(until, basis).await {
                        break;
                    }
                }
            }
            .in_current_span(),
        );
    }

    /// Starts the task that looks whether secrets have changed, unless it runs; `refused` is what they are now,
    /// or were when they could be read.
    fn watch(&self, refused: Option<Fingerprint>) {
        if self.0.watching.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = Arc::downgrade(&self.0);
        tokio::spawn(
            async move {
                loop {
                    tokio::time::sleep(LOOK).await;
                    let Some(shared) = shared.upgrade() else { return };
                    let changed = shared.source.state().is_ok_and(|basis| {
                        let found = basis.fingerprint();
                        Some(found) != refused && !shared.state().knows(&found, Instant::now())
                    });
                    if changed || shared.state().is_well(Instant::now()) {
                        shared.watching.store(false, Ordering::Release);
                        if changed {
                            info!("a secret has changed and is tried at once");
                            shared.recoveries.send_modify(|count| *count += 1);
                        }
                        return;
                    }
                }
            }
            .in_current_span(),
        );
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Makes one attempt. If it fails: when the next is due, and what this one was made with, if anything was there.
    async fn obtain(&self) -> Option<(Instant, Option<Fingerprint>)> {
        let (basis, errand) = match self.source.state() {
            Ok(basis) => (basis.fingerprint(), basis),
            Err(error) => return Some((self.failed(error, [0; 32], false), None)),
        };
        // A source that has become a ready credential needs nobody to ask.
        let ProviderState::NeedsExchange(errand) = errand else { return None };
        let now = Instant::now();
        {
            let state = self.state();
            if state.may_ask(&basis, now).is_err() {
                return Some((state.due(&basis, now), Some(basis)));
            }
        }
        let result = match &self.door {
            Some(door) => errand.run(door).await,
            None => Err(AuthError::CutShort),
        };
        match result {
            Err(error) => Some((self.failed(error, basis, errand.can_lock_out()), Some(basis))),
            Ok(grant) => {
                let now = Instant::now();
                let lease = CachedCredential::granted(grant, basis, now, fastrand::f64());
                let expires_at = lease.expires_at;
                let obtained = self.state().obtained(lease, now);
                self.show_expiry(expires_at);
                debug!(source = self.source.name(), "a credential was obtained");
                if obtained.failures > 0 {
                    info!(failed = obtained.failures, "the credential can be obtained again");
                }
                if obtained.had_none {
                    self.recoveries.send_modify(|count| *count += 1);
                }
                self.ended.send_modify(|ended| *ended += 1);
                None
            }
        }
    }

    fn show_expiry(&self, expires_at: Option<SystemTime>) {
        if let Some(door) = &self.door {
            door.metrics.expiry.set(expires_at.map(unix_seconds));
        }
    }

    fn failed(&self, error: AuthError, basis: Fingerprint, locks_out: bool) -> Instant {
        let error = Arc::new(error);
        let now = Instant::now();
        let (in_a_row, serves, until) = {
            let mut state = self.state();
            let in_a_row = state.failed(error.clone(), basis, locks_out, now, fastrand::f64());
            (in_a_row, state.usable(now).is_some(), state.due(&basis, now))
        };
        if in_a_row == 1 && serves {
            // Without one that serves, the refresh fails and says so.
            warn!("the credential could not be renewed and is used on while it holds: {}", error_chain(&*error));
        }
        self.ended.send_modify(|ended| *ended += 1);
        until
    }
}

/// A running renewal; however its task ends, the next may start and nobody waits for it.
struct RenewalTask(Weak<Shared>);

impl RenewalTask {
    /// Waits until the next attempt is due, or the secret has changed. False when nobody needs it any more.
    async fn wait(&self, until: Instant, basis: Option<Fingerprint>) -> bool {
        loop {
            tokio::time::sleep_until(until.min(Instant::now() + LOOK)).await;
            let Some(shared) = self.0.upgrade() else { return false };
            let now = Instant::now();
            if now >= until {
                return true;
            }
            if shared.source.state().ok().map(|basis| basis.fingerprint()) != basis {
                info!("a secret has changed and is tried at once");
                return true;
            }
            let asked = *shared.asked.lock();
            if now.saturating_duration_since(asked) > FORGOTTEN {
                return false;
            }
        }
    }
}

impl Drop for RenewalTask {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.renewing.store(false, Ordering::Release);
            shared.ended.send_modify(|ended| *ended += 1);
        }
    }
}

#[cfg(test)]
#[path = "authenticator_tests.rs"]
mod tests;
