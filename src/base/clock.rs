//! The time during which the machine was suspended, which the monotonic clock does not count; differences of wall clocks.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime};

/// How long the machine has been suspended since it was started.
pub fn suspended_time() -> Duration {
    let now = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    // In this order the time between both calls is not taken for a suspension.
    let boot = now(ClockId::Boottime);
    boot.saturating_sub(now(ClockId::Monotonic))
}

/// Seconds from one wall clock's time to another, negative if that is earlier.
pub fn seconds_between(start: SystemTime, end: SystemTime) -> f64 {
    end.duration_since(start).map_or_else(|before| -before.duration().as_secs_f64(), |after| after.as_secs_f64())
}
