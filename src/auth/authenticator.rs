//! Provides the credential for each request. One task at a time renews it, when it is needed or shortly before it expires;
//! another watches whether a refused secret changes.

use super::cached_credential::{CachedCredential, CredentialLease};
use super::state::{CredentialState, RejectionOutcome};
use super::{AuthError, CredentialProvider, ProviderState, REJECTION_PERIOD, SecretReader, TokenClient};
use crate::base::digest::Sha256Digest;
use crate::failure::error_chain;
use crate::metrics::unix_seconds;
use crate::transport::error_response::ErrorResponse;
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{Instrument, debug, error, info, warn};

/// Stop retrying a failed renewal after this long without use.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// How often the secret files are read while something is wrong.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How many attempts a caller waits for that bring neither a credential nor an error.
const MAX_ATTEMPTS: u32 = 3;

/// Provides the credential of one account. Clones share it.
#[derive(Clone, Debug)]
pub struct Authenticator(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    provider: CredentialProvider,
    reader: SecretReader,
    client: Option<TokenClient>,
    state: Mutex<CredentialState>,
    /// Held by the one request that finds out whether a credential is good.
    probe_lock: Arc<tokio::sync::Mutex<()>>,
    renewing: AtomicBool,
    /// Held by the task that watches whether a refused secret changes.
    watching: Arc<tokio::sync::Mutex<()>>,
    renewal_timer: Mutex<JoinSet<()>>,
    last_used: Mutex<Instant>,
    /// The number of attempts to obtain a credential that have ended.
    attempts: watch::Sender<u64>,
    recoveries: watch::Sender<u64>,
}

impl Authenticator {
    /// An authenticator that has requested nothing yet. Providers that exchange a secret need a client.
    pub fn new(provider: CredentialProvider, client: Option<TokenClient>) -> Self {
        Self(Arc::new(Shared {
            provider,
            reader: SecretReader::default(),
            client,
            state: Mutex::default(),
            probe_lock: Arc::default(),
            renewing: AtomicBool::new(false),
            watching: Arc::default(),
            renewal_timer: Mutex::default(),
            last_used: Mutex::new(Instant::now()),
            attempts: watch::Sender::new(0),
            recoveries: watch::Sender::new(0),
        }))
    }

    /// Takes over the refused secrets of `predecessor`, so that repeated reloads do not lock the key.
    pub fn remember(&self, predecessor: &Self) {
        let lockout = predecessor.0.state().lockout.clone();
        self.0.state().lockout = lockout;
    }

    /// Reads what the provider needs locally, such as files, if that can be read, and obtains nothing.
    pub async fn try_inputs(&self) -> Result<(), AuthError> {
        self.0.load().await.map(drop)
    }

    /// Counts the events after which a failed refresh may succeed: a secret has changed, or a credential was obtained.
    pub fn recoveries(&self) -> watch::Receiver<u64> {
        self.0.recoveries.subscribe()
    }

    /// The credential for one request, or the error of [`Self::credential`]. An unproven credential is leased to one request at a
    /// time: many at once would be refused more often than the cloud forgives. Keep the lease until the result is reported.
    /// Dropping the future ends the wait and no renewal.
    pub async fn acquire(&self) -> Result<CredentialLease, AuthError> {
        let credential = self.credential().await?;
        if self.0.state().is_proven(&credential, Instant::now()) {
            return Ok(CredentialLease { credential, _probe_lock: None });
        }
        let lock = self.0.probe_lock.clone().lock_owned().await;
        // The request before this one may have proven it, or used up its attempts.
        let credential = self.credential().await?;
        let proven = self.0.state().is_proven(&credential, Instant::now());
        Ok(CredentialLease { credential, _probe_lock: (!proven).then_some(lock) })
    }

    /// The credential to use now. If there is none yet, waits for an attempt to obtain one.
    ///
    /// # Errors
    /// If there is none, or if it was refused too often to be tried again yet.
    pub async fn credential(&self) -> Result<Arc<CachedCredential>, AuthError> {
        *self.0.last_used.lock() = Instant::now();
        let mut rounds = 0;
        let mut error_before: Option<Arc<AuthError>> = None;
        loop {
            let loaded = self.0.load().await;
            let mut attempts = {
                let mut state = self.0.state();
                let now = Instant::now();
                let secret = match loaded {
                    Ok(loaded) => {
                        state.unreadable_logged = false;
                        let secret = loaded.fingerprint();
                        if let ProviderState::Ready(credential) = loaded {
                            let found = state.found(credential, now);
                            drop(state);
                            self.0.show_expiry(None);
                            return found.inspect_err(|_| self.watch(Some(secret)));
                        }
                        secret
                    }
                    Err(error) => {
                        // A file that is empty or gone is being replaced: keep its credential while that is valid.
                        if let Some(current) = state.usable_unread(now) {
                            if !std::mem::replace(&mut state.unreadable_logged, true) {
                                warn!(
                                    "cannot read the credential again; the previous one stays in use: {}",
                                    error_chain(&error)
                                );
                            }
                            return Ok(current);
                        }
                        let refused = state.usable(now).map(|current| current.secret);
                        drop(state);
                        self.watch(refused);
                        return Err(error);
                    }
                };
                if let Some(current) = state.usable(now) {
                    if current.needs_renewal(now) && state.may_request(&secret, now).is_ok() {
                        self.renew();
                    }
                    return Ok(current);
                }
                match state.last_error() {
                    Some(error) if rounds > 0 && !error_before.is_some_and(|before| Arc::ptr_eq(&before, &error)) => {
                        return Err(AuthError::Unobtained(error));
                    }
                    // The renewal panics, or each credential is refused as soon as it is there.
                    _ if rounds == MAX_ATTEMPTS => return Err(AuthError::CutShort),
                    error => error_before = error,
                }
                if let Err(error) = state.may_request(&secret, now) {
                    // The renewal notices when the secret changes.
                    self.renew();
                    return Err(error);
                }
                // Subscribed under the lock, so that no end of an attempt is missed.
                let attempts = self.0.attempts.subscribe();
                self.renew();
                attempts
            };
            // The sender lives as long as we do.
            let _ = attempts.changed().await;
            rounds += 1;
        }
    }

    /// Reports that the upstream refused this credential by `response`, and waits for another. Whether there is one.
    pub async fn report_rejected(&self, credential: &CachedCredential, response: &ErrorResponse) -> bool {
        let (outcome, held) = self.0.state().rejected(credential, response, Instant::now());
        if held {
            error!(
                source = self.0.provider.name(),
                "the credential was refused repeatedly and is held back for {} minutes or more, because the cloud locks \
                 keys and users after repeated failures; a changed credential is tried at once",
                REJECTION_PERIOD.as_secs() / 60
            );
        }
        match outcome {
            RejectionOutcome::FellBack => warn!("the new credential was refused; the previous one stays in use"),
            RejectionOutcome::NoAlternative => self.watch(Some(credential.secret)),
            RejectionOutcome::Replaced => {}
        }
        self.credential().await.is_ok_and(|current| !current.same_as(credential))
    }

    /// The error of a request with this credential while it is held back.
    pub fn held_back(&self, credential: &CachedCredential) -> Option<AuthError> {
        self.0.state().check_lockout(&credential.secret, Instant::now()).err()
    }

    /// Reports that the upstream refused this credential, but perhaps for another reason: the clock, or what was asked for.
    /// It stays in use; unless it is accepted, the next refusal counts as the second.
    pub fn report_uncertain(&self, credential: &CachedCredential) {
        self.0.state().report_uncertain(credential, Instant::now());
    }

    /// Reports that the upstream accepted this credential.
    pub fn report_success(&self, credential: &CachedCredential) {
        if self.0.state().report_success(credential, Instant::now()) {
            info!("the new credential works and is in use");
        }
    }

    /// Starts the task that obtains a credential, unless it runs.
    fn renew(&self) {
        if self.0.renewing.swap(true, Ordering::AcqRel) {
            return;
        }
        let task = RenewalTask(Arc::downgrade(&self.0));
        tokio::spawn(
            async move {
                while let Some(shared) = task.0.upgrade() {
                    let Some((retry_at, secret)) = shared.obtain().await else {
                        Self(shared).renew_in_time();
                        break;
                    };
                    drop(shared);
                    if !task.wait(retry_at, secret).await {
                        break;
                    }
                }
            }
            .in_current_span(),
        );
    }

    /// Renews the current credential when that is due, if it was used by then. Calls are often further apart than a renewal
    /// is early, so waiting for the next call would let the credential expire.
    fn renew_in_time(&self) {
        let Some(renew_at) = self.0.state().renew_at() else { return };
        let (shared, obtained_at) = (Arc::downgrade(&self.0), Instant::now());
        let task = async move {
            tokio::time::sleep_until(renew_at).await;
            let Some(shared) = shared.upgrade() else { return };
            if *shared.last_used.lock() > obtained_at {
                Self(shared).renew();
            } else {
                // The next use obtains another.
                shared.show_expiry(None);
            }
        };
        // Ends the timer of the credential before.
        let mut timer = JoinSet::new();
        timer.spawn(task.in_current_span());
        *self.0.renewal_timer.lock() = timer;
    }

    /// Starts the task that watches whether the secret changes, unless it runs. `refused` is the secret now, if it can be
    /// read, or the last one that could.
    fn watch(&self, refused: Option<Sha256Digest>) {
        let Ok(watching) = self.0.watching.clone().try_lock_owned() else { return };
        let weak = Arc::downgrade(&self.0);
        tokio::spawn(
            async move {
                loop {
                    tokio::time::sleep(POLL_INTERVAL).await;
                    let Some(shared) = weak.upgrade() else { return };
                    let changed = shared.load().await.is_ok_and(|loaded| {
                        let secret = loaded.fingerprint();
                        Some(secret) != refused && !shared.state().lockout.is_suspect(&secret, Instant::now())
                    });
                    if changed || shared.state().is_healthy(Instant::now()) {
                        drop(watching);
                        if changed {
                            info!("a secret changed and is tried now");
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
    fn state(&self) -> MutexGuard<'_, CredentialState> {
        self.state.lock()
    }

    async fn load(&self) -> Result<ProviderState, AuthError> {
        self.provider.load_by(&self.reader).await
    }

    /// Makes one attempt to obtain a credential. If it fails: when the next is due, and the secret that this one used, if
    /// any could be read.
    async fn obtain(&self) -> Option<(Instant, Option<Sha256Digest>)> {
        let loaded = match self.load().await {
            Ok(loaded) => loaded,
            Err(error) => return Some((self.failed(error, [0; 32], false), None)),
        };
        let secret = loaded.fingerprint();
        // Nothing to do if the provider has a ready credential by now.
        let ProviderState::NeedsExchange(local, service) = loaded else { return None };
        let now = Instant::now();
        {
            let state = self.state();
            if state.may_request(&secret, now).is_err() {
                return Some((state.retry_at(&secret, now), Some(secret)));
            }
        }
        let result = match &self.client {
            Some(client) => service.exchange(&local, client).await,
            None => Err(AuthError::CutShort),
        };
        let issued = match result {
            Ok(issued) => issued,
            Err(error) => return Some((self.failed(error, secret, service.can_lock_out()), Some(secret))),
        };
        let now = Instant::now();
        let credential = CachedCredential::issued(issued, secret, now, fastrand::f64());
        let expires_at = credential.expires_at;
        let (had_none, failures) = self.state().obtained(credential, now);
        self.show_expiry(expires_at);
        debug!(source = self.provider.name(), "a credential was obtained");
        if failures > 0 {
            info!(failed = failures, "the credential can be renewed again");
        }
        if had_none {
            self.recoveries.send_modify(|count| *count += 1);
        }
        self.attempt_ended();
        None
    }

    fn show_expiry(&self, expires_at: Option<SystemTime>) {
        if let Some(client) = &self.client {
            client.metrics.expiry.set(expires_at.map(unix_seconds));
        }
    }

    /// Notes a failed attempt. Returns when the next is due.
    fn failed(&self, error: AuthError, secret: Sha256Digest, can_lock_out: bool) -> Instant {
        let error = Arc::new(error);
        let now = Instant::now();
        let (in_a_row, is_usable, retry_at) = {
            let mut state = self.state();
            let in_a_row = state.failed(error.clone(), secret, can_lock_out, now, fastrand::f64());
            (in_a_row, state.usable(now).is_some(), state.retry_at(&secret, now))
        };
        if in_a_row == 1 && is_usable {
            // Without a usable credential the refresh fails and logs that.
            warn!("cannot renew the credential, which stays in use until it expires: {}", error_chain(&*error));
        }
        self.attempt_ended();
        retry_at
    }

    fn attempt_ended(&self) {
        self.attempts.send_modify(|count| *count += 1);
    }
}

/// A running renewal. However its task ends, the next one may start and nobody waits for this one.
struct RenewalTask(Weak<Shared>);

impl RenewalTask {
    /// Waits until the next attempt is due or the secret has changed. False if nobody needs the credential any more.
    async fn wait(&self, retry_at: Instant, secret: Option<Sha256Digest>) -> bool {
        loop {
            tokio::time::sleep_until(retry_at.min(Instant::now() + POLL_INTERVAL)).await;
            let Some(shared) = self.0.upgrade() else { return false };
            let now = Instant::now();
            if now >= retry_at {
                return true;
            }
            if shared.load().await.is_ok_and(|loaded| Some(loaded.fingerprint()) != secret) {
                info!("a secret changed and is tried now");
                return true;
            }
            let last_used = *shared.last_used.lock();
            if now.saturating_duration_since(last_used) > IDLE_TIMEOUT {
                return false;
            }
        }
    }
}

impl Drop for RenewalTask {
    fn drop(&mut self) {
        if let Some(shared) = self.0.upgrade() {
            shared.renewing.store(false, Ordering::Release);
            shared.attempt_ended();
        }
    }
}

#[cfg(test)]
#[path = "authenticator_tests.rs"]
mod tests;
