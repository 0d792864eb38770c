//! Whether a request that failed is sent again, and what its failure means for other calls.

use super::super::error::ApiError;
use super::super::metrics::Purpose;
use super::super::retry::{CallBudget, MOST_ATTEMPTS, backoff};
use super::Client;
use super::attempt::{Call, Seen};
use crate::auth::{CachedCredential, Credential};
use crate::base::deadline::Deadline;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::{debug, info};

/// A refused signature whose clock was further off than this may have been refused for that.
const SUSPICIOUS_SKEW: f64 = 120.0;

/// What is further off is no clock.
const LARGEST_SKEW: f64 = 1e10;

/// What was done about refusals of one call's credential: each once.
#[derive(Debug, Default)]
pub(super) struct CredentialRetries {
    /// Another credential took its place.
    renewed: bool,
    /// The clock that signs was set by the upstream's.
    corrected: bool,
}

impl Client {
    /// What follows from a refusal of the credential, and whether the request is sent again.
    pub(super) async fn resends_refused(
        &self,
        call: &Call<'_>,
        lease: &CachedCredential,
        deadline: Deadline,
        seen: &Seen,
        remedies: &mut CredentialRetries,
    ) -> bool {
        let lists = call.operation.purpose() == Purpose::Listing;
        let corrects = !remedies.corrected && self.corrects_clock(seen, lease);
        if corrects || !lists {
            // The clock may be the reason, or that it is this call. The listing will tell.
            self.authenticator.report_uncertain(lease);
            remedies.corrected |= corrects;
            return corrects && lists;
        }
        // The same credential again would only count towards a lock-out.
        let replaced = deadline.bound(self.authenticator.report_rejected(lease)).await.unwrap_or(false);
        replaced && !std::mem::replace(&mut remedies.renewed, true)
    }

    /// How long to wait, besides the pause that the upstream asks for, before the same request is sent again; `None` when
    /// it is not. The last error is the one to show.
    pub(super) fn wait_before_retry(
        &self,
        purpose: Purpose,
        error: &ApiError,
        attempt: u32,
        effort: &CallBudget,
    ) -> Option<Duration> {
        let (pause, own) = match error {
            ApiError::Throttled { retry_after, .. } => {
                // The vendor advises two to five seconds where the answer says nothing. One that says "now" is not believed.
                let pause = match retry_after {
                    None => backoff(attempt + 3, fastrand::f64()),
                    Some(asked) => backoff(attempt, fastrand::f64()).max(*asked),
                };
                (Some(pause), Duration::ZERO)
            }
            ApiError::Server { retry_after, .. } => (*retry_after, backoff(attempt, fastrand::f64())),
            _ => (None, backoff(attempt, fastrand::f64())),
        };
        // Too many requests are everybody's in one service. How a call fails speaks of its purpose alone.
        let concerns_all = match purpose {
            Purpose::Listing => true,
            Purpose::Images | Purpose::Auxiliary => matches!(error, ApiError::Throttled { .. }),
            Purpose::Project => false,
        };
        match pause {
            // It holds for every call, this one among them, where the turn is taken.
            Some(pause) if concerns_all => self.throttle.pause(pause),
            Some(pause) => self.rests.rest(purpose, pause),
            None => {}
        }
        let again = error.passing()
            && (concerns_all || pause.is_none())
            && attempt < MOST_ATTEMPTS
            && effort.deadline.allows(own.max(pause.unwrap_or_default()))
            && !self.breaker(purpose).is_open()
            && effort.spend();
        debug!(%error, attempt, again, "a call failed");
        again.then_some(own)
    }

    /// After a refusal: whether our clock may be the reason, in which case requests are signed by theirs from now on.
    fn corrects_clock(&self, seen: &Seen, lease: &CachedCredential) -> bool {
        let Some(skew) = seen.skew.filter(|skew| skew.is_finite() && skew.abs() < LARGEST_SKEW) else { return false };
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a few centuries at most")]
        let (wrong_by, offset) = (skew - seen.offset_seconds as f64, skew.round() as i64);
        let is_reason = matches!(lease.credential, Credential::AccessKey(_)) && wrong_by.abs() > SUSPICIOUS_SKEW;
        if is_reason {
            self.clock_offset_seconds.store(offset, Ordering::Relaxed);
            info!(offset_seconds = offset, "requests are signed by the upstream's clock, which is {offset} s ahead");
        }
        is_reason
    }
}
