//! The credential in use, and the guard that keeps a refused one from being tried into a lock-out.

use super::{AuthError, Credential, Grant, Source};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tracing::warn;

/// How often one credential may be refused before it is held back. The strictest lock-out that IAM can be set to counts
/// three failures in fifteen minutes (IAM: login policy), and another program may use the same key.
pub const MOST_REJECTIONS: usize = 2;

/// The period in which [`MOST_REJECTIONS`] are counted.
pub const REJECTION_PERIOD: Duration = Duration::from_secs(15 * 60);

/// How long a credential that was accepted counts as good: longer than the pause between two requests of one refresh, and
/// shorter than the usual one between two refreshes, so that each refresh finds out with one request first.
const PROOF: Duration = Duration::from_secs(60);

/// A credential lent for one request.
#[derive(Debug)]
pub struct Lease {
    /// The credential.
    pub credential: Credential,
    /// When it expires, where that is known.
    pub expires_at: Option<SystemTime>,
    fingerprint: Fingerprint,
}

impl Lease {
    /// Whether both leases carry one credential.
    pub fn same_as(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

/// A hash by which a changed credential is told from an unchanged one.
type Fingerprint = [u8; 32];

/// A lease for one request, alone with it as long as the credential has to prove itself.
#[derive(Debug)]
pub struct Loan<'a> {
    /// The credential.
    pub lease: Arc<Lease>,
    _alone: Option<tokio::sync::MutexGuard<'a, ()>>,
}

/// Lends the credential of one account. Cheap to share.
#[derive(Debug)]
pub struct Authenticator {
    source: Source,
    state: Mutex<State>,
    /// Held by the one request that finds out whether a credential is good.
    proving: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    lease: Option<Arc<Lease>>,
    /// Which credential was refused, and when, the earliest first.
    refused: Fingerprint,
    refusals: VecDeque<Instant>,
    /// Which credential was accepted last, and when.
    accepted: Option<(Fingerprint, Instant)>,
}

impl Authenticator {
    /// An authenticator that has asked for nothing yet.
    pub fn new(source: Source) -> Self {
        Self { source, state: Mutex::default(), proving: tokio::sync::Mutex::default() }
    }

    /// The name of the source in use.
    pub fn source_name(&self) -> &'static str {
        self.source.name()
    }

    /// The credential for one request. One that was not accepted lately is lent to one request at a time: many at once
    /// would be refused more often than the cloud forgives. Keep the loan until the verdict is in; dropping the future
    /// ends the wait.
    ///
    /// # Errors
    /// As [`Authenticator::lease`].
    pub async fn lend(&self) -> Result<Loan<'_>, AuthError> {
        let lease = self.lease()?;
        if self.is_proven(&lease) {
            return Ok(Loan { lease, _alone: None });
        }
        let alone = self.proving.lock().await;
        // The request before may have proved it, or have used up its attempts.
        let lease = self.lease()?;
        let alone = (!self.is_proven(&lease)).then_some(alone);
        Ok(Loan { lease, _alone: alone })
    }

    fn is_proven(&self, lease: &Lease) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.accepted.is_some_and(|(accepted, at)| accepted == lease.fingerprint && at.elapsed() < PROOF)
    }

    /// The credential to use now.
    ///
    /// # Errors
    /// When there is none, or when it was refused too often to be tried again yet.
    pub fn lease(&self) -> Result<Arc<Lease>, AuthError> {
        let grant = self.source.obtain()?;
        let fingerprint = fingerprint(&grant.credential);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.admit(&fingerprint, Instant::now())?;
        match &state.lease {
            Some(lease) if lease.fingerprint == fingerprint => Ok(lease.clone()),
            _ => {
                let Grant { credential, expires_at } = grant;
                let lease = Arc::new(Lease { credential, expires_at, fingerprint });
                state.lease = Some(lease.clone());
                Ok(lease)
            }
        }
    }

    /// The upstream refused this credential.
    pub fn refused(&self, lease: &Lease) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.refused != lease.fingerprint {
            state.refused = lease.fingerprint;
            state.refusals.clear();
        }
        state.accepted = state.accepted.filter(|(accepted, _)| *accepted != lease.fingerprint);
        state.refusals.push_back(Instant::now());
        while state.refusals.len() > MOST_REJECTIONS {
            state.refusals.pop_front();
        }
        if state.refusals.len() == MOST_REJECTIONS {
            drop(state);
            warn!(
                source = self.source.name(),
                "the credential was refused {MOST_REJECTIONS} times and is held back for {} minutes, because the cloud \
                 locks keys and users after repeated failures; a changed credential is tried at once",
                REJECTION_PERIOD.as_secs() / 60
            );
        }
    }

    /// The upstream took this credential: what went before is forgotten.
    pub fn accepted(&self, lease: &Lease) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.accepted = Some((lease.fingerprint, Instant::now()));
        if state.refused == lease.fingerprint {
            state.refusals.clear();
        }
    }
}

impl State {
    fn admit(&mut self, fingerprint: &Fingerprint, now: Instant) -> Result<(), AuthError> {
        if self.refused != *fingerprint || self.refusals.len() < MOST_REJECTIONS {
            return Ok(());
        }
        let free = self.refusals[0] + REJECTION_PERIOD;
        if free <= now {
            return Ok(());
        }
        Err(AuthError::HeldBack { wait_seconds: (free - now).as_secs().max(1) })
    }
}

fn fingerprint(credential: &Credential) -> Fingerprint {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    match credential {
        Credential::Token(token) => part(token.expose()),
        Credential::AccessKey(key) => {
            part(&key.id);
            part(key.secret.expose());
            part(key.security_token.as_ref().map_or("", |token| token.expose()));
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::super::token;
    use super::*;

    fn from_file(path: &std::path::Path) -> Authenticator {
        Authenticator::new(Source::Token(token::Source::File(path.to_owned())))
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_credential_is_tried_at_most_twice_in_any_fifteen_minutes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "wrong\n").unwrap();
        let authenticator = from_file(&path);
        let mut tried = Vec::new();
        for _minute in 0..24 * 60 {
            if let Ok(lease) = authenticator.lease() {
                tried.push(Instant::now());
                authenticator.refused(&lease);
            }
            tokio::time::advance(Duration::from_secs(60)).await;
        }
        for (first, third) in tried.iter().zip(&tried[MOST_REJECTIONS..]) {
            assert!(*third - *first >= REJECTION_PERIOD);
        }
        assert!(tried.len() > 2, "it is tried again after the period");
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_credential_is_tried_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "wrong").unwrap();
        let authenticator = from_file(&path);
        for _ in 0..MOST_REJECTIONS {
            let lease = authenticator.lease().unwrap();
            authenticator.refused(&lease);
        }
        assert!(matches!(authenticator.lease(), Err(AuthError::HeldBack { .. })));
        std::fs::write(&path, "right").unwrap();
        let lease = authenticator.lease().unwrap();
        assert!(matches!(&lease.credential, Credential::Token(token) if token.expose() == "right"));
    }

    #[test]
    fn an_empty_or_broken_secret_file_is_named_but_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "two words").unwrap();
        let error = from_file(&path).lease().unwrap_err().to_string();
        assert!(error.contains("the token in") && error.contains("white space") && !error.contains("two"), "{error}");
        std::fs::write(&path, "\n").unwrap();
        assert!(from_file(&path).lease().unwrap_err().to_string().ends_with("is empty"));
    }
}
