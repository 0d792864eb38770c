//! The time during which the machine was suspended, which the monotonic clock does not count.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// How long the machine has been suspended since it was started.
pub fn suspended_time() -> Duration {
    let now = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    // In this order the time between both calls is not taken for a suspension.
    let boot = now(ClockId::Boottime);
    boot.saturating_sub(now(ClockId::Monotonic))
}
