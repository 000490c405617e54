//! The one place where the coordinator reads clocks.
//!
//! Deliberately absent: timers (tokio's, armed by the shards from the policy's next instants) and every comparison of
//! times (the fleet policy).

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

/// Reads the clocks. A port, so that a test can stand a week later without waiting for it.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Milliseconds since the Unix epoch; 0 if the machine's clock is before it.
    fn wall(&self) -> u64;

    /// Milliseconds of a clock that only runs on, from some moment on.
    fn running(&self) -> u64;
}

/// The clock, shared.
pub type ClockRef = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is clock.rs")]
    fn wall(&self) -> u64 {
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .ok()
            .and_then(|since| u64::try_from(since.as_millis()).ok())
            .unwrap_or(0)
    }

    #[expect(clippy::disallowed_methods, reason = "this is clock.rs")]
    fn running(&self) -> u64 {
        static BEGUN: OnceLock<Instant> = OnceLock::new();
        let begun = *BEGUN.get_or_init(Instant::now);
        u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The machine's clock, moved on by so much as its owner says.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    shift: AtomicU64,
}

impl ShiftedClock {
    /// Moves it on by so many milliseconds.
    pub fn advance(&self, millis: u64) {
        self.shift.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for ShiftedClock {
    fn wall(&self) -> u64 {
        SystemClock
            .wall()
            .saturating_add(self.shift.load(Ordering::Relaxed))
    }

    fn running(&self) -> u64 {
        SystemClock
            .running()
            .saturating_add(self.shift.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_stands_after_2020() {
        assert!(SystemClock.wall() > 1_577_836_800_000);
    }

    #[test]
    fn a_shifted_clock_is_ahead_by_its_shift() {
        let clock = ShiftedClock::default();
        clock.advance(3_600_000);
        assert!(clock.wall() >= SystemClock.wall() + 3_599_000);
    }
}
