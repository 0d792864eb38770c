//! Whether a failed request is sent again, and what its failure means for other calls.

use super::super::error::{ApiError, ErrorResponse};
use super::super::metrics::Purpose;
use super::super::request::Call;
use super::super::retry::{CallBudget, MAX_ATTEMPTS, backoff};
use super::Client;
use super::attempt::AttemptInfo;
use crate::auth::{CachedCredential, Credential};
use crate::base::deadline::Deadline;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::{debug, info};

/// The clock skew in seconds from which on it may be the reason of a refused signature.
const SUSPICIOUS_SKEW_SECONDS: f64 = 120.0;

/// A larger difference in seconds is a bad `Date` header, not clock skew.
const MAX_PLAUSIBLE_SKEW: f64 = 1e10;

/// The reactions to refusals of one call's credential. Each happens once.
#[derive(Debug, Default)]
pub(super) struct CredentialRetries {
    /// The credential was replaced.
    renewed: bool,
    /// The clock for signatures was set to the upstream's.
    corrected: bool,
}

impl Client {
    /// Reports a credential that `response` refused, and returns whether the request is sent again.
    pub(super) async fn retries_refused(
        &self,
        call: &Call<'_>,
        lease: &CachedCredential,
        response: &ErrorResponse,
        deadline: Deadline,
        info: &AttemptInfo,
        done: &mut CredentialRetries,
    ) -> bool {
        let is_listing = call.operation.purpose() == Purpose::Listing;
        let corrects = !done.corrected && self.corrects_clock(info, lease);
        if corrects || !is_listing {
            // The reason may be the clock, or this kind of call. The listing decides.
            self.authenticator.report_uncertain(lease);
            done.corrected |= corrects;
            return corrects && is_listing;
        }
        // Sending the same credential again would only count towards a lock-out.
        let replaced = deadline.bound(self.authenticator.report_rejected(lease, response)).await.unwrap_or(false);
        replaced && !std::mem::replace(&mut done.renewed, true)
    }

    /// The wait before the same request is sent again, besides a pause that the upstream asked for. `None` means no retry:
    /// the caller gets this error.
    pub(super) fn wait_before_retry(
        &self,
        purpose: Purpose,
        error: &ApiError,
        attempt: u32,
        budget: &CallBudget,
    ) -> Option<Duration> {
        let (pause, wait) = match error {
            ApiError::Throttled(response) => {
                // Without `Retry-After`, the vendor advises two to five seconds. A `Retry-After` of zero is not trusted.
                let pause = match response.retry_after {
                    None => backoff(attempt + 3, fastrand::f64()),
                    Some(requested) => backoff(attempt, fastrand::f64()).max(requested),
                };
                (Some(pause), Duration::ZERO)
            }
            ApiError::Server(response) => (response.retry_after, backoff(attempt, fastrand::f64())),
            _ => (None, backoff(attempt, fastrand::f64())),
        };
        // Throttling concerns all calls to one service. Any other failure concerns the calls of one purpose.
        let concerns_all = match purpose {
            Purpose::Listing => true,
            Purpose::Images | Purpose::Auxiliary => matches!(error, ApiError::Throttled(_)),
            Purpose::Project => false,
        };
        match pause {
            // The throttle makes all calls wait for it, including this one.
            Some(pause) if concerns_all => self.throttle.pause(pause),
            Some(pause) => self.cooldowns.start(purpose, pause),
            None => {}
        }
        let again = error.is_retryable()
            && (concerns_all || pause.is_none())
            && attempt < MAX_ATTEMPTS
            && budget.deadline.allows(wait.max(pause.unwrap_or_default()))
            && !self.breaker(purpose).is_open()
            && budget.try_spend_retry();
        debug!(%error, attempt, again, "a call failed");
        again.then_some(wait)
    }

    /// Whether our clock may be the reason of a refusal. If so, requests are signed with the upstream's time from now on.
    fn corrects_clock(&self, info: &AttemptInfo, lease: &CachedCredential) -> bool {
        let Some(skew) = info.skew.filter(|skew| skew.is_finite() && skew.abs() < MAX_PLAUSIBLE_SKEW) else {
            return false;
        };
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a few centuries at most")]
        let (error, offset) = (skew - info.offset_seconds as f64, skew.round() as i64);
        let is_reason = matches!(lease.credential, Credential::AccessKey(_)) && error.abs() > SUSPICIOUS_SKEW_SECONDS;
        if is_reason {
            self.clock_offset_seconds.store(offset, Ordering::Relaxed);
            info!(offset_seconds = offset, "signing requests with the API's time, which is {offset} s ahead");
        }
        is_reason
    }
}
