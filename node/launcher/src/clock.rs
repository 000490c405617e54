//! The only place of this crate where a clock is read: `CLOCK_MONOTONIC`, for its own waits. No rule of a run looks at it.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since the clock's zero.
pub(crate) fn now() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
